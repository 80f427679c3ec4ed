//! Names of ports, ICMP types and protocols, both ways.
//!
//! Where several names share a number, the first in the table is printed.

use super::ast::primitive::Transport;

/// Port names: name, port, known for TCP, known for UDP.
const PORTS: &[(&str, u16, bool, bool)] = &[
    ("aol", 5190, true, false),
    ("bgp", 179, true, false),
    ("biff", 512, false, true),
    ("bootpc", 68, false, true),
    ("bootps", 67, false, true),
    ("chargen", 19, true, false),
    ("cifs", 3020, true, true),
    ("citrix-ica", 1494, true, false),
    ("ctiqbe", 2748, true, false),
    ("daytime", 13, true, false),
    ("discard", 9, true, true),
    ("dnsix", 195, false, true),
    ("domain", 53, true, true),
    ("echo", 7, true, true),
    ("exec", 512, true, false),
    ("finger", 79, true, false),
    ("ftp", 21, true, false),
    ("ftp-data", 20, true, false),
    ("gopher", 70, true, false),
    ("h323", 1720, true, false),
    ("hostname", 101, true, false),
    ("https", 443, true, false),
    ("ident", 113, true, false),
    ("imap4", 143, true, false),
    ("irc", 194, true, false),
    ("isakmp", 500, false, true),
    ("kerberos", 750, true, true),
    ("klogin", 543, true, false),
    ("kshell", 544, true, false),
    ("ldap", 389, true, false),
    ("ldaps", 636, true, false),
    ("login", 513, true, false),
    ("lotusnotes", 1352, true, false),
    ("lpd", 515, true, false),
    ("mobile-ip", 434, false, true),
    ("nameserver", 42, false, true),
    ("netbios-dgm", 138, false, true),
    ("netbios-ns", 137, false, true),
    ("netbios-ssn", 139, true, false),
    ("nfs", 2049, true, true),
    ("nntp", 119, true, false),
    ("ntp", 123, false, true),
    ("pcanywhere-data", 5631, true, false),
    ("pcanywhere-status", 5632, false, true),
    ("pim-auto-rp", 496, true, true),
    ("pop2", 109, true, false),
    ("pop3", 110, true, false),
    ("pptp", 1723, true, false),
    ("radius", 1645, false, true),
    ("radius-acct", 1646, false, true),
    ("rip", 520, false, true),
    ("rsh", 514, true, false),
    ("rtsp", 554, true, true),
    ("secureid-udp", 5510, false, true),
    ("sip", 5060, true, true),
    ("smtp", 25, true, false),
    ("snmp", 161, false, true),
    ("snmptrap", 162, false, true),
    ("sqlnet", 1521, true, false),
    ("ssh", 22, true, false),
    ("sunrpc", 111, true, true),
    ("syslog", 514, false, true),
    ("tacacs", 49, true, true),
    ("talk", 517, true, true),
    ("telnet", 23, true, false),
    ("tftp", 69, false, true),
    ("time", 37, false, true),
    ("uucp", 540, true, false),
    ("vxlan", 4789, false, true),
    ("who", 513, false, true),
    ("whois", 43, true, false),
    ("www", 80, true, true),
    ("http", 80, true, true),
    ("xdmcp", 177, false, true),
];

const ICMP_TYPES: &[(&str, u8)] = &[
    ("echo-reply", 0),
    ("unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("alternate-address", 6),
    ("echo", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("information-request", 15),
    ("information-reply", 16),
    ("mask-request", 17),
    ("mask-reply", 18),
    ("traceroute", 30),
    ("conversion-error", 31),
    ("mobile-redirect", 32),
];

const ICMP6_TYPES: &[(&str, u8)] = &[
    ("unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo", 128),
    ("echo-reply", 129),
    ("membership-query", 130),
    ("membership-report", 131),
    ("membership-reduction", 132),
    ("router-solicitation", 133),
    ("router-advertisement", 134),
    ("neighbor-solicitation", 135),
    ("neighbor-advertisement", 136),
    ("neighbor-redirect", 137),
    ("router-renumbering", 138),
];

const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ipinip", 4),
    ("tcp", 6),
    ("igrp", 9),
    ("udp", 17),
    ("gre", 47),
    ("pptp", 47),
    ("esp", 50),
    ("ipsec", 50),
    ("ah", 51),
    ("icmp6", 58),
    ("eigrp", 88),
    ("ospf", 89),
    ("nos", 94),
    ("pim", 103),
    ("pcp", 108),
    ("snp", 109),
    ("sctp", 132),
];

/// Which of the ICMP protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpVersion {
    /// ICMP.
    V4,
    /// ICMPv6.
    V6,
}

/// The port a name stands for.
pub fn port_number(transport: Transport, name: &str) -> Option<u16> {
    PORTS
        .iter()
        .find(|entry| is_known(entry, transport) && entry.0.eq_ignore_ascii_case(name))
        .map(|entry| entry.1)
}

/// The name printed for a port.
pub fn port_name(transport: Transport, port: u16) -> Option<&'static str> {
    PORTS
        .iter()
        .find(|entry| entry.1 == port && is_known(entry, transport))
        .map(|entry| entry.0)
}

fn is_known(entry: &(&str, u16, bool, bool), transport: Transport) -> bool {
    match transport {
        Transport::Tcp => entry.2,
        Transport::Udp => entry.3,
        Transport::TcpUdp => entry.2 && entry.3,
        Transport::Sctp => false,
    }
}

/// The ICMP type a name stands for.
pub fn icmp_number(version: IcmpVersion, name: &str) -> Option<u8> {
    number(icmp_table(version), name)
}

/// The name printed for an ICMP type.
pub fn icmp_name(version: IcmpVersion, kind: u8) -> Option<&'static str> {
    name(icmp_table(version), kind)
}

fn icmp_table(version: IcmpVersion) -> &'static [(&'static str, u8)] {
    match version {
        IcmpVersion::V4 => ICMP_TYPES,
        IcmpVersion::V6 => ICMP6_TYPES,
    }
}

/// The protocol a name stands for; not `ip`.
pub fn protocol_number(name: &str) -> Option<u8> {
    number(PROTOCOLS, name)
}

/// The name printed for a protocol.
pub fn protocol_name(protocol: u8) -> Option<&'static str> {
    name(PROTOCOLS, protocol)
}

fn number(table: &[(&str, u8)], name: &str) -> Option<u8> {
    table
        .iter()
        .find(|entry| entry.0.eq_ignore_ascii_case(name))
        .map(|entry| entry.1)
}

fn name(table: &[(&'static str, u8)], number: u8) -> Option<&'static str> {
    table
        .iter()
        .find(|entry| entry.1 == number)
        .map(|entry| entry.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printed_port_name_reads_back_as_its_port() {
        for transport in [
            Transport::Tcp,
            Transport::Udp,
            Transport::TcpUdp,
            Transport::Sctp,
        ] {
            for port in 0..=u16::MAX {
                if let Some(name) = port_name(transport, port) {
                    assert_eq!(port_number(transport, name), Some(port), "{name}");
                }
            }
        }
    }

    #[test]
    fn every_printed_type_and_protocol_name_reads_back() {
        for value in 0..=u8::MAX {
            for version in [IcmpVersion::V4, IcmpVersion::V6] {
                if let Some(name) = icmp_name(version, value) {
                    assert_eq!(icmp_number(version, name), Some(value), "{name}");
                }
            }
            if let Some(name) = protocol_name(value) {
                assert_eq!(protocol_number(name), Some(value), "{name}");
            }
        }
    }

    #[test]
    fn names_depend_on_the_protocol() {
        assert_eq!(port_name(Transport::Tcp, 5060), Some("sip"));
        assert_eq!(port_name(Transport::Tcp, 80), Some("www"));
        assert_eq!(port_name(Transport::Tcp, 514), Some("rsh"));
        assert_eq!(port_name(Transport::Udp, 514), Some("syslog"));
        assert_eq!(port_name(Transport::TcpUdp, 514), None);
        assert_eq!(port_name(Transport::Tcp, 5061), None);
        assert_eq!(port_number(Transport::Udp, "https"), None);
    }
}
