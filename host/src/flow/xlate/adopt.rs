//! Translations that the card has already, from an earlier runtime.

use std::net::Ipv4Addr;

use super::{Request, Xlates};
use crate::flow::{Handle, Time};
use crate::policy::Model;
use crate::policy::model::{NatSource, Pool};

impl Xlates {
    /// The translation of a source that the card has already, for one more connection: `address` and `port` are what it
    /// is translated to. `None` if the rule would not translate it to that, or something else uses it.
    pub fn adopt(
        &mut self,
        now: Time,
        model: &Model,
        request: Request,
        (address, port): (Ipv4Addr, u16),
    ) -> Option<Handle> {
        let NatSource::Dynamic { pool, .. } = &model.nat_rule(request.rule).source else {
            return None;
        };
        let found = [None, Some(pool.extended)]
            .into_iter()
            .find_map(|by_port| self.by_real.get(&request.real_key(by_port)).copied());
        let handle = match found {
            Some(handle) => handle,
            None if self.slab.len() >= self.limits.xlates => return None,
            None => {
                let port = self.claim(model, pool, &request, address, port)?;
                self.enter(now, pool, request, address, port)
            }
        };
        let xlate = self.slab.get_mut(handle)?;
        if (xlate.address, xlate.port.unwrap_or(request.real.1)) != (address, port) {
            return None;
        }
        xlate.conns += 1;
        Some(handle)
    }

    /// Marks a given address and port as in use: `Some(None)` for an address given out whole.
    fn claim(
        &mut self,
        model: &Model,
        pool: &Pool,
        request: &Request,
        address: Ipv4Addr,
        port: u16,
    ) -> Option<Option<u16>> {
        if self.whole.contains_key(&address) {
            return None;
        }
        if pool.one_to_one.position(address.into()).is_some() {
            let is_free = !self.shared.contains_key(&address) && port == request.real.1;
            return is_free.then_some(None);
        }
        let mut ranges = model.pat_ranges(request.rule, request.mapped_interface);
        if !request.has_port || !ranges.any(|range| range.contains(address.into())) {
            return None;
        }
        let in_use = self.in_use(model, pool, request, address);
        let is_taken = in_use.ports.take(port);
        in_use.xlates += usize::from(is_taken);
        is_taken.then_some(Some(port))
    }
}
