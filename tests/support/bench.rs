//! A bench: a simulated card behind its socket, and the driver that ships in front of it.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use host::nic::Nic;
use host::vfio::user::Client;
use sim::Card;
use sim::server::{Device, Server};

/// A card served by a thread of this process. The driver cannot tell it from `postern-card`.
pub struct Bench {
    socket: PathBuf,
    _directory: tempfile::TempDir,
    server: Option<JoinHandle<()>>,
}

impl Bench {
    /// Serves a card to one client, in lock-step.
    pub fn serve(card: Box<dyn Card>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("card.sock");
        let server = Server::bind(&socket).expect("a socket");
        let mut device = Device::new(card);
        let server = std::thread::spawn(move || {
            server
                .serve_client(&mut device)
                .expect("a client that leaves")
        });
        Self {
            socket,
            _directory: directory,
            server: Some(server),
        }
    }

    /// Connects the client of this bench.
    pub fn connect(&self) -> Client {
        Client::connect(&self.socket, Duration::from_secs(10)).expect("a connection")
    }

    /// Brings the card up.
    pub fn bring_up(&self) -> Nic {
        Nic::bring_up(Box::new(self.connect())).expect("a card that fits")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Ends when its client has left; a client that never came would be waited for.
        if let Some(server) = self.server.take().filter(JoinHandle::is_finished) {
            let _ = server.join();
        }
    }
}
