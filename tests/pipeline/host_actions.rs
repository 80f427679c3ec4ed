//! What the host does while frames are under way: only what has one possible effect.
//!
//! Tables that no frame can see are written, everything is read, frames are injected, policies are
//! flipped (the verdicts tell from which frame on) and, where no overflow can happen, punted frames
//! are taken.

use layout::table::{DESTINATIONS, FLOW_SLOTS, HOST_FRAME_BYTES, Table};

use crate::duel::Duel;
use crate::random::Random;
use crate::traffic;
use crate::world::Write;

/// One thing the host does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Lets the clock run.
    Step(u64),
    /// Writes an entry no frame can see.
    Write(Write),
    /// Writes two of them.
    WritePair(Table, (usize, Vec<u32>), (usize, Vec<u32>)),
    /// Reads an entry and forgets it.
    Look(Table, usize),
    /// Reads a register and forgets it.
    ReadRegister(u32),
    /// Switches banks and generation.
    Flip(u32),
    /// Injects a frame: port, for lookup, bytes.
    Inject(u8, bool, Vec<u8>),
    /// Takes the oldest punted frame, if there is one.
    Pop,
}

/// The actions of one round, in order.
pub fn choose(duel: &mut Duel, is_light: bool) -> Vec<Action> {
    let is_busy = duel.random.percent(70);
    let count = if is_busy {
        duel.random.between(1, 40)
    } else {
        0
    };
    // A round either flips banks or writes what only the other bank shows.
    let flips = duel.random.percent(50);
    let mut policy = duel.policy;
    let mut injects = 4;
    let mut actions = Vec::new();
    for _ in 0..count {
        let clocks = duel.random.pick(&[0, 1, 7, 30, 200, 1000]);
        actions.push(Action::Step(clocks));
        match duel.random.below(12) {
            0 => actions.push(foreign_pair(duel)),
            1 => {
                let slot = free_slot(duel);
                let entry = duel.world.foreign_flow(&mut duel.random);
                duel.world.flows.insert(slot, entry);
                actions.push(Action::Write((Table::Flow, slot, entry.pack().to_vec())));
            }
            2 => {
                if let Some(slot) = duel.world.dead_ace(&mut duel.random) {
                    let entry = duel.world.ace(&mut duel.random);
                    duel.world.acl.insert(slot, entry);
                    actions.push(Action::Write((Table::Acl, slot, entry.pack().to_vec())));
                }
            }
            3 if !flips => actions.push(hidden_destination(duel, policy)),
            4 | 5 => {
                let table = duel.random.pick(&[
                    Table::Flow,
                    Table::FlowStats,
                    Table::AclHits,
                    Table::Adjacency,
                    Table::Interface,
                ]);
                let live = duel.world.flow_slots();
                let index = if table.len() == FLOW_SLOTS {
                    duel.random.pick(&live)
                } else {
                    duel.random.below(table.len())
                };
                actions.push(Action::Look(table, index));
            }
            6 => {
                let offset = duel.random.below(0x1000) as u32 * 4;
                actions.push(Action::ReadRegister(offset));
            }
            7 | 8 if flips => {
                policy = next_policy(&mut duel.random, policy);
                actions.push(Action::Flip(policy));
            }
            9 | 10 if injects > 0 => {
                injects -= 1;
                actions.push(inject(duel, is_light));
            }
            11 if is_light => actions.push(Action::Pop),
            _ => {}
        }
    }
    actions
}

/// The next generation, with banks at will.
fn next_policy(random: &mut Random, policy: u32) -> u32 {
    (policy >> 8).wrapping_add(1) << 8 & 0xff00 | random.below(4) as u32
}

/// A slot that holds nothing live packets could match.
fn free_slot(duel: &mut Duel) -> usize {
    loop {
        let slot = duel.random.below(FLOW_SLOTS);
        if !duel.world.flows.contains_key(&slot) {
            return slot;
        }
    }
}

fn foreign_pair(duel: &mut Duel) -> Action {
    let mut entry = || {
        let slot = free_slot(duel);
        let flow = duel.world.foreign_flow(&mut duel.random);
        duel.world.flows.insert(slot, flow);
        (slot, flow.pack().to_vec())
    };
    let (first, second) = (entry(), entry());
    Action::WritePair(Table::Flow, first, second)
}

/// An entry of the destination bank that is not live.
fn hidden_destination(duel: &mut Duel, policy: u32) -> Action {
    let hidden = 1 - (policy >> 1 & 1) as usize;
    let index = hidden * DESTINATIONS + duel.random.below(DESTINATIONS);
    let key = duel.world.key(&mut duel.random);
    let entry = layout::table::Destination {
        valid: true,
        dst: key.dst,
        dst_mask: u32::MAX,
        local: true,
        ..Default::default()
    };
    duel.world.destinations.insert(index, entry);
    Action::Write((Table::Destination, index, entry.pack().to_vec()))
}

/// A frame for a port or for lookup; sometimes one that must be refused.
fn inject(duel: &mut Duel, is_light: bool) -> Action {
    let (port, mut frame) = traffic::frame(&mut duel.random, &duel.world);
    let mut port = port as u8;
    if duel.random.percent(15) {
        port = duel.random.pick(&[2, 3]);
    }
    if is_light {
        frame.truncate(256);
    }
    frame.truncate(HOST_FRAME_BYTES + 4);
    Action::Inject(port, duel.random.percent(60), frame)
}
