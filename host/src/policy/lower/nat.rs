//! NAT rules in the order the device evaluates them.
//!
//! Section 1: twice NAT as configured. Section 2: object NAT, static before dynamic, then fewer real addresses first,
//! then the lower address, then the name. Section 3: twice NAT `after-auto`.

use std::net::IpAddr;

use super::Findings;
use super::names::Names;
use super::nat_service::{per_session, port_mapping, service};
use crate::config::ast::Config;
use crate::config::ast::nat::{
    InterfaceAddressFamily, MappedAddress, NatInterface, NatOperand, ObjectNat, ObjectTranslation,
    PatPool, TwiceDestination, TwiceNat, TwiceSource,
};
use crate::config::ast::object::{NetworkDefinition, NetworkObject};
use crate::config::{Diagnostic, Span, Spanned};
use crate::policy::model::{
    InterfaceId, LeftOut, Model, NatObject, NatRule, NatSource, Owned, OwnedPorts, Pool, StaticMap,
};
use crate::policy::range::{AddressList, AddressRange, PortRange};

/// Rules a model can number.
const LIMIT: usize = 1 << 15;

/// Fills in NAT rules, what they own, and `xlate per-session`.
pub(super) fn lower(
    config: &Config,
    names: &Names<'_>,
    model: &mut Model,
    findings: &mut Findings,
) {
    let mut rules = Vec::new();
    let mut context = Context {
        names,
        model,
        findings,
    };
    let twice = |list: &[Spanned<TwiceNat>], section, context: &mut Context<'_, '_>| {
        list.iter()
            .filter_map(|written| context.twice(written, section))
            .collect::<Vec<_>>()
    };
    rules.extend(twice(&config.nat_before_auto, 1, &mut context));
    let mut objects: Vec<_> = config
        .network_objects
        .iter()
        .filter_map(|object| context.object(object, object.nat.as_ref()?))
        .collect();
    objects.sort_by(|a, b| order(a).cmp(&order(b)));
    rules.extend(objects);
    rules.extend(twice(&config.nat_after_auto, 3, &mut context));
    if rules.len() > LIMIT {
        let span = rules[LIMIT].span;
        findings.push(
            Diagnostic::error("E0305", span, format!("more than {LIMIT} NAT rules"))
                .with_help("translate subnets instead of single hosts"),
        );
        rules.truncate(LIMIT);
    }
    model.owned = owned(&rules);
    model.nat = rules;
    per_session(config, names, model, findings);
}

/// Sort key of section 2.
fn order(rule: &NatRule) -> (bool, u64, Option<u32>, Option<&str>) {
    let real = rule.source.real();
    let name = rule.object.as_ref().map(|object| object.name.as_str());
    (!rule.source.is_static(), real.count(), real.lowest(), name)
}

struct Context<'c, 'a> {
    names: &'c Names<'a>,
    model: &'c Model,
    findings: &'c mut Findings,
}

impl Context<'_, '_> {
    fn object(&mut self, object: &NetworkObject, nat: &Spanned<ObjectNat>) -> Option<NatRule> {
        let definition = object.definition.as_ref();
        let addresses = self.names.object(&object.name, self.findings);
        let real = self.v4(addresses.ranges, &addresses.left_out, nat.span)?;
        let real_interface = self.interface(&nat.real_interface)?;
        let mapped_interface = self.interface(&nat.mapped_interface)?;
        let mut rule = NatRule {
            section: 2,
            real_interface,
            mapped_interface,
            source: NatSource::Dynamic {
                real: real.clone(),
                pool: Pool::default(),
            },
            destination: None,
            service: None,
            unidirectional: false,
            no_proxy_arp: false,
            route_lookup: false,
            inactive: false,
            object: Some(NatObject {
                name: object.name.node.clone(),
                definition: definition.map_or(object.name.span, |definition| definition.span),
            }),
            span: nat.span,
        };
        match &nat.translation {
            ObjectTranslation::Static {
                mapped,
                service,
                no_proxy_arp,
                route_lookup,
                ..
            } => {
                let mapped = match mapped {
                    MappedAddress::Address(address) => {
                        self.beside(&real, definition.map(|d| &d.node), address)?
                    }
                    other => self.mapped(other, mapped_interface, nat.span)?,
                };
                self.sizes(&real, &mapped, nat.span);
                rule.source = NatSource::Static(StaticMap { real, mapped });
                rule.service = service.as_ref().map(port_mapping);
                rule.no_proxy_arp = *no_proxy_arp;
                rule.route_lookup = *route_lookup;
            }
            ObjectTranslation::Dynamic { mapped, fallback } => {
                let mut interface = self.fallback(*fallback, nat.span);
                let pool = match mapped {
                    MappedAddress::Interface(family) => {
                        interface = self.is_v4(*family, nat.span).then_some(true)?;
                        AddressList::default()
                    }
                    other => self.mapped(other, mapped_interface, nat.span)?,
                };
                self.needs_interface(interface, mapped_interface, nat.span)?;
                rule.source = NatSource::Dynamic {
                    real,
                    pool: split(pool, interface),
                };
            }
            ObjectTranslation::PatPool { pool, fallback } => {
                let fallback = self.fallback(*fallback, nat.span);
                let pool = self.pat_pool(pool, AddressList::default(), fallback)?;
                self.needs_interface(pool.interface, mapped_interface, nat.span)?;
                rule.source = NatSource::Dynamic { real, pool };
            }
        }
        Some(rule)
    }

    fn twice(&mut self, written: &Spanned<TwiceNat>, section: u8) -> Option<NatRule> {
        let span = written.span;
        // First, so that what is wrong here is found even if an address is wrong too.
        let service = written
            .service
            .as_ref()
            .map(|pair| service(self.names, pair, span, self.findings));
        let real_interface = self.interface(&written.real_interface)?;
        let mapped_interface = self.interface(&written.mapped_interface)?;
        let source = match &written.source {
            TwiceSource::Static { real, mapped } => {
                let real = self.operand(real, real_interface, span)?;
                let mapped = self.operand(mapped, mapped_interface, span)?;
                self.sizes(&real, &mapped, span);
                NatSource::Static(StaticMap { real, mapped })
            }
            TwiceSource::Dynamic {
                real,
                mapped,
                fallback,
            } => {
                let mut interface = self.fallback(*fallback, span);
                if let NatOperand::Interface(family) = mapped {
                    interface = self.is_v4(*family, span).then_some(true)?;
                }
                self.needs_interface(interface, mapped_interface, span)?;
                let pool = match mapped {
                    NatOperand::Interface(_) => AddressList::default(),
                    other => self.operand(other, mapped_interface, span)?,
                };
                NatSource::Dynamic {
                    real: self.operand(real, real_interface, span)?,
                    pool: split(pool, interface),
                }
            }
            TwiceSource::PatPool {
                real,
                mapped,
                pool,
                fallback,
            } => {
                let one_to_one = match mapped {
                    Some(mapped) => self.operand(mapped, mapped_interface, span)?,
                    None => AddressList::default(),
                };
                let fallback = self.fallback(*fallback, span);
                let pool = self.pat_pool(pool, one_to_one, fallback)?;
                self.needs_interface(pool.interface, mapped_interface, span)?;
                NatSource::Dynamic {
                    real: self.operand(real, real_interface, span)?,
                    pool,
                }
            }
        };
        let service = match service {
            Some(service) => Some(service?),
            None => None,
        };
        let destination = match &written.destination {
            Some(destination) => Some(self.destination(destination, real_interface, span)?),
            // A destination port needs a destination to go with it: any, unchanged.
            None => service
                .as_ref()
                .filter(|service| service.mapped_destination != PortRange::ANY)
                .map(|_| StaticMap {
                    real: AddressList::one(AddressRange::ANY),
                    mapped: AddressList::one(AddressRange::ANY),
                }),
        };
        Some(NatRule {
            section,
            real_interface,
            mapped_interface,
            source,
            destination,
            service,
            unidirectional: written.unidirectional,
            no_proxy_arp: written.no_proxy_arp,
            route_lookup: written.route_lookup,
            inactive: written.inactive,
            object: None,
            span,
        })
    }

    fn destination(
        &mut self,
        written: &TwiceDestination,
        real_interface: Option<InterfaceId>,
        span: Span,
    ) -> Option<StaticMap> {
        // The source addresses the mapped destination on its own side.
        let mapped = self.operand(&written.mapped, real_interface, span)?;
        let real = self.operand(&written.real, None, span)?;
        self.sizes(&real, &mapped, span);
        Some(StaticMap { real, mapped })
    }

    /// `None` after a report; `Some(None)` is any.
    fn interface(&mut self, written: &NatInterface) -> Option<Option<InterfaceId>> {
        match written {
            NatInterface::Any => Some(None),
            NatInterface::Named(name) => {
                let id = self.model.interface_named(name);
                if id.is_none() {
                    self.findings.unknown("E0203", "interface", name);
                }
                id.map(Some)
            }
        }
    }

    /// Addresses that NAT may use: IPv4, known.
    fn v4(
        &mut self,
        ranges: Vec<AddressRange>,
        left_out: &[LeftOut],
        span: Span,
    ) -> Option<AddressList> {
        match left_out.first() {
            Some(LeftOut::Fqdn(domain)) => self.findings.push(
                Diagnostic::error(
                    "E0304",
                    span,
                    format!("NAT cannot use the domain name {domain}"),
                )
                .with_help("name addresses"),
            ),
            Some(LeftOut::Ipv6) => self.findings.push(Diagnostic::warning(
                "W0205",
                span,
                "this rule has no effect: only IPv4 is translated",
            )),
            None => {}
        }
        (left_out.is_empty() && !ranges.is_empty()).then_some(AddressList { ranges })
    }

    fn operand(
        &mut self,
        operand: &NatOperand,
        interface: Option<InterfaceId>,
        span: Span,
    ) -> Option<AddressList> {
        match operand {
            NatOperand::Any => Some(AddressList::one(AddressRange::ANY)),
            NatOperand::Interface(family) => {
                self.is_v4(*family, span).then_some(())?;
                self.own_address(interface, span)
            }
            NatOperand::Object(name) => {
                let addresses = self.names.object_or_group(name, self.findings);
                self.v4(addresses.ranges, &addresses.left_out, span)
            }
        }
    }

    fn mapped(
        &mut self,
        mapped: &MappedAddress,
        interface: Option<InterfaceId>,
        span: Span,
    ) -> Option<AddressList> {
        match mapped {
            MappedAddress::Object(name) => {
                let addresses = self.names.object_or_group(name, self.findings);
                self.v4(addresses.ranges, &addresses.left_out, span)
            }
            MappedAddress::Address(address) => {
                let address = self.inline(address)?;
                Some(AddressList::one(AddressRange::host(address)))
            }
            MappedAddress::Interface(family) => {
                self.is_v4(*family, span).then_some(())?;
                self.own_address(interface, span)
            }
        }
    }

    fn inline(&mut self, address: &Spanned<IpAddr>) -> Option<u32> {
        match address.node {
            IpAddr::V4(address) => Some(address.to_bits()),
            IpAddr::V6(_) => {
                let span = address.span;
                self.v4(Vec::new(), &[LeftOut::Ipv6], span);
                None
            }
        }
    }

    /// The mapped side of a static rule with an address in the line: as many addresses as the real side has, beginning
    /// there; a subnet keeps its host bits.
    fn beside(
        &mut self,
        real: &AddressList,
        definition: Option<&NetworkDefinition>,
        mapped: &Spanned<IpAddr>,
    ) -> Option<AddressList> {
        let first = self.inline(mapped)?;
        let real = real.ranges.first()?;
        let range = match (definition, real.prefix()) {
            (Some(NetworkDefinition::Subnet(_)), Some(length)) => {
                AddressRange::block(first, length)
            }
            _ => AddressRange {
                low: first,
                high: first.saturating_add((real.count() - 1) as u32),
            },
        };
        Some(AddressList::one(range))
    }

    fn own_address(&mut self, interface: Option<InterfaceId>, span: Span) -> Option<AddressList> {
        self.needs_interface(true, interface, span)?;
        let interface = self.model.interface(interface?);
        match interface.address {
            Some(address) => Some(AddressList::one(address.own)),
            None => {
                self.findings.push(
                    Diagnostic::warning(
                        "W0206",
                        span,
                        format!(
                            "interface {} has no known address: this rule has no effect",
                            interface.name
                        ),
                    )
                    .with_help("enter `ip address` at the interface"),
                );
                None
            }
        }
    }

    /// Whether `interface` means the interface's IPv4 address; `interface ipv6` is reported.
    fn is_v4(&mut self, family: InterfaceAddressFamily, span: Span) -> bool {
        let is_v4 = family == InterfaceAddressFamily::V4;
        if !is_v4 {
            self.findings.push(Diagnostic::warning(
                "W0205",
                span,
                "`interface ipv6` has no effect: only IPv4 is translated",
            ));
        }
        is_v4
    }

    /// Whether a pool ends with the interface's address.
    fn fallback(&mut self, written: Option<InterfaceAddressFamily>, span: Span) -> bool {
        written.is_some_and(|family| self.is_v4(family, span))
    }

    /// `interface` means the address of one certain interface.
    fn needs_interface(
        &mut self,
        needed: bool,
        interface: Option<InterfaceId>,
        span: Span,
    ) -> Option<()> {
        if needed && interface.is_none() {
            self.findings.push(
                Diagnostic::error("E0304", span, "`interface` needs the name of an interface")
                    .with_help("write the pair (REAL_IF,MAPPED_IF) with names instead of any"),
            );
            return None;
        }
        Some(())
    }

    fn sizes(&mut self, real: &AddressList, mapped: &AddressList, span: Span) {
        if real.count() != mapped.count() {
            self.findings.push(
                Diagnostic::warning(
                    "W0306",
                    span,
                    format!(
                        "{} real and {} mapped addresses: the shorter side is used again",
                        real.count(),
                        mapped.count()
                    ),
                )
                .with_help("give both sides the same number of addresses"),
            );
        }
    }

    fn pat_pool(
        &mut self,
        written: &PatPool,
        one_to_one: AddressList,
        interface: bool,
    ) -> Option<Pool> {
        let addresses = self.names.object_or_group(&written.object, self.findings);
        let pat = self.v4(addresses.ranges, &addresses.left_out, written.object.span)?;
        Some(Pool {
            one_to_one,
            pat,
            interface,
            extended: written.extended,
            flat: written.flat,
            include_reserve: written.include_reserve,
            round_robin: written.round_robin,
            block_allocation: written.block_allocation,
        })
    }
}

/// Single addresses are shared by port, ranges are given out one to one.
fn split(addresses: AddressList, interface: bool) -> Pool {
    let (pat, one_to_one) = addresses
        .ranges
        .into_iter()
        .partition(|range| range.count() == 1);
    Pool {
        one_to_one: AddressList { ranges: one_to_one },
        pat: AddressList { ranges: pat },
        interface,
        ..Pool::default()
    }
}

fn owned(rules: &[NatRule]) -> Owned {
    let mut owned = Owned::default();
    for rule in rules.iter().filter(|rule| !rule.inactive) {
        let NatSource::Static(map) = &rule.source else {
            continue;
        };
        for &addresses in &map.mapped.ranges {
            owned.insert(OwnedPorts {
                interface: rule.mapped_interface,
                addresses,
                protocol: rule.service.as_ref().map(|service| service.protocol),
                ports: rule
                    .service
                    .as_ref()
                    .map_or(PortRange::ANY, |service| service.mapped_source),
            });
        }
    }
    owned
}
