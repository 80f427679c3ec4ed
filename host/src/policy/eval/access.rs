//! Access lists and security levels as the evaluator walks them.

use layout::table::Key;

use crate::policy::decision::{AclBasis, AclResult, DropReason};
use crate::policy::model::{AccessList, Ace, AceId, Bound, Bounds, Interface, InterfaceId, Model};
use crate::policy::range::AddressRange;

/// Interface list, then global list, then the implicit deny; without any list the security levels.
pub(super) fn ingress_access(
    model: &Model,
    ingress: &Interface,
    egress: InterfaceId,
    key: &Key,
) -> AclResult {
    if ingress.in_acl.is_some() || model.global_acl.is_some() {
        return listed(model, &[ingress.in_acl, model.global_acl], key);
    }
    // Equal levels are the business of `same-security-traffic`, checked next.
    AclResult {
        permit: ingress.level >= model.interface(egress).level,
        by: AclBasis::SecurityLevel,
    }
}

/// First match in the lists, else the implicit deny.
pub(super) fn listed(model: &Model, lists: &[Option<Bound>], key: &Key) -> AclResult {
    lists
        .iter()
        .flatten()
        .find_map(|bound| first_match(model.acl(bound.acl), key))
        .map_or(
            AclResult {
                permit: false,
                by: AclBasis::ImplicitDeny,
            },
            |(permit, ace)| AclResult {
                permit,
                by: AclBasis::Ace(ace),
            },
        )
}

/// First active entry that matches: its verdict and the element that matched.
pub(in crate::policy) fn first_match(list: &AccessList, key: &Key) -> Option<(bool, AceId)> {
    list.bounds
        .iter()
        .enumerate()
        .filter(|(_, bounds)| bounds.admit(key))
        .find_map(|(index, _)| {
            let ace = &list.aces[index];
            let element = ace
                .activity
                .is_active()
                .then(|| first_element(ace, key))
                .flatten()?;
            Some((ace.permit, AceId(ace.first.0 + element)))
        })
}

impl Bounds {
    /// Whether a packet can match at all.
    fn admit(&self, key: &Key) -> bool {
        self.source.contains(key.src)
            && self.destination.contains(key.dst)
            && self.protocol.is_none_or(|own| own == key.proto)
    }
}

/// The first element of an entry that matches. Elements are a product, so each part is looked for on its own.
fn first_element(ace: &Ace, key: &Key) -> Option<u32> {
    let within =
        |ranges: &[AddressRange], address| ranges.iter().position(|range| range.contains(address));
    let service = ace
        .services
        .iter()
        .position(|service| service.matches(key.proto, key.sport, key.dport))?;
    let source = within(&ace.sources, key.src)?;
    let destination = within(&ace.destinations, key.dst)?;
    Some(((service * ace.sources.len() + source) * ace.destinations.len() + destination) as u32)
}

/// Equal levels and hairpins need `same-security-traffic`, whatever the access lists say.
pub(super) fn same_security(
    model: &Model,
    ingress: InterfaceId,
    egress: InterfaceId,
) -> Result<(), DropReason> {
    let equal = model.interface(ingress).level == model.interface(egress).level;
    let permitted = if ingress == egress {
        model.intra_interface
    } else {
        !equal || model.inter_interface
    };
    permitted.then_some(()).ok_or(DropReason::SecurityFailed)
}
