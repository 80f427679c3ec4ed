//! Addresses of the card as the place where an authority finds proofs.
//!
//! Comes in: a port that is to be open for as long as there are proofs. Goes out: that the slow path leads connections to it,
//! by way of the card, to where a proof is shown.

use super::questions::Asker;
use super::{Shared, lock};
use crate::enrol::Error;
use crate::enrol::prove::{Door, Open, Opening, Stand, fault};

/// The way in through a card that runs.
pub struct CardDoor {
    /// What leads connections.
    pub slow_path: Shared,
    /// The loop, which tells the card.
    pub runtime: Asker,
    /// Where they are led.
    pub stand: Stand,
}

impl Door for CardDoor {
    fn open(&self, port: u16) -> Opening<'_> {
        Box::pin(async move {
            lock(&self.slow_path).show_proof(Some(port));
            let open = Open {
                stand: self.stand.clone(),
                closes: Box::new(Ajar {
                    slow_path: self.slow_path.clone(),
                    runtime: self.runtime.clone(),
                }),
            };
            let told = self.runtime.ask(|_| ()).await;
            told.map_err(|error| failed(port, &error.to_string()))?;
            Ok(open)
        })
    }
}

fn failed(port: u16, reason: &str) -> Error {
    fault(format!(
        "port {port} of the card cannot be opened: {reason}"
    ))
}

/// Shut when it is dropped.
struct Ajar {
    slow_path: Shared,
    runtime: Asker,
}

impl Drop for Ajar {
    fn drop(&mut self) {
        lock(&self.slow_path).show_proof(None);
        self.runtime.wake();
    }
}
