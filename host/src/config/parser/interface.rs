//! `interface` and its sub-mode, `mtu`, `route`, `same-security-traffic`.

use super::{Mode, Parser, remove_equal};
use crate::config::ast::interface::{Interface, InterfaceAddress, Ipv6Address, Mtu, Route};
use crate::config::ast::primitive::Subnet;
use crate::config::cursor::{Cursor, Failure, Keywords, Taken, refused, unexpected};
use crate::config::lexer::Token;
use crate::config::source::{Name, Spanned};

use super::Handler;

/// Commands of the sub-mode.
pub const COMMANDS: Keywords<'static, Handler> = &[
    ("shutdown", shutdown),
    ("description", description),
    ("vlan", vlan),
    ("nameif", nameif),
    ("security-level", security_level),
    ("ip", ip),
    ("ipv6", ipv6),
    ("management-only", management_only),
];

/// Kinds of hardware, as printed.
const HARDWARE: &[(&str, &str)] = &[
    ("Ethernet", "Ethernet"),
    ("FastEthernet", "FastEthernet"),
    ("GigabitEthernet", "GigabitEthernet"),
    ("TenGigabitEthernet", "TenGigabitEthernet"),
    ("HundredGigabitEthernet", "HundredGigabitEthernet"),
    ("Management", "Management"),
    ("Port-channel", "Port-channel"),
    ("Redundant", "Redundant"),
    ("Vlan", "Vlan"),
    ("BVI", "BVI"),
];

/// `interface HARDWARE`.
pub fn interface(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let hardware = take_hardware(c)?;
    c.end()?;
    let found = p
        .config
        .interfaces
        .iter()
        .position(|known| known.hardware == hardware);
    if c.is_negated {
        match found {
            Some(index) => drop(p.config.interfaces.remove(index)),
            None => p.nothing_to_remove(c),
        }
        return Ok(Mode::Global);
    }
    let index = found.unwrap_or_else(|| {
        p.config.interfaces.push(Interface::new(hardware));
        p.config.interfaces.len() - 1
    });
    Ok(Mode::Interface(index))
}

/// `GigabitEthernet0/0.100`, `g0/0`, `Port-channel 1`, `vlan 10`.
fn take_hardware(c: &mut Cursor) -> Taken<Name> {
    let token = c.take("an interface")?;
    let letters = token
        .text
        .find(|ch: char| ch.is_ascii_digit())
        .unwrap_or(token.text.len());
    let (kind, unit) = token.text.split_at(letters);
    let mut unit = unit.to_owned();
    let mut span = token.span;
    if unit.is_empty() {
        let number = c.take("an interface number")?;
        unit = number.text.to_owned();
        span = span.to(number.span);
    }
    let table = HARDWARE;
    let kind = match crate::config::cursor::look_up(kind, table) {
        crate::config::cursor::Lookup::Exact(kind)
        | crate::config::cursor::Lookup::Prefix(kind)
            if !unit.is_empty() =>
        {
            kind
        }
        _ => return Err(unexpected(token, "an interface such as GigabitEthernet0/0")),
    };
    if !is_unit(&unit) {
        return Err(refused(
            "E0125",
            span,
            format!("`{unit}` is not an interface number"),
        ));
    }
    Ok(Spanned::new(format!("{kind}{unit}"), span))
}

/// Numbers with slashes between, perhaps one dot before the last.
fn is_unit(unit: &str) -> bool {
    let (slots, sub) = unit
        .split_once('.')
        .map_or((unit, None), |(slots, sub)| (slots, Some(sub)));
    let is_number = |text: &str| {
        text.parse::<u32>()
            .is_ok_and(|number| number.to_string() == text)
    };
    slots.split('/').all(is_number) && sub.is_none_or(is_number)
}

fn current<'p>(p: &'p mut Parser) -> Option<&'p mut Interface> {
    match p.mode {
        Mode::Interface(index) => p.config.interfaces.get_mut(index),
        _ => None,
    }
}

fn shutdown(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    c.end()?;
    let flag = c.flag();
    if let Some(interface) = current(p) {
        interface.shutdown = flag;
    }
    Ok(p.mode)
}

fn management_only(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    c.end()?;
    let flag = c.flag();
    if let Some(interface) = current(p) {
        interface.management_only = flag;
    }
    Ok(p.mode)
}

fn description(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let text = c.take_unless_negated(|c| c.take_text("a description"))?;
    if let Some(interface) = current(p) {
        interface.description = text;
    }
    Ok(p.mode)
}

fn vlan(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let id = c.take_unless_negated(|c| c.take_number("a VLAN", 1, 4094))?;
    if let Some(interface) = current(p) {
        interface.vlan = id.map(|id| Spanned::new(id.node as u16, id.span));
    }
    Ok(p.mode)
}

fn nameif(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let name = c.take_unless_negated(Cursor::take_interface_name)?;
    let taken = p
        .config
        .interfaces
        .iter()
        .enumerate()
        .find(|(index, interface)| {
            Mode::Interface(*index) != p.mode && name.is_some() && interface.nameif == name
        });
    if let (Some((_, other)), Some(name)) = (taken, &name) {
        let message = format!("`{}` is already the name of {}", name.node, other.hardware);
        return Err(refused("E0126", name.span, message));
    }
    if let Some(interface) = current(p) {
        interface.nameif = name;
    }
    Ok(p.mode)
}

fn security_level(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let level = c.take_unless_negated(|c| c.take_number("a security level", 0, 100))?;
    if let Some(interface) = current(p) {
        interface.security = level.map(|level| Spanned::new(level.node as u8, level.span));
    }
    Ok(p.mode)
}

fn ip(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    c.expect("address")?;
    let span = c.span();
    let address = c.take_unless_negated(take_ip_address)?;
    if let Some(interface) = current(p) {
        interface.address = address.map(|address| Spanned::new(address, span));
    }
    Ok(p.mode)
}

fn take_ip_address(c: &mut Cursor) -> Taken<InterfaceAddress> {
    if c.eat("dhcp") {
        return Ok(InterfaceAddress::Dhcp {
            set_route: c.eat("setroute"),
        });
    }
    let address = c.take_ipv4()?;
    let mask = c.take_mask()?;
    let standby = if c.eat("standby") {
        Some(c.take_ipv4()?.node)
    } else {
        None
    };
    Ok(InterfaceAddress::Static {
        address: *address,
        prefix: *mask,
        standby,
    })
}

fn ipv6(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let token = c.take("address")?;
    if !"address".starts_with(&token.text.to_ascii_lowercase()) {
        return Err(Failure::Outside);
    }
    let (address, prefix, _) = c.take_ipv6_prefix()?;
    let standby = if c.eat("standby") {
        let token = c.take("an IPv6 address")?;
        let parsed = token.text.parse().ok();
        Some(parsed.ok_or_else(|| unexpected(token, "an IPv6 address"))?)
    } else {
        None
    };
    c.end()?;
    let line = Spanned::new(
        Ipv6Address {
            address,
            prefix,
            standby,
        },
        c.span(),
    );
    let is_negated = c.is_negated;
    let Some(interface) = current(p) else {
        return Ok(p.mode);
    };
    let addresses = &mut interface.ipv6_addresses;
    if !is_negated {
        if !addresses.contains(&line) {
            addresses.push(line);
        }
    } else if !remove_equal(addresses, &line) {
        p.nothing_to_remove(c);
    }
    Ok(p.mode)
}

/// `mtu IF BYTES`.
pub fn mtu(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let interface = c.take_interface_name()?;
    let bytes = if c.is_negated && c.is_at_end() {
        None
    } else {
        Some(c.take_number("a size in bytes", 64, 65535)?.node as u16)
    };
    c.end()?;
    p.config.mtus.retain(|mtu| mtu.interface != interface);
    if let Some(bytes) = bytes.filter(|_| !c.is_negated) {
        p.config
            .mtus
            .push(Spanned::new(Mtu { interface, bytes }, c.span()));
    }
    Ok(Mode::Global)
}

/// `route IF NET MASK GATEWAY [METRIC]`.
pub fn route(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let interface = c.take_interface_name()?;
    // `0 0` is the usual short form of the default route.
    let is_short_default =
        c.peek().is_some_and(|t| t.text == "0") && c.peek_second().is_some_and(|t| t.text == "0");
    let destination = if is_short_default {
        c.take("0")?;
        c.take("0")?;
        Subnet::V4(std::net::Ipv4Addr::UNSPECIFIED, 0)
    } else {
        c.take_subnet()?.node
    };
    let gateway = c.take_address()?;
    if matches!(destination, Subnet::V4(..)) != gateway.is_ipv4() {
        let message = "destination and gateway are of different families";
        return Err(refused("E0127", gateway.span, message));
    }
    let is_number = |token: Token| token.text.bytes().all(|b| b.is_ascii_digit());
    let metric = match c.peek().filter(|token| is_number(*token)) {
        None => 1,
        Some(_) => c.take_number("a metric", 1, 254)?.node as u8,
    };
    // A route that depends on a probe or on where a packet comes from is another command.
    if c.eat_full("track") || c.eat_full("tunneled") {
        return Err(Failure::Outside);
    }
    c.end()?;
    let route = Route {
        interface,
        destination,
        gateway: *gateway,
        metric,
    };
    let route = Spanned::new(route, c.span());
    p.add_or_remove(c, route, |config| &mut config.routes);
    Ok(Mode::Global)
}

/// `same-security-traffic permit {inter-interface|intra-interface}`.
pub fn same_security(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    c.expect("permit")?;
    let is_inter = c.take_keyword(
        "inter-interface or intra-interface",
        &[("inter-interface", true), ("intra-interface", false)],
    )?;
    c.end()?;
    let same = &mut p.config.same_security;
    let flag = if is_inter {
        &mut same.inter_interface
    } else {
        &mut same.intra_interface
    };
    *flag = c.flag();
    Ok(Mode::Global)
}
