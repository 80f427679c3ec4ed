//! The Postern card in rust-hdl, in the order a packet meets its modules.
