//! Random configurations as text. Addresses and ports are few, so that rules overlap often.

use std::fmt::Write;

use super::random::Random;

/// Addresses around which everything happens: per interface, and far away.
const HOSTS: &[&str] = &[
    "10.0.0.2",
    "10.0.0.3",
    "10.0.0.9",
    "10.0.0.130",
    "10.1.2.3",
    "172.16.0.5",
    "172.16.0.6",
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.10",
    "192.0.2.77",
    "198.51.100.7",
    "203.0.113.9",
];
const SUBNETS: &[&str] = &[
    "10.0.0.0 255.255.255.0",
    "10.0.0.0 255.255.255.128",
    "10.0.0.0 255.0.0.0",
    "10.1.0.0 255.255.0.0",
    "172.16.0.0 255.255.255.0",
    "192.0.2.0 255.255.255.0",
    "192.0.2.64 255.255.255.192",
    "198.51.100.0 255.255.255.0",
];
const RANGES: &[&str] = &[
    "10.0.0.1 10.0.0.6",
    "10.0.0.3 10.0.0.17",
    "172.16.0.4 172.16.0.9",
    "192.0.2.5 192.0.2.77",
    "0.0.0.0 10.0.0.2",
    "203.0.113.255 255.255.255.255",
];
const PORTS: &[&str] = &[
    "0", "1", "80", "5060", "5061", "5062", "5269", "25269", "65534", "65535",
];

/// Writes one.
pub fn generate(random: &mut Random) -> String {
    let mut text = Text {
        random,
        out: String::new(),
        interfaces: Vec::new(),
        maps: Vec::new(),
    };
    text.interfaces();
    text.objects();
    text.services();
    text.access_lists();
    text.nat();
    text.out
}

struct Text<'r> {
    random: &'r mut Random,
    out: String,
    interfaces: Vec<&'static str>,
    /// Address operands that NAT may use, each beside one of the same size.
    maps: Vec<(&'static str, &'static str)>,
}

const OBJECTS: usize = 8;
const GROUPS: usize = 4;
const SERVICES: usize = 5;

impl Text<'_> {
    fn line(&mut self, line: &str) {
        writeln!(self.out, "{line}").expect("memory takes it");
    }

    fn interfaces(&mut self) {
        self.interface(
            "GigabitEthernet0/0",
            None,
            "outside",
            0,
            "192.0.2.2 255.255.255.0",
        );
        self.interface(
            "GigabitEthernet0/1",
            None,
            "inside",
            100,
            "10.0.0.1 255.255.255.0",
        );
        if self.random.chance(50) {
            let level = *self.random.pick(&[50, 100, 0]);
            self.interface(
                "GigabitEthernet0/1.20",
                Some(20),
                "dmz",
                level,
                "172.16.0.1 255.255.255.0",
            );
        }
        if self.random.chance(20) {
            self.interface(
                "GigabitEthernet0/0.30",
                Some(30),
                "partner",
                50,
                "198.51.100.1 255.255.255.252",
            );
        }
        self.line("route outside 0.0.0.0 0.0.0.0 192.0.2.254 1");
        if self.random.chance(50) {
            self.line("route inside 10.1.0.0 255.255.0.0 10.0.0.254 1");
        }
        if self.random.chance(20) {
            let interface = *self.random.pick(&self.interfaces.clone());
            self.line(&format!(
                "route {interface} 203.0.113.9 255.255.255.255 10.0.0.77 1"
            ));
        }
        for what in ["inter-interface", "intra-interface"] {
            if self.random.chance(40) {
                self.line(&format!("same-security-traffic permit {what}"));
            }
        }
    }

    fn interface(
        &mut self,
        hardware: &str,
        vlan: Option<u16>,
        name: &'static str,
        level: u8,
        address: &str,
    ) {
        self.line(&format!("interface {hardware}"));
        if let Some(vlan) = vlan {
            self.line(&format!(" vlan {vlan}"));
        }
        self.line(&format!(" nameif {name}"));
        self.line(&format!(" security-level {level}"));
        self.line(&format!(" ip address {address}"));
        if vlan.is_some() && self.random.chance(15) {
            self.line(" shutdown");
        }
        if vlan.is_some() && self.random.chance(10) {
            self.line(" management-only");
        }
        self.interfaces.push(name);
    }

    /// What an object or a member may say.
    fn address(&mut self) -> String {
        match self.random.below(4) {
            0 | 1 => format!("host {}", self.random.pick(HOSTS)),
            2 => format!("subnet {}", self.random.pick(SUBNETS)),
            _ => format!("range {}", self.random.pick(RANGES)),
        }
    }

    fn objects(&mut self) {
        for index in 0..OBJECTS {
            let address = self.address();
            self.line(&format!("object network o{index}\n {address}"));
        }
        for index in 0..GROUPS {
            self.line(&format!("object-group network g{index}"));
            for _ in 0..=self.random.below(3) {
                let member = match self.random.below(4) {
                    0 => format!("host {}", self.random.pick(HOSTS)),
                    1 => self.random.pick(SUBNETS).to_string(),
                    _ => format!("object o{}", self.random.below(OBJECTS as u64)),
                };
                self.line(&format!(" network-object {member}"));
            }
            if index > 0 && self.random.chance(40) {
                let inner = self.random.below(index as u64);
                self.line(&format!(" group-object g{inner}"));
            }
        }
    }

    fn condition(&mut self) -> String {
        let port = *self.random.pick(PORTS);
        match self.random.below(6) {
            0 | 1 => format!("eq {port}"),
            2 => format!("neq {port}"),
            3 if port != "0" => format!("lt {port}"),
            4 if port != "65535" => format!("gt {port}"),
            _ => self
                .random
                .pick(&[
                    "range 5060 5062",
                    "range 0 1023",
                    "range 1024 65535",
                    "range 5061 5269",
                ])
                .to_string(),
        }
    }

    fn service(&mut self) -> String {
        match self.random.below(8) {
            0 => self
                .random
                .pick(&["icmp", "icmp echo", "icmp unreachable 3", "gre", "ip"])
                .to_string(),
            1 => {
                let (source, destination) = (self.condition(), self.condition());
                format!("tcp source {source} destination {destination}")
            }
            2 => format!("udp source {}", self.condition()),
            3 => format!("tcp-udp destination {}", self.condition()),
            4 => self.random.pick(&["tcp", "udp"]).to_string(),
            _ => format!("tcp destination {}", self.condition()),
        }
    }

    fn services(&mut self) {
        for index in 0..SERVICES {
            let mut service = self.service();
            while service.starts_with("tcp-udp") {
                service = self.service();
            }
            self.line(&format!("object service s{index}\n service {service}"));
        }
        self.line("object-group service sg");
        for _ in 0..3 {
            let service = self.service();
            self.line(&format!(" service-object {service}"));
        }
        let object = self.random.below(SERVICES as u64);
        self.line(&format!(" service-object object s{object}"));
        self.line("object-group service pg tcp-udp");
        for _ in 0..2 {
            let port = *self.random.pick(PORTS);
            self.line(&format!(" port-object eq {port}"));
        }
        self.line(" port-object range 5061 5070");
        self.line("object-group protocol prg\n protocol-object tcp\n protocol-object 47");
        self.line("object-group icmp-type ig\n icmp-object echo\n icmp-object echo-reply");
        self.line("time-range t\n periodic daily 0:00 to 12:00");
    }

    fn endpoint(&mut self) -> String {
        match self.random.below(8) {
            0 | 1 => "any".to_owned(),
            2 | 3 => format!("host {}", self.random.pick(HOSTS)),
            4 => self.random.pick(SUBNETS).to_string(),
            5 => format!("object o{}", self.random.below(OBJECTS as u64)),
            6 => format!("object-group g{}", self.random.below(GROUPS as u64)),
            _ => format!("interface {}", *self.random.pick(&self.interfaces.clone())),
        }
    }

    fn entry(&mut self) -> String {
        let action = if self.random.chance(55) {
            "permit"
        } else {
            "deny"
        };
        let (source, destination) = (self.endpoint(), self.endpoint());
        let rest = match self.random.below(10) {
            0 => format!("ip {source} {destination}"),
            1 => format!(
                "object s{} {source} {destination}",
                self.random.below(SERVICES as u64)
            ),
            2 => format!("object-group sg {source} {destination}"),
            3 => format!("object-group prg {source} {destination}"),
            4 => {
                let kind = *self.random.pick(&["", "echo", "3 1", "object-group ig"]);
                format!("icmp {source} {destination} {kind}")
            }
            5 => format!(
                "tcp {source} {} {destination} {}",
                self.condition(),
                self.condition()
            ),
            6 => format!("udp {source} {destination} object-group pg"),
            7 => format!("udp {source} {destination} {}", self.condition()),
            _ => format!("tcp {source} {destination} {}", self.condition()),
        };
        let suffix = match self.random.below(20) {
            0 => " inactive",
            1 => " time-range t",
            2 => " log",
            _ => "",
        };
        format!("extended {action} {}{suffix}", rest.trim())
    }

    fn access_lists(&mut self) {
        for list in ["A", "B", "C"] {
            for _ in 0..=self.random.below(9) {
                let entry = self.entry();
                self.line(&format!("access-list {list} {entry}"));
            }
        }
        for interface in self.interfaces.clone() {
            for direction in ["in", "out"] {
                if self.random.chance(if direction == "in" { 60 } else { 20 }) {
                    let list = *self.random.pick(&["A", "B", "C"]);
                    self.line(&format!(
                        "access-group {list} {direction} interface {interface}"
                    ));
                }
            }
        }
        if self.random.chance(25) {
            self.line("access-group C global");
        }
    }

    fn pair(&mut self) -> String {
        let side = |random: &mut Random| {
            if random.chance(20) {
                "any"
            } else {
                *random.pick(&self.interfaces)
            }
        };
        let (real, mapped) = (side(self.random), side(self.random));
        match self.random.below(4) {
            0 => format!("({real},{mapped})"),
            _ => "(inside,outside)".to_owned(),
        }
    }

    fn nat(&mut self) {
        self.nat_objects();
        for _ in 0..self.random.below(5) {
            let rule = self.twice();
            self.line(&rule);
        }
        for index in 0..self.random.below(6) {
            self.object_nat(index);
        }
    }

    /// Operands of twice NAT, in pairs of equal size (mostly).
    fn nat_objects(&mut self) {
        for (name, address) in [
            ("real1", "host 10.0.0.2"),
            ("real2", "host 10.0.0.3"),
            ("realnet", "subnet 10.0.0.0 255.255.255.0"),
            ("realrange", "range 10.0.0.3 10.0.0.17"),
            ("mapped1", "host 192.0.2.1"),
            ("mapped2", "host 192.0.2.10"),
            ("mappednet", "subnet 198.51.100.0 255.255.255.0"),
            ("mappedrange", "range 192.0.2.64 192.0.2.78"),
            ("far1", "host 203.0.113.9"),
            ("far2", "host 198.51.100.7"),
        ] {
            self.line(&format!("object network {name}\n {address}"));
        }
        for (name, service) in [
            ("src5269", "tcp source eq 5269"),
            ("src25269", "tcp source eq 25269"),
            ("dst80", "tcp destination eq 80"),
            ("dst5061", "tcp destination eq 5061"),
            ("srclow", "udp source range 1 10"),
            ("srchigh", "udp source range 100 109"),
        ] {
            self.line(&format!("object service {name}\n service {service}"));
        }
        self.maps = vec![
            ("real1", "mapped1"),
            ("real2", "mapped1"),
            ("real2", "mapped2"),
            ("realnet", "mappednet"),
            ("realrange", "mappedrange"),
            ("realnet", "realnet"),
            ("real1", "mappednet"),
            ("realnet", "mapped2"),
            ("any", "any"),
        ];
    }

    fn twice(&mut self) -> String {
        let pair = self.pair();
        let after = if self.random.chance(25) {
            " after-auto"
        } else {
            ""
        };
        let (real, mapped) = *self.random.pick(&self.maps.clone());
        let source = match self.random.below(5) {
            0 => format!("dynamic {real} mapped1"),
            1 => format!("dynamic {real} pat-pool mappedrange"),
            _ => format!("static {real} {mapped}"),
        };
        let is_static = source.starts_with("static");
        let destination = match self.random.below(6) {
            0 => " destination static far1 far2",
            1 => " destination static far1 far1",
            2 => " destination static any any",
            _ => "",
        };
        let service = match self.random.below(8) {
            0 | 1 if is_static => " service src5269 src25269",
            2 if is_static => " service src5269 src5269",
            3 if is_static => " service srclow srchigh",
            4 if !destination.is_empty() => " service dst80 dst5061",
            _ => "",
        };
        let suffix = match self.random.below(12) {
            0 => " unidirectional",
            1 => " inactive",
            _ => "",
        };
        format!("nat {pair}{after} source {source}{destination}{service}{suffix}")
    }

    fn object_nat(&mut self, index: u64) {
        let pair = self.pair();
        let (address, translation) = match self.random.below(8) {
            0 => ("host 10.0.0.2", "static 192.0.2.1 service tcp 5061 5061"),
            1 => ("host 10.0.0.3", "static 192.0.2.1 service tcp 5062 5061"),
            2 => ("host 10.0.0.9", "static 192.0.2.77"),
            3 => ("subnet 10.0.0.0 255.255.255.128", "static 198.51.100.128"),
            4 => ("range 10.0.0.3 10.0.0.17", "static 192.0.2.20"),
            5 => ("subnet 10.0.0.0 255.255.255.0", "dynamic mappedrange"),
            6 => ("host 192.0.2.2", "static 192.0.2.77"),
            _ => ("subnet 0.0.0.0 0.0.0.0", "dynamic 192.0.2.1"),
        };
        self.line(&format!(
            "object network n{index}\n {address}\n nat {pair} {translation}"
        ));
    }
}
