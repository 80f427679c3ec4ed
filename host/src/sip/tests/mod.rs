//! The inspector as a whole.

mod bench;
mod fixup;
mod policy;
mod properties;
mod stories;
