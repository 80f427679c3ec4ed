//! Addresses that dynamic NAT gives out whole, one host each.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::policy::range::AddressList;

/// The free addresses of one rule's pool, without a list of all of them.
#[derive(Clone, Debug, Default)]
pub struct AddressPool {
    /// Position of the first address that was never tried.
    fresh: u64,
    /// Tried before, and free again.
    returned: BTreeSet<Ipv4Addr>,
}

impl AddressPool {
    /// Takes an address for which `is_free` holds.
    pub fn take(
        &mut self,
        addresses: &AddressList,
        is_free: impl Fn(Ipv4Addr) -> bool,
    ) -> Option<Ipv4Addr> {
        while let Some(address) = self.returned.pop_first() {
            if is_free(address) {
                return Some(address);
            }
        }
        while self.fresh < addresses.count() {
            let address = Ipv4Addr::from(addresses.at(self.fresh)?);
            self.fresh += 1;
            if is_free(address) {
                return Some(address);
            }
        }
        None
    }

    /// An address became free; other rules may share it.
    pub fn give_back(&mut self, addresses: &AddressList, address: Ipv4Addr) {
        let position = addresses.position(address.into());
        if position.is_some_and(|position| position < self.fresh) {
            self.returned.insert(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::range::AddressRange;

    #[test]
    fn addresses_come_in_order_and_return() {
        let list = AddressList::one(AddressRange { low: 10, high: 12 });
        let mut pool = AddressPool::default();
        let eleven = Ipv4Addr::from(11);
        assert_eq!(
            pool.take(&list, |address| address != eleven),
            Some(10.into())
        );
        assert_eq!(
            pool.take(&list, |address| address != eleven),
            Some(12.into())
        );
        assert_eq!(pool.take(&list, |_| true), None);
        pool.give_back(&list, eleven);
        pool.give_back(&list, 99.into());
        assert_eq!(pool.take(&list, |_| true), Some(eleven));
        assert_eq!(pool.take(&list, |_| true), None);
    }
}
