//! `show conn`.
//!
//! Bytes and idle times of connections that the card forwards are those of the runtime's last look at its counters.

use std::fmt::Write;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{Format, MOST_ROWS, left_out, pretty};
use crate::flow::show::{Clock, Ends, InUse, Protocol, ShowConn, flags};
use crate::flow::{Conn, Conns, State, Time};
use crate::policy::Model;

/// What answers about tables are made of.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Configuration, for names and timers.
    pub model: &'a Model,
    /// Time of the question.
    pub now: Time,
    /// How it is answered.
    pub format: Format,
}

/// `show conn [detail] [address A]`.
pub fn conns(
    asked: Asked<'_>,
    conns: &Conns,
    is_detailed: bool,
    address: Option<Ipv4Addr>,
) -> String {
    let mut meant: Vec<&Conn> = conns
        .iter()
        .filter(|conn| address.is_none_or(|address| has_end(conn, address)))
        .collect();
    meant.sort_unstable_by_key(|conn| conn.number);
    let shown = meant.iter().take(MOST_ROWS);
    let in_use = InUse {
        now: conns.len(),
        most: conns.most(),
    };
    if asked.format == Format::Json {
        return pretty(&json!({
            "in_use": in_use.now,
            "most_used": in_use.most,
            "conns": shown.map(|conn| conn_json(asked, conn)).collect::<Vec<_>>(),
            "left_out": meant.len().saturating_sub(MOST_ROWS),
        }));
    }
    let mut text = format!("{in_use}\n");
    if is_detailed {
        text += CONN_FLAGS;
    }
    for conn in shown {
        let Asked { model, now, .. } = asked;
        // Writing to a string cannot fail.
        let _ = match is_detailed {
            true => write_detail(&mut text, asked, conn),
            false => writeln!(text, "{}", ShowConn { model, conn, now }),
        };
    }
    text + &left_out(meant.len())
}

/// Whether a host takes part in a connection, by its real or its mapped address.
fn has_end(conn: &Conn, address: Ipv4Addr) -> bool {
    let mut ends = conn.real().into_iter().chain(conn.mapped());
    ends.any(|(end, _)| end == address)
}

fn write_detail(out: &mut String, asked: Asked<'_>, conn: &Conn) -> std::fmt::Result {
    let Asked { model, now, .. } = asked;
    let since = |then| Clock(now.saturating_sub(then));
    let [lower, higher] = Ends::of(model, conn).0;
    writeln!(
        out,
        "{} {}: {}/{} {}: {}/{},",
        Protocol(conn.proto()),
        lower.0,
        lower.1,
        lower.2,
        higher.0,
        higher.1,
        higher.2
    )?;
    let timeout = Clock(conn.timeout(model).unwrap_or_default());
    let bytes: u64 = conn.seen.iter().map(|seen| seen.bytes).sum();
    writeln!(
        out,
        "    flags {}, idle {}, uptime {}, timeout {timeout}, bytes {bytes}",
        flags(conn),
        since(conn.last),
        since(conn.opened)
    )?;
    write!(
        out,
        "    initiator packets {}, responder packets {}, by the {}",
        conn.seen[0].packets,
        conn.seen[1].packets,
        carrier(conn)
    )?;
    match conn.inspect {
        Some(class) => writeln!(out, ", class {}", model.class(class).name),
        None => writeln!(out),
    }
}

/// What forwards its packets.
fn carrier(conn: &Conn) -> &'static str {
    match (conn.terminated, conn.on_host) {
        (true, _) => "proxy",
        (false, true) => "host",
        (false, false) => "card",
    }
}

fn conn_json(asked: Asked<'_>, conn: &Conn) -> Value {
    let Asked { model, now, .. } = asked;
    let seconds = |then| now.saturating_sub(then).as_secs();
    let end = |interface: u8, real: (Ipv4Addr, u16), mapped: (Ipv4Addr, u16), seen: usize| {
        let id = crate::policy::model::InterfaceId(interface);
        json!({
            "interface": model.interface(id).name,
            "real": {"address": real.0, "port": real.1},
            "mapped": {"address": mapped.0, "port": mapped.1},
            "packets": conn.seen[seen].packets,
            "bytes": conn.seen[seen].bytes,
        })
    };
    let ([real, other_real], [mapped, other_mapped]) = (conn.real(), conn.mapped());
    json!({
        "number": conn.number,
        "protocol": Protocol(conn.proto()).to_string(),
        "initiator": end(conn.forward.ingress, real, mapped, 0),
        "responder": end(conn.forward.egress, other_real, other_mapped, 1),
        "state": state(conn.state()),
        "flags": flags(conn),
        "idle_s": seconds(conn.last),
        "uptime_s": seconds(conn.opened),
        "timeout_s": conn.timeout(model).map(|timeout| timeout.as_secs()),
        "by": carrier(conn),
        "class": conn.inspect.map(|class| &model.class(class).name),
    })
}

fn state(state: State) -> &'static str {
    match state {
        State::Embryonic => "embryonic",
        State::Established => "established",
        State::HalfClosed => "half-closed",
        State::Closing => "closing",
        State::Closed => "closed",
        State::Pseudo => "pseudo",
    }
}

const CONN_FLAGS: &str = "\
Flags: A - awaiting responder ACK to SYN, a - awaiting initiator ACK to SYN,
       B - initial SYN from outside, F - initiator FIN, f - responder FIN,
       I - inbound data, O - outbound data, s - awaiting initiator SYN,
       S - awaiting responder SYN, T - SIP, U - up
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Direction, Leg, Limits};
    use crate::wire::Tuple;
    use crate::wire::packet::{TCP, UDP, tcp_flags};
    use std::sync::Arc;

    fn model() -> Arc<Model> {
        let text = "\
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 nameif inside
 security-level 100
 ip address 10.0.0.1 255.255.255.0
";
        let parsed = crate::config::parse(text);
        Arc::new(crate::policy::lower(&parsed.config).0)
    }

    fn leg(proto: u8, client: u8) -> Leg {
        let seen = Tuple {
            proto,
            src: [10, 0, 0, client].into(),
            sport: 40_000,
            dst: [198, 51, 100, 7].into(),
            dport: 443,
        };
        let sent = Tuple {
            src: [192, 0, 2, 1].into(),
            sport: 1_024,
            ..seen
        };
        Leg {
            ingress: 1,
            seen,
            egress: 0,
            sent,
            adjacency: 0,
        }
    }

    /// A TCP connection in its fourth second and a UDP pseudo connection.
    fn table(model: &Model) -> Conns {
        let mut conns = Conns::new(Limits::default(), 0);
        let began = Time::from_secs(100);
        let tcp = conns
            .insert(Conn::new(began, leg(TCP, 9), None), model)
            .expect("room");
        let udp = Conn::new(began, leg(UDP, 8), None);
        conns.insert(udp, model).expect("room");
        let later = Time::from_secs(103);
        conns.observe(later, tcp, Direction::Forward, 54, tcp_flags::ACK, model);
        conns
    }

    fn asked(model: &Model, format: Format) -> Asked<'_> {
        Asked {
            model,
            now: Time::from_secs(104),
            format,
        }
    }

    #[test]
    fn connections_are_shown_in_the_shape_of_the_device() {
        let model = model();
        let table = table(&model);
        let text = conns(asked(&model, Format::Text), &table, false, None);
        assert_eq!(
            text,
            "\
2 in use, 2 most used
TCP outside 198.51.100.7:443 inside 10.0.0.9:40000, idle 0:00:01, bytes 54, flags saA
UDP outside 198.51.100.7:443 inside 10.0.0.8:40000, idle 0:00:04, bytes 0, flags -
"
        );
        let text = conns(
            asked(&model, Format::Text),
            &table,
            true,
            Some([10, 0, 0, 9].into()),
        );
        let rows = text.strip_prefix(&format!("2 in use, 2 most used\n{CONN_FLAGS}"));
        assert_eq!(
            rows,
            Some(
                "\
TCP outside: 198.51.100.7/443 inside: 10.0.0.9/40000,
    flags saA, idle 0:00:01, uptime 0:00:04, timeout 0:00:30, bytes 54
    initiator packets 1, responder packets 0, by the card
"
            )
        );
    }

    #[test]
    fn a_host_is_found_by_its_real_and_by_its_mapped_address() {
        let model = model();
        let table = table(&model);
        let found = |address: [u8; 4]| {
            let answer = conns(
                asked(&model, Format::Json),
                &table,
                false,
                Some(address.into()),
            );
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            answer["conns"].as_array().expect("a list").len()
        };
        assert_eq!(found([10, 0, 0, 8]), 1);
        assert_eq!(found([192, 0, 2, 1]), 2);
        assert_eq!(found([192, 0, 2, 2]), 0);
    }

    #[test]
    fn programs_get_both_addresses_of_both_ends() {
        let model = model();
        let answer = conns(asked(&model, Format::Json), &table(&model), false, None);
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let first = &answer["conns"][0];
        assert_eq!(first["initiator"]["real"]["address"], "10.0.0.9");
        assert_eq!(first["initiator"]["mapped"]["port"], 1_024);
        assert_eq!(first["responder"]["interface"], "outside");
        assert_eq!(first["state"], "embryonic");
        assert_eq!(answer["left_out"], 0);
    }

    #[test]
    fn an_answer_has_only_so_many_rows() {
        let model = model();
        let mut conns_of_many = Conns::new(Limits::default(), 0);
        for number in 0..MOST_ROWS as u32 + 3 {
            let mut leg = leg(UDP, 9);
            leg.seen.src = (0x0a01_0000 + number).into();
            let conn = Conn::new(Time::ZERO, leg, None);
            conns_of_many.insert(conn, &model).expect("room");
        }
        let text = conns(asked(&model, Format::Text), &conns_of_many, false, None);
        assert_eq!(text.lines().count(), MOST_ROWS + 2);
        assert!(text.ends_with("\n3 more are not shown\n"));
    }
}
