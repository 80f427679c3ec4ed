//! The punt buffer: a bounded queue of frames for the host, each with its metadata in front.

use std::collections::VecDeque;

use layout::csr::PUNT_HEADER_BYTES;
use layout::desc::Metadata;
use layout::table::{HOST_FRAME_BYTES, PUNT_BUFFER_BYTES, PUNT_FRAMES};

/// Whole frames waiting for the host.
pub struct PuntBuffer {
    beat_bytes: usize,
    frames: VecDeque<(Metadata, Vec<u8>)>,
    occupied: usize,
}

impl PuntBuffer {
    /// An empty buffer that stores whole beats of this size.
    pub fn new(beat_bytes: usize) -> Self {
        Self {
            beat_bytes,
            frames: VecDeque::new(),
            occupied: 0,
        }
    }

    /// Keeps a frame and fills in its length, or nothing of it when it does not fit.
    pub fn push(&mut self, metadata: Metadata, frame: Vec<u8>) -> bool {
        let space = frame.len().next_multiple_of(self.beat_bytes);
        let fits = self.frames.len() < PUNT_FRAMES
            && frame.len() <= HOST_FRAME_BYTES
            && self.occupied + space <= PUNT_BUFFER_BYTES;
        if fits {
            self.occupied += space;
            self.frames.push_back((
                Metadata {
                    length: frame.len() as u16,
                    ..metadata
                },
                frame,
            ));
        }
        fits
    }

    /// Takes the oldest frame out, if there is one.
    pub fn take(&mut self) -> Option<(Metadata, Vec<u8>)> {
        let (metadata, frame) = self.frames.pop_front()?;
        self.occupied -= frame.len().next_multiple_of(self.beat_bytes);
        Some((metadata, frame))
    }

    /// Frames waiting.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// A word of the window on the oldest frame; zero beyond its end.
    pub fn window(&self, word: usize) -> u32 {
        let Some((metadata, frame)) = self.frames.front() else {
            return 0;
        };
        let header_words = PUNT_HEADER_BYTES / 4;
        if word < header_words {
            return metadata.pack().get(word).copied().unwrap_or(0);
        }
        let start = 4 * (word - header_words);
        let bytes = frame.get(start..).unwrap_or(&[]);
        let mut value = [0; 4];
        let count = bytes.len().min(4);
        value[..count].copy_from_slice(&bytes[..count]);
        u32::from_le_bytes(value)
    }
}
