//! `nat` in its two forms, `xlate per-session`, and what came before 8.3.

use super::primitive::{take_action, take_endpoint, take_optional_ports, take_port};
use super::{Mode, Parser};
use crate::config::ast::nat::{
    InterfaceAddressFamily, MappedAddress, NatInterface, NatOperand, ObjectNat, ObjectTranslation,
    PatPool, PortMapping, ServicePair, TwiceDestination, TwiceNat, TwiceSource, XlatePerSession,
};
use crate::config::ast::primitive::Transport;
use crate::config::ast::{Lost, Overwritten};
use crate::config::cursor::{Cursor, Failure, Taken, check_interface_name, refused, unexpected};
use crate::config::diagnostic::Diagnostic;
use crate::config::source::Spanned;

/// Whether a `nat` line is the global form: after the interfaces and the place comes `source`.
pub fn is_twice(c: &Cursor) -> bool {
    let mut c = c.clone();
    if take_interfaces(&mut c).is_err() {
        return false;
    }
    let number = c
        .peek()
        .is_some_and(|token| token.text.bytes().all(|b| b.is_ascii_digit()));
    c.eat_full("after-auto") || number || c.eat("source")
}

/// `(REAL,MAPPED)`; both `any` when it is left out.
fn take_interfaces(c: &mut Cursor) -> Taken<(NatInterface, NatInterface)> {
    if !c.peek().is_some_and(|token| token.text.starts_with('(')) {
        return Ok((NatInterface::Any, NatInterface::Any));
    }
    let pair = c.take_parenthesised()?;
    let inner = pair
        .strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'))
        .unwrap_or("");
    let Some((real, mapped)) = inner.split_once(',') else {
        return Err(before_8_3(c, "nat (IF) ID …"));
    };
    let side = |text: &str| -> Taken<NatInterface> {
        if text.eq_ignore_ascii_case("any") {
            return Ok(NatInterface::Any);
        }
        let name = Spanned::new(text.to_owned(), pair.span);
        check_interface_name(&name)?;
        Ok(NatInterface::Named(name))
    };
    Ok((side(real)?, side(mapped)?))
}

/// `static (…)`, `global (…)` and `nat (IF) ID`, which 8.3 replaced.
pub fn old_command(_: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let is_static = c.peek().is_some_and(|token| token.text.contains(','));
    Err(before_8_3(
        c,
        if is_static {
            "static (REAL,MAPPED) …"
        } else {
            "global (IF) ID …"
        },
    ))
}

fn before_8_3(c: &Cursor, form: &str) -> Failure {
    let message = format!("`{form}` is the form of releases before 8.3");
    let help = "put a `nat (REAL,MAPPED) …` line under an `object network`; access lists then name \
                the real address and the real port";
    Diagnostic::error("E0112", c.span(), message)
        .with_help(help)
        .into()
}

/// `nat` under `object network`.
pub fn object_nat(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let (real_interface, mapped_interface) = take_interfaces(c)?;
    let nat = if c.is_negated && c.is_at_end() {
        None
    } else {
        let is_static =
            c.take_keyword("static or dynamic", &[("static", true), ("dynamic", false)])?;
        let (translation, dns) = if is_static {
            take_static(c)?
        } else {
            take_dynamic(c)?
        };
        c.end()?;
        let nat = ObjectNat {
            real_interface,
            mapped_interface,
            translation,
            dns,
        };
        Some(Spanned::new(nat, c.span()))
    };
    let Mode::NetworkObject(index) = p.mode else {
        return Ok(p.mode);
    };
    let Some(object) = p.config.network_objects.get_mut(index) else {
        return Ok(p.mode);
    };
    if c.is_negated {
        object.nat = None;
        return Ok(p.mode);
    }
    let lost = std::mem::replace(&mut object.nat, nat);
    if let Some(lost) = lost.filter(|lost| Some(lost) != object.nat.as_ref()) {
        let object = Spanned::new(object.name.node.clone(), p.block);
        p.overwritten.push(Overwritten {
            object,
            lost: Lost::Nat(lost),
            by: c.span(),
        });
    }
    Ok(p.mode)
}

fn take_family(c: &mut Cursor) -> InterfaceAddressFamily {
    if c.eat_full("ipv6") {
        InterfaceAddressFamily::V6
    } else {
        InterfaceAddressFamily::V4
    }
}

fn take_fallback(c: &mut Cursor) -> Option<InterfaceAddressFamily> {
    c.eat_full("interface").then(|| take_family(c))
}

fn take_mapped(c: &mut Cursor) -> Taken<MappedAddress> {
    if c.eat_full("interface") {
        return Ok(MappedAddress::Interface(take_family(c)));
    }
    let token = c
        .peek()
        .ok_or(Failure::Incomplete("a mapped address, object or interface"))?;
    if token.text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(MappedAddress::Address(c.take_address()?));
    }
    Ok(MappedAddress::Object(c.take_object_name()?))
}

fn take_static(c: &mut Cursor) -> Taken<(ObjectTranslation, bool)> {
    #[derive(Clone, Copy)]
    enum Word {
        NetToNet,
        Dns,
        Service,
        NoProxyArp,
        RouteLookup,
    }
    const WORDS: &[(&str, Word)] = &[
        ("net-to-net", Word::NetToNet),
        ("dns", Word::Dns),
        ("service", Word::Service),
        ("no-proxy-arp", Word::NoProxyArp),
        ("route-lookup", Word::RouteLookup),
    ];
    let mapped = take_mapped(c)?;
    let (mut net_to_net, mut dns, mut service) = (false, false, None);
    let (mut no_proxy_arp, mut route_lookup) = (false, false);
    while let Some(word) = c.take_optional(WORDS)? {
        match word.node {
            Word::NetToNet => net_to_net = true,
            Word::Dns => dns = true,
            Word::Service => service = Some(take_port_mapping(c)?),
            Word::NoProxyArp => no_proxy_arp = true,
            Word::RouteLookup => route_lookup = true,
        }
    }
    if dns && service.is_some() {
        return Err(refused(
            "E0120",
            c.span(),
            "`dns` cannot be combined with `service`",
        ));
    }
    let translation = ObjectTranslation::Static {
        mapped,
        net_to_net,
        service,
        no_proxy_arp,
        route_lookup,
    };
    Ok((translation, dns))
}

fn take_port_mapping(c: &mut Cursor) -> Taken<PortMapping> {
    let transport = c.take_keyword(
        "tcp, udp or sctp",
        &[
            ("tcp", Transport::Tcp),
            ("udp", Transport::Udp),
            ("sctp", Transport::Sctp),
        ],
    )?;
    let real = take_port(c, transport)?;
    let mapped = take_port(c, transport)?;
    Ok(PortMapping {
        transport,
        real,
        mapped,
    })
}

fn take_dynamic(c: &mut Cursor) -> Taken<(ObjectTranslation, bool)> {
    let translation = if c.eat_full("pat-pool") {
        let (pool, fallback) = take_pool(c)?;
        ObjectTranslation::PatPool { pool, fallback }
    } else {
        let mapped = take_mapped(c)?;
        let fallback = match mapped {
            MappedAddress::Interface(_) => None,
            _ => take_fallback(c),
        };
        ObjectTranslation::Dynamic { mapped, fallback }
    };
    let dns = c.eat_full("dns");
    Ok((translation, dns))
}

/// A pool, its options, and `interface` behind it. Object NAT is documented with `interface` before the options, twice
/// NAT with it behind them: either order is taken.
fn take_pool(c: &mut Cursor) -> Taken<(PatPool, Option<InterfaceAddressFamily>)> {
    #[derive(Clone, Copy)]
    enum Word {
        Extended,
        Flat,
        IncludeReserve,
        RoundRobin,
        BlockAllocation,
    }
    const WORDS: &[(&str, Word)] = &[
        ("extended", Word::Extended),
        ("flat", Word::Flat),
        ("include-reserve", Word::IncludeReserve),
        ("round-robin", Word::RoundRobin),
        ("block-allocation", Word::BlockAllocation),
    ];
    let mut pool = PatPool {
        object: c.take_object_name()?,
        extended: false,
        flat: false,
        include_reserve: false,
        round_robin: false,
        block_allocation: false,
    };
    let mut fallback = None;
    loop {
        if fallback.is_none() {
            fallback = take_fallback(c);
        }
        let Some(word) = c.take_optional(WORDS)? else {
            break;
        };
        match word.node {
            Word::Extended => pool.extended = true,
            Word::Flat => pool.flat = true,
            Word::IncludeReserve if pool.flat => pool.include_reserve = true,
            Word::IncludeReserve => {
                return Err(refused(
                    "E0120",
                    word.span,
                    "`include-reserve` needs `flat` before it",
                ));
            }
            Word::RoundRobin => pool.round_robin = true,
            Word::BlockAllocation => pool.block_allocation = true,
        }
    }
    Ok((pool, fallback))
}

/// `nat` in global mode.
pub fn twice_nat(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let (real_interface, mapped_interface) = take_interfaces(c)?;
    let after_auto = c.eat_full("after-auto");
    let line = match c
        .peek()
        .filter(|token| token.text.bytes().all(|b| b.is_ascii_digit()))
    {
        Some(_) => Some(c.take_number("a line number", 1, 65535)?),
        None => None,
    };
    c.expect("source")?;
    let is_static = c.take_keyword("static or dynamic", &[("static", true), ("dynamic", false)])?;
    let source = if is_static {
        take_static_source(c)?
    } else {
        take_dynamic_source(c)?
    };
    let mut nat = TwiceNat {
        real_interface,
        mapped_interface,
        source,
        destination: None,
        service: None,
        net_to_net: false,
        dns: false,
        unidirectional: false,
        no_proxy_arp: false,
        route_lookup: false,
        inactive: false,
        description: None,
    };
    take_twice_options(c, &mut nat)?;
    c.end()?;
    if nat.dns && nat.service.is_some() {
        return Err(refused(
            "E0120",
            c.span(),
            "`dns` cannot be combined with `service`",
        ));
    }
    if nat.unidirectional && nat.no_proxy_arp {
        return Err(refused(
            "E0120",
            c.span(),
            "`unidirectional` excludes `no-proxy-arp`",
        ));
    }
    let rule = Spanned::new(nat, c.span());
    let config = &mut p.config;
    let rules = if after_auto {
        &mut config.nat_after_auto
    } else {
        &mut config.nat_before_auto
    };
    if !c.is_negated {
        let at = line.map_or(rules.len(), |line| {
            (line.node as usize - 1).min(rules.len())
        });
        rules.insert(at, rule);
    } else if !super::remove_equal(rules, &rule) {
        p.nothing_to_remove(c);
    }
    Ok(Mode::Global)
}

fn take_operand(c: &mut Cursor, is_mapped: bool) -> Taken<NatOperand> {
    if c.eat_full("any") {
        return Ok(NatOperand::Any);
    }
    let token = c.peek().ok_or(Failure::Incomplete("an object"))?;
    if token.text.eq_ignore_ascii_case("interface") {
        if !is_mapped {
            return Err(unexpected(token, "an object or any on the real side"));
        }
        c.take("interface")?;
        return Ok(NatOperand::Interface(take_family(c)));
    }
    if token.text.parse::<std::net::IpAddr>().is_ok() {
        let message = "twice NAT takes objects, not addresses";
        let help = format!("define `object network NAME` with `host {}`", token.text);
        return Err(Diagnostic::error("E0123", token.span, message)
            .with_help(help)
            .into());
    }
    Ok(NatOperand::Object(c.take_object_name()?))
}

fn take_static_source(c: &mut Cursor) -> Taken<TwiceSource> {
    let real = take_operand(c, false)?;
    let mapped = take_operand(c, true)?;
    Ok(TwiceSource::Static { real, mapped })
}

fn take_dynamic_source(c: &mut Cursor) -> Taken<TwiceSource> {
    let real = take_operand(c, false)?;
    let mapped = match c.peek() {
        Some(token) if token.text.eq_ignore_ascii_case("pat-pool") => None,
        _ => Some(take_operand(c, true)?),
    };
    if c.eat_full("pat-pool") {
        let (pool, fallback) = take_pool(c)?;
        return Ok(TwiceSource::PatPool {
            real,
            mapped,
            pool,
            fallback,
        });
    }
    let mapped = mapped.ok_or(Failure::Incomplete("a mapped object"))?;
    let fallback = match mapped {
        NatOperand::Interface(_) => None,
        _ => take_fallback(c),
    };
    Ok(TwiceSource::Dynamic {
        real,
        mapped,
        fallback,
    })
}

fn take_twice_options(c: &mut Cursor, nat: &mut TwiceNat) -> Taken<()> {
    #[derive(Clone, Copy)]
    enum Word {
        Destination,
        Service,
        NetToNet,
        Dns,
        Unidirectional,
        NoProxyArp,
        RouteLookup,
        Inactive,
        Description,
    }
    const WORDS: &[(&str, Word)] = &[
        ("destination", Word::Destination),
        ("service", Word::Service),
        ("net-to-net", Word::NetToNet),
        ("dns", Word::Dns),
        ("unidirectional", Word::Unidirectional),
        ("no-proxy-arp", Word::NoProxyArp),
        ("route-lookup", Word::RouteLookup),
        ("inactive", Word::Inactive),
        ("description", Word::Description),
    ];
    while let Some(word) = c.take_optional(WORDS)? {
        match word.node {
            Word::Destination => {
                c.expect("static")?;
                let mapped = take_operand(c, true)?;
                let real = take_operand(c, false)?;
                nat.destination = Some(TwiceDestination { mapped, real });
            }
            Word::Service => {
                let first = c.take_object_name()?;
                nat.service = Some(ServicePair {
                    first,
                    second: c.take_object_name()?,
                });
            }
            Word::NetToNet => nat.net_to_net = true,
            Word::Dns => nat.dns = true,
            Word::Unidirectional => nat.unidirectional = true,
            Word::NoProxyArp => nat.no_proxy_arp = true,
            Word::RouteLookup => nat.route_lookup = true,
            Word::Inactive => nat.inactive = true,
            Word::Description => {
                nat.description = Some(c.take_text("a description")?.node);
            }
        }
    }
    Ok(())
}

/// `xlate per-session …`.
pub fn xlate(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    if !c.eat("per-session") {
        return Err(Failure::Outside);
    }
    let action = take_action(c)?;
    let transport = c.take_keyword(
        "tcp or udp",
        &[("tcp", Transport::Tcp), ("udp", Transport::Udp)],
    )?;
    let source = take_endpoint(c)?.node;
    let source_port = take_optional_ports(c, transport)?.map(|ports| ports.node);
    let destination = take_endpoint(c)?.node;
    let destination_port = take_optional_ports(c, transport)?.map(|ports| ports.node);
    c.end()?;
    let rule = XlatePerSession {
        action,
        transport,
        source,
        source_port,
        destination,
        destination_port,
    };
    p.add_or_remove(c, Spanned::new(rule, c.span()), |config| {
        &mut config.xlate_per_session
    });
    Ok(Mode::Global)
}
