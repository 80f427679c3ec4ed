//! Executes compiled tables for one key, as the card's contract says.

use host::policy::Image;
use layout::table::{AclEntry, Destination, Key};

/// What the tables say.
#[derive(Debug)]
pub enum Outcome {
    /// No valid interface.
    NoInterface,
    /// The destination entry is `local`.
    Local(usize),
    /// The access list was asked.
    Judged {
        /// Destination after un-NAT.
        destination: Real,
        /// The slot that matched.
        slot: Option<usize>,
    },
}

/// Destination after un-NAT.
#[derive(Clone, Copy, Debug)]
pub struct Real {
    pub address: u32,
    pub port: u16,
    pub entry: Option<usize>,
}

/// Steps 3 and 18 to 20 of the contract.
pub fn execute(image: &Image, key: &Key) -> Outcome {
    if !image
        .interfaces
        .get(usize::from(key.interface))
        .is_some_and(|interface| interface.valid)
    {
        return Outcome::NoInterface;
    }
    let entry = image.destinations.iter().position(|entry| maps(entry, key));
    let mut real = Real {
        address: key.dst,
        port: key.dport,
        entry,
    };
    if let Some(found) = entry {
        let by = &image.destinations[found];
        if by.local {
            return Outcome::Local(found);
        }
        real.address = key.dst & by.address_keep | by.address;
        if matches!(key.proto, 1 | 6 | 17) {
            real.port = key.dport & by.l4_port_keep | by.l4_port;
        }
    }
    let key = Key {
        dst: real.address,
        dport: real.port,
        ..*key
    };
    Outcome::Judged {
        destination: real,
        slot: image.acl.iter().position(|entry| matches(entry, &key)),
    }
}

fn maps(entry: &Destination, key: &Key) -> bool {
    entry.valid
        && (entry.interface ^ key.interface) & entry.interface_mask == 0
        && (entry.proto ^ key.proto) & entry.proto_mask == 0
        && (entry.dst ^ key.dst) & entry.dst_mask == 0
        && (entry.dport ^ key.dport) & entry.dport_mask == 0
}

fn matches(entry: &AclEntry, key: &Key) -> bool {
    (entry.interface ^ key.interface) & entry.interface_mask == 0
        && (entry.proto ^ key.proto) & entry.proto_mask == 0
        && (entry.src ^ key.src) & entry.src_mask == 0
        && (entry.dst ^ key.dst) & entry.dst_mask == 0
        && (entry.sport_low..=entry.sport_high).contains(&key.sport)
        && (entry.dport_low..=entry.dport_high).contains(&key.dport)
}
