//! The circuits' records have the fields of the layout's entries: same names, widths and order.

use hdl::record;
use layout::{Entry, Field};
use rust_hdl_core::prelude::*;

/// Names and widths of a record from bit 0, as the circuits pack it.
fn fields<T: Synth>() -> Vec<(String, usize)> {
    let TypeKind::Composite(fields) = T::descriptor().kind else {
        panic!("{} is not a record", T::descriptor().name);
    };
    fields
        .iter()
        .map(|field| (field.fieldname.clone(), width(&field.kind.kind)))
        .collect()
}

fn width(kind: &TypeKind) -> usize {
    match kind {
        TypeKind::Bits(bits) | TypeKind::Signed(bits) => *bits,
        TypeKind::Composite(fields) => fields.iter().map(|field| width(&field.kind.kind)).sum(),
        TypeKind::Enum(names) => names.len().next_power_of_two().ilog2() as usize,
    }
}

/// The fields of an entry in the layout's table.
fn expected(entry: &Entry) -> Vec<(String, usize)> {
    entry
        .fields
        .iter()
        .map(|Field { name, width }| ((*name).to_owned(), *width))
        .collect()
}

#[test]
fn records_follow_the_layout() {
    use layout::{desc, table};
    assert_eq!(fields::<record::Key>(), expected(&table::Key::ENTRY));
    assert_eq!(
        fields::<record::Action>(),
        expected(&table::FlowAction::ENTRY)
    );
    assert_eq!(
        fields::<record::Metadata>(),
        expected(&desc::Metadata::ENTRY)
    );
    assert_eq!(
        fields::<hdl::flow::Counts>(),
        expected(&table::FlowStats::ENTRY)
    );
    assert_eq!(
        fields::<hdl::destination::Entry>(),
        expected(&table::Destination::ENTRY)
    );
    assert_eq!(
        fields::<hdl::acl::Entry>(),
        expected(&table::AclEntry::ENTRY)
    );
}

#[test]
fn a_judged_packet_begins_with_its_header() {
    let mut header = fields::<record::Header>();
    // The header checksum is concluded on the way.
    let concluded = header.split_off(header.len() - 2);
    assert_eq!(
        concluded,
        [("summed".to_owned(), 1), ("sum".to_owned(), 20)]
    );
    assert_eq!(fields::<record::Judged>()[..header.len()], header);
}

#[test]
fn packed_widths_agree() {
    use layout::{desc, table};
    assert_eq!(record::Key::BITS, table::Key::BITS);
    assert_eq!(
        record::Key::BITS + record::Action::BITS + INITIATOR_BITS,
        table::FlowEntry::BITS
    );
    assert_eq!(record::Metadata::BITS, desc::Metadata::BITS);
    assert_eq!(record::Stages::BITS, layout::simulator::STAGES.len());
    let stages: Vec<String> = fields::<record::Stages>()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(stages, layout::simulator::STAGES);
}

#[test]
fn a_swapped_field_is_seen() {
    #[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
    struct Swapped {
        bytes: Bits<34>,
        packets: Bits<28>,
        stamp: Bits<8>,
        fin: Bit,
        rst: Bit,
    }
    assert_eq!(Swapped::BITS, layout::table::FlowStats::BITS);
    assert_ne!(
        fields::<Swapped>(),
        expected(&layout::table::FlowStats::ENTRY)
    );
}

/// Of a flow entry, what lookups do not give.
const INITIATOR_BITS: usize = 1;
