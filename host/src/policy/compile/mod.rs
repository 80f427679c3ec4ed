//! The compiler: the model to the card's tables.
//!
//! What the card does with the tables is in `hdl/CONTRACT.md`, steps 18 to 22. The same configuration always gives the
//! same tables. Nothing here is fatal: what the card cannot hold or judge goes to the host, and the report says so.

/// The access-control table.
mod acl;
/// Ranges as aligned blocks.
pub(crate) mod blocks;
/// The destination table.
mod destinations;
/// The interface table.
mod interfaces;
/// Entries that can never match.
mod shadow;

use super::image::{Capacity, FitReport, Image, Usage};
use super::model::Model;

pub(super) use acl::shadowed;

/// Compiles a model for a card of the given size.
pub fn compile(model: &Model, capacity: &Capacity) -> (Image, FitReport) {
    let mut image = Image::default();
    let mut report = FitReport {
        capacity: Usage {
            interfaces: capacity.interfaces,
            destinations: capacity.destinations,
            acl: capacity.acl,
        },
        ..FitReport::default()
    };
    let present = interfaces::compile(model, capacity, &mut image, &mut report);
    destinations::compile(model, present, capacity, &mut image, &mut report);
    acl::compile(model, present, capacity, &mut image, &mut report);
    (image, report)
}
