//! Ethernet frames as beats and as bytes on the wire. Check sequences are those of `crc32fast`.

use super::random::Random;

/// A beat: data, keep, last.
pub type Beat = (u64, u8, bool);

/// A byte time on the wire: the byte, whether there is one, whether it is marked wrong.
pub type Symbol = (u8, bool, bool);

pub const POISON: Beat = (0, 0, true);

/// A frame of so many bytes, without check sequence, that is not for MAC control.
pub fn any_frame(random: &mut Random, length: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..length).map(|_| random.bits() as u8).collect();
    if let Some(first) = frame.first_mut() {
        *first &= 0xfe;
    }
    frame
}

pub fn check_sequence(frame: &[u8]) -> [u8; 4] {
    crc32fast::hash(frame).to_le_bytes()
}

/// The frame with its check sequence.
pub fn checked(frame: &[u8]) -> Vec<u8> {
    [frame, &check_sequence(frame)].concat()
}

/// What a station sends for bytes between preamble and gap, and so many byte times of gap.
pub fn symbols(bytes: &[u8], gap: usize) -> Vec<Symbol> {
    let preamble = [0x55; 7].iter().chain([0xd5].iter());
    let carrier = preamble.chain(bytes).map(|&byte| (byte, true, false));
    carrier.chain(vec![(0, false, false); gap]).collect()
}

pub fn beats(frame: &[u8]) -> Vec<Beat> {
    let count = frame.len().div_ceil(8);
    let beat = |(index, bytes): (usize, &[u8])| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let keep = (0xff_u16 >> (8 - bytes.len())) as u8;
        (u64::from_le_bytes(word), keep, index + 1 == count)
    };
    frame.chunks(8).enumerate().map(beat).collect()
}

/// What came over a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    Whole(Vec<u8>),
    Poisoned(Vec<u8>),
}

/// Puts the beats of a stream together.
#[derive(Default)]
pub struct Stream {
    bytes: Vec<u8>,
    pub frames: Vec<Received>,
}

impl Stream {
    pub fn push(&mut self, (data, keep, last): Beat) {
        assert!(last || keep == 0xff, "only a last beat has holes");
        assert_eq!(keep & keep.wrapping_add(1), 0, "no hole among the bytes");
        let count = keep.count_ones() as usize;
        self.bytes.extend(&data.to_le_bytes()[..count]);
        if last {
            let bytes = std::mem::take(&mut self.bytes);
            assert!(!bytes.is_empty(), "a frame does not begin with poison");
            self.frames.push(match keep {
                0 => Received::Poisoned(bytes),
                _ => Received::Whole(bytes),
            });
        }
    }
}

/// Puts the bytes on a wire together; a frame is what stands behind the preamble.
#[derive(Default)]
pub struct Wire {
    bytes: Vec<u8>,
    idle: usize,
    pub frames: Vec<Vec<u8>>,
    /// Idle byte times before each frame.
    pub gaps: Vec<usize>,
}

impl Wire {
    pub fn push(&mut self, (byte, there, wrong): Symbol) {
        assert!(!wrong);
        if there {
            if self.bytes.is_empty() {
                self.gaps.push(self.idle);
                self.idle = 0;
            }
            self.bytes.push(byte);
            return;
        }
        self.idle += 1;
        if !self.bytes.is_empty() {
            let bytes = std::mem::take(&mut self.bytes);
            assert_eq!(bytes[..8], *b"\x55\x55\x55\x55\x55\x55\x55\xd5");
            self.frames.push(bytes[8..].to_vec());
        }
    }
}

/// The frame as it must be on the wire: padded to 60 bytes, then the check sequence.
pub fn on_wire(frame: &[u8]) -> Vec<u8> {
    let mut padded = frame.to_vec();
    padded.resize(frame.len().max(60), 0);
    checked(&padded)
}

/// Whether a frame on the wire is one that nobody takes for good.
pub fn is_spoiled(bytes: &[u8]) -> bool {
    let (frame, sequence) = bytes.split_at(bytes.len() - 4);
    bytes.len() >= 64 && check_sequence(frame).map(|byte| !byte) == *sequence
}
