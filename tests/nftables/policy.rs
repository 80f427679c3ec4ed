//! Random policies, printed as ASA text and as nftables rules, and packets made from them.
//!
//! The two printers share the parts of a rule and nothing of what a rule means.

use std::fmt::Write;

use crate::netns::NAMES;
use crate::random::Random;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;

/// The address that dynamic PAT and all static PAT rules share.
pub const SHARED: &str = "192.0.2.10";
/// Real ports of servers.
const PORTS: [u16; 5] = [80, 443, 5060, 5061, 5269];

/// A policy of two interfaces.
pub struct Policy {
    statics: Vec<Static>,
    from_outside: Vec<Ace>,
    /// Without one the security levels decide.
    from_inside: Option<Vec<Ace>>,
}

/// A static rule: a whole host, or one port of it behind the shared address.
struct Static {
    host: u8,
    /// Protocol, real port, mapped port.
    service: Option<(u8, u16, u16)>,
}

struct Ace {
    permit: bool,
    /// `None` is every protocol.
    proto: Option<u8>,
    source: Operand,
    destination: Operand,
    port: Port,
}

#[derive(Clone, Copy)]
enum Operand {
    Any,
    /// Last byte of an inside or outside host.
    Inside(u8),
    Outside(u8),
    InsideNet,
    OutsideNet,
}

#[derive(Clone, Copy)]
enum Port {
    Any,
    Eq(u16),
    Neq(u16),
    Lt(u16),
    Gt(u16),
    Range(u16, u16),
}

/// A packet to try: interface, protocol, addresses, ports (ICMP echo: identifier), TCP flags.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    pub wire: usize,
    pub proto: u8,
    pub src: [u8; 4],
    pub sport: u16,
    pub dst: [u8; 4],
    pub dport: u16,
    pub flags: u8,
}

/// Inside hosts by their last byte.
pub const HOSTS: std::ops::RangeInclusive<u8> = 2..=8;

pub fn inside_hosts() -> Vec<String> {
    HOSTS.map(|host| format!("10.0.0.{host}")).collect()
}

impl Policy {
    pub fn random(random: &mut Random) -> Self {
        let mut statics: Vec<Static> = Vec::new();
        for host in HOSTS {
            if random.chance(25) {
                statics.push(Static {
                    host,
                    service: None,
                });
                continue;
            }
            for proto in [TCP, UDP] {
                for (index, port) in PORTS.into_iter().enumerate() {
                    if random.chance(20) {
                        let shifted = 10_000 + u16::from(host) * 100 + index as u16;
                        let is_free = |mapped| {
                            !statics.iter().any(|other| matches!(other.service, Some((p, _, m)) if (p, m) == (proto, mapped)))
                        };
                        let mapped = if is_free(port) && random.chance(60) {
                            port
                        } else {
                            shifted
                        };
                        statics.push(Static {
                            host,
                            service: Some((proto, port, mapped)),
                        });
                    }
                }
            }
        }
        let list = |random: &mut Random, inbound| {
            (0..1 + random.below(12))
                .map(|_| Ace::random(random, inbound))
                .collect()
        };
        Self {
            statics,
            from_outside: list(random, true),
            from_inside: random.chance(50).then(|| list(random, false)),
        }
    }

    /// As an ASA is told.
    pub fn asa(&self) -> String {
        let mut text = String::from(
            "interface GigabitEthernet0/0\n nameif outside\n security-level 0\n ip address 192.0.2.1 255.255.255.0\n\
             interface GigabitEthernet0/1\n nameif inside\n security-level 100\n ip address 10.0.0.1 255.255.255.0\n\
             route outside 0.0.0.0 0.0.0.0 192.0.2.254\n",
        );
        for (index, Static { host, service }) in self.statics.iter().enumerate() {
            let _ = write!(
                text,
                "object network static-{index}\n host 10.0.0.{host}\n nat (inside,outside) static "
            );
            let _ = match service {
                None => writeln!(text, "192.0.2.{}", mapped_host(*host)),
                Some((proto, real, mapped)) => writeln!(
                    text,
                    "{SHARED} service {} {real} {mapped}",
                    protocol(*proto)
                ),
            };
        }
        let _ = writeln!(
            text,
            "object network everybody\n subnet 10.0.0.0 255.255.255.0\n nat (inside,outside) dynamic {SHARED}"
        );
        let lists = [
            ("from_outside", "outside", Some(&self.from_outside)),
            ("from_inside", "inside", self.from_inside.as_ref()),
        ];
        for (name, interface, list) in lists
            .into_iter()
            .filter_map(|(name, interface, list)| Some((name, interface, list?)))
        {
            for ace in list {
                let _ = writeln!(text, "access-list {name} extended {}", ace.asa());
            }
            let _ = writeln!(text, "access-group {name} in interface {interface}");
        }
        text
    }

    /// As the Linux kernel is told.
    pub fn nft(&self) -> String {
        let [outside, inside] = NAMES;
        let mut text = String::from(
            "table ip firewall {\n chain unseen {\n  type filter hook prerouting priority raw;\n  ip protocol 253 notrack\n }\n\
             \x20chain untranslate {\n  type nat hook prerouting priority dstnat;\n",
        );
        for Static { host, service } in &self.statics {
            let _ = match service {
                None => writeln!(
                    text,
                    "  iifname {outside} ip daddr 192.0.2.{} dnat to 10.0.0.{host}",
                    mapped_host(*host)
                ),
                Some((proto, real, mapped)) => writeln!(
                    text,
                    "  iifname {outside} ip daddr {SHARED} {} dport {mapped} dnat to 10.0.0.{host}:{real}",
                    protocol(*proto)
                ),
            };
        }
        text.push_str(" }\n chain translate {\n  type nat hook postrouting priority srcnat;\n");
        for Static { host, service } in &self.statics {
            let _ = match service {
                None => writeln!(
                    text,
                    "  oifname {outside} ip saddr 10.0.0.{host} snat to 192.0.2.{}",
                    mapped_host(*host)
                ),
                Some((proto, real, mapped)) => writeln!(
                    text,
                    "  oifname {outside} ip saddr 10.0.0.{host} {} sport {real} snat to {SHARED}:{mapped}",
                    protocol(*proto)
                ),
            };
        }
        let _ = writeln!(
            text,
            "  oifname {outside} ip saddr 10.0.0.0/24 snat to {SHARED}"
        );
        // Real addresses are not reachable from outside, and nothing turns back where it came from.
        let _ = write!(
            text,
            " }}\n chain judge {{\n  type filter hook forward priority filter; policy drop;\n  ip protocol 253 accept\n\
             \x20 ct state invalid drop\n  ct state established,related accept\n  iifname {outside} oifname != {inside} drop\n\
             \x20 iifname {inside} oifname != {outside} drop\n  iifname {outside} ct original ip daddr 10.0.0.0/24 drop\n"
        );
        for ace in &self.from_outside {
            let _ = writeln!(text, "  iifname {outside} {}", ace.nft());
        }
        match &self.from_inside {
            Some(list) => list.iter().for_each(|ace| {
                let _ = writeln!(text, "  iifname {inside} {}", ace.nft());
            }),
            None => {
                let _ = writeln!(text, "  iifname {inside} accept");
            }
        }
        text.push_str(" }\n}\n");
        text
    }

    /// A packet on an edge of some rule; `fresh` is a port that no trial before had.
    pub fn trial(&self, random: &mut Random, fresh: u16) -> Trial {
        let proto = *random.pick(&[TCP, TCP, UDP, ICMP]);
        let flags = if random.chance(90) {
            2
        } else {
            *random.pick(&[16, 18, 4, 1])
        };
        let far = [198, 51, 100, 1 + random.below(20) as u8];
        let wire = random.below(2) as usize;
        let near_port = |random: &mut Random, port: u16| {
            port.wrapping_add(random.below(3) as u16)
                .wrapping_sub(1)
                .max(1)
        };
        let chosen = (!self.statics.is_empty()).then(|| random.pick(&self.statics));
        let host = 2 + random.below(7) as u8;
        let trial = Trial {
            wire,
            proto,
            src: far,
            sport: fresh,
            dst: far,
            dport: fresh,
            flags,
        };
        if wire == 1 {
            // Sometimes out of a server's own port.
            let (proto, host, sport, dport) = match chosen {
                Some(Static {
                    host,
                    service: Some((proto, real, _)),
                }) if random.chance(40) => (*proto, *host, near_port(random, *real), fresh),
                Some(Static {
                    host,
                    service: None,
                }) if random.chance(40) => (proto, *host, fresh, ace_port(random)),
                _ => (proto, host, fresh, ace_port(random)),
            };
            return Trial {
                proto,
                src: [10, 0, 0, host],
                sport,
                dport,
                ..trial
            };
        }
        let (proto, dst, dport) = match chosen {
            _ if random.chance(10) => (proto, [10, 0, 0, host], *random.pick(&PORTS)),
            _ if random.chance(10) => (proto, [192, 0, 2, 10], ace_port(random)),
            Some(Static {
                service: Some((proto, _, mapped)),
                ..
            }) => (*proto, [192, 0, 2, 10], near_port(random, *mapped)),
            Some(Static {
                host,
                service: None,
            }) => (proto, [192, 0, 2, mapped_host(*host)], ace_port(random)),
            None => (proto, [192, 0, 2, mapped_host(host)], ace_port(random)),
        };
        Trial {
            proto,
            dst,
            dport,
            ..trial
        }
    }

    /// Whether a static rule owns a port of the shared address.
    pub fn owns(&self, proto: u8, port: u16) -> bool {
        self.statics.iter().any(
            |rule| matches!(rule.service, Some((p, _, mapped)) if (p, mapped) == (proto, port)),
        )
    }

    /// Whether the source of a packet from inside gets a port of the kernel's or our choice.
    pub fn is_dynamic(&self, trial: &Trial) -> bool {
        !self.statics.iter().any(|rule| {
            rule.host == trial.src[3]
                && rule
                    .service
                    .is_none_or(|(proto, real, _)| (proto, real) == (trial.proto, trial.sport))
        })
    }
}

fn mapped_host(host: u8) -> u8 {
    20 + host
}

fn protocol(proto: u8) -> &'static str {
    match proto {
        TCP => "tcp",
        UDP => "udp",
        _ => "icmp",
    }
}

/// A port that entries name, or one beside it.
fn ace_port(random: &mut Random) -> u16 {
    let port = *random.pick(&PORTS);
    port.wrapping_add(random.below(3) as u16).wrapping_sub(1)
}

impl Ace {
    fn random(random: &mut Random, inbound: bool) -> Self {
        let proto = *random.pick(&[None, Some(TCP), Some(TCP), Some(UDP), Some(ICMP)]);
        let inside = match random.below(3) {
            0 => Operand::Any,
            1 => Operand::InsideNet,
            _ => Operand::Inside(2 + random.below(7) as u8),
        };
        let outside = match random.below(3) {
            0 => Operand::Any,
            1 => Operand::OutsideNet,
            _ => Operand::Outside(1 + random.below(20) as u8),
        };
        let (source, destination) = if inbound {
            (outside, inside)
        } else {
            (inside, outside)
        };
        let (a, b) = (*random.pick(&PORTS), *random.pick(&PORTS));
        let port = match random.below(6) {
            _ if !matches!(proto, Some(TCP | UDP)) => Port::Any,
            0 => Port::Any,
            1 | 2 => Port::Eq(a),
            3 => Port::Neq(a),
            4 if random.chance(50) => Port::Lt(a),
            4 => Port::Gt(a),
            _ => Port::Range(a.min(b), a.max(b)),
        };
        Self {
            permit: random.chance(65),
            proto,
            source,
            destination,
            port,
        }
    }

    fn asa(&self) -> String {
        let operand = |operand: Operand| match operand {
            Operand::Any => "any".to_owned(),
            Operand::Inside(host) => format!("host 10.0.0.{host}"),
            Operand::Outside(host) => format!("host 198.51.100.{host}"),
            Operand::InsideNet => "10.0.0.0 255.255.255.252".to_owned(),
            Operand::OutsideNet => "198.51.100.0 255.255.255.248".to_owned(),
        };
        let port = match self.port {
            Port::Any => String::new(),
            Port::Eq(port) => format!(" eq {port}"),
            Port::Neq(port) => format!(" neq {port}"),
            Port::Lt(port) => format!(" lt {port}"),
            Port::Gt(port) => format!(" gt {port}"),
            Port::Range(low, high) => format!(" range {low} {high}"),
        };
        let action = if self.permit { "permit" } else { "deny" };
        let proto = self.proto.map_or("ip", protocol);
        format!(
            "{action} {proto} {} {}{port}",
            operand(self.source),
            operand(self.destination)
        )
    }

    fn nft(&self) -> String {
        let operand = |side: &str, operand: Operand| match operand {
            Operand::Any => String::new(),
            Operand::Inside(host) => format!("ip {side} 10.0.0.{host} "),
            Operand::Outside(host) => format!("ip {side} 198.51.100.{host} "),
            Operand::InsideNet => format!("ip {side} 10.0.0.0/30 "),
            Operand::OutsideNet => format!("ip {side} 198.51.100.0/29 "),
        };
        let proto = self.proto.map_or(String::new(), |proto| {
            format!("ip protocol {} ", protocol(proto))
        });
        let port = match self.port {
            Port::Any => String::new(),
            Port::Eq(port) => format!("th dport {port} "),
            Port::Neq(port) => format!("th dport != {port} "),
            Port::Lt(port) => format!("th dport < {port} "),
            Port::Gt(port) => format!("th dport > {port} "),
            Port::Range(low, high) => format!("th dport {low}-{high} "),
        };
        let action = if self.permit { "accept" } else { "drop" };
        format!(
            "{}{}{proto}{port}{action}",
            operand("saddr", self.source),
            operand("daddr", self.destination)
        )
    }
}
