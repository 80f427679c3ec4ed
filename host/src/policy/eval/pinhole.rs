//! Connections that an inspector lets through, and translations of what messages announce.
//!
//! A pinhole stands for the access lists, the security levels and the reverse-path check: whoever opened it read the
//! message that asked for it, and knows where its packets go.

use layout::table::Key;

use super::nat::{source, untranslate};
use super::{Classes, Decision, DropReason, Verdict, per_session, route_through};
use crate::policy::SourceTranslation;
use crate::policy::model::{ClassId, InterfaceId, Model};

/// Where packets of a pinhole go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Through {
    /// They leave by this interface.
    pub egress: InterfaceId,
    /// To this address and port, which are real.
    pub destination: (u32, u16),
    /// The class that inspects them; `None` for media.
    pub inspect: Option<ClassId>,
}

/// Decides about the first packet of a connection that a pinhole lets through. `key` is as for [`super::decide`].
pub fn decide_through(model: &Model, key: &Key, through: &Through) -> Decision {
    let (destination, destination_port) = through.destination;
    let real = Key {
        dst: destination,
        dport: destination_port,
        ..*key
    };
    let ingress = InterfaceId(key.interface);
    let egress = route_through(model, through.egress, destination);
    let mut decision = Decision {
        destination,
        destination_port,
        egress,
        per_session: per_session(model, &real),
        inspect: through.inspect,
        settings: Classes::of(model, ingress, through.egress, &real).settings,
        ..Decision::permitted(key)
    };
    let is_down = |id: InterfaceId| {
        let interface = model.interfaces.get(usize::from(id.0));
        interface.is_none_or(|interface| interface.shutdown)
    };
    if is_down(ingress) || is_down(through.egress) {
        decision.verdict = Verdict::Drop(DropReason::InterfaceDown);
    } else if egress.is_none() {
        decision.verdict = Verdict::Drop(DropReason::NoRoute);
    } else {
        match source(model, key, None, through.egress) {
            Ok(source) => decision.source = source,
            Err(reason) => decision.verdict = Verdict::Drop(reason),
        }
    }
    decision
}

/// How the source of a packet is translated, whether or not the packet would pass.
pub fn translate_source(
    model: &Model,
    key: &Key,
    egress: InterfaceId,
) -> Result<(SourceTranslation, bool), DropReason> {
    let found = untranslate(model, key);
    let (dst, dport) = found.map_or((key.dst, key.dport), |(_, address, port)| (address, port));
    let real = Key { dst, dport, ..*key };
    let translation = source(model, key, found.map(|found| found.0), egress)?;
    Ok((translation, per_session(model, &real)))
}
