//! Enrolment against servers that nobody here wrote.
//!
//! `cargo xtask enrol-test`, or `cargo nextest run --test enrol` where the servers are installed. Needs root: servers and
//! `postern` run in a network of their own, so that they have the ports they want.

#[path = "../support/command.rs"]
#[allow(dead_code, reason = "other tests start cards")]
mod command;

#[path = "../lab/daemon.rs"]
#[allow(dead_code, reason = "the tests of the lab use all of it")]
mod daemon;

#[path = "../support/lab.rs"]
#[allow(dead_code, reason = "the tests of the lab use all of it")]
mod lab;

#[path = "../tls/network.rs"]
#[allow(dead_code, reason = "the tests of the proxy use all of it")]
mod network;

#[path = "../tls/peers.rs"]
#[allow(dead_code, reason = "the tests of the proxy use all of it")]
mod peers;

mod acme;
mod bad;
mod card;
mod cmp;
mod est;
mod renewal;
mod scene;
mod scep;
mod terminal;
mod window;
