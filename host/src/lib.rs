//! The Postern host. Modules stand in the order data meets them; `pure` ones do no IO and take time as an argument.

/// pure: ASA configuration text to a syntax tree and back, with diagnostics.
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod config;
/// pure: what a configuration means: model, evaluator (packet-tracer), compiler to card tables.
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod policy;
/// pure: frames on the host path, parsed with `etherparse`, edited in place.
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod wire;
/// pure: connections and translations: create, allocate ports, age, tear down.
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod flow;
/// pure: SIP and Skinny messages: read, judged, translated, tracked.
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod sip;
/// pure: a punted packet to a list of effects.
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod punt;
/// pure: keys, certificates and trustpoints, from a name in the configuration to an identity.
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod pki;
/// pure: the TLS proxy: two TLS ends, whom they trust, how many there may be.
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod tls;
/// pure: what an operator may ask of a running firewall, and the answers.
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod show;
/// pure: what is written beside a bitstream, and whether the bitstream is for this program.
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod bitstream;
/// io: tokens that hold private keys.
pub mod token;
/// io: what must survive a restart.
pub mod store;
/// io: enrolment with an authority's server.
pub mod enrol;
/// io: reaching a PCI function through VFIO-shaped calls.
pub mod vfio;
/// io: the card driver: bring-up, tables, counters, punt and inject.
pub mod nic;
/// io: lock-step with a simulated card through its simulator-only region.
pub mod simulator;
/// io: the kernel's TCP on either side of the TLS proxy: a TUN device in a namespace of its own.
pub mod tcp;
/// io: the one loop where card, clock and pure machines meet.
pub mod runtime;
/// io: the socket where a running firewall is asked.
pub mod control;
/// io: the commands, one file each.
pub mod cli;
