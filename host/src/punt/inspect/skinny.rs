//! Messages of Skinny, which come by streams only.

use super::translator::ByRules;
use super::{Channel, Inspected, Opener};
use crate::config::ast::mpf::InspectProtocol;
use crate::flow::{Direction, Time};
use crate::policy::Model;
use crate::punt::effect::Effect;
use crate::punt::slow_path::SlowPath;
use crate::sip::skinny::{self, Connection, Inspector, Rules};

/// An inspector for a map; without one it has the defaults.
pub(super) fn inspector(model: &Model, map: Option<&str>) -> Inspector {
    let mut maps = model.inspect_maps.iter();
    let map = map.and_then(|name| {
        maps.find(|map| map.protocol == InspectProtocol::Skinny && map.name.node == name)
    });
    let rules = map.map(|map| Rules::of(map, &model.inspect_classes));
    Inspector::new(rules.unwrap_or_default())
}

impl SlowPath {
    /// Judges and translates one Skinny message; `connection` is what is known of its stream.
    pub fn inspect_skinny(
        &mut self,
        now: Time,
        channel: &Channel,
        direction: Direction,
        connection: &mut Connection,
        bytes: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Inspected {
        let model = self.model.clone();
        let inspection = &mut self.inspection;
        let Some(Opener::Skinny(number)) = inspection.opener(channel.class) else {
            return Inspected::Drop("not inspected");
        };
        let arrival = channel.arrival(&model, now, direction);
        let mut translator = ByRules {
            now,
            model: &model,
            channel,
            is_dry: false,
            timeouts: &inspection.timeouts,
            xlates: &mut self.xlates,
            ends: &mut inspection.ends,
            effects,
        };
        let mut wanted = Vec::new();
        let inspector = &mut inspection.skinny[number];
        inspector.handle_message(connection, &arrival, bytes, &mut translator, &mut wanted);
        let opener = Opener::Skinny(number);
        let end = self.carry_out(now, opener, Some(channel), wanted, effects);
        end.unwrap_or(Inspected::Drop("not inspected"))
    }

    /// A stream is over: so is what it let through.
    pub fn end_skinny(
        &mut self,
        now: Time,
        channel: &Channel,
        connection: Connection,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(opener) = self.inspection.opener(channel.class) {
            let mut wanted = Vec::new();
            skinny::handle_end(connection, &mut wanted);
            self.carry_out(now, opener, None, wanted, effects);
        }
    }
}
