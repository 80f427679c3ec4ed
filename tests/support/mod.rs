//! What the whole-product tests share.

/// A simulated card behind its socket, and the driver that ships in front of it.
mod bench;

#[allow(unused_imports, reason = "each suite takes what it needs")]
pub use bench::Bench;
use sim::Card;

/// The cards every suite runs on.
pub fn cards() -> Vec<(&'static str, Box<dyn Card>)> {
    vec![
        ("model", Box::new(sim::Model::new(64))),
        #[cfg(feature = "verilator")]
        ("rtl", Box::new(sim::Verilated::with_rings())),
    ]
}
