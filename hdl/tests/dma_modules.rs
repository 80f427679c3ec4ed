//! The parts of the dma block, each alone in lock-step with its printed Verilog on inputs that know no manners.
//!
//! What the host sets changes seldom and makes sense; everything else is random in every clock.

mod support;

use hdl::dma::drain::Drain;
use hdl::dma::fetch::Fetch;
use hdl::dma::merge::Merge;
use hdl::dma::mover::Mover;
use hdl::dma::plan::Plan;
use hdl::dma::receive::Receive;
use hdl::dma::record::{Descriptor, Injected, Move, Notice, Order, Whole};
use hdl::dma::registers::Registers;
use hdl::dma::reorder::Reorder;
use hdl::dma::retire::Retire;
use hdl::dma::status::Status;
use hdl::dma::tags::Tags;
use hdl::dma::unload::Unload;
use hdl::record::Origin;
use hdl::stream::Beat;
use layout::csr;
use rust_hdl_core::prelude::*;
use support::lockstep::clocked;
use support::random::{Random, any};

/// Clocks of a test.
const CLOCKS: usize = 4000;

/// Random bits for these inputs.
macro_rules! shake {
    ($run:ident, $random:ident, $($input:ident),*) => {
        $($run.uut.$input.next = any(&mut $random);)*
    };
}

/// Inputs that are high in so many clocks of a hundred.
macro_rules! pulse {
    ($run:ident, $random:ident, $($input:ident $percent:literal),*) => {
        $($run.uut.$input.next = $random.chance($percent);)*
    };
}

#[test]
fn registers_agree() {
    let mut run = clocked!(Registers);
    let mut random = Random(50);
    for _ in 0..CLOCKS {
        let offset = u64::from(csr::DMA_CONTROL) + 4 * random.below(36);
        run.uut.address.next = match random.chance(90) {
            true => offset.to_bits(),
            false => any(&mut random),
        };
        shake!(run, random, wdata, inject_head);
        pulse!(run, random, reset 1, write 40, punt_busy 50, inject_busy 50, bus_master 50);
        for ring in 0..4 {
            run.uut.tail[ring].next = any(&mut random);
        }
        run.tick();
    }
    run.compare("dma-registers")
        .expect("native and Verilated agree");
}

#[test]
fn drain_agrees() {
    let mut run = clocked!(Drain);
    let mut random = Random(51);
    for _ in 0..CLOCKS {
        // Frames of few beats; the length agrees with them or does not.
        let (beats, length) = (1 + random.below(12), random.below(100));
        run.uut.oldest.next = (any::<86>(&mut random) << 16)
            | (length.to_bits::<86>())
            | (beats.to_bits::<86>() << 76);
        shake!(run, random, beat);
        pulse!(run, random, enable 90, available 80, notice_ready 60, data_ready 70);
        run.tick();
    }
    run.compare("dma-drain")
        .expect("native and Verilated agree");
}

#[test]
fn plan_agrees() {
    let mut run = clocked!(Plan);
    let mut random = Random(52);
    let mut written = 0;
    for clock in 0..CLOCKS {
        if clock % 256 == 0 {
            shake!(run, random, block);
            run.uut.max_payload.next = random.below(6).to_bits();
            for ring in 0..4 {
                run.uut.ring_low[ring].next = any(&mut random);
                run.uut.ring_high[ring].next = random.below(2).to_bits();
                run.uut.size[ring].next = any(&mut random);
            }
        }
        for ring in 0..4 {
            let tail = run.uut.tail[ring].val();
            run.uut.head[ring].next = tail - random.below(6).to_bits::<16>();
            run.uut.clear[ring].next = random.chance(1);
        }
        run.uut.notice.next = Notice {
            length: (14 + random.below(600)).to_bits(),
            queue: any(&mut random),
        };
        shake!(run, random, placed_queue);
        pulse!(
            run, random, reset 1, bus_master 98, notice_valid 60, others_idle 40, more 50, placed 20, announced 20,
            ring_moved 50, inject_due 20, write_ready 60, moves_ready 60
        );
        run.settle();
        written += usize::from(run.uut.write_valid.val());
        run.tick();
    }
    assert!(written > 400, "{written}");
    run.compare("dma-plan").expect("native and Verilated agree");
}

#[test]
fn mover_agrees() {
    let mut run = clocked!(Mover);
    let mut random = Random(53);
    let mut moved = 0;
    for _ in 0..CLOCKS {
        run.uut.moves.next = Move {
            beats: (1 + random.below(6)).to_bits(),
            last: random.chance(50),
            status: random.chance(30),
            discard: random.chance(20),
            queue: any(&mut random),
        };
        for word in 0..4 {
            run.uut.status[word].next = any(&mut random);
        }
        shake!(run, random, data);
        pulse!(run, random, moves_valid 70, data_valid 70, write_data_ready 70, write_done 25);
        run.settle();
        moved += usize::from(run.uut.write_data_valid.val());
        run.tick();
    }
    assert!(moved > 400, "{moved}");
    run.compare("dma-mover")
        .expect("native and Verilated agree");
}

#[test]
fn status_agrees() {
    let mut run = clocked!(Status);
    let mut random = Random(54);
    for _ in 0..CLOCKS {
        for ring in 0..4 {
            run.uut.tail[ring].next = any(&mut random);
        }
        shake!(run, random, inject_head, ring);
        pulse!(
            run, random, reset 1, advanced 30, inject_moved 30, inject_rests 50, lost_punt 20, lost_inject 20,
            snapshot 20, announced 20, telling 80, bus_master 90
        );
        run.tick();
    }
    run.compare("dma-status")
        .expect("native and Verilated agree");
}

#[test]
fn fetch_agrees() {
    let mut run = clocked!(Fetch);
    let mut random = Random(55);
    let mut read = 0;
    for clock in 0..CLOCKS {
        if clock % 256 == 0 {
            shake!(run, random, ring, size);
            run.uut.max_read.next = random.below(6).to_bits();
        }
        if clock % 16 == 0 {
            shake!(run, random, tail);
        }
        run.uut.descriptor.next = Descriptor {
            length: random.below(2100).to_bits(),
            port: random.below(3).to_bits(),
            lookup: random.chance(50),
            fault: (random.below(4) * u64::from(random.chance(10))).to_bits(),
            address: any(&mut random),
        };
        run.uut.freed.next = random.below(40).to_bits();
        shake!(run, random, tag);
        pulse!(
            run, random, forget 1, restart 1, clear 1, serve 97, bus_master 97, descriptor_valid 50, tag_free 80,
            read_ready 60, order_ready 80
        );
        run.settle();
        read += usize::from(run.uut.read_valid.val());
        run.tick();
    }
    assert!(read > 400, "{read}");
    run.compare("dma-fetch")
        .expect("native and Verilated agree");
}

#[test]
fn tags_agree() {
    let mut run = clocked!(Tags);
    let mut random = Random(56);
    for clock in 0..CLOCKS {
        if clock % 1024 == 0 {
            run.uut.timeout.next = (random.below(4) * 100).to_bits();
        }
        shake!(
            run, random, sent_tag, early_tag, tag, finish_tag, hold_tag, oldest
        );
        pulse!(
            run, random, forget 1, claim 40, sent 40, touch 20, ends 20, finish 20, finish_failed 30, finish_astray 20,
            hold 10, releases 40
        );
        run.tick();
    }
    run.compare("dma-tags").expect("native and Verilated agree");
}

#[test]
fn receive_agrees() {
    let mut run = clocked!(Receive);
    let mut random = Random(57);
    for _ in 0..CLOCKS {
        run.uut.completion_dwords.next = random.below(8).to_bits();
        run.uut.completion_tag.next = random.below(18).to_bits();
        run.uut.completion_bytes.next = (4 * random.below(9)).to_bits();
        run.uut.claim_dwords.next = random.below(8).to_bits();
        shake!(
            run,
            random,
            claim_tag,
            claim_place,
            claim_lower,
            completion_lower,
            completion_data
        );
        pulse!(
            run, random, forget 1, claim 30, completion_valid 20, completion_failed 10, completion_data_valid 70,
            completion_data_last 30, waited 80, fresh 60
        );
        run.tick();
    }
    run.compare("dma-receive")
        .expect("native and Verilated agree");
}

#[test]
fn reorder_agrees() {
    let mut run = clocked!(Reorder);
    let mut random = Random(58);
    for _ in 0..CLOCKS {
        // Few places, so that what was written is read.
        run.uut.write_place.next = random.below(16).to_bits();
        run.uut.read_place.next = random.below(16).to_bits();
        shake!(run, random, write_data);
        pulse!(run, random, write 60, write_both 60);
        run.tick();
    }
    run.compare("dma-reorder")
        .expect("native and Verilated agree");
}

#[test]
fn retire_agrees() {
    let mut run = clocked!(Retire);
    let mut random = Random(59);
    for _ in 0..CLOCKS {
        run.uut.order.next = Order {
            tag: any(&mut random),
            last: random.chance(60),
            skip: random.chance(10),
            descriptors: random.chance(30),
            dwords: any(&mut random),
            length: any(&mut random),
            offset: any(&mut random),
            port: any(&mut random),
            lookup: random.chance(50),
            fault: any(&mut random),
        };
        pulse!(run, random, forget 1, clear 1, order_valid 70, done 60, failed 10, late 10, whole_ready 60);
        run.tick();
    }
    run.compare("dma-retire")
        .expect("native and Verilated agree");
}

#[test]
fn unload_agrees() {
    let mut run = clocked!(Unload);
    let mut random = Random(60);
    let mut left = 0;
    for _ in 0..CLOCKS {
        let length = 14 + random.below(60);
        let offset = random.below(4);
        let descriptors = random.chance(30);
        let dwords = match descriptors {
            true => 4 * (1 + random.below(4)),
            false => (offset + length).div_ceil(4),
        };
        run.uut.whole.next = Whole {
            descriptors,
            dwords: dwords.to_bits(),
            length: length.to_bits(),
            offset: offset.to_bits(),
            port: any(&mut random),
            lookup: random.chance(50),
            fault: (random.below(4) * u64::from(random.chance(20))).to_bits(),
        };
        shake!(run, random, read_data);
        pulse!(run, random, forget 1, restart 1, whole_valid 80, descriptor_ready 70, beat_ready 80);
        run.settle();
        left += usize::from(run.uut.beat_valid.val());
        run.tick();
    }
    assert!(left > 400, "{left}");
    run.compare("dma-unload")
        .expect("native and Verilated agree");
}

#[test]
fn merge_agrees() {
    let mut run = clocked!(Merge);
    let mut random = Random(61);
    for _ in 0..CLOCKS {
        run.uut.window_beat.next = Beat {
            data: any(&mut random),
            keep: any(&mut random),
            last: random.chance(30),
        };
        run.uut.window_origin.next = Origin {
            port: any(&mut random),
            reinjected: random.chance(50),
            direct: random.chance(50),
        };
        run.uut.ring_beat.next = Injected {
            data: any(&mut random),
            keep: any(&mut random),
            last: random.chance(30),
            port: any(&mut random),
            lookup: random.chance(50),
        };
        pulse!(run, random, window_valid 50, ring_valid 50, out_ready 70);
        run.tick();
    }
    run.compare("dma-merge")
        .expect("native and Verilated agree");
}
