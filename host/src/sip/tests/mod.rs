//! The inspector as a whole.

pub(super) mod bench;
mod fixup;
mod policy;
mod properties;
mod stories;
