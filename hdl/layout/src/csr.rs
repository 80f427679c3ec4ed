//! BAR0: 32-bit registers and windows. All accesses are 32 bits wide and aligned, little-endian.

/// Size of BAR0 in bytes.
pub const BAR0_BYTES: usize = 0x1_0000;
/// Value of `MAGIC`: "PSTN".
pub const MAGIC_VALUE: u32 = 0x4e54_5350;
/// Value of `CORE_VERSION`: major << 16 | minor << 8 | patch.
pub const CORE_VERSION_VALUE: u32 = 0x0000_0100;

/// How software may use a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only; writes are ignored.
    Ro,
    /// Read and write.
    Rw,
    /// Write only, a write acts; reads as zero.
    Wo,
}

impl Access {
    /// As printed in `REGISTERS.md`.
    pub const fn name(self) -> &'static str {
        match self {
            Access::Ro => "ro",
            Access::Rw => "rw",
            Access::Wo => "wo",
        }
    }
}

/// A register, or an array of `count` registers 4 bytes apart.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    /// Name as the constant in this module.
    pub name: &'static str,
    /// Byte offset in BAR0.
    pub offset: u32,
    /// Number of 32-bit registers.
    pub count: u32,
    /// Permitted use.
    pub access: Access,
    /// Value after reset; ident registers show the card's own value.
    pub reset: u32,
    /// Meaning, one line.
    pub doc: &'static str,
}

/// Declares registers: an offset constant each and the table `REGISTERS`.
macro_rules! csr {
    ($( #[doc = $doc:literal] $name:ident = $offset:literal $([$count:literal])?, $access:ident, $reset:literal; )+) => {
        $( #[doc = $doc] pub const $name: u32 = $offset; )+
        /// Every register in address order.
        pub const REGISTERS: &[Register] = &[$( Register {
            name: stringify!($name), offset: $offset, count: 1 $( - 1 + $count )?,
            access: Access::$access, reset: $reset, doc: $doc,
        }, )+];
    };
}

csr! {
    #[doc = "0x4e545350, the bytes `PSTN`."]
    MAGIC = 0x0000, Ro, 0x4e54_5350;
    #[doc = "Layout hash, bits 31..0."]
    LAYOUT_HASH_LOW = 0x0004, Ro, 0;
    #[doc = "Layout hash, bits 63..32."]
    LAYOUT_HASH_HIGH = 0x0008, Ro, 0;
    #[doc = "Core version: major << 16 | minor << 8 | patch."]
    CORE_VERSION = 0x000c, Ro, 0x100;
    #[doc = "First 32 bits of the git commit, zero if not built from one."]
    GIT_HASH = 0x0010, Ro, 0;
    #[doc = "Build time, seconds since 1970, zero in simulation."]
    BUILD_TIME = 0x0014, Ro, 0;
    #[doc = "Board: 0 model, 1 Verilated RTL, 2 Versa ECP5-5G, 3 STLV7325."]
    BOARD = 0x0018, Ro, 0;
    #[doc = "Capabilities: bit 0 programmed-IO punt and inject window, bit 1 DMA rings and MSI-X."]
    CAPABILITIES = 0x001c, Ro, 1;
    #[doc = "Width of the packet streams in bits."]
    DATA_WIDTH = 0x0020, Ro, 64;
    #[doc = "ACL slots."]
    SIZE_ACL = 0x0024, Ro, 1152;
    #[doc = "Destination entries of one bank."]
    SIZE_DESTINATION = 0x0028, Ro, 144;
    #[doc = "Flow slots, stash included."]
    SIZE_FLOW = 0x002c, Ro, 4104;
    #[doc = "Adjacencies."]
    SIZE_ADJACENCY = 0x0030, Ro, 256;
    #[doc = "Interfaces."]
    SIZE_INTERFACE = 0x0034, Ro, 8;
    #[doc = "Bits: 0 enable, 1 promiscuous (no MAC filter), 2 drop TCP non-SYN first packets, 3 hold (punt instead of destination and ACL lookup)."]
    CONTROL = 0x0100, Rw, 4;
    #[doc = "Bits: 0 idle (no packet between ingress and egress, punt buffer excepted)."]
    STATUS = 0x0104, Ro, 1;
    #[doc = "Stamp for flow hits, 8 bits, unit chosen by the host."]
    EPOCH = 0x0108, Rw, 0;
    #[doc = "Live policy, one atomic write: bit 0 ACL bank, bit 1 destination bank, bits 15..8 generation."]
    POLICY = 0x010c, Rw, 0;
    #[doc = "Holds what was written; for bring-up."]
    SCRATCH = 0x0110, Rw, 0;
    #[doc = "Starts a table operation: bits 3..0 table, bits 7..4 operation."]
    TABLE_COMMAND = 0x0140, Wo, 0;
    #[doc = "Bits: 0 busy, 1 the last command was refused (no such table, operation or index)."]
    TABLE_STATUS = 0x0144, Ro, 0;
    #[doc = "Index of the entry."]
    TABLE_INDEX = 0x0148, Rw, 0;
    #[doc = "Index of the second entry of a pair write."]
    TABLE_INDEX2 = 0x014c, Rw, 0;
    #[doc = "Entry words: 0..8 for `TABLE_INDEX`, 8..16 for `TABLE_INDEX2`."]
    TABLE_DATA = 0x0180 [16], Rw, 0;
    #[doc = "Frames waiting in the punt buffer."]
    PUNT_STATUS = 0x0200, Ro, 0;
    #[doc = "A write of 1 releases the frame shown in `PUNT_WINDOW`."]
    PUNT_POP = 0x0204, Wo, 0;
    #[doc = "Bits: 0 ready for a frame, 1 the last submit was refused (bad length or port)."]
    INJECT_STATUS = 0x0208, Ro, 1;
    #[doc = "A packed `InjectDescriptor`; the write sends the frame in `INJECT_WINDOW`."]
    INJECT_SUBMIT = 0x020c, Wo, 0;
    #[doc = "Bits: 0 punted frames go to the punt rings instead of the punt window, 1 the inject ring is served. Both need bus mastering."]
    DMA_CONTROL = 0x0300, Rw, 0;
    #[doc = "Bits: 0 a frame or its indices are on their way to host memory, 1 the inject ring is not at rest, 2 bus mastering is on."]
    DMA_STATUS = 0x0304, Ro, 0;
    #[doc = "Address of the `DmaStatus` block in host memory, bits 31..0, a multiple of 64."]
    DMA_BLOCK_LOW = 0x0308, Rw, 0;
    #[doc = "Address of the `DmaStatus` block, bits 63..32."]
    DMA_BLOCK_HIGH = 0x030c, Rw, 0;
    #[doc = "Address of punt ring n, bits 31..0, a multiple of 4096."]
    PUNT_RING_LOW = 0x0310 [4], Rw, 0;
    #[doc = "Address of punt ring n, bits 63..32."]
    PUNT_RING_HIGH = 0x0320 [4], Rw, 0;
    #[doc = "Slots of punt ring n: log2, 1..=15, or 0 when there is none. A write sets both indices of the ring to 0."]
    PUNT_RING_SIZE = 0x0330 [4], Rw, 0;
    #[doc = "Doorbell of punt ring n: frames the host has taken, modulo 2^16."]
    PUNT_HEAD = 0x0340 [4], Rw, 0;
    #[doc = "Frames the card has put into punt ring n, modulo 2^16."]
    PUNT_TAIL = 0x0350 [4], Ro, 0;
    #[doc = "Address of the inject ring, bits 31..0, a multiple of 4096."]
    INJECT_RING_LOW = 0x0360, Rw, 0;
    #[doc = "Address of the inject ring, bits 63..32."]
    INJECT_RING_HIGH = 0x0364, Rw, 0;
    #[doc = "Descriptors of the inject ring: log2, 1..=15, or 0 when there is none. A write sets both indices to 0."]
    INJECT_RING_SIZE = 0x0368, Rw, 0;
    #[doc = "Doorbell of the inject ring: descriptors the host has written, modulo 2^16."]
    INJECT_TAIL = 0x036c, Rw, 0;
    #[doc = "Descriptors the card is done with, modulo 2^16."]
    INJECT_HEAD = 0x0370, Ro, 0;
    #[doc = "Least clocks between two interrupts of one vector."]
    INTERRUPT_GAP = 0x0374, Rw, 0;
    #[doc = "Clocks after which a read of host memory is given up; 0 means 65536."]
    COMPLETION_TIMEOUT = 0x0378, Rw, 0;
    #[doc = "Counters, two words each, low word first; reading the low word latches the high word."]
    COUNTER = 0x0800 [256], Ro, 0;
    #[doc = "Oldest punted frame: packed `Metadata`, 4 words, then the frame. Reads have no side effect."]
    PUNT_WINDOW = 0x2000 [512], Ro, 0;
    #[doc = "Frame to inject, from its first byte."]
    INJECT_WINDOW = 0x3000 [512], Wo, 0;
    #[doc = "MSI-X table: vector n at 16 n: address low and high, data, control (bit 0 masked, 1 after reset). Vectors 0..4 are the punt rings, 4 the inject ring, 5 DMA errors."]
    MSIX_TABLE = 0x4000 [24], Rw, 0;
    #[doc = "MSI-X pending bits."]
    MSIX_PENDING = 0x4800 [2], Ro, 0;
    #[doc = "On boards whose ports are ours: what port 0 met, then what port 1 met, `PORT_FAULT_KINDS` counters each, wrapping: received with a wrong check sequence, too short, too long, pause frames, lost for want of room; sent poisoned, broken off while being sent."]
    PORT_FAULTS = 0x5000 [16], Ro, 0;
    #[doc = "On such boards, starts an access to a PHY: bits 4..0 register, 9..5 address, 10 port, 11 write, 31..16 word to write."]
    PHY_COMMAND = 0x5040, Wo, 0;
    #[doc = "On such boards: bit 0 busy, 31..16 word of the last read, all ones when there is no such PHY."]
    PHY_STATUS = 0x5044, Ro, 0;
}

/// `BOARD`: Lattice Versa ECP5-5G.
pub const BOARD_VERSA_ECP5: u32 = 2;
/// `BOARD`: STLV7325.
pub const BOARD_STLV7325: u32 = 3;
/// Counters a port has in `PORT_FAULTS`; the last one is unused.
pub const PORT_FAULT_KINDS: usize = 8;
/// `PHY_STATUS`: busy.
pub const PHY_BUSY: u32 = 1 << 0;
/// Interrupt vectors: one a punt ring, the inject ring, DMA errors.
pub const MSIX_VECTORS: usize = 6;
/// Vector of the inject ring; those of the punt rings are below.
pub const VECTOR_INJECT: usize = 4;
/// Vector of DMA errors.
pub const VECTOR_ERROR: usize = 5;
/// `DMA_CONTROL`: punted frames go to the rings.
pub const DMA_PUNT: u32 = 1 << 0;
/// `DMA_CONTROL`: the inject ring is served.
pub const DMA_INJECT: u32 = 1 << 1;
/// `DMA_STATUS`: a frame or its indices are on their way to host memory.
pub const DMA_PUNT_BUSY: u32 = 1 << 0;
/// `DMA_STATUS`: the inject ring is not at rest.
pub const DMA_INJECT_BUSY: u32 = 1 << 1;
/// `DMA_STATUS`: bus mastering is on.
pub const DMA_BUS_MASTER: u32 = 1 << 2;
/// `CAPABILITIES`: programmed-IO windows.
pub const CAPABILITY_WINDOWS: u32 = 1 << 0;
/// `CAPABILITIES`: DMA rings and MSI-X.
pub const CAPABILITY_DMA: u32 = 1 << 1;

/// Bytes of `Metadata` (padded) in front of the frame in `PUNT_WINDOW`.
pub const PUNT_HEADER_BYTES: usize = 16;

/// `CONTROL`: packets are processed.
pub const CONTROL_ENABLE: u32 = 1 << 0;
/// `CONTROL`: no MAC filter.
pub const CONTROL_PROMISCUOUS: u32 = 1 << 1;
/// `CONTROL`: TCP first packets must be SYN.
pub const CONTROL_DROP_NOT_SYN: u32 = 1 << 2;
/// `CONTROL`: punt instead of destination and ACL lookup.
pub const CONTROL_HOLD: u32 = 1 << 3;
/// `STATUS`: idle.
pub const STATUS_IDLE: u32 = 1 << 0;
/// `TABLE_STATUS`: busy.
pub const TABLE_BUSY: u32 = 1 << 0;
/// `TABLE_STATUS`: refused.
pub const TABLE_REFUSED: u32 = 1 << 1;
/// `INJECT_STATUS`: ready.
pub const INJECT_READY: u32 = 1 << 0;
/// `INJECT_STATUS`: refused.
pub const INJECT_REFUSED: u32 = 1 << 1;

/// A 64-bit counter at `COUNTER + 8 * index`.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    /// Name in reports.
    pub name: &'static str,
    /// Index; 0..64 are the reason codes, which are not listed here.
    pub index: u32,
    /// Meaning, one line.
    pub doc: &'static str,
}

/// Declares counters beyond the per-reason ones.
macro_rules! counters {
    ($( #[doc = $doc:literal] $name:ident = $index:literal, $text:literal; )+) => {
        $( #[doc = $doc] pub const $name: u32 = $index; )+
        /// Counters beyond the per-reason ones.
        pub const COUNTERS: &[Counter] = &[$( Counter { name: $text, index: $index, doc: $doc }, )+];
    };
}

counters! {
    #[doc = "Frames received on port 0."]
    RX_FRAMES_0 = 64, "rx-frames-0";
    #[doc = "Frames received on port 1."]
    RX_FRAMES_1 = 65, "rx-frames-1";
    #[doc = "Frames accepted from the host."]
    RX_FRAMES_HOST = 66, "rx-frames-host";
    #[doc = "Bytes received on port 0, without FCS."]
    RX_BYTES_0 = 68, "rx-bytes-0";
    #[doc = "Bytes received on port 1."]
    RX_BYTES_1 = 69, "rx-bytes-1";
    #[doc = "Bytes accepted from the host."]
    RX_BYTES_HOST = 70, "rx-bytes-host";
    #[doc = "Frames sent on port 0."]
    TX_FRAMES_0 = 72, "tx-frames-0";
    #[doc = "Frames sent on port 1."]
    TX_FRAMES_1 = 73, "tx-frames-1";
    #[doc = "Frames put into the punt buffer."]
    TX_FRAMES_HOST = 74, "tx-frames-host";
    #[doc = "Bytes sent on port 0."]
    TX_BYTES_0 = 76, "tx-bytes-0";
    #[doc = "Bytes sent on port 1."]
    TX_BYTES_1 = 77, "tx-bytes-1";
    #[doc = "Frame bytes put into the punt buffer."]
    TX_BYTES_HOST = 78, "tx-bytes-host";
    #[doc = "Punted frames dropped because the punt buffer was full or the frame longer than HOST_FRAME_BYTES."]
    PUNT_OVERFLOW = 80, "punt-overflow";
    #[doc = "Punted frames dropped because their ring was full or absent."]
    PUNT_RING_FULL = 81, "punt-ring-full";
    #[doc = "Punted frames dropped because bus mastering was off or the function was reset."]
    PUNT_DMA_OFF = 82, "punt-dma-off";
    #[doc = "Frames of the inject ring dropped because length or port is not allowed."]
    INJECT_BAD_DESCRIPTOR = 83, "inject-bad-descriptor";
    #[doc = "Frames of the inject ring dropped because a read of host memory failed: unsupported, aborted, poisoned, or bytes that do not fit the request."]
    INJECT_READ_ERROR = 84, "inject-read-error";
    #[doc = "Frames of the inject ring dropped because a read of host memory was not answered in time."]
    INJECT_READ_TIMEOUT = 85, "inject-read-timeout";
    #[doc = "Requests to the card that it does not serve, answered with Unsupported Request or, when posted, dropped."]
    TLP_UNSUPPORTED = 86, "tlp-unsupported";
    #[doc = "Requests to the card whose form it does not serve, answered with Completer Abort."]
    TLP_ABORTED = 87, "tlp-aborted";
    #[doc = "TLPs to the card that are malformed or poisoned, dropped."]
    TLP_BAD = 88, "tlp-bad";
    #[doc = "Completions with a tag that nobody waits for."]
    TLP_UNEXPECTED = 89, "tlp-unexpected";
}

/// Number of counters, gaps included.
pub const COUNTER_COUNT: usize = 128;
