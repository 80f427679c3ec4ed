//! The access-control table: our own addresses, interface lists, the global list, security levels where no list is bound.
//!
//! What is for the device on the interface it came in on never gets here: the destination table takes it. A packet that
//! gets here with an address of ours would pass through to another interface's address, which no list can permit.
//!
//! A deny in the card is final, a permit only means that the host looks at the packet. So whatever the card
//! cannot judge alone becomes a permit, and the host decides.

use std::collections::BTreeMap;

use layout::table::AclEntry;

use super::blocks::{Block, blocks};
use super::interfaces::{Match, Set, cover};
use super::shadow::Shadows;
use crate::policy::image::{AclOrigin, Capacity, FitReport, HostReason, Image, Subject};
use crate::policy::model::{
    AccessList, Ace, AceId, AclId, Activity, InterfaceId, Model, NatSource, ServiceMatch,
};
use crate::policy::range::{AddressRange, PortRange};

/// Fills in the access-control table.
pub(super) fn compile(
    model: &Model,
    present: Set,
    capacity: &Capacity,
    image: &mut Image,
    report: &mut FitReport,
) {
    let mut table = Table {
        capacity: capacity.acl,
        shadows: Shadows::default(),
        image,
        report,
    };
    table.own_addresses(model);
    let mut bound: BTreeMap<AclId, Set> = BTreeMap::new();
    let mut unbound = Vec::new();
    for id in model
        .interface_ids()
        .filter(|id| id.0 < 16 && present >> id.0 & 1 == 1)
    {
        match model.interface(id).in_acl {
            Some(list) => *bound.entry(list.acl).or_default() |= 1 << id.0,
            None => unbound.push(id),
        }
    }
    for (&acl, &interfaces) in &bound {
        table.list(model.acl(acl), &cover(interfaces, present));
    }
    match model.global_acl {
        Some(list) => table.list(model.acl(list.acl), &[Match::ANY]),
        None => {
            for id in unbound {
                table.levels(model, id);
            }
        }
    }
    table.close();
}

/// Elements of one list that earlier elements take completely, with those. Looks at so many entries at most.
pub(in crate::policy) fn shadowed(list: &AccessList) -> Vec<(AceId, AceId)> {
    const ENTRY_LIMIT: usize = 1 << 16;
    let mut report = FitReport::default();
    let mut table = Table {
        capacity: ENTRY_LIMIT,
        shadows: Shadows::default(),
        image: &mut Image::default(),
        report: &mut report,
    };
    table.list(list, &[Match::ANY]);
    report.shadowed
}

struct Table<'t> {
    capacity: usize,
    shadows: Shadows,
    image: &'t mut Image,
    report: &'t mut FitReport,
}

impl Table<'_> {
    fn own_addresses(&mut self, model: &Model) {
        for id in model.interface_ids() {
            let Some(address) = model.interface(id).address else {
                continue;
            };
            let element = Element {
                service: &ServiceMatch::all(None),
                source: &blocks(AddressRange::ANY),
                destination: &blocks(address.own),
                permit: false,
            };
            for entry in element.entries(Match::ANY) {
                self.push(entry, AclOrigin::Own(id));
            }
        }
    }

    fn list(&mut self, list: &AccessList, interfaces: &[Match]) {
        for ace in &list.aces {
            if ace.activity == Activity::Inactive || ace.elements() == 0 {
                self.report.without_effect.push(ace.first);
            } else {
                self.ace(ace, interfaces);
            }
        }
    }

    fn ace(&mut self, ace: &Ace, interfaces: &[Match]) {
        let timed = matches!(ace.activity, Activity::During { .. });
        if timed {
            let subject = Subject::Ace(ace.first);
            self.report
                .host_decides
                .push((subject, HostReason::TimeRange));
        }
        let split = |ranges: &[AddressRange]| -> Vec<Vec<Block>> {
            ranges.iter().map(|range| blocks(*range)).collect()
        };
        let (sources, destinations) = (split(&ace.sources), split(&ace.destinations));
        let mut element = ace.first;
        for service in &ace.services {
            if self.is_full() {
                let addresses = count(&sources) * count(&destinations);
                self.leave_out(
                    element,
                    addresses * combinations(service) * interfaces.len(),
                );
                element.0 += (sources.len() * destinations.len()) as u32;
                continue;
            }
            for source in &sources {
                for destination in &destinations {
                    let entries = Element {
                        service,
                        source,
                        destination,
                        permit: ace.permit || timed,
                    };
                    let origin = if timed {
                        AclOrigin::HostDecides(element)
                    } else {
                        AclOrigin::Ace(element)
                    };
                    self.element(element, &entries, origin, interfaces);
                    element.0 += 1;
                }
            }
        }
    }

    fn element(
        &mut self,
        id: AceId,
        element: &Element<'_>,
        origin: AclOrigin,
        interfaces: &[Match],
    ) {
        let mut covered_by = None;
        let mut is_covered = true;
        for interface in interfaces {
            for entry in element.entries(*interface) {
                match self.push(entry, origin) {
                    Some(AclOrigin::Ace(by)) => covered_by = covered_by.max(Some(by)),
                    // Only the host knows whether this one is really out of reach.
                    Some(_) => is_covered = false,
                    None => is_covered = false,
                }
            }
        }
        if let Some(by) = covered_by.filter(|_| is_covered) {
            self.report.shadowed.push((id, by));
        }
    }

    /// Adds an entry, or tells which earlier one covers it.
    fn push(&mut self, entry: AclEntry, origin: AclOrigin) -> Option<AclOrigin> {
        if let Some(place) = self.shadows.covering(&self.image.acl, &entry) {
            return Some(self.image.acl_origins[place]);
        }
        if self.is_full() {
            if let Some(ace) = origin.ace() {
                self.leave_out(ace, 1);
            } else {
                self.report.wanted.acl += 1;
            }
            return None;
        }
        self.report.wanted.acl += 1;
        self.shadows.insert(self.image.acl.len(), &entry);
        self.image.acl.push(entry);
        self.image.acl_origins.push(origin);
        None
    }

    fn is_full(&self) -> bool {
        self.image.acl.len() >= self.capacity
    }

    fn leave_out(&mut self, first: AceId, entries: usize) {
        self.report.first_ace_left_out.get_or_insert(first);
        self.report.wanted.acl += entries;
    }

    /// Security levels decide by egress interface, which the routes tell from the destination.
    fn levels(&mut self, model: &Model, ingress: InterfaceId) {
        for range in diverted(model, ingress) {
            self.level_entries(ingress, range, true);
        }
        for route in &model.routes {
            let permit = admits(model, ingress, route.interface);
            self.level_entries(ingress, route.destination, permit);
        }
    }

    fn level_entries(&mut self, ingress: InterfaceId, destination: AddressRange, permit: bool) {
        let element = Element {
            service: &ServiceMatch::all(None),
            source: &blocks(AddressRange::ANY),
            destination: &blocks(destination),
            permit,
        };
        for entry in element.entries(Match::one(ingress.0)) {
            self.push(entry, AclOrigin::SecurityLevel(ingress));
        }
    }

    /// A table that could not take everything ends with an entry that sends the rest to the host.
    fn close(&mut self) {
        if self.report.wanted.acl <= self.capacity {
            return;
        }
        if let Some(last) = self.image.acl_origins.last_mut() {
            if let Some(lost) = last.ace() {
                self.report.first_ace_left_out = Some(lost);
            }
            *last = AclOrigin::Overflow;
        }
        if let Some(last) = self.image.acl.last_mut() {
            *last = AclEntry {
                sport_high: u16::MAX,
                dport_high: u16::MAX,
                permit: true,
                ..AclEntry::default()
            };
        }
    }
}

/// Entries of a block list of lists.
fn count(parts: &[Vec<Block>]) -> usize {
    parts.iter().map(Vec::len).sum()
}

/// Pairs of port ranges.
fn combinations(service: &ServiceMatch) -> usize {
    service.source.ranges().len() * service.destination.ranges().len()
}

/// One element, cut to what value, mask and port range can say.
struct Element<'e> {
    service: &'e ServiceMatch,
    source: &'e [Block],
    destination: &'e [Block],
    permit: bool,
}

impl Element<'_> {
    fn entries(&self, interface: Match) -> impl Iterator<Item = AclEntry> {
        let ports = self.service.source.ranges().iter().flat_map(|source| {
            let destinations = self.service.destination.ranges().iter();
            destinations.map(move |destination| (*source, *destination))
        });
        ports.flat_map(move |ports| {
            self.source.iter().flat_map(move |source| {
                let destinations = self.destination.iter();
                destinations
                    .map(move |destination| self.entry(interface, *source, *destination, ports))
            })
        })
    }

    fn entry(
        &self,
        interface: Match,
        source: Block,
        destination: Block,
        ports: (PortRange, PortRange),
    ) -> AclEntry {
        AclEntry {
            interface: interface.value,
            interface_mask: interface.mask,
            proto: self.service.protocol.unwrap_or(0),
            proto_mask: if self.service.protocol.is_some() {
                0xff
            } else {
                0
            },
            src: source.value,
            src_mask: source.mask(),
            dst: destination.value,
            dst_mask: destination.mask(),
            sport_low: ports.0.low,
            sport_high: ports.0.high,
            dport_low: ports.1.low,
            dport_high: ports.1.high,
            permit: self.permit,
        }
    }
}

/// Whether security levels may let a connection from one interface to another pass.
fn admits(model: &Model, ingress: InterfaceId, egress: InterfaceId) -> bool {
    if ingress == egress {
        return model.intra_interface;
    }
    let (from, to) = (
        model.interface(ingress).level,
        model.interface(egress).level,
    );
    from > to || from == to && model.inter_interface
}

/// Real destinations that a NAT rule sends to an interface the levels permit, where a route says otherwise.
fn diverted(model: &Model, ingress: InterfaceId) -> Vec<AddressRange> {
    let is_own = |interface: Option<InterfaceId>| interface.is_none_or(|own| own == ingress);
    let mut ranges = Vec::new();
    for rule in model
        .nat
        .iter()
        .filter(|rule| !rule.inactive && !rule.route_lookup)
    {
        if let (NatSource::Static(map), Some(far)) = (&rule.source, rule.real_interface)
            && is_own(rule.mapped_interface)
            && admits(model, ingress, far)
        {
            ranges.extend(&map.real.ranges);
        }
        if let (Some(destination), Some(far)) = (&rule.destination, rule.mapped_interface)
            && is_own(rule.real_interface)
            && admits(model, ingress, far)
        {
            ranges.extend(&destination.real.ranges);
        }
    }
    ranges.retain(|range| {
        model.routes.iter().any(|route| {
            route.destination.overlaps(range) && !admits(model, ingress, route.interface)
        })
    });
    ranges
}
