//! The RTL card: clocks the Verilated top of `hdl`.
//!
//! All that is foreign here is in this file; the clock loop and the far end of the pins are in
//! `cpp/shim.cpp`. All state of the circuits is initialised by the bitstream, so a power-on reset is
//! a new instance. A card with PCIe pins is reached through its endpoint: registers and host memory
//! are packets to and from a [`RootComplex`]. The others have the register bus alone.

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
use crate::root_complex::{CARD_ID, Pins, RootComplex, Settings};

/// Widths of the packet streams of the cards without rings that were built in.
pub const WIDTHS: &[usize] = &include!(concat!(env!("OUT_DIR"), "/widths.rs"));

/// The RTL card.
pub struct Verilated {
    /// Ours alone, made by `postern_card_new` and not yet freed.
    handle: NonNull<Opaque>,
    /// The far end of the PCIe pins, if there are any.
    root: Option<RootComplex>,
    width: usize,
    has_rings: bool,
    /// A write of a register may still be on its way.
    is_written: bool,
    ready: [u32; PORTS],
    valid: u32,
}

// SAFETY: the C++ object has no thread affinity and shares nothing with another instance; every use
// of the handle goes through `self`, and the methods that write need `&mut self`.
unsafe impl Send for Verilated {}

impl Verilated {
    /// A card without rings after power-on whose streams are this many bits wide.
    ///
    /// # Panics
    /// If that width is not among [`WIDTHS`].
    pub fn new(width: usize) -> Self {
        Self::power_on(width, false)
    }

    /// The card with rings after power-on. Its streams are 64 bits wide.
    ///
    /// # Panics
    /// If it was not built in, because another one was given to the build.
    pub fn with_rings() -> Self {
        Self::power_on(64, true)
    }

    fn power_on(width: usize, has_rings: bool) -> Self {
        let handle = make(width, has_rings);
        // SAFETY: the handle is live.
        let has_link = unsafe { postern_card_has_link(handle.as_ptr()) };
        let mut card = Self {
            handle,
            root: has_link.then(|| RootComplex::new(Settings::default())),
            width,
            has_rings,
            is_written: false,
            ready: [u32::MAX; PORTS],
            valid: u32::MAX,
        };
        card.tell_function();
        card
    }

    /// The host's end of the link, if the card has one.
    pub fn root_complex(&self) -> Option<&RootComplex> {
        self.root.as_ref()
    }

    /// Changes how the host's end of the link behaves, if the card has one.
    pub fn set_link(&mut self, settings: Settings) {
        if let Some(root) = &mut self.root {
            root.set_settings(settings);
            self.tell_function();
        }
    }

    /// Lets the link carry so many bytes a clock each way, with so many around each packet; at 0 it is as fast as its
    /// pins.
    pub fn set_link_speed(&mut self, rate: u32, framing: u32) {
        // SAFETY: the handle is live.
        unsafe { postern_card_set_link_speed(self.handle.as_ptr(), rate, framing) }
    }

    /// Sends the card a packet of a test's making, if it has a link.
    pub fn disturb(&mut self, packet: &[u32], bar: u8) {
        if let Some(root) = &mut self.root {
            root.disturb(&mut Link(self.handle), packet, bar);
        }
    }

    /// Brings the pins of configuration space up to date.
    fn tell_function(&mut self) {
        let Some(root) = &self.root else {
            return;
        };
        let function = root.function();
        let pins = LinkFunction {
            completer_id: CARD_ID.into(),
            max_payload: size_code(function.max_payload),
            max_read_request: size_code(function.max_read_request),
            bus_master: function.bus_master,
            boundary_128: root.settings().read_completion_boundary == 128,
            msix_enable: function.msix_enable,
            msix_mask: function.msix_mask,
        };
        // SAFETY: the handle is live, and `pins` has the layout of `LinkFunction` of the shim.
        unsafe { postern_card_set_function(self.handle.as_ptr(), &pins) }
    }

    fn is_waiting(&self) -> bool {
        // SAFETY: the handle is live.
        unsafe { postern_card_is_waiting(self.handle.as_ptr()) }
    }

    /// As `Card::run`, by packets: a read of a register comes behind all that was written before it.
    fn run_link(&mut self, root: &mut RootComplex, max_clocks: u64) -> bool {
        let link = &mut Link(self.handle);
        let end = link.cycle().saturating_add(max_clocks);
        let busy = csr::DMA_PUNT_BUSY | csr::DMA_INJECT_BUSY;
        while link.cycle() < end && root.fault().is_none() && self.pin_fault().is_none() {
            if self.is_waiting() {
                root.run_some(link, end);
            } else if root.read_register(link, csr::STATUS) & csr::STATUS_IDLE != 0
                && root.read_register(link, csr::DMA_STATUS) & busy == 0
            {
                return true;
            }
        }
        false
    }

    fn pin_fault(&self) -> Option<String> {
        // SAFETY: the handle is live; the text ends in zero and is copied before the next call.
        unsafe {
            let text = postern_card_fault(self.handle.as_ptr());
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }

    fn access(&mut self, offset: u32, value: u32, is_write: bool) -> u32 {
        // SAFETY: the handle is live.
        unsafe { postern_card_access(self.handle.as_ptr(), offset, value, is_write) }
    }
}

/// The code of Device Control for a size in bytes.
fn size_code(bytes: u16) -> u32 {
    (bytes / 128).checked_ilog2().unwrap_or(0)
}

/// The PCIe pins of a card, lent for one call.
struct Link(NonNull<Opaque>);

impl Pins for Link {
    fn cycle(&self) -> u64 {
        // SAFETY: the handle is live while its owner lends it.
        unsafe { postern_card_cycle(self.0.as_ptr()) }
    }

    fn clocks(&mut self, max: u64) {
        // SAFETY: as above.
        unsafe { postern_card_until_event(self.0.as_ptr(), max) }
    }

    fn offer(&mut self, packet: &[u32], bar: u8) {
        // SAFETY: as above; the DWs are copied during the call.
        unsafe { postern_card_offer(self.0.as_ptr(), packet.as_ptr(), packet.len(), bar.into()) }
    }

    fn is_taken(&self) -> bool {
        // SAFETY: as above.
        unsafe { postern_card_is_taken(self.0.as_ptr()) }
    }

    fn take(&mut self) -> Option<Vec<u32>> {
        let mut count = 0;
        // SAFETY: as above; not null, so it points at this many DWs which live until the next call.
        unsafe {
            let dwords = postern_card_take(self.0.as_ptr(), &mut count);
            (!dwords.is_null()).then(|| std::slice::from_raw_parts(dwords, count).to_vec())
        }
    }
}

/// A new instance of the circuits.
fn make(width: usize, has_rings: bool) -> NonNull<Opaque> {
    // SAFETY: takes any number; gives a live object that nobody else has, or null.
    let handle = unsafe { postern_card_new(width as u32, has_rings) };
    let with = if has_rings { "with" } else { "without" };
    NonNull::new(handle).unwrap_or_else(|| {
        panic!("no RTL {width} bits wide {with} rings was built; without, there is {WIDTHS:?}")
    })
}

impl Drop for Verilated {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and nothing uses it after this.
        unsafe { postern_card_free(self.handle.as_ptr()) }
    }
}

impl Card for Verilated {
    fn bar_read(&mut self, offset: u32) -> u32 {
        match &mut self.root {
            Some(root) => {
                self.is_written = false;
                root.read_register(&mut Link(self.handle), offset)
            }
            None => self.access(offset, 0, false),
        }
    }

    fn bar_write(&mut self, offset: u32, value: u32) {
        match &mut self.root {
            Some(root) => {
                self.is_written = true;
                root.write_register(&mut Link(self.handle), offset, value);
            }
            None => drop(self.access(offset, value, true)),
        }
    }

    fn reset(&mut self) {
        let mut fresh = Self::power_on(self.width, self.has_rings);
        if let Some(mut root) = self.root.take() {
            root.restart();
            fresh.root = Some(root);
            fresh.tell_function();
        }
        *self = fresh;
    }

    fn set_host(&mut self, host: Option<Box<dyn Host>>) {
        if let Some(root) = &mut self.root {
            root.set_host(host);
        }
    }

    fn set_function(&mut self, function: Function) {
        if let Some(root) = &mut self.root {
            root.set_function(function);
            self.tell_function();
        }
    }

    fn function_reset(&mut self) {
        let Some(root) = &mut self.root else {
            return;
        };
        // SAFETY: the handle is live.
        unsafe { postern_card_function_reset(self.handle.as_ptr()) }
        // What is still on its way comes too late, and before anything new.
        root.settle(&mut Link(self.handle));
    }

    fn feed(&mut self, port: usize, frame: &[u8]) {
        assert!(port < PORTS, "port {port}");
        assert!(
            !frame.is_empty() && frame.len() <= usize::from(u16::MAX),
            "frame length {}",
            frame.len()
        );
        // What was written before the frame came holds for it.
        if self.is_written {
            self.bar_read(csr::MAGIC);
        }
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
        if let Some(mut root) = self.root.take() {
            let is_idle = self.run_link(&mut root, max_clocks);
            self.root = Some(root);
            return is_idle;
        }
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
        if let Some(root) = &mut self.root {
            return root.run(&mut Link(self.handle), clocks);
        }
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
        let link = self.root.as_ref().and_then(RootComplex::fault);
        self.pin_fault().or_else(|| link.map(str::to_owned))
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

/// `LinkFunction` of the shim.
#[repr(C)]
struct LinkFunction {
    completer_id: u32,
    max_payload: u32,
    max_read_request: u32,
    bus_master: bool,
    boundary_128: bool,
    msix_enable: bool,
    msix_mask: bool,
}

// The shim's own constants.
const _: () = assert!(STAGES.len() == 8 && Metadata::WORDS == 3 && PORTS == 2);

unsafe extern "C" {
    fn postern_card_new(width: u32, has_rings: bool) -> *mut Opaque;
    fn postern_card_free(card: *mut Opaque);
    fn postern_card_feed(card: *mut Opaque, port: u32, bytes: *const u8, count: usize);
    fn postern_card_step(card: *mut Opaque, clocks: u64);
    fn postern_card_run(card: *mut Opaque, max_clocks: u64, status: u32, idle: u32) -> bool;
    fn postern_card_cycle(card: *const Opaque) -> u64;
    fn postern_card_access(card: *mut Opaque, address: u32, value: u32, is_write: bool) -> u32;
    fn postern_card_has_link(card: *const Opaque) -> bool;
    fn postern_card_set_function(card: *mut Opaque, function: *const LinkFunction);
    fn postern_card_function_reset(card: *mut Opaque);
    fn postern_card_set_link_speed(card: *mut Opaque, rate: u32, framing: u32);
    fn postern_card_until_event(card: *mut Opaque, max_clocks: u64);
    fn postern_card_is_waiting(card: *const Opaque) -> bool;
    fn postern_card_offer(card: *mut Opaque, dwords: *const u32, count: usize, bar: u32);
    fn postern_card_is_taken(card: *const Opaque) -> bool;
    fn postern_card_take(card: *mut Opaque, count: *mut usize) -> *const u32;
    fn postern_card_set_ready(card: *mut Opaque, port: u32, pattern: u32);
    fn postern_card_set_valid(card: *mut Opaque, pattern: u32);
    fn postern_card_next_record(card: *mut Opaque, record: *mut RawRecord) -> bool;
    fn postern_card_fault(card: *const Opaque) -> *const c_char;
    fn postern_card_wave_start(card: *mut Opaque, path: *const c_char) -> bool;
    fn postern_card_wave_stop(card: *mut Opaque);
}
