//! The RTL card: clocks the Verilated top of `hdl`.
//!
//! Everything foreign of the crate is in this file; the clock loop and the far end of the pins are in
//! `cpp/shim.cpp`. All state of the circuits is initialised by the bitstream, so a power-on reset is
//! a new instance.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

use layout::csr;
use layout::desc::Metadata;
use layout::simulator::STAGES;
use layout::table::PORTS;

use crate::bus::{Function, Host};
use crate::card::{Body, Card, Record};

/// Widths of the packet streams that were built in.
pub const WIDTHS: &[usize] = &include!(concat!(env!("OUT_DIR"), "/widths.rs"));

/// The RTL card.
pub struct Verilated {
    /// Ours alone, made by `postern_card_new` and not yet freed.
    handle: NonNull<Opaque>,
    width: usize,
    ready: [u32; PORTS],
    valid: u32,
}

// SAFETY: the C++ object has no thread affinity and shares nothing with another instance; every use
// of the handle goes through `self`, and the methods that write need `&mut self`.
unsafe impl Send for Verilated {}

impl Verilated {
    /// A card after power-on whose streams are this many bits wide.
    ///
    /// # Panics
    /// If that width is not among [`WIDTHS`].
    pub fn new(width: usize) -> Self {
        Self {
            handle: make(width),
            width,
            ready: [u32::MAX; PORTS],
            valid: u32::MAX,
        }
    }

    fn access(&mut self, offset: u32, value: u32, is_write: bool) -> u32 {
        // SAFETY: the handle is live.
        unsafe { postern_card_access(self.handle.as_ptr(), offset, value, is_write) }
    }
}

/// A new instance of the circuits.
fn make(width: usize) -> NonNull<Opaque> {
    // SAFETY: takes any number; gives a live object that nobody else has, or null.
    let handle = unsafe { postern_card_new(width as u32) };
    NonNull::new(handle)
        .unwrap_or_else(|| panic!("no RTL {width} bits wide was built; there is {WIDTHS:?}"))
}

impl Drop for Verilated {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and nothing uses it after this.
        unsafe { postern_card_free(self.handle.as_ptr()) }
    }
}

impl Card for Verilated {
    fn bar_read(&mut self, offset: u32) -> u32 {
        self.access(offset, 0, false)
    }

    fn bar_write(&mut self, offset: u32, value: u32) {
        self.access(offset, value, true);
    }

    fn reset(&mut self) {
        let fresh = Self::new(self.width);
        *self = fresh;
    }

    // These circuits have no PCIe pins: `CAPABILITIES` says so, and nothing of this reaches them.

    fn set_host(&mut self, _host: Option<Box<dyn Host>>) {}

    fn set_function(&mut self, _function: Function) {}

    fn function_reset(&mut self) {}

    fn feed(&mut self, port: usize, frame: &[u8]) {
        assert!(port < PORTS, "port {port}");
        assert!(
            !frame.is_empty() && frame.len() <= usize::from(u16::MAX),
            "frame length {}",
            frame.len()
        );
        // SAFETY: the handle is live, the port in range, and the bytes are copied during the call.
        unsafe {
            postern_card_feed(
                self.handle.as_ptr(),
                port as u32,
                frame.as_ptr(),
                frame.len(),
            )
        }
    }

    fn run(&mut self, max_clocks: u64) -> bool {
        // SAFETY: the handle is live.
        unsafe {
            postern_card_run(
                self.handle.as_ptr(),
                max_clocks,
                csr::STATUS,
                csr::STATUS_IDLE,
            )
        }
    }

    fn step(&mut self, clocks: u64) {
        // SAFETY: the handle is live.
        unsafe { postern_card_step(self.handle.as_ptr(), clocks) }
    }

    fn cycle(&self) -> u64 {
        // SAFETY: the handle is live.
        unsafe { postern_card_cycle(self.handle.as_ptr()) }
    }

    fn set_ready_pattern(&mut self, patterns: [u32; PORTS]) {
        self.ready = patterns;
        for (port, pattern) in patterns.into_iter().enumerate() {
            // SAFETY: the handle is live and the port in range.
            unsafe { postern_card_set_ready(self.handle.as_ptr(), port as u32, pattern) }
        }
    }

    fn set_valid_pattern(&mut self, pattern: u32) {
        self.valid = pattern;
        // SAFETY: the handle is live.
        unsafe { postern_card_set_valid(self.handle.as_ptr(), pattern) }
    }

    fn next_record(&mut self) -> Option<Record> {
        let mut raw = RawRecord::default();
        // SAFETY: the handle is live and `raw` has the layout of `PosternRecord`.
        if !unsafe { postern_card_next_record(self.handle.as_ptr(), &mut raw) } {
            return None;
        }
        let (port, body) = if raw.frame.is_null() {
            let metadata = Metadata::unpack(&raw.metadata);
            (
                metadata.port,
                Body::Verdict {
                    metadata,
                    stages: raw.stages,
                },
            )
        } else {
            // SAFETY: not null, so it points at this many bytes which live until the next call.
            let bytes = unsafe { std::slice::from_raw_parts(raw.frame, raw.frame_bytes) };
            (raw.port as u8, Body::Frame(bytes.to_vec()))
        };
        Some(Record {
            port,
            cycle_first: raw.first,
            cycle_last: raw.last,
            body,
        })
    }

    fn start_wave(&mut self, path: &Path) -> io::Result<()> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the handle is live and the string ends in zero.
        if unsafe { postern_card_wave_start(self.handle.as_ptr(), path.as_ptr()) } {
            Ok(())
        } else {
            Err(io::Error::other(
                "the wave file cannot be opened for writing",
            ))
        }
    }

    fn stop_wave(&mut self) {
        // SAFETY: the handle is live.
        unsafe { postern_card_wave_stop(self.handle.as_ptr()) }
    }

    fn fault(&self) -> Option<String> {
        // SAFETY: the handle is live; the text ends in zero and is copied before the next call.
        unsafe {
            let text = postern_card_fault(self.handle.as_ptr());
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }
}

/// The C++ object.
#[repr(C)]
struct Opaque {
    _private: [u8; 0],
}

/// `PosternRecord` of the shim.
#[repr(C)]
struct RawRecord {
    first: u64,
    last: u64,
    stages: [u64; STAGES.len()],
    frame: *const u8,
    frame_bytes: usize,
    metadata: [u32; Metadata::WORDS],
    port: u32,
}

impl Default for RawRecord {
    fn default() -> Self {
        Self {
            first: 0,
            last: 0,
            stages: [0; STAGES.len()],
            frame: std::ptr::null(),
            frame_bytes: 0,
            metadata: [0; Metadata::WORDS],
            port: 0,
        }
    }
}

// The shim's own constants.
const _: () = assert!(STAGES.len() == 8 && Metadata::WORDS == 3 && PORTS == 2);

unsafe extern "C" {
    fn postern_card_new(width: u32) -> *mut Opaque;
    fn postern_card_free(card: *mut Opaque);
    fn postern_card_feed(card: *mut Opaque, port: u32, bytes: *const u8, count: usize);
    fn postern_card_step(card: *mut Opaque, clocks: u64);
    fn postern_card_run(card: *mut Opaque, max_clocks: u64, status: u32, idle: u32) -> bool;
    fn postern_card_cycle(card: *const Opaque) -> u64;
    fn postern_card_access(card: *mut Opaque, address: u32, value: u32, is_write: bool) -> u32;
    fn postern_card_set_ready(card: *mut Opaque, port: u32, pattern: u32);
    fn postern_card_set_valid(card: *mut Opaque, pattern: u32);
    fn postern_card_next_record(card: *mut Opaque, record: *mut RawRecord) -> bool;
    fn postern_card_fault(card: *const Opaque) -> *const c_char;
    fn postern_card_wave_start(card: *mut Opaque, path: *const c_char) -> bool;
    fn postern_card_wave_stop(card: *mut Opaque);
}
