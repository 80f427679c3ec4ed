//! MSI-X of the model: the vector table, what is raised, and when it is sent.

use layout::csr::{MSIX_PENDING, MSIX_TABLE, MSIX_VECTORS};

use super::bar::word_in;
use crate::bus::Function;

/// Words of one vector in the table: address low and high, data, control.
const VECTOR_WORDS: usize = 4;
/// Control bit: masked.
const MASKED: u32 = 1 << 0;

/// Vectors and their state.
pub struct Interrupts {
    /// Least clocks between two of one vector.
    pub gap: u32,
    table: [[u32; VECTOR_WORDS]; MSIX_VECTORS],
    raised: [bool; MSIX_VECTORS],
    /// Clock from which each may be sent again.
    open: [u64; MSIX_VECTORS],
}

impl Default for Interrupts {
    /// After a reset of the function: all masked, PCI Express Base Specification 4.0 §7.7.2.
    fn default() -> Self {
        Self {
            gap: 0,
            table: [[0, 0, 0, MASKED]; MSIX_VECTORS],
            raised: [false; MSIX_VECTORS],
            open: [0; MSIX_VECTORS],
        }
    }
}

impl Interrupts {
    /// A word of the table or the pending bits.
    pub fn read(&self, offset: u32, function: &Function) -> Option<u32> {
        if let Some(word) = word_in(MSIX_TABLE, offset) {
            return Some(self.table[word / VECTOR_WORDS][word % VECTOR_WORDS]);
        }
        let word = word_in(MSIX_PENDING, offset)?;
        let pending = (0..MSIX_VECTORS)
            .filter(|n| self.raised[*n] && self.is_masked(*n, function))
            .fold(0, |bits, n| bits | 1 << n);
        Some(if word == 0 { pending } else { 0 })
    }

    /// Writes a word of the table; true if it was one.
    pub fn write(&mut self, offset: u32, value: u32) -> bool {
        let Some(word) = word_in(MSIX_TABLE, offset) else {
            return false;
        };
        let mask = match word % VECTOR_WORDS {
            // A message is a whole DW.
            0 => !3,
            3 => MASKED,
            _ => u32::MAX,
        };
        self.table[word / VECTOR_WORDS][word % VECTOR_WORDS] = value & mask;
        true
    }

    /// Raises a vector: it stays so until it is sent.
    pub fn raise(&mut self, vector: usize) {
        self.raised[vector] = true;
    }

    /// Takes the address and data of a vector that may be sent now.
    pub fn next_message(&mut self, cycle: u64, function: &Function) -> Option<(u64, u32)> {
        if !function.msix_enable || !function.bus_master {
            return None;
        }
        let vector = (0..MSIX_VECTORS)
            .find(|n| self.raised[*n] && !self.is_masked(*n, function) && cycle >= self.open[*n])?;
        self.raised[vector] = false;
        self.open[vector] = cycle + u64::from(self.gap);
        let [low, high, data, _] = self.table[vector];
        Some((u64::from(high) << 32 | u64::from(low), data))
    }

    /// The clock at which the next vector that only waits for its gap may be sent.
    pub fn next_open(&self, function: &Function) -> Option<u64> {
        (0..MSIX_VECTORS)
            .filter(|n| {
                let is_sendable = function.msix_enable && function.bus_master;
                self.raised[*n] && is_sendable && !self.is_masked(*n, function)
            })
            .map(|n| self.open[n])
            .min()
    }

    fn is_masked(&self, vector: usize, function: &Function) -> bool {
        function.msix_mask || self.table[vector][VECTOR_WORDS - 1] & MASKED != 0
    }
}
