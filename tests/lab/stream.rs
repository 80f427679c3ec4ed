//! A long TCP transfer through the card: bytes that are known, checked as they arrive.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes written at once.
const CHUNK: usize = 8192;
/// Progress that has not come after this is not coming.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes on their way from one end to the other, until it is told to end.
pub struct Transfer {
    received: Arc<(Mutex<u64>, Condvar)>,
    is_over: Arc<AtomicBool>,
    writer: JoinHandle<u64>,
    reader: JoinHandle<()>,
}

impl Transfer {
    /// Sends from one socket and receives at the other.
    pub fn start(mut from: TcpStream, mut to: TcpStream) -> Self {
        let received = Arc::new((Mutex::new(0), Condvar::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let told_over = is_over.clone();
        let writer = std::thread::spawn(move || {
            let mut sent = 0;
            while !told_over.load(Ordering::Relaxed) {
                let chunk: Vec<u8> = (sent..sent + CHUNK as u64).map(byte).collect();
                from.write_all(&chunk).expect("a connection that stands");
                sent += CHUNK as u64;
            }
            from.shutdown(Shutdown::Write)
                .expect("a connection that stands");
            let rest = from.read(&mut [0]).expect("the other end's end");
            assert_eq!(rest, 0, "nobody sends anything back");
            sent
        });
        let progress = received.clone();
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; CHUNK];
            let (count, changed) = &*progress;
            loop {
                let length = to.read(&mut chunk).expect("a connection that stands");
                if length == 0 {
                    return;
                }
                let mut count = count.lock().expect("a count");
                for (at, arrived) in (*count..).zip(&chunk[..length]) {
                    assert_eq!(*arrived, byte(at), "byte {at}");
                }
                *count += length as u64;
                changed.notify_all();
            }
        });
        Self {
            received,
            is_over,
            writer,
            reader,
        }
    }

    /// Waits until this many more bytes have arrived.
    pub fn await_progress(&self, bytes: u64) {
        let (count, changed) = &*self.received;
        let count = count.lock().expect("a count");
        let goal = *count + bytes;
        let waited = changed.wait_timeout_while(count, PATIENCE, |count| *count < goal);
        let (count, timeout) = waited.expect("a count");
        assert!(!timeout.timed_out(), "{} of {goal} bytes arrived", *count);
    }

    /// Ends it and returns how much was sent, all of which has arrived.
    pub fn end(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        let sent = self.writer.join().expect("a writer that ends well");
        self.reader.join().expect("a reader that ends well");
        assert_eq!(*self.received.0.lock().expect("a count"), sent);
        sent
    }
}

/// The byte at a place of the transfer: no two neighbouring segments are alike.
fn byte(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}
