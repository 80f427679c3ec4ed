//! The compiler against the evaluator: random configurations, packets made from their rules.
//!
//! Configurations are text and go through the parser, so both sides start where a user starts. A few lines here execute
//! the compiled tables as `hdl/CONTRACT.md` says (steps 18 to 22); the evaluator never sees them. A failure prints its
//! seed; `POSTERN_SEED=N cargo nextest run --test compile` repeats it. `POSTERN_PACKETS` sets how many packets are
//! tried, `POSTERN_FIRST_SEED` where the seeds begin.

mod card;
mod configuration;
mod packets;
mod random;

use card::{Outcome, execute};
use host::policy::decision::{AclBasis, Decision, DropReason};
use host::policy::image::{AclOrigin, DestinationOrigin};
use host::policy::{Capacity, Image, Model, Verdict, compile, decide, lower};
use layout::table::Key;
use random::Random;

/// Packets for each configuration.
const PACKETS_EACH: u64 = 400;

#[test]
fn tables_say_what_the_evaluator_says() {
    let seed = number("POSTERN_SEED");
    let packets = number("POSTERN_PACKETS").unwrap_or(1_000_000);
    let first = seed.or(number("POSTERN_FIRST_SEED")).unwrap_or(1);
    let rounds = if seed.is_some() {
        1
    } else {
        packets.div_ceil(PACKETS_EACH)
    };
    let mut tally = Tally::default();
    for seed in first..first + rounds {
        round(seed, &mut tally);
    }
    println!("{tally:?}");
    if rounds > 100 {
        tally.assert_that_everything_happened();
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect("a number in the environment"))
}

/// What was seen, to be sure that the packets reach every case.
#[derive(Debug, Default)]
struct Tally {
    permitted: u64,
    denied: u64,
    implicitly_denied: u64,
    local: u64,
    untranslated: u64,
    host_decides: u64,
    far_side: u64,
    no_interface: u64,
}

impl Tally {
    fn assert_that_everything_happened(&self) {
        let Self {
            permitted,
            denied,
            implicitly_denied,
            local,
            untranslated,
            host_decides,
            far_side,
            no_interface,
        } = *self;
        for count in [
            permitted,
            denied,
            implicitly_denied,
            local,
            untranslated,
            host_decides,
            far_side,
            no_interface,
        ] {
            assert!(count > 100, "a case is hardly met: {self:?}");
        }
    }
}

fn round(seed: u64, tally: &mut Tally) {
    let mut random = Random::new(seed);
    let text = configuration::generate(&mut random);
    let parsed = host::config::parse(&text);
    let errors: Vec<_> = parsed
        .diagnostics
        .iter()
        .filter(|d| d.code.starts_with('E'))
        .collect();
    assert!(errors.is_empty(), "seed {seed}: {errors:?}\n{text}");
    let (model, diagnostics) = lower(&parsed.config);
    let errors: Vec<_> = diagnostics
        .iter()
        .filter(|d| d.code.starts_with('E'))
        .collect();
    assert!(errors.is_empty(), "seed {seed}: {errors:?}\n{text}");
    let mut capacity = Capacity::default();
    if random.chance(10) {
        capacity.acl = random.below(40) as usize + 1;
    }
    if random.chance(10) {
        capacity.destinations = random.below(8) as usize + 1;
    }
    let (image, report) = compile(&model, &capacity);
    assert!(image.acl.len() <= capacity.acl && image.destinations.len() <= capacity.destinations);
    assert_eq!(
        compile(&model, &capacity),
        (image.clone(), report),
        "deterministic"
    );
    for _ in 0..PACKETS_EACH {
        let key = packets::generate(&model, &mut random);
        let outcome = execute(&image, &key);
        let decision = decide(&model, &key);
        if let Err(what) = compare(&model, &image, &key, &outcome, &decision, tally) {
            panic!("POSTERN_SEED={seed}: {what}\n{key:?}\n{outcome:?}\n{decision:?}\n{text}");
        }
    }
}

/// A deny of the card is final, so it must be the evaluator's; a permit must be right where a list is bound.
fn compare(
    model: &Model,
    image: &Image,
    key: &Key,
    outcome: &Outcome,
    decision: &Decision,
    tally: &mut Tally,
) -> Result<(), &'static str> {
    let dropped = matches!(decision.verdict, Verdict::Drop(_));
    let (destination, slot) = match *outcome {
        Outcome::NoInterface => {
            tally.no_interface += 1;
            return dropped
                .then_some(())
                .ok_or("the card has no such interface");
        }
        Outcome::Local(entry) => return local(image.destination_origins[entry], decision, tally),
        Outcome::Judged { destination, slot } => (destination, slot),
    };
    let is_to_far_side =
        decision.verdict == Verdict::Drop(DropReason::SecurityFailed) && decision.egress.is_none();
    let is_translated = destination.entry.is_some();
    tally.untranslated += u64::from(is_translated);
    if (destination.address, destination.port) != (decision.destination, decision.destination_port)
    {
        return Err("different real destinations");
    }
    let rule = destination
        .entry
        .and_then(|entry| image.destination_origins[entry].nat());
    // The evaluator does not name a rule that leaves an address of the device as it is.
    let is_unnamed = is_to_far_side && decision.untranslate.is_none();
    if is_translated && !is_unnamed && rule != decision.untranslate.map(|found| found.rule) {
        return Err("different NAT rules");
    }
    let origin = slot.map(|slot| image.acl_origins[slot]);
    if is_to_far_side || matches!(origin, Some(AclOrigin::Own(_))) {
        return far_side(image, slot, is_to_far_side, tally);
    }
    let has_list = model.interfaces[usize::from(key.interface)]
        .in_acl
        .is_some()
        || model.global_acl.is_some();
    let expected = decision.ingress_acl.filter(|_| has_list);
    let Some(slot) = slot else {
        tally.implicitly_denied += 1;
        let agrees = expected.is_none_or(|result| result.by == AclBasis::ImplicitDeny);
        return (dropped && agrees)
            .then_some(())
            .ok_or("the card denies at the end of the list");
    };
    let origin = image.acl_origins[slot];
    let permit = image.acl[slot].permit;
    if matches!(origin, AclOrigin::HostDecides(_) | AclOrigin::Overflow) {
        tally.host_decides += 1;
        return permit
            .then_some(())
            .ok_or("the host must decide, the card denies");
    }
    *if permit {
        &mut tally.permitted
    } else {
        &mut tally.denied
    } += 1;
    if !permit && !dropped {
        return Err("the card denies");
    }
    match expected {
        Some(result) if result.permit != permit => Err("different verdicts"),
        Some(result) if origin.ace().map(AclBasis::Ace) != Some(result.by) => {
            Err("different elements")
        }
        _ => Ok(()),
    }
}

/// An address of the device on another interface, or one that a rule leads to: denied by the entries for our own
/// addresses whatever the lists say. Only a table that has no room for those may leave it to the host.
fn far_side(
    image: &Image,
    slot: Option<usize>,
    is_to_far_side: bool,
    tally: &mut Tally,
) -> Result<(), &'static str> {
    tally.far_side += 1;
    match slot.map(|slot| (image.acl_origins[slot], image.acl[slot].permit)) {
        Some((AclOrigin::Own(_), false)) if is_to_far_side => Ok(()),
        Some((AclOrigin::Overflow, true)) if is_to_far_side => Ok(()),
        _ => Err("an address of the device beyond it"),
    }
}

fn local(
    origin: DestinationOrigin,
    decision: &Decision,
    tally: &mut Tally,
) -> Result<(), &'static str> {
    match origin {
        DestinationOrigin::HostDecides(_) | DestinationOrigin::Overflow => tally.host_decides += 1,
        _ => {
            tally.local += 1;
            if decision.verdict != Verdict::Local {
                return Err("the card takes it for its own");
            }
        }
    }
    Ok(())
}
