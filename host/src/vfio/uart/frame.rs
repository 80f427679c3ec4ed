//! Requests and answers as bytes; `layout::uart` has their form.
//!
//! Pure. What comes in may be anything: an answer is one only when it begins with its first byte and its check is right.

use layout::uart::{
    ANSWER_START, CRC_POLYNOMIAL, OPERATION_READ, OPERATION_WRITE, REQUEST_START, UART_WORDS,
    UartAccess, UartAnswer, UartRequest,
};

/// What is to be asked in one request, and how many words the answer has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    words: Vec<u32>,
    answers: usize,
}

impl Request {
    /// Words that still may be written in one more access; 0 when it has no room.
    pub fn room_to_write(&self) -> usize {
        UART_WORDS.saturating_sub(self.words.len() + 1)
    }

    /// Words that still may be read in one more access; 0 when it has no room.
    pub fn room_to_read(&self) -> usize {
        match self.words.len() < UART_WORDS {
            true => UART_WORDS.saturating_sub(self.answers),
            false => 0,
        }
    }

    /// Adds a write of these words, at most [`Request::room_to_write`].
    pub fn write(&mut self, address: u16, words: impl ExactSizeIterator<Item = u32>) {
        self.words
            .extend(access(address, words.len(), OPERATION_WRITE));
        self.words.extend(words);
    }

    /// Adds a read of so many words, at most [`Request::room_to_read`].
    pub fn read(&mut self, address: u16, count: usize) {
        self.words.extend(access(address, count, OPERATION_READ));
        self.answers += count;
    }

    /// Whether nothing is asked: such a request opens.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words that its answer has.
    pub fn answers(&self) -> usize {
        self.answers
    }

    /// The bytes to send.
    pub fn bytes(&self, sequence: u16) -> Vec<u8> {
        let header = UartRequest {
            start: REQUEST_START,
            words: self.words.len() as u8,
            sequence,
        };
        let words = header.pack().into_iter().chain(self.words.iter().copied());
        let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        bytes.extend(check(&bytes).to_le_bytes());
        bytes
    }
}

fn access(address: u16, count: usize, operation: u8) -> [u32; UartAccess::WORDS] {
    UartAccess {
        address,
        count: count as u8,
        operation,
    }
    .pack()
}

/// What the bytes behind a request are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The begin of an answer, which lacks so many bytes.
    Lacks(usize),
    /// The answer.
    Answer(Vec<u32>),
    /// No answer to this request.
    Wrong(Fault),
}

/// Why bytes are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They begin like a request: what is sent comes back.
    Echo,
    /// They begin like nothing we know.
    Noise,
    /// They belong to another request.
    Other,
    /// Their check is wrong.
    Check,
}

/// Reads what came since the request was sent.
pub fn read_answer(bytes: &[u8], sequence: u16) -> Reading {
    let Some((header, _)) = bytes.split_first_chunk::<WORD_BYTES>() else {
        return match bytes.first() {
            None | Some(&ANSWER_START) => Reading::Lacks(HEADER_AND_CHECK_BYTES - bytes.len()),
            Some(first) => Reading::Wrong(stranger(*first)),
        };
    };
    let header = UartAnswer::unpack(&[u32::from_le_bytes(*header)]);
    if header.start != ANSWER_START {
        return Reading::Wrong(stranger(header.start));
    }
    let length = HEADER_AND_CHECK_BYTES + WORD_BYTES * usize::from(header.words);
    let Some(whole) = bytes.get(..length) else {
        return Reading::Lacks(length - bytes.len());
    };
    let (text, tail) = whole.split_at(length - WORD_BYTES);
    if check(text).to_le_bytes() != tail {
        return Reading::Wrong(Fault::Check);
    }
    if header.sequence != sequence {
        return Reading::Wrong(Fault::Other);
    }
    let (words, _) = text[WORD_BYTES..].as_chunks::<WORD_BYTES>();
    Reading::Answer(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

fn stranger(first: u8) -> Fault {
    match first {
        REQUEST_START => Fault::Echo,
        _ => Fault::Noise,
    }
}

/// CRC-32 (IEEE 802.3) of the bytes.
fn check(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |register, byte| {
        (0..8).fold(register ^ u32::from(*byte), |register, _| {
            register >> 1 ^ (CRC_POLYNOMIAL & (register & 1).wrapping_neg())
        })
    })
}

const WORD_BYTES: usize = 4;
/// Bytes of the shortest answer.
pub const HEADER_AND_CHECK_BYTES: usize = 2 * WORD_BYTES;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(sequence: u16, words: &[u32]) -> Vec<u8> {
        let header = UartAnswer {
            start: ANSWER_START,
            words: words.len() as u8,
            sequence,
        };
        let words = header.pack().into_iter().chain(words.iter().copied());
        let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        bytes.extend(check(&bytes).to_le_bytes());
        bytes
    }

    #[test]
    fn the_check_is_that_of_ethernet_and_leaves_the_residue() {
        let text = b"123456789";
        assert_eq!(check(text), 0xcbf4_3926);
        let whole = [&text[..], &check(text).to_le_bytes()].concat();
        assert_eq!(!check(&whole), layout::uart::CRC_RESIDUE);
    }

    #[test]
    fn a_request_has_the_bytes_that_the_layout_says() {
        let mut request = Request::default();
        assert_eq!(request.bytes(0x1234)[..4], [0xa5, 0, 0x34, 0x12]);
        request.write(0x0180, [0x0403_0201].into_iter());
        request.read(0x0144, 2);
        let bytes = request.bytes(0x1234);
        let text = [
            0xa5, 3, 0x34, 0x12, 0x80, 0x01, 1, 2, 1, 2, 3, 4, 0x44, 0x01, 2, 1,
        ];
        assert_eq!(bytes[..16], text);
        assert_eq!(bytes.len(), 20);
        assert_eq!(request.answers(), 2);
    }

    #[test]
    fn room_ends_with_the_longest_request_and_the_longest_answer() {
        let mut request = Request::default();
        assert_eq!(
            (request.room_to_write(), request.room_to_read()),
            (254, 255)
        );
        request.read(0, 255);
        assert_eq!((request.room_to_write(), request.room_to_read()), (253, 0));
        request.write(0, (0..253).collect::<Vec<u32>>().into_iter());
        assert_eq!((request.room_to_write(), request.room_to_read()), (0, 0));
        assert_eq!(request.bytes(0)[1], 255);
    }

    #[test]
    fn answers_are_read_and_everything_else_is_told_apart() {
        let whole = answer(7, &[1, 0xffff_ffff]);
        assert_eq!(
            read_answer(&whole, 7),
            Reading::Answer(vec![1, 0xffff_ffff])
        );
        for length in 0..whole.len() {
            let lacks = read_answer(&whole[..length], 7);
            let at_least = whole.len() - length;
            assert!(
                matches!(lacks, Reading::Lacks(n) if n > 0 && n <= at_least),
                "{lacks:?}"
            );
        }
        assert_eq!(read_answer(&whole, 8), Reading::Wrong(Fault::Other));
        assert_eq!(read_answer(&[0], 7), Reading::Wrong(Fault::Noise));
        let echoed = Request::default().bytes(7);
        assert_eq!(read_answer(&echoed, 7), Reading::Wrong(Fault::Echo));
        for bit in 0..8 * whole.len() {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let reading = read_answer(&damaged, 7);
            assert!(!matches!(reading, Reading::Answer(_)), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, sequence: u16) {
            let with_start = [&[ANSWER_START][..], &bytes].concat();
            for bytes in [&bytes, &with_start] {
                if let Reading::Lacks(count) = read_answer(bytes, sequence) {
                    prop_assert!(count > 0 && bytes.len() + count <= 8 + 4 * 255);
                }
            }
        }
    }
}
