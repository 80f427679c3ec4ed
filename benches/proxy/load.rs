//! The load: connections, messages at a rate, connections that stand still.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use super::client::{BLOCK, Block, Client, Places};
use super::measure;
use super::peers::{BACKEND, Subject};

/// Partners who dial.
pub struct Load {
    pub partner: Arc<ClientConfig>,
    pub places: Places,
}

impl Load {
    /// Many connections with one message each, a few at a time. CPU time of the proxy for one.
    pub fn connect(&mut self, subject: &mut Subject, count: usize) -> Duration {
        let blocks = self.begin(subject, count);
        let before = measure::cpu(subject.id());
        in_parallel(subject, &blocks, |from, subject| {
            let mut client = Client::dial(&self.partner, from, subject.front);
            client.exchange();
            client.close();
        });
        let spent = measure::cpu(subject.id()) - before;
        blocks.iter().for_each(|block| subject.end(*block));
        spent / count as u32
    }

    /// Connections that have carried a message and stand still.
    pub fn hold(&mut self, subject: &mut Subject, count: usize) -> Vec<Client> {
        let blocks = self.begin(subject, count);
        in_parallel(subject, &blocks, |from, subject| {
            let mut client = Client::dial(&self.partner, from, subject.front);
            client.exchange();
            client
        })
    }

    /// Connections for messages, one from each of several partners. The first answer shows who translates.
    pub fn open(&mut self, subject: &mut Subject, is_direct: bool) -> Vec<Client> {
        let blocks: Vec<Block> = (0..PARTNERS).map(|_| self.places.take(1)).collect();
        blocks.iter().for_each(|block| subject.begin(*block));
        let (to, server) = match (is_direct, &subject.control) {
            (true, _) => (BACKEND, "10.0.0.2"),
            (false, None) => (subject.front, "10.0.0.2"),
            (false, Some(_)) => (subject.front, "192.0.2.2"),
        };
        // One after the other, as Kamailio 5.6 needs it.
        subject.network.enter(|| {
            let dial = |from| {
                let mut client = Client::dial(&self.partner, from, to);
                let answer = client.exchange();
                let contact = format!("<sip:bob@{server}:5061");
                assert!(answer.contains(&contact), "{answer}");
                client
            };
            let places = blocks.iter().flat_map(|block| block.iter());
            places.map(dial).collect()
        })
    }

    /// Addresses for connections, of which the proxy is told.
    fn begin(&mut self, subject: &mut Subject, count: usize) -> Vec<Block> {
        let whole = std::iter::repeat_n(BLOCK, count / usize::from(BLOCK));
        let counts = whole.chain(std::iter::once((count % usize::from(BLOCK)) as u16));
        let blocks: Vec<Block> = counts.map(|count| self.places.take(count)).collect();
        blocks.iter().for_each(|block| subject.begin(*block));
        blocks
    }
}

/// Does the same for each place, a few at a time.
fn in_parallel<T: Send>(
    subject: &Subject,
    blocks: &[Block],
    work: impl Fn(std::net::SocketAddrV4, &Subject) -> T + Sync,
) -> Vec<T> {
    let places: Vec<_> = blocks.iter().flat_map(|block| block.iter()).collect();
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        while let Some(from) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(work(*from, subject));
        }
        done
    };
    subject.network.enter(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..PARALLEL).map(|_| scope.spawn(some)).collect();
            let done = threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"));
            done.flatten().collect()
        })
    })
}

/// Messages at a rate over all clients, for a while. How many there were, and what each took, in µs from when it was
/// due: one that waits for the one before it is late, and that counts.
pub fn exchange(clients: &mut [Client], rate: u32, time: Duration) -> Vec<f64> {
    let period = Duration::from_secs(1) * clients.len() as u32 / rate;
    let begin = Instant::now();
    let steady = |client: &mut Client, offset: Duration| {
        let mut due = begin + offset;
        let mut took = Vec::new();
        while due < begin + time {
            // A sleep that is too long is not the proxy's fault.
            let is_early = Instant::now() < due;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let start = if is_early { Instant::now() } else { due };
            client.exchange();
            took.push(start.elapsed().as_secs_f64() * 1e6);
            due += period;
        }
        took
    };
    std::thread::scope(|scope| {
        let count = clients.len() as u32;
        let numbered = clients.iter_mut().zip(0..);
        let threads: Vec<_> = numbered
            .map(|(client, number)| scope.spawn(move || steady(client, period * number / count)))
            .collect();
        let took = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        took.flatten().collect()
    })
}

/// Connections that messages go over.
const PARTNERS: usize = 8;
/// Connections that begin at once.
const PARALLEL: usize = 8;
