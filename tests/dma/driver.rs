//! The driver that ships, over the socket it meets a card on: its rings and its events work on every card.

use host::nic::host_path::Wake;
use host::nic::{Error, Nic};
use host::simulator::{Event, Simulator};
use layout::csr::{self, CONTROL_ENABLE, CONTROL_PROMISCUOUS};
use layout::desc::Reason;
use layout::table::Interface;

use crate::cards;
use crate::support::Bench;

/// Lets the card come to rest, and gives what left its ports.
fn run(nic: &mut Nic, frame: Option<(u8, &[u8])>) -> Vec<(u8, Vec<u8>)> {
    let mut simulator = Simulator::of(nic.device()).expect("a simulator");
    let events = simulator.run(frame).expect("idle");
    let left = events.into_iter().filter_map(|event| match event {
        Event::Left(one) => Some((one.port, one.frame)),
        Event::Verdict(_) => None,
    });
    left.collect()
}

/// Waits for an event: the gap between two interrupts passes with the clock of the card.
fn wait(nic: &mut Nic, vector: usize) {
    for _ in 0..1000 {
        if nic.events()[vector].read().is_ok() {
            return;
        }
        run(nic, None);
    }
    panic!("vector {vector} is not raised");
}

fn arp(n: u8) -> Vec<u8> {
    let mut frame = vec![n; 60];
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    frame
}

#[test]
fn rings_and_events_serve_the_driver_on_every_card() {
    for (name, card) in cards() {
        println!("on the {name} card");
        let bench = Bench::serve(card);
        let mut nic = bench.bring_up();
        let interface = Interface {
            valid: true,
            ..Interface::default()
        };
        nic.set_interface(0, &interface).expect("an interface");
        nic.set_control(CONTROL_ENABLE | CONTROL_PROMISCUOUS)
            .expect("control");
        assert!(nic.start_rings(Wake::Events).expect("rings"));
        for round in 0..5 {
            run(&mut nic, Some((0, &arp(round))));
            wait(&mut nic, 0);
            let mut taken = Vec::new();
            nic.take_punts(8, |metadata, frame| {
                taken.push((metadata.reason, frame.to_vec()));
            })
            .expect("frames");
            assert_eq!(taken, [(Reason::Arp as u8, arp(round))]);

            nic.queue(1, false, &[round; 77]).expect("room");
            nic.flush().expect("a doorbell");
            assert_eq!(run(&mut nic, None), [(1, vec![round; 77])]);
            wait(&mut nic, csr::VECTOR_INJECT);
        }
        assert_eq!(nic.ring_errors(), 0);
        // Without rings the windows serve again.
        nic.stop_rings().expect("stopped");
        run(&mut nic, Some((0, &arp(9))));
        let punt = nic.take_punt().expect("the punt buffer");
        assert!(punt.is_some_and(|punt| punt.frame == arp(9)));
        let refused = nic.queue(1, false, &[0; 13]);
        assert!(matches!(refused, Err(Error::FrameLength { .. })));
    }
}
