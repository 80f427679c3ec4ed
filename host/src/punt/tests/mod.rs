//! The slow path with a card of a few lines beside it.

/// Card, clock and frames for the tests.
mod bench;
/// Stories, packet by packet.
mod stories;
/// What holds for every packet sequence.
mod properties;
/// Connections that end at a proxy.
mod inspection;
mod proxy;
/// Proofs that are looked for at our addresses.
mod proof;
/// Runtimes that take over what another left on the card.
mod restarts;
