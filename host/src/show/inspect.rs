//! `show sip` and `show service-policy`: what inspection knows and what it counted.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Format, MOST_ROWS, left_out, pretty};
use crate::flow::Time;
use crate::policy::Model;
use crate::policy::model::{Class, ClassId, Inspection};
use crate::sip::Inspector;
use crate::sip::dialog::{Kind, Session};
use crate::sip::inspect::Stats;
use crate::sip::show::{ShowSession, state};

/// `show sip`: the sessions of all inspectors, oldest first.
pub fn sip(format: Format, now: Time, inspectors: &[Inspector]) -> String {
    let sessions = inspectors.iter().map(|inspector| inspector.sessions());
    let mut all: Vec<&Session> = sessions.flat_map(|sessions| sessions.iter()).collect();
    all.sort_by(|a, b| (a.began, &a.call_id).cmp(&(b.began, &b.call_id)));
    let shown = all.iter().take(MOST_ROWS);
    if format == Format::Json {
        return pretty(&json!({
            "total": all.len(),
            "sessions": shown.map(|session| session_json(session, now)).collect::<Vec<_>>(),
            "left_out": all.len().saturating_sub(MOST_ROWS),
        }));
    }
    let mut text = format!("Total: {}\n", all.len());
    for session in shown {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", ShowSession { session, now });
    }
    text + &left_out(all.len())
}

fn session_json(session: &Session, now: Time) -> Value {
    let kind = match session.kind {
        Kind::Call => "call",
        Kind::Subscription => "subscription",
        Kind::Registration => "registration",
        Kind::Exchange => "exchange",
    };
    let seconds = |time: Time| time.as_secs();
    json!({
        "call_id": session.call_id.escape_ascii().to_string(),
        "source": session.source,
        "kind": kind,
        "state": state(session.state),
        "age_s": seconds(now.saturating_sub(session.began)),
        "idle_s": seconds(now.saturating_sub(session.last)),
        "expires_in_s": session.expires.map(|at| seconds(at.saturating_sub(now))),
    })
}

/// `show service-policy`: classes in the order they are asked, and what their inspectors counted. Classes with the same
/// inspect map share one.
pub fn service_policy<'a>(
    format: Format,
    model: &Model,
    counted: impl Fn(ClassId) -> Option<&'a Stats>,
) -> String {
    let classes = model.classes.iter().enumerate();
    let classes = classes.map(|(index, class)| (ClassId(index as u16), class));
    if format == Format::Json {
        let classes: Vec<Value> = classes
            .map(|(id, class)| class_json(model, class, counted(id)))
            .collect();
        return pretty(&json!({ "classes": classes }));
    }
    let mut text = String::new();
    let mut before = None;
    for (id, class) in classes {
        let head = (class.interface, &class.policy);
        if before.replace(head) != Some(head) {
            text += &match class.interface {
                Some(interface) => format!("Interface {}:\n", model.interface(interface).name),
                None => "Global policy:\n".to_owned(),
            };
            text += &format!("  Service-policy: {}\n", class.policy);
        }
        text += &format!("    Class-map: {}\n", class.name);
        if let Some(inspect) = &class.inspect {
            text += &inspect_line(inspect, counted(id));
        }
    }
    text
}

fn inspect_line(inspect: &Inspection, stats: Option<&Stats>) -> String {
    let mut text = format!("      Inspect: {}", inspect.protocol);
    for (word, name) in [("", &inspect.map), (" tls-proxy", &inspect.tls_proxy)] {
        if let Some(name) = name {
            text += &format!("{word} {name}");
        }
    }
    let Some(stats) = stats else {
        return text + "\n";
    };
    text += &format!(
        ", packet {}, lock fail 0, drop {}, reset-drop {}\n",
        stats.messages,
        dropped(stats),
        stats.resets
    );
    if inspect.map.is_some() {
        text += "               (of all classes with this map)\n";
    }
    for (reason, count) in &stats.drops {
        text += &format!("               drop {reason} {count}\n");
    }
    text
}

fn class_json(model: &Model, class: &Class, stats: Option<&Stats>) -> Value {
    let inspect = class.inspect.as_ref();
    json!({
        "interface": class.interface.map(|interface| &model.interface(interface).name),
        "policy": class.policy,
        "class": class.name,
        "inspect": inspect.map(|inspect| inspect.protocol.to_string()),
        "map": inspect.map(|inspect| &inspect.map),
        "tls_proxy": inspect.map(|inspect| &inspect.tls_proxy),
        "of_map": stats.map(|stats| json!({
            "messages": stats.messages,
            "rewritten": stats.rewritten,
            "dropped": dropped(stats),
            "drops": stats.drops,
            "resets": stats.resets,
            "pinholes_opened": stats.opened,
        })),
    })
}

/// Drops without those that reset.
fn dropped(stats: &Stats) -> u64 {
    stats
        .drops
        .values()
        .sum::<u64>()
        .saturating_sub(stats.resets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let text = "\
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
tls-proxy x_to_y
 server trust-point internal
access-list sips extended permit tcp any any eq 5061
class-map sips
 match access-list sips
class-map plain
 match port tcp eq 5060
policy-map type inspect sip sip_inspect
 parameters
policy-map global_policy
 class sips
  inspect sip sip_inspect tls-proxy x_to_y
 class plain
  inspect sip
service-policy global_policy global
";
        crate::policy::lower(&crate::config::parse(text).config).0
    }

    fn stats() -> Stats {
        Stats {
            messages: 12,
            drops: [("max-forwards", 3), ("non-sip", 2)].into(),
            resets: 2,
            ..Stats::default()
        }
    }

    #[test]
    fn counters_stand_at_the_classes_that_inspect() {
        let stats = stats();
        let counted = |class: ClassId| (class.0 == 0).then_some(&stats);
        assert_eq!(
            service_policy(Format::Text, &model(), counted),
            "\
Global policy:
  Service-policy: global_policy
    Class-map: sips
      Inspect: sip sip_inspect tls-proxy x_to_y, packet 12, lock fail 0, drop 3, reset-drop 2
               (of all classes with this map)
               drop max-forwards 3
               drop non-sip 2
    Class-map: plain
      Inspect: sip
"
        );
        let answer = service_policy(Format::Json, &model(), counted);
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["classes"][0]["of_map"]["messages"], 12);
        assert_eq!(answer["classes"][1]["of_map"], Value::Null);
    }

    #[test]
    fn without_a_session_the_total_is_none() {
        let all = [(), ()].map(|()| Inspector::new(Default::default()));
        assert_eq!(sip(Format::Text, Time::ZERO, &all), "Total: 0\n");
    }
}
