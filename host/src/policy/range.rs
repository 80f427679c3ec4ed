//! Sets of addresses and ports as inclusive ranges.
//!
//! Everything a policy matches on is a list of these, in the order the configuration names them, so that the n-th
//! real address of a static translation finds its n-th mapped address.

use std::fmt;
use std::net::Ipv4Addr;

use crate::config::ast::primitive::netmask;

/// IPv4 addresses `low..=high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressRange {
    /// First address.
    pub low: u32,
    /// Last address.
    pub high: u32,
}

impl AddressRange {
    /// Every address.
    pub const ANY: Self = Self {
        low: 0,
        high: u32::MAX,
    };

    /// One address.
    pub const fn host(address: u32) -> Self {
        Self {
            low: address,
            high: address,
        }
    }

    /// The block of `length` leading bits around an address.
    pub fn block(address: u32, length: u8) -> Self {
        let mask = netmask(length).to_bits();
        Self {
            low: address & mask,
            high: address | !mask,
        }
    }

    /// Whether the address is one of them.
    pub const fn contains(&self, address: u32) -> bool {
        self.low <= address && address <= self.high
    }

    /// Whether all addresses of the other are among these.
    pub const fn covers(&self, other: &Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    /// Whether the two share an address.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// How many addresses.
    pub const fn count(&self) -> u64 {
        self.high as u64 - self.low as u64 + 1
    }

    /// Prefix length, when the range is one aligned block.
    pub fn prefix(&self) -> Option<u8> {
        let differing = self.low ^ self.high;
        let length = differing.leading_zeros() as u8;
        (Self::block(self.low, length) == *self).then_some(length)
    }
}

/// As an access list names it: `any`, `host A`, `NET MASK` or `range A B`.
impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = Ipv4Addr::from_bits(self.low);
        match self.prefix() {
            Some(0) => write!(f, "any"),
            Some(32) => write!(f, "host {low}"),
            Some(length) => write!(f, "{low} {}", netmask(length)),
            None => write!(f, "range {low} {}", Ipv4Addr::from_bits(self.high)),
        }
    }
}

/// Addresses in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressList {
    /// The ranges in order.
    pub ranges: Vec<AddressRange>,
}

impl AddressList {
    /// One range.
    pub fn one(range: AddressRange) -> Self {
        Self {
            ranges: vec![range],
        }
    }

    /// How many addresses; one listed twice counts twice.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(AddressRange::count).sum()
    }

    /// Whether the address is one of them.
    pub fn contains(&self, address: u32) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// Whether any address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.ranges
            .iter()
            .any(|a| other.ranges.iter().any(|b| a.overlaps(b)))
    }

    /// Whether it is every address.
    pub fn is_any(&self) -> bool {
        self.ranges.contains(&AddressRange::ANY)
    }

    /// Position of an address, from 0.
    pub fn position(&self, address: u32) -> Option<u64> {
        let mut before = 0;
        for range in &self.ranges {
            if range.contains(address) {
                return Some(before + u64::from(address - range.low));
            }
            before += range.count();
        }
        None
    }

    /// Address at a position; positions beyond the last start again at the first.
    pub fn at(&self, position: u64) -> Option<u32> {
        let mut left = position.checked_rem(self.count())?;
        for range in &self.ranges {
            if left < range.count() {
                return Some(range.low + left as u32);
            }
            left -= range.count();
        }
        None
    }

    /// Lowest address.
    pub fn lowest(&self) -> Option<u32> {
        self.ranges.iter().map(|range| range.low).min()
    }

    /// The only address, when there is only one.
    pub fn single(&self) -> Option<u32> {
        match self.ranges[..] {
            [range] if range.count() == 1 => Some(range.low),
            _ => None,
        }
    }
}

/// Ports `low..=high`; for ICMP `type << 8 | code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    /// First port.
    pub low: u16,
    /// Last port.
    pub high: u16,
}

impl PortRange {
    /// Every port.
    pub const ANY: Self = Self {
        low: 0,
        high: u16::MAX,
    };

    /// Whether the port is one of them.
    pub const fn contains(&self, port: u16) -> bool {
        self.low <= port && port <= self.high
    }

    /// Whether all ports of the other are among these.
    pub const fn covers(&self, other: &Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    /// Whether the two share a port.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// How many ports.
    pub const fn count(&self) -> u32 {
        self.high as u32 - self.low as u32 + 1
    }
}

/// A condition on a port: any of a few disjoint ranges (two for `neq`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortSet {
    ranges: Vec<PortRange>,
}

impl PortSet {
    /// Every port.
    pub fn any() -> Self {
        Self::of([PortRange::ANY])
    }

    /// The given ranges.
    pub fn of(ranges: impl IntoIterator<Item = PortRange>) -> Self {
        Self {
            ranges: ranges.into_iter().collect(),
        }
    }

    /// The ranges in ascending order.
    pub fn ranges(&self) -> &[PortRange] {
        &self.ranges
    }

    /// Whether the port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        self.ranges.iter().any(|range| range.contains(port))
    }

    /// Whether every port is.
    pub fn is_any(&self) -> bool {
        self.ranges == [PortRange::ANY]
    }

    /// Whether all ports of the other are among these; both hold disjoint, non-adjacent ranges.
    pub fn covers(&self, other: &Self) -> bool {
        other
            .ranges
            .iter()
            .all(|range| self.ranges.iter().any(|own| own.covers(range)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_aligned_blocks_have_a_prefix() {
        assert_eq!(AddressRange::ANY.prefix(), Some(0));
        assert_eq!(AddressRange::host(7).prefix(), Some(32));
        assert_eq!(AddressRange { low: 8, high: 15 }.prefix(), Some(29));
        assert_eq!(AddressRange { low: 8, high: 14 }.prefix(), None);
        assert_eq!(AddressRange { low: 4, high: 11 }.prefix(), None);
    }

    #[test]
    fn position_and_at_are_inverse_and_wrap() {
        let list = AddressList {
            ranges: vec![
                AddressRange { low: 10, high: 12 },
                AddressRange::host(5),
                AddressRange { low: 20, high: 21 },
            ],
        };
        for (position, address) in [10, 11, 12, 5, 20, 21].into_iter().enumerate() {
            assert_eq!(list.position(address), Some(position as u64));
            assert_eq!(list.at(position as u64), Some(address));
            assert_eq!(list.at(position as u64 + 6), Some(address));
        }
        assert_eq!(list.position(13), None);
        assert_eq!(AddressList::default().at(0), None);
    }
}
