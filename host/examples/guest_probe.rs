//! Measures, through the driver that ships, what no command of `postern` shows of a card behind the kernel's VFIO.
//!
//! `guest_probe BDF`, run by `cargo xtask guest-test` inside its guest. Each step prints one line of JSON with what it
//! measured; whether that is right is for the reader to say. Every wait is bounded, and ends in an error.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use host::nic::Nic;
use host::nic::host_path::Wake;
use host::vfio::address::Address;
use host::vfio::child::{Engine, Wiring};
use host::vfio::{BAR0, EventFd};
use layout::csr::{self, MSIX_VECTORS};
use layout::table::{Interface, PUNT_QUEUES};
use serde_json::json;
use vmm_sys_util::poll::PollContext;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let bdf = std::env::args().nth(1).ok_or("usage: guest_probe BDF")?;
    let mut probe = Probe::start(&bdf)?;
    probe.frames("vectors")?;
    probe.reset()?;
    probe.frames("after-reset")?;
    probe.fault()?;
    probe.slow_read()
}

/// A card whose frames all come to the host.
struct Probe {
    nic: Nic,
}

impl Probe {
    fn start(bdf: &str) -> Outcome<Self> {
        let wiring = Wiring {
            engine: Engine::Model,
            ports: Vec::new(),
        };
        let (device, _) = format!("vfio:{bdf}").parse::<Address>()?.open(&wiring)?;
        let mut nic = Nic::bring_up(device)?;
        let interface = Interface {
            valid: true,
            ..Interface::default()
        };
        nic.set_interface(0, &interface)?;
        nic.set_control(csr::CONTROL_ENABLE | csr::CONTROL_PROMISCUOUS | csr::CONTROL_HOLD)?;
        nic.start_rings(Wake::Events)?;
        Ok(Self { nic })
    }

    /// Sends frames by the inject ring and takes them from the punt rings: both directions of DMA, five vectors.
    fn frames(&mut self, step: &str) -> Outcome {
        let sent: Vec<Vec<u8>> = (0..FRAMES).map(frame).collect();
        for frame in &sent {
            self.nic.queue(0, true, frame)?;
        }
        self.nic.flush()?;
        let mut events = [0; MSIX_VECTORS];
        let mut queues = [0; PUNT_QUEUES];
        let mut taken = Vec::new();
        let is_complete = |events: &[u64; MSIX_VECTORS], taken: usize| {
            taken >= sent.len() && events[..csr::VECTOR_ERROR].iter().all(|count| *count > 0)
        };
        while !is_complete(&events, taken.len()) {
            self.await_event(&mut events)?;
            self.nic.take_punts(usize::MAX, |metadata, frame| {
                queues[usize::from(metadata.queue)] += 1;
                taken.push(frame.to_vec());
            })?;
        }
        taken.sort();
        let is_same = taken.iter().eq(&sent);
        tell(&json!({
            "step": step, "sent": sent.len(), "taken": taken.len(), "same": is_same,
            "queues": queues, "events": events, "errors": self.nic.ring_errors(),
        }))
    }

    /// Resets the function while its rings run, then starts them again.
    fn reset(&mut self) -> Outcome {
        let before = self.read(csr::DMA_CONTROL)?;
        let control = self.read(csr::CONTROL)?;
        self.nic.device().reset()?;
        let after = self.read(csr::DMA_CONTROL)?;
        let kept = self.read(csr::CONTROL)? == control && self.read(csr::SCRATCH)? != 0;
        self.nic.start_rings(Wake::Events)?;
        tell(
            &json!({"step": "reset", "dma_before": before, "dma_after": after, "tables_kept": kept}),
        )
    }

    /// Lets the card read a descriptor where memory is mapped, and where it no longer is.
    fn fault(&mut self) -> Outcome {
        let mut events = [0; MSIX_VECTORS];
        let memory = self.nic.device().map(4096)?;
        let iova = memory.iova();
        // A descriptor of zeros was read, and is refused for its length.
        let mapped = self.fetch_descriptor(iova, &mut events)?;
        drop(memory);
        let unmapped = self.fetch_descriptor(iova, &mut events)?;
        tell(&json!({
            "step": "fault", "iova": iova, "mapped": mapped, "unmapped": unmapped,
            "error_events": events[csr::VECTOR_ERROR],
        }))
    }

    /// Counts bad descriptors and failed reads while the card serves an inject ring of one descriptor.
    fn fetch_descriptor(
        &mut self,
        iova: u64,
        events: &mut [u64; MSIX_VECTORS],
    ) -> Outcome<serde_json::Value> {
        let before = self.failures()?;
        self.write(csr::INJECT_RING_LOW, iova as u32)?;
        self.write(csr::INJECT_RING_HIGH, (iova >> 32) as u32)?;
        self.write(csr::INJECT_RING_SIZE, 1)?;
        self.write(csr::INJECT_TAIL, 1)?;
        let seen = events[csr::VECTOR_ERROR];
        while events[csr::VECTOR_ERROR] == seen {
            self.await_event(events)?;
        }
        let after = self.failures()?;
        let [bad, read] = [0, 1].map(|at| after[at] - before[at]);
        Ok(json!({"bad_descriptors": bad, "read_errors": read}))
    }

    fn failures(&mut self) -> Outcome<[u64; 2]> {
        let counters = self.nic.counters()?;
        let value = |name: &str| {
            let found = counters.iter().find(|counter| counter.name == name);
            found.map_or(0, |counter| counter.value)
        };
        Ok([value("inject-bad-descriptor"), value("inject-read-error")])
    }

    /// Reads a register until one read took long: whoever runs this stops the card meanwhile.
    fn slow_read(&mut self) -> Outcome {
        tell(&json!({"step": "slow-read-begins"}))?;
        let begun = Instant::now();
        let mut longest = Duration::ZERO;
        let mut wrong = 0;
        while longest < SLOW && begun.elapsed() < LIMIT {
            let before = Instant::now();
            wrong += u32::from(self.read(csr::MAGIC)? != csr::MAGIC_VALUE);
            longest = longest.max(before.elapsed());
        }
        // The connection between them is still in step: the next reads are right, too.
        for _ in 0..READS_AFTER {
            wrong += u32::from(self.read(csr::MAGIC)? != csr::MAGIC_VALUE);
        }
        tell(
            &json!({"step": "slow-read", "longest_ms": longest.as_millis() as u64, "wrong": wrong}),
        )
    }

    /// Waits until the card raises events and adds them up.
    fn await_event(&self, events: &mut [u64; MSIX_VECTORS]) -> Outcome {
        let wait = PollContext::<u32>::new()?;
        for (vector, event) in (0..).zip(self.nic.events()) {
            wait.add(event, vector)?;
        }
        if wait.wait_timeout(LIMIT)?.iter_readable().next().is_none() {
            return Err(format!("no interrupt within {LIMIT:?}; so far {events:?}").into());
        }
        for (count, event) in events.iter_mut().zip(self.nic.events()) {
            *count += raised(event);
        }
        Ok(())
    }

    fn read(&mut self, register: u32) -> Outcome<u32> {
        let mut bytes = [0; 4];
        self.nic
            .device()
            .region_read(BAR0, register.into(), &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn write(&mut self, register: u32, value: u32) -> Outcome {
        let bytes = value.to_le_bytes();
        Ok(self
            .nic
            .device()
            .region_write(BAR0, register.into(), &bytes)?)
    }
}

/// How often an event was raised since it was read last.
fn raised(event: &EventFd) -> u64 {
    // Fails when it was not raised.
    event.read().unwrap_or(0)
}

/// Ports that spread over all queues, a number in the payload.
fn frame(number: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 9], [198, 51, 100, 7], 64)
        .udp(20_000 + number, 53);
    builder
        .write(&mut frame, &number.to_be_bytes())
        .expect("a vector takes everything");
    frame
}

fn tell(value: &serde_json::Value) -> Outcome {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}

const FRAMES: u16 = 64;
/// A read is slow when it took this long: more than QEMU waits unless told otherwise.
const SLOW: Duration = Duration::from_secs(6);
const READS_AFTER: usize = 100;
/// What should come has not come after this.
const LIMIT: Duration = Duration::from_secs(30);
