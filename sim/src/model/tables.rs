//! The card's tables, unpacked as they are written so that a packet costs few steps.

use layout::hash::{self, flow_index};
use layout::table::{
    ACL_BANKS, ACL_LANES, ACL_PAGES, ACL_SLOTS, ADJACENCIES, AclEntry, AclHits, AclValid,
    Adjacency, DESTINATION_BANKS, DESTINATIONS, Destination, FLOW_SLOTS, FLOW_STASH,
    FLOW_WAY_ENTRIES, FLOW_WAYS, FlowAction, FlowEntry, FlowStats, INTERFACES, Interface, Key,
    Table,
};

/// Every table of the card.
pub struct Tables {
    /// Logical interfaces.
    pub interfaces: [Interface; INTERFACES],
    /// Next hops.
    pub adjacencies: Vec<Adjacency>,
    /// What each flow slot has counted.
    pub stats: Vec<FlowStats>,
    /// What each ACL slot has counted.
    pub hits: Vec<u64>,
    flows: Vec<FlowEntry>,
    /// The key of each valid flow slot, as one number.
    flow_keys: Vec<Option<u128>>,
    flow_hash: FlowHash,
    destinations: Vec<Destination>,
    /// A slot that was never written matches nothing.
    acl: Vec<Option<AclEntry>>,
    acl_valid: [[u64; ACL_PAGES]; ACL_BANKS],
    /// What a packet of each interface can match, by bank; rebuilt at the first look after a write.
    rules: [Option<Vec<Vec<Rule>>>; ACL_BANKS],
}

/// An ACL slot in slot order, without what its list already says.
struct Rule {
    src: u32,
    src_mask: u32,
    dst: u32,
    dst_mask: u32,
    sport: (u16, u16),
    dport: (u16, u16),
    proto: u8,
    proto_mask: u8,
    permit: bool,
    slot: u16,
}

impl Tables {
    /// All zero.
    pub fn new() -> Self {
        Self {
            interfaces: [Interface::default(); INTERFACES],
            adjacencies: vec![Adjacency::default(); ADJACENCIES],
            stats: vec![FlowStats::default(); FLOW_SLOTS],
            hits: vec![0; ACL_SLOTS],
            flows: vec![FlowEntry::default(); FLOW_SLOTS],
            flow_keys: vec![None; FLOW_SLOTS],
            flow_hash: FlowHash::new(),
            destinations: vec![Destination::default(); DESTINATIONS * DESTINATION_BANKS],
            acl: vec![None; ACL_SLOTS],
            acl_valid: [[0; ACL_PAGES]; ACL_BANKS],
            rules: [const { None }; ACL_BANKS],
        }
    }

    /// Puts an entry into words that are zero. Tables that cannot be read give nothing.
    pub fn read(&self, table: Table, index: usize, words: &mut [u32]) {
        let mut put = |packed: &[u32]| words[..packed.len()].copy_from_slice(packed);
        match table {
            Table::Interface => put(&self.interfaces[index].pack()),
            Table::Flow => put(&self.flows[index].pack()),
            Table::FlowStats => put(&self.stats[index].pack()),
            Table::AclHits => put(&AclHits {
                hits: self.hits[index],
            }
            .pack()),
            Table::Adjacency => put(&self.adjacencies[index].pack()),
            Table::Destination | Table::Acl | Table::AclValid => {}
        }
    }

    /// Stores an entry. Tables that cannot be written take nothing.
    pub fn write(&mut self, table: Table, index: usize, words: &[u32]) {
        match table {
            Table::Interface => self.interfaces[index] = Interface::unpack(words),
            Table::Flow => {
                let flow = hash::held(index, &FlowEntry::unpack(words));
                self.flow_keys[index] = flow.valid.then(|| key_bits(&flow.key()));
                self.flows[index] = flow;
                self.stats[index] = FlowStats::default();
            }
            Table::Destination => self.destinations[index] = Destination::unpack(words),
            Table::Acl => {
                self.acl[index] = Some(AclEntry::unpack(words));
                self.hits[index] = 0;
                self.rules = [const { None }; ACL_BANKS];
            }
            Table::AclValid => {
                let (bank, page) = (index / ACL_PAGES, index % ACL_PAGES);
                self.acl_valid[bank][page] = AclValid::unpack(words).lanes;
                self.rules[bank] = None;
            }
            Table::Adjacency => self.adjacencies[index] = Adjacency::unpack(words),
            Table::FlowStats | Table::AclHits => {}
        }
    }

    /// Step 17: the slot of a flow; the ways in order, then the stash.
    pub fn find_flow(&self, key: &Key) -> Option<usize> {
        let bits = key_bits(key);
        let hashed = self.flow_hash.slots(bits);
        let stash = FLOW_SLOTS - FLOW_STASH..FLOW_SLOTS;
        hashed
            .into_iter()
            .chain(stash)
            .find(|slot| self.flow_keys[*slot] == Some(bits))
    }

    /// What happens to packets of a flow.
    pub fn flow_action(&self, slot: usize) -> FlowAction {
        self.flows[slot].action()
    }

    /// Step 19: the lowest matching destination of a bank, by its index in the bank.
    pub fn find_destination(&self, bank: usize, key: &Key) -> Option<(usize, &Destination)> {
        let entries = &self.destinations[bank * DESTINATIONS..][..DESTINATIONS];
        entries.iter().enumerate().find(|(_, entry)| {
            entry.valid
                && (key.dst ^ entry.dst) & entry.dst_mask == 0
                && (key.dport ^ entry.dport) & entry.dport_mask == 0
                && (key.proto ^ entry.proto) & entry.proto_mask == 0
                && (key.interface ^ entry.interface) & entry.interface_mask == 0
        })
    }

    /// Step 20: the lowest matching slot of a bank, and whether it permits.
    pub fn find_ace(&mut self, bank: usize, key: &Key) -> Option<(usize, bool)> {
        let lists =
            self.rules[bank].get_or_insert_with(|| build_rules(&self.acl, &self.acl_valid[bank]));
        lists[usize::from(key.interface)]
            .iter()
            .find(|rule| {
                (key.src ^ rule.src) & rule.src_mask == 0
                    && (key.dst ^ rule.dst) & rule.dst_mask == 0
                    && (key.proto ^ rule.proto) & rule.proto_mask == 0
                    && (rule.dport.0..=rule.dport.1).contains(&key.dport)
                    && (rule.sport.0..=rule.sport.1).contains(&key.sport)
            })
            .map(|rule| (usize::from(rule.slot), rule.permit))
    }
}

/// For each interface the valid slots that can match there, in slot order.
fn build_rules(acl: &[Option<AclEntry>], valid: &[u64; ACL_PAGES]) -> Vec<Vec<Rule>> {
    let live = |slot: usize| valid[slot / ACL_LANES] >> (slot % ACL_LANES) & 1 == 1;
    let on =
        |interface: usize, e: &AclEntry| (interface as u8 ^ e.interface) & e.interface_mask == 0;
    let written = acl
        .iter()
        .enumerate()
        .filter_map(|(slot, e)| Some((slot, e.as_ref()?)));
    let live: Vec<_> = written.filter(|(slot, _)| live(*slot)).collect();
    (0..INTERFACES)
        .map(|interface| {
            let here = live.iter().filter(|(_, e)| on(interface, e));
            here.map(|(slot, e)| Rule::new(*slot, e)).collect()
        })
        .collect()
}

impl Rule {
    fn new(slot: usize, e: &AclEntry) -> Self {
        Self {
            src: e.src,
            src_mask: e.src_mask,
            dst: e.dst,
            dst_mask: e.dst_mask,
            sport: (e.sport_low, e.sport_high),
            dport: (e.dport_low, e.dport_high),
            proto: e.proto,
            proto_mask: e.proto_mask,
            permit: e.permit,
            slot: slot as u16,
        }
    }
}

/// A key as one number, bit for bit as `Key` packs it.
fn key_bits(key: &Key) -> u128 {
    u128::from(key.dport)
        | u128::from(key.sport) << 16
        | u128::from(key.dst) << 32
        | u128::from(key.src) << 64
        | u128::from(key.proto) << 96
        | u128::from(key.interface & 0xf) << 104
}

/// `flow_index` of every way by one table step per key byte: H3 is linear over XOR.
struct FlowHash {
    /// For each byte position and value, the indexes of all ways side by side, 16 bits each.
    parts: Vec<[u64; 256]>,
}

impl FlowHash {
    fn new() -> Self {
        let part = |byte: usize, value: usize| {
            let bits = (value as u128) << (8 * byte) & ((1 << Key::BITS) - 1);
            let words: [u32; 4] = std::array::from_fn(|i| (bits >> (32 * i)) as u32);
            let key = Key::unpack(&words);
            (0..FLOW_WAYS).fold(0, |all, way| {
                all | (flow_index(way, &key) as u64) << (16 * way)
            })
        };
        let bytes = Key::BITS.div_ceil(8);
        Self {
            parts: (0..bytes)
                .map(|byte| std::array::from_fn(|value| part(byte, value)))
                .collect(),
        }
    }

    fn slots(&self, bits: u128) -> [usize; FLOW_WAYS] {
        let bytes = bits.to_le_bytes();
        let all = self
            .parts
            .iter()
            .zip(bytes)
            .fold(0, |all, (part, byte)| all ^ part[usize::from(byte)]);
        std::array::from_fn(|way| way * FLOW_WAY_ENTRIES + (all >> (16 * way)) as usize % (1 << 16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_as_number_is_the_packed_key() {
        let key = Key {
            dport: 0x1234,
            sport: 0xfedc,
            dst: 0xa1b2_c3d4,
            src: 0x0f1e_2d3c,
            proto: 0x96,
            interface: 5,
        };
        let packed = key
            .pack()
            .iter()
            .rev()
            .fold(0u128, |bits, word| bits << 32 | u128::from(*word));
        assert_eq!(key_bits(&key), packed);
    }

    #[test]
    fn hash_table_agrees_with_the_shared_hash() {
        let hash = FlowHash::new();
        for n in 0..1000u32 {
            let key = Key {
                dport: (n * 7919) as u16,
                sport: (n * 104_729) as u16,
                dst: n.wrapping_mul(0x9e37_79b9),
                src: !n.wrapping_mul(0x85eb_ca6b),
                proto: n as u8,
                interface: n as u8 & 7,
            };
            let slots = hash.slots(key_bits(&key));
            for (way, slot) in slots.iter().enumerate() {
                assert_eq!(*slot, way * FLOW_WAY_ENTRIES + flow_index(way, &key));
            }
        }
    }
}
