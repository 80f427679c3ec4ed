//! What is for the device itself: ARP, and echo requests to its addresses.

use std::sync::Arc;

use super::attachment::Attachment;
use super::effect::Effect;
use super::event::Event;
use super::report::{Drop, Report, Verdict};
use super::slow_path::{Arrival, SlowPath};
use crate::flow::Time;
use crate::policy::Model;
use crate::policy::model::{InterfaceId, NatSource};
use crate::policy::range::AddressRange;
use crate::wire::arp::Arp;
use crate::wire::packet::{ETHERTYPE_ARP, ICMP};
use crate::wire::{Link, icmp};

/// Mapped addresses that we answer ARP for, of each interface: sorted and disjoint.
#[derive(Clone, Debug)]
pub(super) struct ProxyArp {
    interfaces: Arc<[Vec<AddressRange>]>,
}

impl ProxyArp {
    /// Mapped addresses of all rules that do not say `no-proxy-arp`, as far as they lie in the interface's subnet.
    /// Identity rules map nothing, so their addresses belong to others.
    pub(super) fn new(model: &Model, attachments: &[Attachment]) -> Self {
        let of = |(index, own): (usize, &Attachment)| {
            let Some(subnet) = own.subnet else {
                return Vec::new();
            };
            let admits = |interface: Option<InterfaceId>| {
                interface.is_none_or(|id| usize::from(id.0) == index)
            };
            let mapped = model
                .nat
                .iter()
                .filter(|rule| {
                    !rule.inactive && !rule.no_proxy_arp && admits(rule.mapped_interface)
                })
                .flat_map(|rule| match &rule.source {
                    NatSource::Static(map) if map.is_identity() => Vec::new(),
                    NatSource::Static(map) => map.mapped.ranges.clone(),
                    NatSource::Dynamic { pool, .. } => {
                        [&pool.one_to_one.ranges[..], &pool.pat.ranges].concat()
                    }
                })
                .filter(|range| range.overlaps(&subnet))
                .map(|range| AddressRange {
                    low: range.low.max(subnet.low),
                    high: range.high.min(subnet.high),
                });
            merge(mapped.collect())
        };
        Self {
            interfaces: attachments.iter().enumerate().map(of).collect(),
        }
    }

    /// Those of an interface.
    pub(super) fn of(&self, interface: u8) -> &[AddressRange] {
        let ranges = self.interfaces.get(usize::from(interface));
        ranges.map_or(&[], |ranges| ranges)
    }

    pub(super) fn contains(&self, interface: u8, address: u32) -> bool {
        let ranges = self.of(interface);
        let after = ranges.partition_point(|range| range.low <= address);
        after
            .checked_sub(1)
            .is_some_and(|index| ranges[index].contains(address))
    }
}

fn merge(mut ranges: Vec<AddressRange>) -> Vec<AddressRange> {
    ranges.sort();
    let mut merged: Vec<AddressRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.low <= last.high => last.high = last.high.max(range.high),
            _ => merged.push(range),
        }
    }
    merged
}

impl SlowPath {
    /// Answers requests for our addresses and mapped ones, learns from next hops, notices who claims our address.
    pub(super) fn arp(
        &mut self,
        now: Time,
        ingress: u8,
        frame: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Result<Report, Drop> {
        let link = Link::parse(frame).map_err(Drop::Invalid)?;
        let own = self
            .attachments
            .get(usize::from(ingress))
            .copied()
            .ok_or(Drop::Unexpected)?;
        let arp = Arp::parse(frame, &link)
            .filter(|_| link.ethertype == ETHERTYPE_ARP)
            .ok_or(Drop::Arp)?;
        // A sender's address is its own; a forged pair of addresses would move a next hop.
        if arp.sender_mac != link.source || arp.sender_mac.is_group() || arp.sender_mac == own.mac {
            return Err(Drop::Arp);
        }
        if own.address == Some(arp.sender) || self.proxy_arp.contains(ingress, arp.sender.into()) {
            effects.push(Effect::Log(Event::address_collision(
                &self.model,
                ingress,
                &arp,
                own.mac,
            )));
            return Err(Drop::Arp);
        }
        self.neighbours
            .learn(now, ingress, arp.sender, arp.sender_mac, effects);
        let is_ours =
            own.address == Some(arp.target) || self.proxy_arp.contains(ingress, arp.target.into());
        if !arp.is_request || !is_ours || arp.sender == arp.target {
            return Ok(Report::new(Verdict::Local, "arp-noted"));
        }
        effects.extend(own.send(arp.reply(own.mac, own.vid)));
        Ok(Report {
            egress: Some(InterfaceId(ingress)),
            ..Report::new(Verdict::Local, "arp-reply")
        })
    }

    /// A packet for the device: an echo request to its own address is answered, nothing else is served.
    pub(super) fn serve(
        &mut self,
        arrival: &Arrival,
        effects: &mut Vec<Effect>,
    ) -> Result<Report, Drop> {
        let (ingress, tuple) = (arrival.ingress, arrival.packet.tuple);
        let own = self
            .attachments
            .get(usize::from(ingress))
            .copied()
            .ok_or(Drop::Unexpected)?;
        let is_echo =
            tuple.proto == ICMP && tuple.dport == 0x0800 && own.address == Some(tuple.dst);
        let [(packet, frame)] = arrival.pieces else {
            return Err(Drop::NoLocalService);
        };
        if !is_echo {
            effects.extend(Event::discarded(&self.model, ingress, &tuple).map(Effect::Log));
            return Err(Drop::NoLocalService);
        }
        let mut reply = frame.clone();
        icmp::echo_reply(&mut reply, packet);
        reply[6..12].copy_from_slice(&own.mac.0);
        effects.push(own.send(reply).ok_or(Drop::NoLocalService)?);
        let report = Report::new(Verdict::Local, "echo-reply");
        Ok(Report {
            egress: Some(InterfaceId(ingress)),
            sent: tuple.reply(),
            ..report
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_and_are_found() {
        let range = |low, high| AddressRange { low, high };
        let ranges = merge(vec![range(20, 30), range(1, 5), range(4, 9), range(25, 26)]);
        assert_eq!(ranges, [range(1, 9), range(20, 30)]);
        let proxy = ProxyArp {
            interfaces: vec![Vec::new(), ranges].into(),
        };
        let found: Vec<u32> = (0..40)
            .filter(|address| proxy.contains(1, *address))
            .collect();
        assert_eq!(found, (1..=9).chain(20..=30).collect::<Vec<_>>());
        assert!(!proxy.contains(0, 5) && !proxy.contains(7, 5));
    }
}
