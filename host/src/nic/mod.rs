//! See the caption in `lib.rs`.
