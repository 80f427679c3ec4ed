//! `access-list`, `access-group`, `time-range` as text.

use std::fmt::{self, Display, Formatter};

use super::primitive::words;
use crate::config::ast::access_list::{
    AccessGroup, Binding, Direction, Entry, ExtendedEntry, IcmpSpec, Instant, Log, Periodic,
    PortSpec, ProtocolSpec, TimeOfDay, TimeRange,
};
use crate::config::ast::primitive::{Protocol, Transport};
use crate::config::names::IcmpVersion;
use crate::config::parser::{DAYS, LOG_LEVELS, month_name};

/// The entry without `access-list NAME`.
impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Remark(text) => write!(f, "remark {text}"),
            Entry::Standard(entry) => write!(f, "standard {} {}", entry.action, entry.address),
            Entry::Extended(entry) => write!(f, "extended {entry}"),
        }
    }
}

impl Display for ExtendedEntry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.action, self.protocol, self.source)?;
        if let Some(spec) = &self.source_port {
            write_port(f, &self.protocol, spec)?;
        }
        write!(f, " {}", self.destination)?;
        if let Some(spec) = &self.destination_port {
            write_port(f, &self.protocol, spec)?;
        }
        if let Some(icmp) = &self.icmp {
            write_icmp(f, &self.protocol, &icmp.node)?;
        }
        if let Some(log) = self.log {
            write!(f, " {log}")?;
        }
        if let Some(name) = &self.time_range {
            write!(f, " time-range {name}")?;
        }
        words(f, &[(self.inactive, "inactive")])
    }
}

impl Display for ProtocolSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolSpec::Protocol(protocol) => protocol.fmt(f),
            ProtocolSpec::Object(name) => write!(f, "object {name}"),
            ProtocolSpec::Group(name) => write!(f, "object-group {name}"),
        }
    }
}

fn write_port(f: &mut Formatter<'_>, protocol: &ProtocolSpec, spec: &PortSpec) -> fmt::Result {
    let transport = match protocol {
        ProtocolSpec::Protocol(protocol) => protocol.transport(),
        _ => None,
    };
    match spec {
        // A protocol group stands for TCP and UDP: names both know.
        PortSpec::Ports(ports) => {
            write!(
                f,
                " {}",
                ports.display(transport.unwrap_or(Transport::TcpUdp))
            )
        }
        PortSpec::Group(name) => write!(f, " object-group {name}"),
    }
}

fn write_icmp(f: &mut Formatter<'_>, protocol: &ProtocolSpec, spec: &IcmpSpec) -> fmt::Result {
    let is_v6 = *protocol == ProtocolSpec::Protocol(Protocol::ICMP6);
    let version = if is_v6 {
        IcmpVersion::V6
    } else {
        IcmpVersion::V4
    };
    match spec {
        IcmpSpec::Kind(kind) => write!(f, " {}", kind.display(version)),
        IcmpSpec::Group(name) => write!(f, " object-group {name}"),
    }
}

impl Display for Log {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Log::Default => f.write_str("log default"),
            Log::Disable => f.write_str("log disable"),
            Log::Messages { level, interval_s } => {
                f.write_str("log")?;
                if *level != 6 {
                    let name = LOG_LEVELS.iter().find(|(_, number)| number == level);
                    write!(f, " {}", name.map_or("informational", |(name, _)| name))?;
                }
                if *interval_s != 300 {
                    write!(f, " interval {interval_s}")?;
                }
                Ok(())
            }
        }
    }
}

impl Display for Direction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::In => "in",
            Direction::Out => "out",
        })
    }
}

impl Display for AccessGroup {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "access-group {}", self.access_list)?;
        match &self.binding {
            Binding::Global => f.write_str(" global"),
            Binding::Interface {
                direction,
                interface,
                per_user_override,
                control_plane,
            } => {
                write!(f, " {direction} interface {interface}")?;
                words(
                    f,
                    &[
                        (*per_user_override, "per-user-override"),
                        (*control_plane, "control-plane"),
                    ],
                )
            }
        }
    }
}

impl Display for TimeRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "time-range {}", self.name)?;
        if let Some(absolute) = &self.absolute {
            f.write_str(" absolute")?;
            if let Some(start) = absolute.start {
                write!(f, " start {start}")?;
            }
            if let Some(end) = absolute.end {
                write!(f, " end {end}")?;
            }
            writeln!(f)?;
        }
        self.periodic
            .iter()
            .try_for_each(|line| writeln!(f, " {line}"))
    }
}

impl Display for Instant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Instant {
            year,
            month,
            day,
            time,
        } = self;
        write!(f, "{time} {day:02} {} {year}", month_name(*month))
    }
}

impl Display for TimeOfDay {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:02}", self.hour, self.minute)
    }
}

impl Display for Periodic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("periodic")?;
        let whole = DAYS[7..].iter().find(|(_, days)| *days == self.days);
        match whole {
            Some((word, _)) => write!(f, " {word}")?,
            None => DAYS[..7]
                .iter()
                .filter(|(_, day)| self.days & day != 0)
                .try_for_each(|(word, _)| write!(f, " {word}"))?,
        }
        write!(f, " {} to", self.from)?;
        if let Some((word, _)) = self
            .until_day
            .and_then(|day| DAYS[..7].get(usize::from(day)))
        {
            write!(f, " {word}")?;
        }
        write!(f, " {}", self.until)
    }
}
