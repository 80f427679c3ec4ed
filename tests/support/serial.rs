//! A board's serial line without a board: a pseudo-terminal with a simulated card behind it.
//!
//! The far end follows the text of `layout::uart`, and damages what passes when it is told to.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use layout::csr;
use layout::uart::{
    ANSWER_START, BAUD, GAP_BITS, OPERATION_READ, OPERATION_WRITE, REQUEST_START, UART_WORDS,
    UartAccess, UartAnswer, UartRequest,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use sim::{Card, Model};

/// What the line does to what passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// Of a hundred transfers, how many lose, double or change a byte.
    pub damage_percent: u64,
    /// The card is gone after so many requests that it did.
    pub dies_after: Option<usize>,
    /// What is sent comes back, and nothing else.
    pub echoes: bool,
}

/// Registers and words.
pub type Writes = Vec<(u32, u32)>;

/// A card behind a line.
pub struct Board {
    /// The line's device file.
    pub path: PathBuf,
    card: Arc<Mutex<Model>>,
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
    writes: Arc<Mutex<Writes>>,
    /// Otherwise the far end sees the line hung up whenever nobody has it open.
    _kept_open: OwnedFd,
    far_end: Option<JoinHandle<()>>,
}

impl Board {
    /// A card that nobody has written to.
    pub fn new(line: Line) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a pseudo-terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let name = ptsname(&master, Vec::new()).expect("a name");
        let path = PathBuf::from(name.into_string().expect("UTF-8"));
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let kept_open =
            rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).expect("the other end");
        // Until a host does it, what comes would be echoed.
        let mut termios = tcgetattr(&kept_open).expect("a terminal");
        termios.make_raw();
        tcsetattr(&kept_open, OptionalActions::Now, &termios).expect("a terminal");
        let card = Arc::new(Mutex::new(Model::new(64)));
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(AtomicUsize::new(0));
        let writes = Arc::new(Mutex::new(Writes::new()));
        let far_end = FarEnd {
            line,
            master: File::from(master),
            card: card.clone(),
            stop: stop.clone(),
            requests: requests.clone(),
            writes: writes.clone(),
            random: 1,
            heard: Vec::new(),
            opened: false,
            served: 0,
            answer: Vec::new(),
        };
        Self {
            path,
            card,
            stop,
            requests,
            writes,
            _kept_open: kept_open,
            far_end: Some(std::thread::spawn(move || far_end.run())),
        }
    }

    /// The card itself.
    pub fn card(&self) -> MutexGuard<'_, Model> {
        self.card.lock().expect("nobody panicked inside")
    }

    /// All that was written to the card, in order.
    pub fn writes(&self) -> Writes {
        self.writes.lock().expect("nobody panicked inside").clone()
    }

    /// Requests that the card did.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(far_end) = self.far_end.take() {
            let ended = far_end.join();
            assert!(std::thread::panicking() || ended.is_ok());
        }
    }
}

struct FarEnd {
    line: Line,
    master: File,
    card: Arc<Mutex<Model>>,
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
    writes: Arc<Mutex<Writes>>,
    random: u64,
    heard: Vec<u8>,
    opened: bool,
    served: u16,
    answer: Vec<u8>,
}

impl FarEnd {
    fn run(mut self) {
        let gap = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(GAP_BITS) * 1_000_000_000 / i64::from(BAUD),
        };
        let mut buffer = [0; 4096];
        while !self.stop.load(Ordering::SeqCst) {
            let ready = poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&gap));
            if ready != Ok(1) {
                self.heard.clear();
                continue;
            }
            let count = self.master.read(&mut buffer).expect("the line is open");
            let came = self.damaged(buffer[..count].to_vec());
            if self.line.echoes {
                self.master.write_all(&came).expect("the line is open");
                continue;
            }
            self.heard.extend(came);
            self.listen();
        }
    }

    /// One of the transfers that are damaged loses, doubles or changes a byte.
    fn damaged(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.random() % 100 < self.line.damage_percent && !bytes.is_empty() {
            let at = self.random() as usize % bytes.len();
            match self.random() % 3 {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, bytes[at]),
                _ => bytes[at] ^= 1 << (self.random() % 8),
            }
        }
        bytes
    }

    /// An xorshift generator (Marsaglia 2003).
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn listen(&mut self) {
        loop {
            let start = self.heard.iter().position(|byte| *byte == REQUEST_START);
            self.heard.drain(..start.unwrap_or(self.heard.len()));
            let Some(header) = self.heard.first_chunk::<4>() else {
                return;
            };
            let header = UartRequest::unpack(&[u32::from_le_bytes(*header)]);
            let length = 8 + 4 * usize::from(header.words);
            if self.heard.len() < length {
                return;
            }
            let message: Vec<u8> = self.heard.drain(..length).collect();
            let (text, check) = message.split_at(length - 4);
            if crc32(text).to_le_bytes() == check {
                self.serve(header, &text[4..]);
                // While it answers the card hears nothing.
                self.heard.clear();
            }
        }
    }

    fn serve(&mut self, header: UartRequest, text: &[u8]) {
        let is_dead = |done: usize| self.line.dies_after.is_some_and(|most| done >= most);
        if is_dead(self.requests.load(Ordering::SeqCst)) {
            return;
        }
        if header.words == 0 {
            self.opened = true;
            self.answer.clear();
        } else if !self.opened {
            return;
        } else if header.sequence != self.served {
            let words = text.as_chunks::<4>().0;
            let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
            self.answer = self.execute(&words);
            self.requests.fetch_add(1, Ordering::SeqCst);
        }
        self.served = header.sequence;
        let head = UartAnswer {
            start: ANSWER_START,
            words: (self.answer.len() / 4) as u8,
            sequence: self.served,
        };
        let mut bytes = head.pack()[0].to_le_bytes().to_vec();
        bytes.extend(&self.answer);
        bytes.extend(crc32(&bytes).to_le_bytes());
        let bytes = self.damaged(bytes);
        self.master.write_all(&bytes).expect("the line is open");
    }

    fn execute(&mut self, words: &[u32]) -> Vec<u8> {
        let mut card = self.card.lock().expect("nobody panicked inside");
        let mut writes = self.writes.lock().expect("nobody panicked inside");
        let mut answer = Vec::new();
        let mut words = words.iter();
        while let Some(access) = words.next() {
            let UartAccess {
                address,
                count,
                operation,
            } = UartAccess::unpack(&[*access]);
            for offset in (u32::from(address)..).step_by(4).take(count.into()) {
                match operation {
                    OPERATION_WRITE => match words.next() {
                        Some(word) => {
                            writes.push((offset, *word));
                            card.bar_write(offset, *word);
                        }
                        None => return answer,
                    },
                    OPERATION_READ if answer.len() < 4 * UART_WORDS => {
                        // A board has no rings.
                        let word = match offset {
                            csr::CAPABILITIES => csr::CAPABILITY_WINDOWS,
                            csr::BOARD => 2,
                            _ => card.bar_read(offset),
                        };
                        answer.extend(word.to_le_bytes());
                    }
                    _ => return answer,
                }
            }
        }
        answer
    }
}

/// CRC-32 with the register the other way round than `host` has it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for bit in bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |at| byte >> at & 1))
    {
        let out = register >> 31 ^ u32::from(bit);
        register = register << 1 ^ if out == 1 { 0x04c1_1db7 } else { 0 };
    }
    !register.reverse_bits()
}
