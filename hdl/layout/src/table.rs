//! Table entries, in the order a packet meets them.

/// Network ports of the card: 0 is labelled `outside`, 1 `inside`.
pub const PORTS: usize = 2;
/// Logical interfaces (port and optional VLAN), index = interface number in keys and metadata.
pub const INTERFACES: usize = 8;
/// Ways of the flow table; each has its own hash.
pub const FLOW_WAYS: usize = 4;
/// Entries of one way.
pub const FLOW_WAY_ENTRIES: usize = 1024;
/// Fully associative overflow entries behind the ways.
pub const FLOW_STASH: usize = 8;
/// Flow slots: `way * FLOW_WAY_ENTRIES + index`, then the stash.
pub const FLOW_SLOTS: usize = FLOW_WAYS * FLOW_WAY_ENTRIES + FLOW_STASH;
/// Destination (un-NAT and local address) entries in one bank; first match wins.
pub const DESTINATIONS: usize = 144;
/// Banks of the destination table; `POLICY` says which is live.
pub const DESTINATION_BANKS: usize = 2;
/// ACL slots compared in one clock.
pub const ACL_LANES: usize = 36;
/// Pages of `ACL_LANES` slots. A build option: 8, 16, 32 (where nothing is said), 64 or 128, by the environment variable
/// `POSTERN_ACL_PAGES`. A lookup takes a clock a page.
pub const ACL_PAGES: usize = match option_env!("POSTERN_ACL_PAGES") {
    None => 32,
    Some(pages) => match pages.as_bytes() {
        b"8" => 8,
        b"16" => 16,
        b"32" => 32,
        b"64" => 64,
        b"128" => 128,
        _ => panic!("POSTERN_ACL_PAGES is 8, 16, 32, 64 or 128"),
    },
};
/// ACL slots; slot = page * ACL_LANES + lane; the lowest valid matching slot wins.
pub const ACL_SLOTS: usize = ACL_LANES * ACL_PAGES;
/// Bits of a page's number.
pub const ACL_PAGE_BITS: usize = ACL_PAGES.ilog2() as usize;
/// Bits of a slot's number.
pub const ACL_SLOT_BITS: usize = ACL_SLOTS.ilog2() as usize + 1;
/// Valid maps over the ACL slots; `POLICY` says which is live.
pub const ACL_BANKS: usize = 2;
/// Next hops.
pub const ADJACENCIES: usize = 256;
/// Bytes of frame the punt buffer holds; each frame is rounded up to whole beats.
pub const PUNT_BUFFER_BYTES: usize = 4096;
/// Frames the punt buffer holds.
pub const PUNT_FRAMES: usize = 16;
/// Longest frame (no FCS) on the host path, either way.
pub const HOST_FRAME_BYTES: usize = 2032;
/// Punt rings in host memory; flows are spread over them.
pub const PUNT_QUEUES: usize = 4;
/// Bytes of a slot of a punt ring: `Metadata` and padding, then the frame.
pub const PUNT_SLOT_BYTES: usize = 2048;
/// Bytes of a frame that the parser looks at.
pub const WINDOW_BYTES: usize = 64;

/// The sizes above by name, for the layout hash and `REGISTERS.md`.
pub const SIZES: &[(&str, usize)] = &[
    ("PORTS", PORTS),
    ("INTERFACES", INTERFACES),
    ("FLOW_WAYS", FLOW_WAYS),
    ("FLOW_WAY_ENTRIES", FLOW_WAY_ENTRIES),
    ("FLOW_STASH", FLOW_STASH),
    ("DESTINATIONS", DESTINATIONS),
    ("DESTINATION_BANKS", DESTINATION_BANKS),
    ("ACL_LANES", ACL_LANES),
    ("ACL_PAGES", ACL_PAGES),
    ("ACL_BANKS", ACL_BANKS),
    ("ADJACENCIES", ADJACENCIES),
    ("PUNT_BUFFER_BYTES", PUNT_BUFFER_BYTES),
    ("PUNT_FRAMES", PUNT_FRAMES),
    ("HOST_FRAME_BYTES", HOST_FRAME_BYTES),
    ("PUNT_QUEUES", PUNT_QUEUES),
    ("PUNT_SLOT_BYTES", PUNT_SLOT_BYTES),
    ("WINDOW_BYTES", WINDOW_BYTES),
];

/// Tables as `TABLE_COMMAND` numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Table {
    /// [`Interface`], index 0..INTERFACES, read and write.
    Interface = 0,
    /// [`FlowEntry`], index 0..FLOW_SLOTS, read, write and pair write. A write clears its [`FlowStats`].
    Flow = 1,
    /// [`FlowStats`], index 0..FLOW_SLOTS, read only.
    FlowStats = 2,
    /// [`Destination`], index bank * DESTINATIONS + entry, write only.
    Destination = 3,
    /// [`AclEntry`], index 0..ACL_SLOTS, write only. A write clears its [`AclHits`].
    Acl = 4,
    /// [`AclValid`], index bank * ACL_PAGES + page, write only.
    AclValid = 5,
    /// [`AclHits`], index 0..ACL_SLOTS, read only.
    AclHits = 6,
    /// [`Adjacency`], index 0..ADJACENCIES, read and write.
    Adjacency = 7,
}

impl Table {
    /// Every table in code order.
    pub const ALL: &'static [Table] = &[
        Table::Interface,
        Table::Flow,
        Table::FlowStats,
        Table::Destination,
        Table::Acl,
        Table::AclValid,
        Table::AclHits,
        Table::Adjacency,
    ];

    /// Number of valid indexes.
    pub const fn len(self) -> usize {
        match self {
            Table::Interface => INTERFACES,
            Table::Flow | Table::FlowStats => FLOW_SLOTS,
            Table::Destination => DESTINATIONS * DESTINATION_BANKS,
            Table::Acl | Table::AclHits => ACL_SLOTS,
            Table::AclValid => ACL_PAGES * ACL_BANKS,
            Table::Adjacency => ADJACENCIES,
        }
    }

    /// No table is empty.
    pub const fn is_empty(self) -> bool {
        false
    }

    /// Whether the operation exists for this table.
    pub const fn supports(self, operation: Operation) -> bool {
        match self {
            Table::Interface | Table::Adjacency => !matches!(operation, Operation::WritePair),
            Table::Flow => true,
            Table::FlowStats | Table::AclHits => matches!(operation, Operation::Read),
            Table::Destination | Table::Acl | Table::AclValid => {
                matches!(operation, Operation::Write)
            }
        }
    }
}

/// Operations of `TABLE_COMMAND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Operation {
    /// Entry at `TABLE_INDEX` to `TABLE_DATA[0..8]`.
    Read = 0,
    /// `TABLE_DATA[0..8]` to the entry at `TABLE_INDEX`.
    Write = 1,
    /// As `Write`, and `TABLE_DATA[8..16]` to `TABLE_INDEX2`, before any packet sees either.
    WritePair = 2,
}

entry! {
    /// A logical interface: a port and, if tagged, one VLAN.
    Interface {
        /// The entry takes part in matching.
        valid: bool = 1,
        /// Card port, 0 or 1.
        port: u8 = 2,
        /// Frames carry an 802.1Q tag with `vid`.
        tagged: bool = 1,
        /// VLAN identifier when `tagged`.
        vid: u16 = 12,
        /// Our MAC address, first byte on the wire in bits 47..40.
        mac: u64 = 48,
    }
}

entry! {
    /// What lookups match on. For ICMP `sport` is bytes 4..6 (identifier), `dport` is type << 8 | code.
    Key {
        /// Destination port; zero for protocols other than TCP, UDP and ICMP.
        dport: u16 = 16,
        /// Source port.
        sport: u16 = 16,
        /// Destination IPv4 address.
        dst: u32 = 32,
        /// Source IPv4 address.
        src: u32 = 32,
        /// IP protocol.
        proto: u8 = 8,
        /// Ingress interface.
        interface: u8 = 4,
    }
}

entry! {
    /// What happens to packets of a flow.
    FlowAction {
        /// The slot holds a flow.
        valid: bool = 1,
        /// Every packet goes to the host (inspected flows); the rest is ignored.
        punt: bool = 1,
        /// Source address and port (ICMP: identifier) become `address` and `l4_port`.
        translate_source: bool = 1,
        /// Destination address and port (ICMP: identifier) become `address` and `l4_port`.
        translate_destination: bool = 1,
        /// Next hop.
        adjacency: u8 = 8,
        /// Translated port, or the original one when only the address changes.
        l4_port: u16 = 16,
        /// Translated address.
        address: u32 = 32,
    }
}

entry! {
    /// One direction of a connection: key bits 0..108, action above, and what only the host looks at.
    FlowEntry {
        /// Key: destination port.
        dport: u16 = 16,
        /// Key: source port.
        sport: u16 = 16,
        /// Key: destination address.
        dst: u32 = 32,
        /// Key: source address.
        src: u32 = 32,
        /// Key: IP protocol.
        proto: u8 = 8,
        /// Key: ingress interface.
        interface: u8 = 4,
        /// Action: the slot holds a flow.
        valid: bool = 1,
        /// Action: every packet goes to the host.
        punt: bool = 1,
        /// Action: translate source.
        translate_source: bool = 1,
        /// Action: translate destination.
        translate_destination: bool = 1,
        /// Action: next hop.
        adjacency: u8 = 8,
        /// Action: translated port.
        l4_port: u16 = 16,
        /// Action: translated address.
        address: u32 = 32,
        /// Its packets come from the end that began the connection. The card keeps it for a host that starts again.
        initiator: bool = 1,
    }
}

impl FlowEntry {
    /// Joins a key and an action. Whose packets they are is another matter.
    pub fn new(key: Key, action: FlowAction) -> Self {
        let Key {
            dport,
            sport,
            dst,
            src,
            proto,
            interface,
        } = key;
        let FlowAction {
            valid,
            punt,
            translate_source,
            translate_destination,
            adjacency,
            l4_port,
            address,
        } = action;
        Self {
            dport,
            sport,
            dst,
            src,
            proto,
            interface,
            valid,
            punt,
            translate_source,
            translate_destination,
            adjacency,
            l4_port,
            address,
            initiator: false,
        }
    }

    /// The key half.
    pub fn key(&self) -> Key {
        let Self {
            dport,
            sport,
            dst,
            src,
            proto,
            interface,
            ..
        } = *self;
        Key {
            dport,
            sport,
            dst,
            src,
            proto,
            interface,
        }
    }

    /// The action half.
    pub fn action(&self) -> FlowAction {
        let Self {
            valid,
            punt,
            translate_source,
            translate_destination,
            adjacency,
            l4_port,
            address,
            ..
        } = *self;
        FlowAction {
            valid,
            punt,
            translate_source,
            translate_destination,
            adjacency,
            l4_port,
            address,
        }
    }
}

entry! {
    /// What a flow slot has counted since it was written.
    FlowStats {
        /// Packets, modulo 2^28.
        packets: u32 = 28,
        /// Frame bytes without FCS as received, modulo 2^34.
        bytes: u64 = 34,
        /// `EPOCH` at the last packet.
        stamp: u8 = 8,
        /// A TCP FIN was seen.
        fin: bool = 1,
        /// A TCP RST was seen.
        rst: bool = 1,
    }
}

entry! {
    /// A mapped or local destination; the lowest valid matching entry wins.
    Destination {
        /// The entry takes part in matching.
        valid: bool = 1,
        /// Interface value under `interface_mask`.
        interface: u8 = 4,
        /// Ones where the interface must agree.
        interface_mask: u8 = 4,
        /// Protocol value.
        proto: u8 = 8,
        /// Ones where the protocol must agree.
        proto_mask: u8 = 8,
        /// Destination address value.
        dst: u32 = 32,
        /// Ones where the address must agree.
        dst_mask: u32 = 32,
        /// Destination port value.
        dport: u16 = 16,
        /// Ones where the port must agree.
        dport_mask: u16 = 16,
        /// The address is the card's own: punt, no ACL. The fields below are ignored.
        local: bool = 1,
        /// Real address: `(dst & address_keep) | address`.
        address: u32 = 32,
        /// Address bits taken from the packet.
        address_keep: u32 = 32,
        /// Real port: `(dport & l4_port_keep) | l4_port`.
        l4_port: u16 = 16,
        /// Port bits taken from the packet.
        l4_port_keep: u16 = 16,
    }
}

entry! {
    /// One access-control entry on real addresses and ports.
    AclEntry {
        /// Interface value under `interface_mask`.
        interface: u8 = 4,
        /// Ones where the interface must agree.
        interface_mask: u8 = 4,
        /// Protocol value.
        proto: u8 = 8,
        /// Ones where the protocol must agree.
        proto_mask: u8 = 8,
        /// Source address value.
        src: u32 = 32,
        /// Ones where the source address must agree.
        src_mask: u32 = 32,
        /// Destination address value.
        dst: u32 = 32,
        /// Ones where the destination address must agree.
        dst_mask: u32 = 32,
        /// Lowest source port.
        sport_low: u16 = 16,
        /// Highest source port.
        sport_high: u16 = 16,
        /// Lowest destination port (ICMP: type << 8 | code).
        dport_low: u16 = 16,
        /// Highest destination port.
        dport_high: u16 = 16,
        /// Permit, else deny.
        permit: bool = 1,
    }
}

entry! {
    /// One page of a valid map: bit n is lane n.
    AclValid {
        /// Ones where the slot is part of the policy.
        lanes: u64 = 36,
    }
}

entry! {
    /// First packets that matched the slot since it was written.
    AclHits {
        /// Count.
        hits: u64 = 64,
    }
}

entry! {
    /// A next hop.
    Adjacency {
        /// The entry may be used; a flow that names an invalid one punts.
        valid: bool = 1,
        /// Egress interface.
        interface: u8 = 4,
        /// Destination MAC address, first byte on the wire in bits 47..40.
        mac: u64 = 48,
    }
}
