//! The host's end of a serial line, written from the text of `layout::uart`, and registers for its other end.

use std::collections::BTreeMap;

use layout::uart::{
    ANSWER_START, OPERATION_READ, OPERATION_WRITE, REQUEST_START, UartAccess, UartAnswer,
    UartRequest,
};

/// Words read from here up.
pub fn read(address: u16, count: u8) -> Vec<u32> {
    access(address, count, OPERATION_READ).to_vec()
}

/// These words written from here up.
pub fn write(address: u16, words: &[u32]) -> Vec<u32> {
    let head = access(address, words.len() as u8, OPERATION_WRITE);
    [&head[..], words].concat()
}

/// The first word of an access.
pub fn access(address: u16, count: u8, operation: u8) -> [u32; 1] {
    UartAccess {
        address,
        count,
        operation,
    }
    .pack()
}

/// The bytes of a request.
pub fn request(sequence: u16, words: &[u32]) -> Vec<u8> {
    let head = UartRequest {
        start: REQUEST_START,
        words: words.len() as u8,
        sequence,
    };
    checked(&[&head.pack()[..], words].concat())
}

/// The bytes of an answer.
pub fn answer(sequence: u16, words: &[u32]) -> Vec<u8> {
    let head = UartAnswer {
        start: ANSWER_START,
        words: words.len() as u8,
        sequence,
    };
    checked(&[&head.pack()[..], words].concat())
}

fn checked(words: &[u32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(crc32(&bytes).to_le_bytes());
    bytes
}

/// CRC-32 by long division of the message, as IEEE 802.3 defines it and not as a shift register does it.
pub fn crc32(bytes: &[u8]) -> u32 {
    let bits = bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
    let mut dividend: Vec<bool> = bits.chain([false; 32]).collect();
    dividend[..32].iter_mut().for_each(|bit| *bit = !*bit);
    for at in 0..dividend.len() - 32 {
        if dividend[at] {
            for (power, bit) in dividend[at..=at + 32].iter_mut().enumerate() {
                *bit ^= 0x1_04c1_1db7_u64 >> (32 - power) & 1 == 1;
            }
        }
    }
    let rest = &dividend[dividend.len() - 32..];
    !rest
        .iter()
        .enumerate()
        .fold(0, |value, (power, bit)| value | u32::from(*bit) << power)
}

/// Registers that hold what is written, and every write in order. Those never written show their address.
#[derive(Default)]
pub struct Registers {
    words: BTreeMap<u16, u32>,
    /// Address and word of each write.
    pub writes: Vec<(u16, u32)>,
    /// Address of each read.
    pub reads: Vec<u16>,
    waited: u64,
}

impl Registers {
    /// What a register shows.
    pub fn shown(&self, address: u16) -> u32 {
        let fresh = 0x5eed_0000 | u32::from(address);
        self.words.get(&address).copied().unwrap_or(fresh)
    }

    /// One clock of the bus with these signals from the master: `rdata` and `ack`, which comes after `clocks`.
    pub fn clock(
        &mut self,
        address: u16,
        wdata: u32,
        write: bool,
        read: bool,
        clocks: u64,
    ) -> Option<u32> {
        assert!(!(write && read), "one access at a time");
        if !write && !read {
            assert_eq!(self.waited, 0, "an access is held until it is done");
            return None;
        }
        self.waited += 1;
        if self.waited < clocks {
            return None;
        }
        self.waited = 0;
        if write {
            self.words.insert(address, wdata);
            self.writes.push((address, wdata));
        } else {
            self.reads.push(address);
        }
        Some(self.shown(address))
    }
}
