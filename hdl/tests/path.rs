//! The packet path, module by module: what each does with a frame, and that the printed Verilog does what the
//! native simulation does.

mod support;

use std::collections::VecDeque;

use hdl::arbiter::Arbiter;
use hdl::record::{Origin, Route};
use hdl::steer::Steer;
use hdl::stream::{Beat, FrameLength};
use hdl::window::Gather;
use layout::desc::Verdict;
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::packet::to_words;
use support::random::Random;

/// A frame of random bytes.
fn frame(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.bits() as u8).collect()
}

/// A frame's beats.
fn beats(frame: &[u8]) -> Vec<Beat<64, 8>> {
    let count = frame.len().div_ceil(8);
    let beat = |(index, chunk): (usize, &[u8])| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        Beat {
            data: u64::from_le_bytes(bytes).to_bits(),
            keep: (0xff_u64 >> (8 - chunk.len())).to_bits(),
            last: index + 1 == count,
        }
    };
    frame.chunks(8).enumerate().map(beat).collect()
}

#[test]
fn frames_are_measured_at_their_last_beat() {
    let mut run = Lockstep::new(FrameLength::<8>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(11);
    for _ in 0..40 {
        let length = 1 + random.below(90) as usize;
        for beat in beats(&frame(&mut random, length)) {
            while random.chance(30) {
                run.uut.moves.next = false;
                run.tick();
            }
            run.uut.moves.next = true;
            run.uut.keep.next = beat.keep;
            run.uut.last.next = beat.last;
            run.settle();
            if beat.last {
                assert_eq!(run.uut.length.val().index(), length);
            }
            run.tick();
        }
    }
    run.compare("frame-length")
        .expect("native and Verilated agree");
}

#[test]
fn the_arbiter_serves_whole_frames_in_turn() {
    let mut run = Lockstep::new(Arbiter::<64, 8>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(5);
    let direct = Origin {
        port: 1_u64.to_bits(),
        reinjected: false,
        direct: true,
    };
    run.uut.inject_origin.next = direct;
    let mut waiting: [VecDeque<Beat<64, 8>>; 3] = Default::default();
    for queue in &mut waiting {
        for _ in 0..12 {
            let length = 1 + random.below(60) as usize;
            queue.extend(beats(&frame(&mut random, length)));
        }
    }
    let mut expected = waiting.clone();
    let mut order = Vec::new();
    let mut inside: Option<usize> = None;
    for _ in 0..400 {
        let offered: [Beat<64, 8>; 3] =
            std::array::from_fn(|source| waiting[source].front().copied().unwrap_or_default());
        let valid: [bool; 3] = std::array::from_fn(|source| !waiting[source].is_empty());
        run.uut.rx0_beat.next = offered[0];
        run.uut.rx1_beat.next = offered[1];
        run.uut.inject_beat.next = offered[2];
        run.uut.rx0_valid.next = valid[0];
        run.uut.rx1_valid.next = valid[1];
        run.uut.inject_valid.next = valid[2];
        run.uut.out_ready.next = random.chance(80);
        run.settle();
        let ready = [
            run.uut.rx0_ready.val(),
            run.uut.rx1_ready.val(),
            run.uut.inject_ready.val(),
        ];
        for source in 0..3 {
            if valid[source] && ready[source] {
                waiting[source].pop_front();
            }
        }
        if run.uut.out_valid.val() && run.uut.out_ready.val() {
            let (beat, origin) = (run.uut.out_beat.val(), run.uut.out_origin.val());
            let source = if origin.direct {
                2
            } else {
                origin.port.index()
            };
            assert!(
                inside.is_none_or(|before| before == source),
                "frames are not mixed"
            );
            inside = (!beat.last).then_some(source);
            assert_eq!(Some(beat), expected[source].pop_front());
            if beat.last {
                order.push(source);
            }
        }
        run.tick();
    }
    assert!(expected.iter().all(VecDeque::is_empty), "every beat left");
    let first = order[0];
    assert!(
        order
            .iter()
            .enumerate()
            .all(|(turn, source)| *source == (first + turn) % 3),
        "everybody in turn: {order:?}"
    );
    run.compare("arbiter").expect("native and Verilated agree");
}

#[test]
fn windows_hold_the_first_bytes_of_each_frame() {
    let mut run = Lockstep::new(Gather::<64, 8, 8>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(2);
    let mut frames: VecDeque<Vec<u8>> = VecDeque::new();
    let mut offered: VecDeque<Beat<64, 8>> = VecDeque::new();
    for length in [1, 8, 9, 60, 63, 64, 65, 130, 60, 60, 14, 56, 57] {
        for tagged in [false, true, false] {
            let mut bytes = frame(&mut random, length);
            if tagged && length >= 14 {
                bytes[12..14].copy_from_slice(&[0x81, 0x00]);
            }
            offered.extend(beats(&bytes));
            frames.push_back(bytes);
        }
    }
    while !frames.is_empty() {
        let offers = random.chance(90) && !offered.is_empty();
        run.uut.in_valid.next = offers;
        run.uut.in_beat.next = offered.front().copied().unwrap_or_default();
        run.uut.out_ready.next = random.chance(70);
        run.settle();
        if run.uut.out_valid.val() && run.uut.out_ready.val() {
            let frame = frames.pop_front().expect("one window a frame");
            let window = run.uut.out_data.val();
            // Up to the beat with the last byte of a TCP header.
            let headers = match frame[..] {
                [_, _, _, _, _, _, _, _, _, _, _, _, 0x81, 0x00, ..] => 64,
                _ => 56,
            };
            let seen = frame.len().min(headers);
            assert_eq!(window.count.index(), seen);
            let words = to_words(window.header);
            for (position, byte) in frame[..seen].iter().enumerate() {
                let low = 504 - 8 * position;
                assert_eq!(
                    (words[low / 32] >> (low % 32)) as u8,
                    *byte,
                    "byte {position}"
                );
            }
        }
        if offers && run.uut.in_ready.val() {
            offered.pop_front();
        }
        run.tick();
    }
    run.compare("window").expect("native and Verilated agree");
}

#[test]
fn a_frame_leaves_where_its_route_says() {
    let mut run = Lockstep::new(Steer::<64, 8>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(8);
    for clock in 0..300 {
        let verdict = random.below(3);
        let egress = random.below(2);
        let (ready0, ready1) = (random.chance(50), random.chance(50));
        run.uut.in_valid.next = random.chance(80);
        run.uut.in_beat.next = Beat {
            last: random.chance(40),
            ..Beat::default()
        };
        run.uut.in_route.next = Route {
            verdict: verdict.to_bits(),
            egress: egress.to_bits(),
            first: random.chance(40),
            length: random.below(2000).to_bits(),
            ..Route::default()
        };
        run.uut.tx0_ready.next = ready0;
        run.uut.tx1_ready.next = ready1;
        run.settle();
        let valid = run.uut.in_valid.val();
        let forwards = verdict == Verdict::Forward as u64;
        assert_eq!(run.uut.tx0_valid.val(), valid && forwards && egress == 0);
        assert_eq!(run.uut.tx1_valid.val(), valid && forwards && egress == 1);
        assert_eq!(
            run.uut.punt_valid.val(),
            valid && verdict == Verdict::Punt as u64
        );
        let blocked = forwards && !if egress == 0 { ready0 } else { ready1 };
        assert_eq!(
            run.uut.in_ready.val(),
            !blocked,
            "clock {clock}: only a port holds a frame up"
        );
        run.tick();
    }
    run.compare("steer").expect("native and Verilated agree");
}
