//! The root complex: the host's end of the PCIe link, at the level of TLPs.
//!
//! Register accesses become memory requests to BAR0; what the card sends is held against the
//! specification and served from a [`Host`]. It is as unpleasant as its [`Settings`] say, and as the
//! specification allows: latency, split completions, completions of one read overtaking another's,
//! and completions that fail, are poisoned or never come. All of it follows from a seed.
//! PCI Express Base Specification 4.0 §2.2, §2.3.1, §2.4.

use crate::bus::{self, Function, Host, MESSAGE_ADDRESS, Unmapped};
use crate::tlp::{Completion, Request, Status, Tlp};

/// Reads of the card and how they are answered.
mod answer;

use answer::Answers;

/// Where BAR0 is. Below 4 GiB, as it is a 32-bit BAR.
pub const BAR0_ADDRESS: u64 = 0xd000_0000;
/// Bus 1, device 0, function 0: the card.
pub const CARD_ID: u16 = 0x0100;
/// Bus 0, device 0, function 0: the root complex.
pub const ROOT_ID: u16 = 0x0000;
/// Bus 2, device 0, function 0: another device, which may ask the card too.
pub const PEER_ID: u16 = 0x0200;
/// Bit of BAR0 in `rx_bar`.
const BAR0_HIT: u8 = 1 << 0;
/// Clocks in which the card may still go by what configuration space said before.
const GRACE_CLOCKS: u64 = 256;
/// Clocks between two looks at whether a packet is taken.
const TAKING_CLOCKS: u64 = 4;
/// Clocks for a register access before the card is called dead.
const ACCESS_CLOCKS: u64 = 100_000;

/// How the root complex behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Completions may be cut at multiples of this: 64 or 128 bytes.
    pub read_completion_boundary: u16,
    /// Clocks from a read to its first completion: from, to.
    pub latency: (u64, u64),
    /// Cut completions anywhere allowed, instead of only where they must be.
    pub is_splitting: bool,
    /// Let completions of one read overtake those of another.
    pub is_reordering: bool,
    /// Faults, each in reads of a thousand.
    pub faults: Faults,
    /// Of all choices.
    pub seed: u64,
}

/// How many reads of a thousand go wrong, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The completion from some point on never comes.
    pub dropped: u16,
    /// One completion is poisoned.
    pub poisoned: u16,
    /// Unsupported Request in place of data.
    pub unsupported: u16,
    /// Completer Abort behind some of the data.
    pub aborted: u16,
}

impl Default for Settings {
    /// A fast and faultless host.
    fn default() -> Self {
        Self {
            read_completion_boundary: 64,
            latency: (100, 100),
            is_splitting: false,
            is_reordering: false,
            faults: Faults::default(),
            seed: 1,
        }
    }
}

/// The streams of an endpoint, and its clock.
pub trait Pins {
    /// Clocks since reset.
    fn cycle(&self) -> u64;
    /// Runs at most this many clocks, and no further than to the end of a packet of the card.
    fn clocks(&mut self, max: u64);
    /// Puts a packet behind those the card has not taken yet. `bar` is what `rx_bar` shows with it.
    fn offer(&mut self, packet: &[u32], bar: u8);
    /// Whether the card has taken all that was offered.
    fn is_taken(&self) -> bool;
    /// The oldest packet of the card that was not taken here yet.
    fn take(&mut self) -> Option<Vec<u32>>;
}

/// The host's end of the link.
pub struct RootComplex {
    host: Option<Box<dyn Host>>,
    function: Function,
    /// What configuration space said before, and until when the card may go by it.
    past: Option<(Function, Option<u64>)>,
    settings: Settings,
    answers: Answers,
    access: Option<Access>,
    /// Others than the host ask the card too.
    has_peers: bool,
    fault: Option<String>,
}

/// The register read that waits for its completion.
struct Access {
    tag: u8,
    lower_address: u8,
    outcome: Option<Result<u32, Status>>,
}

impl RootComplex {
    /// A root complex with no host behind it.
    pub fn new(settings: Settings) -> Self {
        Self {
            host: None,
            function: Function::default(),
            past: None,
            settings,
            answers: Answers::new(&settings),
            access: None,
            has_peers: false,
            fault: None,
        }
    }

    /// Behaves otherwise from now on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.answers.set_settings(&settings);
    }

    /// Now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same for a card that starts again: nothing is on its way to it.
    pub fn restart(&mut self) {
        self.answers = Answers::new(&self.settings);
        self.access = None;
        self.fault = None;
    }

    /// Whose memory and interrupts these are.
    pub fn set_host(&mut self, host: Option<Box<dyn Host>>) {
        self.host = host;
    }

    /// What the card's configuration space allows it.
    pub fn set_function(&mut self, function: Function) {
        if function != self.function {
            self.past = Some((self.function, None));
        }
        self.function = function;
    }

    /// Now.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// The first breach of the specification by the card, if there was one.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Runs exactly this many clocks.
    pub fn run(&mut self, pins: &mut dyn Pins, clocks: u64) {
        let end = pins.cycle().saturating_add(clocks);
        while pins.cycle() < end {
            self.run_some(pins, end);
        }
    }

    /// Runs until something happens, or to a clock.
    pub fn run_some(&mut self, pins: &mut dyn Pins, end: u64) {
        if let Some((_, until @ None)) = &mut self.past {
            *until = Some(pins.cycle() + GRACE_CLOCKS);
        }
        self.answers.send_due(pins);
        let next = self.answers.next_due().map_or(end, |due| due.min(end));
        pins.clocks(next.saturating_sub(pins.cycle()).max(1));
        while let Some(packet) = pins.take() {
            self.receive(pins.cycle(), &packet);
        }
    }

    /// Runs until no completion is on its way, as a reset of the function must wait.
    pub fn settle(&mut self, pins: &mut dyn Pins) {
        let end = pins.cycle().saturating_add(ACCESS_CLOCKS);
        while self.answers.next_due().is_some() && pins.cycle() < end {
            self.run_some(pins, end);
        }
        self.give(pins);
    }

    /// Reads a register; all ones when the card fails the read, as a host sees it.
    pub fn read_register(&mut self, pins: &mut dyn Pins, offset: u32) -> u32 {
        let address = BAR0_ADDRESS + u64::from(offset);
        let tag = (pins.cycle() % 32) as u8;
        let request = Request::whole(ROOT_ID, tag, address, 1);
        self.access = Some(Access {
            tag,
            lower_address: request.lower_address(),
            outcome: None,
        });
        let packet = Tlp::MemoryRead { request, dwords: 1 }.encode();
        pins.offer(&packet, BAR0_HIT);
        let end = pins.cycle().saturating_add(ACCESS_CLOCKS);
        while pins.cycle() < end {
            self.run_some(pins, end);
            if let Some(outcome) = self
                .access
                .as_mut()
                .and_then(|access| access.outcome.take())
            {
                self.access = None;
                return outcome.unwrap_or(u32::MAX);
            }
        }
        self.access = None;
        self.fail(
            pins.cycle(),
            &format!("no completion for a read of {offset:#x}"),
        );
        u32::MAX
    }

    /// Writes a register. The write is posted: it is done before anything asked for later.
    pub fn write_register(&mut self, pins: &mut dyn Pins, offset: u32, value: u32) {
        let address = BAR0_ADDRESS + u64::from(offset);
        let packet = Tlp::MemoryWrite {
            request: Request::whole(ROOT_ID, 0, address, 1),
            data: value.to_le_bytes().to_vec(),
            is_poisoned: false,
        };
        pins.offer(&packet.encode(), BAR0_HIT);
        if !self.give(pins) {
            self.fail(
                pins.cycle(),
                &format!("a write of {offset:#x} is not taken"),
            );
        }
    }

    /// Runs until the card has taken all that was offered; false if it does not.
    fn give(&mut self, pins: &mut dyn Pins) -> bool {
        let end = pins.cycle().saturating_add(ACCESS_CLOCKS);
        while !pins.is_taken() && pins.cycle() < end {
            // Nothing else need happen: a look now and then.
            let soon = pins.cycle() + TAKING_CLOCKS;
            self.run_some(pins, end.min(soon));
        }
        pins.is_taken()
    }

    /// Sends the card any packet, right or wrong. From now on what the card answers others than the host is not judged.
    pub fn disturb(&mut self, pins: &mut dyn Pins, packet: &[u32], bar: u8) {
        self.has_peers = true;
        pins.offer(packet, bar);
        if !self.give(pins) {
            self.fail(pins.cycle(), &format!("packet {packet:08x?} is not taken"));
        }
    }

    /// Serves or takes in a packet of the card.
    pub fn receive(&mut self, cycle: u64, packet: &[u32]) {
        if self.has_peers && is_for_a_peer(packet) {
            return;
        }
        let served = match Tlp::decode(packet) {
            Err(error) => Err(error.to_string()),
            Ok(Tlp::MemoryRead { request, dwords }) => self.serve_read(cycle, request, dwords),
            Ok(Tlp::MemoryWrite {
                request,
                data,
                is_poisoned,
            }) => self.serve_write(cycle, &request, &data, is_poisoned),
            Ok(Tlp::Completion(completion)) => self.complete(completion),
        };
        if let Err(reason) = served {
            self.fail(cycle, &reason);
        }
    }

    fn serve_read(&mut self, cycle: u64, request: Request, dwords: u16) -> Result<(), String> {
        self.check_request(cycle, "read", &request)?;
        let count = 4 * usize::from(dwords);
        if !self.allows(cycle, |f| count <= f.max_read_request.into()) {
            let allowed = self.function.max_read_request;
            return Err(format!("read of {count} bytes, {allowed} are allowed"));
        }
        if self.answers.is_open(request.tag) {
            return Err(format!("read with tag {}, which is in use", request.tag));
        }
        let mut data = vec![UNASKED; request.byte_count(dwords.into())];
        let first = (request.address & !0x7f) + u64::from(request.lower_address());
        let host = self.host.as_mut().ok_or(Unmapped);
        let is_mapped = host.and_then(|host| host.read(first, &mut data)).is_ok();
        let answer = (data.len(), is_mapped.then_some(data));
        let payload = self.function.max_payload;
        self.answers.add(cycle, request, answer, payload);
        Ok(())
    }

    fn serve_write(
        &mut self,
        cycle: u64,
        request: &Request,
        data: &[u8],
        is_poisoned: bool,
    ) -> Result<(), String> {
        self.check_request(cycle, "write", request)?;
        if !self.allows(cycle, |f| data.len() <= f.max_payload.into()) {
            let allowed = self.function.max_payload;
            return Err(format!(
                "write of {} bytes, {allowed} are allowed",
                data.len()
            ));
        }
        if is_poisoned {
            return Err("poisoned write".to_owned());
        }
        let is_message = request.address == MESSAGE_ADDRESS;
        if is_message && !self.allows(cycle, |f| f.msix_enable && !f.msix_mask) {
            return Err("interrupt while MSI-X is off or masked".to_owned());
        }
        let skipped = usize::from(request.lower_address() & 3);
        let count = request.byte_count(data.len() / 4);
        if request.first_enable != 0
            && let Some(host) = &mut self.host
        {
            let address = request.address + skipped as u64;
            bus::post(host.as_mut(), address, &data[skipped..skipped + count]);
        }
        Ok(())
    }

    /// Whether configuration space allows something, or did so a moment ago.
    fn allows(&self, cycle: u64, is_allowed: impl Fn(&Function) -> bool) -> bool {
        let past = self.past.as_ref();
        let past = past.filter(|(_, until)| until.is_none_or(|until| cycle <= until));
        is_allowed(&self.function) || past.is_some_and(|(function, _)| is_allowed(function))
    }

    fn check_request(&self, cycle: u64, what: &str, request: &Request) -> Result<(), String> {
        if request.requester != CARD_ID {
            return Err(format!("{what} by requester {:#06x}", request.requester));
        }
        if !self.allows(cycle, |f| f.bus_master) {
            return Err(format!("{what} while bus mastering is off"));
        }
        Ok(())
    }

    /// The completion of a register read: one DW, so never split.
    fn complete(&mut self, completion: Completion) -> Result<(), String> {
        let is_ours = completion.requester == ROOT_ID && completion.completer == CARD_ID;
        let access = self.access.as_mut();
        let access = access.filter(|access| access.tag == completion.tag && is_ours);
        let Some(access) = access.filter(|access| access.outcome.is_none()) else {
            return Err(format!("completion nobody waits for: {completion:?}"));
        };
        let is_right = completion.byte_count == 4
            && completion.lower_address == access.lower_address
            && !completion.is_poisoned;
        if !is_right || completion.data.len() > 4 {
            return Err(format!(
                "completion that does not fit its read: {completion:?}"
            ));
        }
        access.outcome = Some(match completion.data.first_chunk() {
            Some(bytes) => Ok(u32::from_le_bytes(*bytes)),
            None => Err(completion.status),
        });
        Ok(())
    }

    fn fail(&mut self, cycle: u64, reason: &str) {
        if self.fault.is_none() {
            self.fault = Some(format!("clock {cycle}: {reason}"));
        }
    }
}

/// A completion of any kind with another requester than the host.
fn is_for_a_peer(packet: &[u32]) -> bool {
    let is_completion = packet.first().is_some_and(|word| word >> 24 & 0x1e == 0x0a);
    is_completion
        && packet
            .get(2)
            .is_some_and(|word| word >> 16 != ROOT_ID.into())
}

/// What bytes show that nobody asked for.
const UNASKED: u8 = 0xa5;
