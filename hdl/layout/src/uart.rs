//! Requests and answers on a board's serial line: BAR0 for a host without PCIe.
//!
//! The line is 8N1 at [`BAUD`]. What travels is words of 32 bits, low byte first.
//!
//! ```text
//! request: UartRequest │ words, at most UART_WORDS │ check     answer: UartAnswer │ words, at most UART_WORDS │ check
//!                        └ UartAccess, its data, UartAccess, …                      └ what was read, in order
//! ```
//!
//! - `check` is the CRC-32 of IEEE 802.3 over header and words. A request whose check is wrong, or that stops for
//!   [`GAP_BITS`], is not answered and does nothing: none of it is done before all of it was found right.
//! - A request without words *opens*: it is answered without words, from then on requests are served. Its sequence
//!   number counts as served.
//! - A request with words is done, access by access, and answered. One with the sequence number served last is not done
//!   again, only its answer is sent again: a host that got no answer repeats the request as it was. Who asks something
//!   new takes another number.
//! - An access that is none, or whose answer would be too long, ends the request: the answer has fewer words than were
//!   asked for, what stands before it was done.
//! - While a request is done or answered the card hears nothing: a host sends the next one when it has the answer.

/// Bits in a second.
pub const BAUD: u32 = 1_000_000;
/// First byte of a request.
pub const REQUEST_START: u8 = 0xa5;
/// First byte of an answer.
pub const ANSWER_START: u8 = 0x5a;
/// Most words of a request or answer between header and check.
pub const UART_WORDS: usize = 255;
/// `UartAccess.operation`: `count` words from `address` up are read.
pub const OPERATION_READ: u8 = 1;
/// `UartAccess.operation`: `count` words follow, written from `address` up.
pub const OPERATION_WRITE: u8 = 2;
/// Silence, in bits, after which the beginning of a request is forgotten.
pub const GAP_BITS: u32 = 16_384;
/// CRC-32, reflected: its polynomial without the highest power.
pub const CRC_POLYNOMIAL: u32 = 0xedb8_8320;
/// What the CRC register holds, before it is inverted, behind a check that is right.
pub const CRC_RESIDUE: u32 = 0xdebb_20e3;

/// All of it that the layout hash covers, as `REGISTERS.md` prints it.
pub const CONSTANTS: &[(&str, u32)] = &[
    ("BAUD", BAUD),
    ("REQUEST_START", REQUEST_START as u32),
    ("ANSWER_START", ANSWER_START as u32),
    ("UART_WORDS", UART_WORDS as u32),
    ("OPERATION_READ", OPERATION_READ as u32),
    ("OPERATION_WRITE", OPERATION_WRITE as u32),
    ("GAP_BITS", GAP_BITS),
    ("CRC_POLYNOMIAL", CRC_POLYNOMIAL),
    ("CRC_RESIDUE", CRC_RESIDUE),
];

entry! {
    /// First word of a request on the serial line.
    UartRequest {
        /// `REQUEST_START`.
        start: u8 = 8,
        /// Words between this one and the check; none in a request that opens.
        words: u8 = 8,
        /// Which request it is.
        sequence: u16 = 16,
    }
}

entry! {
    /// First word of each access in a request; the words to write follow.
    UartAccess {
        /// First byte in BAR0; the two low bits are ignored.
        address: u16 = 16,
        /// Consecutive words, at least one.
        count: u8 = 8,
        /// `OPERATION_READ` or `OPERATION_WRITE`.
        operation: u8 = 8,
    }
}

entry! {
    /// First word of an answer on the serial line.
    UartAnswer {
        /// `ANSWER_START`.
        start: u8 = 8,
        /// Words read, which follow.
        words: u8 = 8,
        /// The request's.
        sequence: u16 = 16,
    }
}
