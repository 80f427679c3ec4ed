//! `show xlate`: what translates addresses now, static rules first.
//!
//! Packets that a static rule translates stay in the card and belong to connections, so that nobody knows how long the
//! rule itself was idle: no idle time is told of it.

use std::fmt;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::flow::Asked;
use super::{Format, MOST_ROWS, left_out, pretty};
use crate::config::ast::timeout::Timer;
use crate::flow::show::{InUse, Protocol, ShowXlate};
use crate::flow::{Xlate, Xlates};
use crate::policy::Model;
use crate::policy::model::{InterfaceId, NatRule, NatSource, StaticMap};
use crate::policy::range::{AddressList, AddressRange, PortRange};

/// `show xlate`.
pub fn xlates(asked: Asked<'_>, xlates: &Xlates) -> String {
    let Asked { model, now, format } = asked;
    let rules = model.nat.iter().filter(|rule| !rule.inactive);
    let lasting: Vec<Static> = rules.filter_map(|rule| Static::new(model, rule)).collect();
    let mut all: Vec<&Xlate> = xlates.iter().collect();
    all.sort_unstable_by_key(|xlate| (xlate.built, xlate.request.real, xlate.request.proto));
    let rows = lasting.len() + all.len();
    let some = lasting.iter().take(MOST_ROWS);
    let shown = all.iter().take(MOST_ROWS - some.len());
    let in_use = InUse {
        now: rows,
        most: lasting.len() + xlates.most(),
    };
    if format == Format::Json {
        let some = some.map(Static::json);
        let all = some.chain(shown.map(|xlate| xlate_json(asked, xlate)));
        return pretty(&json!({
            "in_use": in_use.now,
            "most_used": in_use.most,
            "xlates": all.collect::<Vec<_>>(),
            "left_out": rows.saturating_sub(MOST_ROWS),
        }));
    }
    let some = some.map(|rule| format!("{rule}\n"));
    let shown = shown.map(|xlate| format!("{}\n", ShowXlate { model, xlate, now }));
    let lines: String = some.chain(shown).collect();
    format!("{in_use}\n{FLAGS}{lines}{}", left_out(rows))
}

/// A rule that translates both ways as long as it is configured.
struct Static<'a> {
    model: &'a Model,
    rule: &'a NatRule,
    map: &'a StaticMap,
    /// Protocol, and the source's ports on the real and on the mapped side.
    ports: Option<(u8, PortRange, PortRange)>,
}

impl<'a> Static<'a> {
    fn new(model: &'a Model, rule: &'a NatRule) -> Option<Self> {
        let NatSource::Static(map) = &rule.source else {
            return None;
        };
        let service = rule.service.as_ref();
        let ports = service.map(|own| (own.protocol, own.real_source, own.mapped_source));
        Some(Self {
            model,
            rule,
            map,
            // A service of the destination alone leaves the source's ports as they are.
            ports: ports.filter(|(_, real, _)| *real != PortRange::ANY),
        })
    }

    fn interface(&self, id: Option<InterfaceId>) -> &'a str {
        id.map_or("any", |id| &self.model.interface(id).name)
    }

    fn flags(&self) -> String {
        let is_twice = self.rule.section != 2;
        [
            (true, 's'),
            (self.ports.is_some(), 'r'),
            (self.map.is_identity(), 'I'),
            (is_twice, 'T'),
        ]
        .into_iter()
        .filter_map(|(is_set, flag)| is_set.then_some(flag))
        .collect()
    }

    fn json(&self) -> Value {
        let port = |port: Option<PortRange>| port.map(|port| Ports(port).to_string());
        let (real, mapped) = self.ports.map(|(_, real, mapped)| (real, mapped)).unzip();
        json!({
            "protocol": self.ports.map(|(protocol, ..)| Protocol(protocol).to_string()),
            "real_interface": self.interface(self.rule.real_interface),
            "real": {"address": Addresses(&self.map.real).to_string(), "port": port(real)},
            "mapped_interface": self.interface(self.rule.mapped_interface),
            "mapped": {"address": Addresses(&self.map.mapped).to_string(), "port": port(mapped)},
            "flags": self.flags(),
        })
    }
}

impl fmt::Display for Static<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (real, mapped) = (Addresses(&self.map.real), Addresses(&self.map.mapped));
        let real_interface = self.interface(self.rule.real_interface);
        let mapped_interface = self.interface(self.rule.mapped_interface);
        match self.ports {
            Some((protocol, from, to)) => write!(
                f,
                "{} PAT from {real_interface}:{real} {} to {mapped_interface}:{mapped} {}",
                Protocol(protocol),
                Ports(from),
                Ports(to)
            )?,
            None => write!(
                f,
                "NAT from {real_interface}:{real} to {mapped_interface}:{mapped}"
            )?,
        }
        write!(f, "\n    flags {} timeout 0:00:00", self.flags())
    }
}

/// Addresses as this command writes them.
struct Addresses<'a>(&'a AddressList);

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.ranges.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            let AddressRange { low, high } = range;
            let (low, high) = (Ipv4Addr::from_bits(*low), Ipv4Addr::from_bits(*high));
            match range.prefix() {
                Some(32) => write!(f, "{low}")?,
                Some(length) => write!(f, "{low}/{length}")?,
                None => write!(f, "{low}-{high}")?,
            }
        }
        Ok(())
    }
}

/// Ports as this command writes them: always as a range.
struct Ports(PortRange);

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.low, self.0.high)
    }
}

fn xlate_json(asked: Asked<'_>, xlate: &Xlate) -> Value {
    let Asked { model, now, .. } = asked;
    let request = &xlate.request;
    let seconds = |then| now.saturating_sub(then).as_secs();
    let timeout = match (xlate.port, request.per_session) {
        (Some(_), true) => 0,
        (Some(_), false) => model.timeout_s(Timer::PatXlate),
        (None, _) => model.timeout_s(Timer::Xlate),
    };
    json!({
        "protocol": xlate.port.map(|_| Protocol(request.proto).to_string()),
        "real_interface": model.interface(request.real_interface).name,
        "real": {"address": request.real.0, "port": xlate.port.map(|_| request.real.1)},
        "mapped_interface": model.interface(request.mapped_interface).name,
        "mapped": {"address": xlate.address, "port": xlate.port},
        "conns": xlate.conns,
        "is_extended": xlate.extended,
        "idle_s": seconds(xlate.used),
        "age_s": seconds(xlate.built),
        "timeout_s": timeout,
    })
}

const FLAGS: &str = "\
Flags: e - extended, I - identity, i - dynamic, r - portmap, s - static, T - twice
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Limits, Time};

    const RULES: &str = "\
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 nameif inside
 security-level 100
 ip address 10.0.0.1 255.255.255.0
object network sip
 host 10.0.0.2
 nat (inside,outside) static 192.0.2.1 service tcp 5061 15061
object network lab
 subnet 10.0.7.0 255.255.255.0
nat (inside,any) source static lab lab
object network clients
 subnet 10.0.0.0 255.255.255.0
 nat (inside,outside) dynamic interface
";

    fn shown(format: Format) -> String {
        let model = crate::policy::lower(&crate::config::parse(RULES).config).0;
        let asked = Asked {
            model: &model,
            now: Time::ZERO,
            format,
        };
        xlates(asked, &Xlates::new(Limits::default(), 7))
    }

    #[test]
    fn static_rules_are_told_with_ports_and_flags_and_dynamic_ones_are_not() {
        assert_eq!(
            shown(Format::Text),
            format!(
                "\
2 in use, 2 most used
{FLAGS}NAT from inside:10.0.7.0/24 to any:10.0.7.0/24
    flags sIT timeout 0:00:00
TCP PAT from inside:10.0.0.2 5061-5061 to outside:192.0.2.1 15061-15061
    flags sr timeout 0:00:00
"
            )
        );
        let answer: Value = serde_json::from_str(&shown(Format::Json)).expect("JSON");
        assert_eq!(answer["xlates"][1]["mapped"]["port"], "15061-15061");
        assert_eq!(answer["xlates"][0]["real"]["address"], "10.0.7.0/24");
    }
}
