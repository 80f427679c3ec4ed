//! The host path of the driver against a card in memory: rings, and windows where there are none.

#[path = "support/memory_card.rs"]
mod memory_card;

use host::nic::host_path::Wake;
use host::nic::{Error, Nic};
use layout::csr::{self, CAPABILITY_DMA, CAPABILITY_WINDOWS};
use layout::desc::Metadata;
use layout::table::{HOST_FRAME_BYTES, PUNT_QUEUES};
use memory_card::MemoryCard;
use proptest::prelude::*;

/// A card and a driver with its rings started.
fn started(wake: Wake) -> (MemoryCard, Nic) {
    let card = MemoryCard::new(CAPABILITY_WINDOWS | CAPABILITY_DMA);
    let mut nic = Nic::bring_up(card.device()).expect("a card that fits");
    assert!(nic.start_rings(wake).expect("rings"));
    (card, nic)
}

fn of_queue(queue: u8) -> Metadata {
    Metadata {
        queue,
        port: 1,
        flow: 77,
        ..Metadata::default()
    }
}

/// Takes what waits.
fn taken(nic: &mut Nic, most: usize) -> Vec<(Metadata, Vec<u8>)> {
    let mut frames = Vec::new();
    nic.take_punts(most, |metadata, frame| {
        frames.push((*metadata, frame.to_vec()))
    })
    .expect("a card that follows the contract");
    frames
}

#[test]
fn punted_frames_come_whole_and_in_the_order_of_their_ring() {
    let (card, mut nic) = started(Wake::Polling);
    for (queue, length) in [(0, 14), (3, 60), (0, 61), (3, HOST_FRAME_BYTES), (1, 1514)] {
        let frame: Vec<u8> = (0..length).map(|n| n as u8 ^ queue).collect();
        assert!(card.punt(of_queue(queue), &frame));
    }
    assert_eq!(
        taken(&mut nic, 64),
        [],
        "nothing is seen before the status tells of it"
    );
    card.end_batch();
    assert!(nic.has_punts().expect("status"));
    let told: Vec<_> = taken(&mut nic, 64)
        .into_iter()
        .map(|(metadata, frame)| {
            assert!(
                frame
                    .iter()
                    .enumerate()
                    .all(|(n, byte)| *byte == n as u8 ^ metadata.queue)
            );
            assert_eq!(
                (metadata.flow, usize::from(metadata.length)),
                (77, frame.len())
            );
            (metadata.queue, frame.len())
        })
        .collect();
    assert_eq!(
        told,
        [(0, 14), (0, 61), (1, 1514), (3, 60), (3, HOST_FRAME_BYTES)]
    );
    assert!(!nic.has_punts().expect("status"));
    let heads: Vec<u32> = (0..4)
        .map(|n| card.register(csr::PUNT_HEAD + 4 * n))
        .collect();
    assert_eq!(heads, [2, 1, 0, 2]);
}

#[test]
fn indices_wrap_and_no_frame_is_lost_or_doubled() {
    let (card, mut nic) = started(Wake::Polling);
    let (mut sent, mut seen) = (0u32, 0u32);
    // 2^16 of ring 2 and more, in batches that are no divisor of the ring.
    while sent < 70_000 {
        for _ in 0..100 {
            assert!(card.punt(of_queue(2), &[&sent.to_le_bytes()[..], &[0; 12]].concat()));
            sent += 1;
        }
        card.end_batch();
        for (_, frame) in taken(&mut nic, 100) {
            assert_eq!(frame[..4], seen.to_le_bytes());
            seen += 1;
        }
    }
    assert_eq!(seen, sent);
}

#[test]
fn a_full_punt_ring_gives_slots_back_as_they_are_taken() {
    let (card, mut nic) = started(Wake::Polling);
    let mut room = 0;
    while card.punt(of_queue(0), &[room as u8; 20]) {
        room += 1;
    }
    assert_eq!(room, 1 << card.register(csr::PUNT_RING_SIZE));
    card.end_batch();
    assert_eq!(taken(&mut nic, 10).len(), 10);
    assert_eq!(
        (0..20)
            .take_while(|_| card.punt(of_queue(0), &[0; 20]))
            .count(),
        10
    );
    card.end_batch();
    assert_eq!(taken(&mut nic, 10_000).len(), room);
}

#[test]
fn injected_frames_arrive_whole_and_in_order_behind_one_doorbell() {
    let (card, mut nic) = started(Wake::Polling);
    let mut expected = Vec::new();
    for (port, lookup, length) in [(0, true, 14), (1, false, 61), (1, true, HOST_FRAME_BYTES)] {
        let frame: Vec<u8> = (0..length).map(|n| n as u8).collect();
        nic.queue(port, lookup, &frame).expect("room");
        expected.push((port, lookup, frame));
    }
    card.serve_injects(10);
    assert_eq!(
        card.take_injected(),
        [],
        "nothing is seen before the doorbell"
    );
    nic.flush().expect("a doorbell");
    card.serve_injects(10);
    let arrived: Vec<_> = card
        .take_injected()
        .into_iter()
        .map(|one| {
            assert_eq!(usize::from(one.descriptor.length), one.frame.len());
            (one.descriptor.port, one.descriptor.lookup, one.frame)
        })
        .collect();
    assert_eq!(arrived, expected);
}

#[test]
fn the_inject_ring_wraps_and_refuses_only_while_it_is_full() {
    let (card, mut nic) = started(Wake::Polling);
    let size = 1u32 << card.register(csr::INJECT_RING_SIZE);
    let mut sent = 0u32;
    let mut send = |nic: &mut Nic| {
        let outcome = nic.queue(0, false, &[&sent.to_le_bytes()[..], &[0; 12]].concat());
        sent += u32::from(outcome.is_ok());
        outcome
    };
    for _ in 0..size {
        send(&mut nic).expect("room");
    }
    assert!(matches!(send(&mut nic), Err(Error::InjectBusy)));
    assert_eq!(
        card.register(csr::INJECT_TAIL),
        size,
        "a full ring rings the doorbell by itself"
    );
    let mut seen = 0u32;
    for _ in 0..700 {
        card.serve_injects(100);
        for one in card.take_injected() {
            assert_eq!(one.frame[..4], seen.to_le_bytes());
            seen += 1;
        }
        for _ in 0..100 {
            send(&mut nic).expect("room again");
        }
        nic.flush().expect("a doorbell");
    }
    assert!(seen == 70_000 && sent == seen + size);
}

#[test]
fn the_inject_ring_is_empty_again_when_the_head_has_passed_all() {
    let (card, mut nic) = started(Wake::Polling);
    for _ in 0..3 {
        for _ in 0..1 << card.register(csr::INJECT_RING_SIZE) {
            nic.queue(0, false, &[0; 60]).expect("room");
        }
        nic.flush().expect("a doorbell");
        card.skip_injects();
    }
}

#[test]
fn frames_that_no_card_takes_are_refused_by_name() {
    let (_card, mut nic) = started(Wake::Polling);
    let length = |nic: &mut Nic, bytes: usize| nic.queue(0, false, &vec![0; bytes]);
    assert!(matches!(
        length(&mut nic, 13),
        Err(Error::FrameLength { bytes: 13 })
    ));
    assert!(matches!(
        length(&mut nic, HOST_FRAME_BYTES + 1),
        Err(Error::FrameLength { .. })
    ));
    assert!(matches!(
        nic.queue(2, false, &[0; 60]),
        Err(Error::InjectRefused { port: 2, .. })
    ));
}

#[test]
fn events_are_raised_taken_and_raised_again() {
    let (card, mut nic) = started(Wake::Events);
    assert_eq!(nic.events().len(), csr::MSIX_VECTORS);
    for _ in 0..3 {
        card.punt(of_queue(1), &[0; 60]);
        card.end_batch();
        assert_eq!(nic.events()[1].read().expect("raised"), 1);
        nic.take_events();
        assert!(nic.events().iter().all(|event| event.read().is_err()));
        assert_eq!(taken(&mut nic, 1).len(), 1);
    }
}

#[test]
fn impossible_indices_are_errors() {
    let size = 256;
    for (tail, queue) in [(size + 1, 0), (0x8000, 1), (0xffff, 3)] {
        let (card, mut nic) = started(Wake::Polling);
        card.move_tail(queue, tail);
        card.end_batch();
        let error = nic
            .take_punts(8, |_, _| panic!("no frame"))
            .expect_err("nonsense");
        assert!(
            matches!(error, Error::RingIndex { shown, .. } if shown == tail),
            "{error}"
        );
    }
    // A tail that goes back, within what would else be possible.
    let (card, mut nic) = started(Wake::Polling);
    (0..10).for_each(|_| assert!(card.punt(of_queue(0), &[0; 60])));
    card.end_batch();
    assert_eq!(taken(&mut nic, 3).len(), 3);
    card.lie(|status| status.punt_tail_0 = 5);
    let error = nic
        .take_punts(8, |_, _| panic!("no frame"))
        .expect_err("nonsense");
    assert!(
        error
            .to_string()
            .contains("index 5 for the punt 0 ring, which can only be from 10 to 259"),
        "{error}"
    );
}

#[test]
fn impossible_inject_heads_are_errors() {
    let (card, mut nic) = started(Wake::Polling);
    let size = 1 << card.register(csr::INJECT_RING_SIZE);
    for _ in 0..size {
        nic.queue(0, false, &[0; 60]).expect("room");
    }
    nic.flush().expect("a doorbell");
    card.lie(|status| status.inject_head = size as u16 + 1);
    let error = nic.queue(0, false, &[0; 60]).expect_err("nonsense");
    assert!(
        matches!(error, Error::RingIndex { ring: "inject", .. }),
        "{error}"
    );
}

#[test]
fn an_impossible_length_is_an_error() {
    let (card, mut nic) = started(Wake::Polling);
    // Longer than a slot: the bytes behind it belong to the next one.
    assert!(card.punt(of_queue(0), &[0; HOST_FRAME_BYTES + 4]));
    card.end_batch();
    let error = nic
        .take_punts(8, |_, _| panic!("no frame"))
        .expect_err("nonsense");
    assert!(matches!(error, Error::PuntLength { bytes } if bytes == HOST_FRAME_BYTES + 4));
}

#[test]
fn stopping_gives_the_memory_back_and_the_windows_serve_again() {
    let (card, mut nic) = started(Wake::Events);
    assert!(card.is_bus_master() && card.has_memory());
    nic.stop_rings().expect("stopped");
    assert!(!card.is_bus_master() && !card.has_memory() && !nic.has_rings());
    assert_eq!(card.register(csr::DMA_CONTROL), 0);
    assert!(card.punt(of_queue(2), &[9; 77]));
    assert_eq!(taken(&mut nic, 8).len(), 1);
    assert!(nic.start_rings(Wake::Polling).expect("rings again"));
    assert!(card.punt(of_queue(2), &[9; 77]));
    card.end_batch();
    assert_eq!(
        taken(&mut nic, 8),
        [(
            Metadata {
                length: 77,
                ..of_queue(2)
            },
            vec![9; 77]
        )]
    );
}

#[test]
fn a_card_without_dma_is_served_through_its_windows() {
    let card = MemoryCard::new(CAPABILITY_WINDOWS);
    let mut nic = Nic::bring_up(card.device()).expect("a card that fits");
    assert!(!nic.start_rings(Wake::Events).expect("no rings"));
    for length in [60, 1514] {
        card.punt(of_queue(1), &vec![7; length]);
    }
    assert!(nic.has_punts().expect("status"));
    let frames = taken(&mut nic, 8);
    assert_eq!(
        frames
            .iter()
            .map(|(_, frame)| frame.len())
            .collect::<Vec<_>>(),
        [60, 1514]
    );
    nic.queue(1, true, &[3; 99]).expect("room");
    nic.flush().expect("nothing to do");
    let injected = card.take_injected();
    assert_eq!(
        (injected[0].descriptor.port, injected[0].descriptor.lookup),
        (1, true)
    );
    assert_eq!(injected[0].frame, [3; 99]);
}

/// What may happen to the rings.
#[derive(Clone, Debug)]
enum Step {
    Punt { queue: u8, length: usize },
    EndBatch,
    Take { most: usize },
    Inject { length: usize },
    Flush,
    Serve { most: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..PUNT_QUEUES as u8, 14..200usize).prop_map(|(queue, length)| Step::Punt { queue, length }),
        1 => Just(Step::EndBatch),
        1 => (0..40usize).prop_map(|most| Step::Take { most }),
        4 => (14..200usize).prop_map(|length| Step::Inject { length }),
        1 => Just(Step::Flush),
        1 => (0..40usize).prop_map(|most| Step::Serve { most }),
    ];
    proptest::collection::vec(step, 1..1200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_mixture_of_steps_delivers_everything_once_and_in_order(steps in steps()) {
        let (card, mut nic) = started(Wake::Polling);
        let mut punted: [Vec<Vec<u8>>; PUNT_QUEUES] = Default::default();
        let mut taken: [Vec<Vec<u8>>; PUNT_QUEUES] = Default::default();
        let mut queued = Vec::new();
        let mut take = |nic: &mut Nic, most| nic.take_punts(most, |metadata, frame| {
            taken[usize::from(metadata.queue)].push(frame.to_vec());
        });
        for (index, step) in steps.into_iter().enumerate() {
            let frame = |length: usize| {
                let mut frame = (index as u32).to_le_bytes().to_vec();
                frame.resize(length, index as u8);
                frame
            };
            match step {
                Step::Punt { queue, length } => {
                    if card.punt(of_queue(queue), &frame(length)) {
                        punted[usize::from(queue)].push(frame(length));
                    }
                }
                Step::EndBatch => card.end_batch(),
                Step::Take { most } => prop_assert!(take(&mut nic, most).expect("frames") <= most),
                Step::Inject { length } => match nic.queue(0, true, &frame(length)) {
                    Ok(()) => queued.push(frame(length)),
                    Err(Error::InjectBusy) => {}
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                },
                Step::Flush => nic.flush().expect("a doorbell"),
                Step::Serve { most } => card.serve_injects(most),
            }
        }
        card.end_batch();
        take(&mut nic, usize::MAX).expect("frames");
        nic.flush().expect("a doorbell");
        card.serve_injects(usize::MAX);
        prop_assert_eq!(taken, punted);
        let arrived: Vec<Vec<u8>> = card.take_injected().into_iter().map(|one| one.frame).collect();
        prop_assert_eq!(arrived, queued);
    }

    #[test]
    fn any_status_is_served_or_refused_without_a_panic(words in prop::array::uniform4(any::<u16>()), head in any::<u16>(), queued in 0..300usize) {
        let (card, mut nic) = started(Wake::Polling);
        for _ in 0..queued {
            if nic.queue(0, false, &[0; 60]).is_err() {
                break;
            }
        }
        card.lie(|status| {
            [status.punt_tail_0, status.punt_tail_1, status.punt_tail_2, status.punt_tail_3] = words;
            status.inject_head = head;
        });
        let mut count = 0;
        let outcome = nic.take_punts(usize::MAX, |_, _| count += 1);
        prop_assert_eq!(outcome.is_ok(), words.iter().all(|tail| *tail <= 256));
        prop_assert!(count <= 4 * 256);
        let _ = nic.queue(0, false, &[0; 60]);
    }
}
