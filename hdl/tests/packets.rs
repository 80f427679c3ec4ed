//! The packet FIFO: every beat leaves as it came, whatever `keep` and `last` say of it.

mod support;

use std::collections::VecDeque;

use hdl::packets::Packets;
use hdl::stream::Beat;
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::random::Random;

/// A beat of a stream: all bytes in mid-frame, in a last one any number of them, or none.
fn beat(random: &mut Random) -> Beat<64, 8> {
    let last = random.chance(40);
    let bytes = if last { random.below(9) } else { 8 };
    Beat {
        data: random.bits().to_bits(),
        keep: ((1_u64 << bytes) - 1).to_bits(),
        last,
    }
}

#[test]
fn every_beat_leaves_as_it_came() {
    let mut run = Lockstep::new(Packets::<64, 8>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(11);
    let mut held = VecDeque::new();
    let mut left = [[0; 9]; 2];
    let mut deepest = 0;
    // Chances of an offer and of a ready reader.
    for (clocks, offer, take) in [
        (200, 100, 100),
        (700, 100, 0),
        (900, 50, 100),
        (400, 70, 60),
    ] {
        for _ in 0..clocks {
            let offered = beat(&mut random);
            run.uut.in_valid.next = random.chance(offer);
            run.uut.in_beat.next = offered;
            run.uut.out_ready.next = random.chance(take);
            run.settle();
            if run.uut.out_valid.val() && run.uut.out_ready.val() {
                let beat: Beat<64, 8> =
                    held.pop_front().expect("nothing leaves that did not enter");
                assert_eq!(run.uut.out_beat.val(), beat);
                let bytes = (0..8).filter(|&byte| beat.keep.get_bit(byte)).count();
                left[usize::from(beat.last)][bytes] += 1;
            }
            if run.uut.in_valid.val() && run.uut.in_ready.val() {
                held.push_back(offered);
            }
            deepest = deepest.max(held.len());
            run.tick();
        }
    }
    assert!(deepest >= 512, "holds {deepest}");
    assert!(left[0][8] > 400, "beats in mid-frame: {}", left[0][8]);
    assert!(
        left[1].iter().all(|&beats| beats > 10),
        "last beats by bytes: {:?}",
        left[1]
    );
    run.compare("packets").expect("native and Verilated agree");
}
