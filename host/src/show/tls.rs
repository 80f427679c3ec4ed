//! `show tls-proxy`, `show tls-proxy session [count | detail]`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::question::Detail;
use super::{Format, MOST_ROWS, left_out, pretty};
use crate::tls::sessions::{Open, Seen, SessionId};
use crate::tls::show::{self, Row};
use crate::tls::{Proxy, Sessions};

/// A proxy and the class-map that leads to it.
pub type Named = (Arc<Proxy>, String);

/// `show tls-proxy`: limits, licence, and the proxies.
pub fn proxies(format: Format, proxies: &[Named], sessions: &Sessions) -> String {
    let by_class = || {
        proxies
            .iter()
            .map(|(proxy, class)| (&**proxy, class.as_str()))
    };
    if format == Format::Text {
        return show::limits(sessions) + &show::proxies(by_class(), sessions);
    }
    let limits = sessions.limits();
    pretty(&json!({
        "maximum_sessions": limits.proxy(),
        "platform": limits.platform(),
        "uc_sessions": limits.licence(),
        "sessions": sessions.usage().total,
        "uc_sessions_used": sessions.usage().counted,
        "most_used": sessions.most(),
        "refused": sessions.refused(),
        "proxies": by_class().map(|(proxy, class)| {
            let counts = sessions.counts(&proxy.name);
            json!({
                "name": proxy.name,
                "class": class,
                "server_trustpoint": proxy.server_trustpoint,
                "client_trustpoint": proxy.client_trustpoint,
                "authenticates_client": proxy.authenticates_client,
                "active": counts.active,
                "most": counts.most,
                "bytes": counts.bytes,
            })
        }).collect::<Vec<_>>(),
    }))
}

/// `show tls-proxy session [count | detail]`.
pub fn sessions(format: Format, detail: Detail, sessions: &Sessions) -> String {
    let all = sessions.iter().count();
    let shown = || sessions.iter().take(MOST_ROWS);
    match (format, detail) {
        (Format::Text, Detail::Count) => show::count(sessions),
        (Format::Text, _) => {
            let mut text = show::count(sessions);
            for (id, open) in shown() {
                let is_detailed = detail == Detail::Full;
                text += &Row(id, open, is_detailed).to_string();
            }
            text + &left_out(all)
        }
        (Format::Json, Detail::Count) => pretty(&json!({
            "in_use": all,
            "most_used": sessions.most(),
        })),
        (Format::Json, _) => pretty(&json!({
            "in_use": all,
            "most_used": sessions.most(),
            "sessions": shown().map(session_json).collect::<Vec<_>>(),
            "left_out": all.saturating_sub(MOST_ROWS),
        })),
    }
}

fn session_json((id, open): (SessionId, &Open)) -> Value {
    let seen = open.seen.as_ref();
    let place = |place: &crate::tls::session::Place| {
        json!({
            "interface": place.interface,
            "address": place.address.ip(),
            "port": place.address.port(),
        })
    };
    let suite = |leg: fn(&Seen) -> &Option<String>| seen.and_then(|seen| leg(seen).as_ref());
    json!({
        "number": id.0,
        "proxy": open.proxy,
        "dialler": seen.map(|seen| place(&seen.dialler)),
        "dialled": seen.map(|seen| place(&seen.dialled)),
        "bytes": seen.map_or(0, |seen| seen.bytes),
        "server_suite": suite(|seen| &seen.server),
        "client_suite": suite(|seen| &seen.client),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tls::limits::{Application, Limits, Profile};
    use crate::tls::session::Place;

    fn full() -> Sessions {
        let profile = Profile::named("5505").expect("a model");
        let mut sessions = Sessions::new(Limits::new(profile));
        let place = Place {
            interface: "outside".into(),
            address: "192.0.2.254:50437".parse().expect("an address"),
        };
        for second in 0..3 {
            // The last is one too many.
            let _ = sessions.open(
                Duration::from_secs(second),
                Application::PresenceFederation,
                "x_to_y",
                &place,
                &place,
            );
        }
        sessions
    }

    #[test]
    fn limits_licence_and_refusals_are_shown() {
        let sessions = full();
        assert_eq!(
            proxies(Format::Text, &[], &sessions),
            "\
Maximum number of sessions: 10
UC license: 2 sessions, 2 in use (ASA 5505)
Refused: 1 by uc-licence-limit
"
        );
        let answer: Value =
            serde_json::from_str(&proxies(Format::Json, &[], &sessions)).expect("JSON");
        assert_eq!(answer["platform"], "ASA 5505");
        assert_eq!(answer["refused"]["uc-licence-limit"], 1);
        let answer: Value =
            serde_json::from_str(&super::sessions(Format::Json, Detail::Full, &sessions))
                .expect("JSON");
        assert_eq!(
            (&answer["in_use"], &answer["most_used"]),
            (&json!(2), &json!(2))
        );
        assert_eq!(answer["sessions"][1]["proxy"], "x_to_y");
    }
}
