//! Telling a decision phase by phase.

use std::net::Ipv4Addr;

use layout::table::Key;

use super::Phase;
use crate::config::ast::access_list::{Entry, IcmpSpec, Log, PortSpec, ProtocolSpec};
use crate::config::ast::mpf::InspectProtocol;
use crate::config::ast::object::Group;
use crate::config::ast::primitive::Endpoint;
use crate::config::{Name, Parsed, Span};
use crate::policy::decision::{
    AclBasis, AclResult, Decision, DropReason, Egress, SourceTranslation, Untranslate, Verdict, Way,
};
use crate::policy::eval::{ICMP, TCP, UDP};
use crate::policy::model::{ClassId, InterfaceId, Model, NatId, NatSource};

/// A line of the configuration that acted. A span that only covers a name tells what command gives the name.
#[derive(Clone, Copy)]
struct Line {
    span: Span,
    command: &'static str,
}

impl From<Span> for Line {
    fn from(span: Span) -> Self {
        Line { span, command: "" }
    }
}

/// A line that gives a name.
fn naming(command: &'static str, span: Span) -> Line {
    Line { span, command }
}

/// What is told about, and the phases so far.
pub(super) struct Teller<'t> {
    parsed: &'t Parsed,
    model: &'t Model,
    key: &'t Key,
    decision: &'t Decision,
    pub phases: Vec<Phase>,
}

impl<'t> Teller<'t> {
    /// Nothing told yet.
    pub fn new(parsed: &'t Parsed, model: &'t Model, key: &'t Key, decision: &'t Decision) -> Self {
        Self {
            parsed,
            model,
            key,
            decision,
            phases: Vec::new(),
        }
    }

    /// Goes through the phases up to the one that dropped the packet.
    pub fn tell(&mut self, mapped: Option<(u32, u16)>) {
        let decision = self.decision;
        self.phase(
            "FLOW-LOOKUP",
            "",
            true,
            &[],
            vec!["Found no matching flow, creating a new flow".into()],
        );
        if let Some(found) = decision.untranslate {
            self.untranslated(found);
        }
        if decision.verdict == Verdict::Local {
            return self.phase(
                "ROUTE-LOOKUP",
                "input",
                true,
                &[],
                vec!["The destination is the device itself".into()],
            );
        }
        match decision.egress {
            Some(egress) => self.routed(egress),
            None => return self.not_routed(),
        }
        if decision.verdict == Verdict::Drop(DropReason::InterfaceDown) {
            return;
        }
        let Some(result) = decision.ingress_acl else {
            return self.not_through();
        };
        self.access(result, true);
        if decision.verdict == Verdict::Drop(DropReason::SecurityFailed) {
            let text = "The security levels need `same-security-traffic permit`";
            return self.phase(
                "ACCESS-LIST",
                "same-security",
                false,
                &[],
                vec![text.into()],
            );
        }
        if let Some(result) = decision.egress_acl {
            self.access(result, false);
        }
        if decision.verdict == Verdict::Drop(DropReason::AclDrop) {
            return;
        }
        if let Some(class) = decision.settings {
            self.class("CONN-SETTINGS", "", class);
        }
        self.per_session();
        self.phase("IP-OPTIONS", "", true, &[], Vec::new());
        if let Some(class) = decision.inspect {
            let subtype = match self.model.class(class).inspect.as_ref().map(|i| i.protocol) {
                Some(InspectProtocol::Skinny) => "inspect-skinny",
                _ => "inspect-sip",
            };
            self.class("INSPECT", subtype, class);
        }
        self.translated(mapped);
        if matches!(
            decision.verdict,
            Verdict::Drop(DropReason::XlateFailed | DropReason::NoXlateToPatPool)
        ) {
            return;
        }
        self.rpf_check();
        if decision.verdict == Verdict::Permit {
            self.phase(
                "FLOW-CREATION",
                "",
                true,
                &[],
                vec!["New flow created, packet dispatched to next module".into()],
            );
            self.adjacency();
        }
    }

    fn phase(
        &mut self,
        kind: &'static str,
        subtype: &'static str,
        allow: bool,
        lines: &[Line],
        information: Vec<String>,
    ) {
        let source = &self.parsed.source;
        self.phases.push(Phase {
            kind,
            subtype,
            allow,
            config: lines
                .iter()
                .map(|line| {
                    let text = source.command(line.span);
                    format!("{} {text}", line.command).trim_start().to_owned()
                })
                .collect(),
            lines: lines.iter().map(|line| line.span.line).collect(),
            information,
        });
    }

    fn untranslated(&mut self, found: Untranslate) {
        let rule = self.model.nat_rule(found.rule);
        let far = match found.way {
            Way::Reverse => rule.real_interface,
            Way::Forward => rule.mapped_interface,
        };
        let mut information = Vec::new();
        if let Some(far) = far.filter(|_| !rule.route_lookup) {
            let name = &self.model.interface(far).name;
            information.push(format!("NAT divert to egress interface {name}"));
        }
        information.push(format!(
            "Untranslate {} to {}",
            self.end(self.key.dst, self.key.dport),
            self.end(self.decision.destination, self.decision.destination_port)
        ));
        let subtype = if rule.source.is_static() {
            "static"
        } else {
            "dynamic"
        };
        self.phase(
            "UN-NAT",
            subtype,
            true,
            &self.nat_lines(found.rule),
            information,
        );
    }

    /// Address and port as packet-tracer prints them; ICMP has no ports.
    fn end(&self, address: u32, port: u16) -> String {
        match self.key.proto {
            TCP | UDP => format!("{}/{port}", Ipv4Addr::from_bits(address)),
            _ => format!("{}/0", Ipv4Addr::from_bits(address)),
        }
    }

    fn nat_lines(&self, rule: NatId) -> Vec<Line> {
        let rule = self.model.nat_rule(rule);
        let object = rule.object.as_ref().and_then(|object| {
            let objects = &self.parsed.config.network_objects;
            let written = objects
                .iter()
                .find(|written| written.name.node == object.name)?;
            Some([
                naming("object network", written.name.span),
                object.definition.into(),
            ])
        });
        object
            .into_iter()
            .flatten()
            .chain([rule.span.into()])
            .collect()
    }

    fn routed(&mut self, egress: Egress) {
        let interface = self.model.interface(egress.interface);
        let route = &self.model.routes[egress.route];
        let up = !interface.shutdown;
        let hop = Ipv4Addr::from_bits(egress.next_hop);
        let information = vec![format!(
            "found next-hop {hop} using egress ifc {}",
            interface.name
        )];
        let lines: Vec<Line> = route.span.map(Line::from).into_iter().collect();
        self.phase(
            "ROUTE-LOOKUP",
            "Resolve Egress Interface",
            up,
            &lines,
            information,
        );
    }

    fn not_routed(&mut self) {
        let text = match self.decision.verdict {
            Verdict::Drop(DropReason::SecurityFailed) => {
                "The address belongs to the device itself, not to a host behind it"
            }
            Verdict::Drop(DropReason::InterfaceDown) => "The input interface is down",
            _ => "No route to host",
        };
        self.phase(
            "ROUTE-LOOKUP",
            "Resolve Egress Interface",
            false,
            &[],
            vec![text.into()],
        );
    }

    /// Nothing passes through an interface for management.
    fn not_through(&mut self) {
        let text = "The interface is management-only: nothing passes through it";
        self.phase(
            "ACCESS-LIST",
            "management-only",
            false,
            &[],
            vec![text.into()],
        );
    }

    fn access(&mut self, result: AclResult, ingress: bool) {
        let mut lines: Vec<Line> = Vec::new();
        let mut subtype = "";
        let mut information = Vec::new();
        let bound = if ingress {
            let input = self.model.interface(InterfaceId(self.key.interface));
            [input.in_acl, self.model.global_acl]
        } else {
            let output = self.decision.egress.map(|egress| egress.interface);
            [output.and_then(|id| self.model.interface(id).out_acl), None]
        };
        match result.by {
            AclBasis::Ace(id) => {
                if let Some((ace, _)) = self.model.ace(id) {
                    let binding = bound.iter().flatten().find(|bound| bound.acl == ace.acl);
                    lines.extend(binding.map(|bound| Line::from(bound.span)));
                    lines.push(ace.span.into());
                    if matches!(ace.log, Some(Log::Messages { .. })) {
                        subtype = "log";
                    }
                    lines.extend(self.group_lines(ace.acl.0, ace.line));
                }
            }
            AclBasis::ImplicitDeny => {
                lines.extend(bound.iter().flatten().map(|bound| Line::from(bound.span)));
                information.push("No entry matches: implicit deny".to_owned());
            }
            AclBasis::SecurityLevel => {
                let input = self.model.interface(InterfaceId(self.key.interface));
                let output = self
                    .decision
                    .egress
                    .map(|e| self.model.interface(e.interface));
                information.extend(output.map(|output| {
                    format!(
                        "No access-group: from {} (level {}) to {} (level {})",
                        input.name, input.level, output.name, output.level
                    )
                }));
            }
        }
        self.phase("ACCESS-LIST", subtype, result.permit, &lines, information);
    }

    /// The groups a line of an access list names, with their members.
    fn group_lines(&self, acl: u16, line: u32) -> Vec<Line> {
        let config = &self.parsed.config;
        let written = config
            .access_lists
            .get(usize::from(acl))
            .and_then(|list| list.entries.get(line as usize - 1));
        let Some(Entry::Extended(entry)) = written.map(|entry| &entry.node) else {
            return Vec::new();
        };
        let mut names: Vec<&Name> = Vec::new();
        if let ProtocolSpec::Group(name) = &entry.protocol {
            names.push(name);
        }
        for end in [&entry.source, &entry.destination] {
            if let Endpoint::Group(name) = &end.node {
                names.push(name);
            }
        }
        for port in [&entry.source_port, &entry.destination_port]
            .into_iter()
            .flatten()
        {
            if let PortSpec::Group(name) = &port.node {
                names.push(name);
            }
        }
        if let Some(IcmpSpec::Group(name)) = entry.icmp.as_ref().map(|icmp| &icmp.node) {
            names.push(name);
        }
        names
            .into_iter()
            .flat_map(|name| self.group(name))
            .collect()
    }

    fn group(&self, name: &Name) -> Vec<Line> {
        let config = &self.parsed.config;
        let services = config.service_groups.iter().map(|typed| &typed.group);
        group_of(&config.network_groups, "object-group network", name)
            .or_else(|| group_of(services, "object-group service", name))
            .or_else(|| group_of(&config.protocol_groups, "object-group protocol", name))
            .or_else(|| group_of(&config.icmp_groups, "object-group icmp-type", name))
            .unwrap_or_default()
    }

    fn class(&mut self, kind: &'static str, subtype: &'static str, id: ClassId) {
        let class = self.model.class(id);
        let [map, policy, member, service_policy] = class.spans;
        let mut lines = vec![
            naming("class-map", map),
            naming("policy-map", policy),
            naming("class", member),
        ];
        let mut information = Vec::new();
        if kind == "INSPECT" {
            if let Some(inspect) = &class.inspect {
                lines.push(inspect.span.into());
                information.extend(
                    inspect
                        .tls_proxy
                        .iter()
                        .map(|name| format!("TLS proxy {name}")),
                );
            }
        } else {
            lines.extend(class.idle_s.map(|(_, span)| Line::from(span)));
            lines.extend(class.limits.map(|(_, span)| Line::from(span)));
        }
        lines.push(service_policy.into());
        self.phase(kind, subtype, true, &lines, information);
    }

    fn per_session(&mut self) {
        let kind = if self.decision.per_session {
            "per-session"
        } else {
            "multi-session"
        };
        self.phase(
            "NAT",
            "per-session",
            true,
            &[],
            vec![format!("Translations of this flow are {kind}")],
        );
    }

    fn translated(&mut self, mapped: Option<(u32, u16)>) {
        let verdict = self.decision.verdict;
        let word = match self.decision.source {
            SourceTranslation::Static { .. } => "Static",
            _ => "Dynamic",
        };
        if verdict == Verdict::Drop(DropReason::XlateFailed) {
            let text =
                "No translation can be made: the protocol has no ports, or no address is known";
            return self.phase("NAT", "", false, &[], vec![text.into()]);
        }
        if let (Some(rule), Some((address, port))) = (self.decision.source.rule(), mapped) {
            let from = self.end(self.key.src, self.key.sport);
            let text = format!("{word} translate {from} to {}", self.end(address, port));
            self.phase("NAT", "", true, &self.nat_lines(rule), vec![text]);
        }
        if verdict == Verdict::Drop(DropReason::NoXlateToPatPool) {
            let text = "The destination is shared by PAT and no connection is known for it";
            self.phase("NAT", "", false, &[], vec![text.into()]);
        }
    }

    fn rpf_check(&mut self) {
        let failed = self.decision.verdict == Verdict::Drop(DropReason::RpfFailed);
        let rule = self.decision.reverse;
        if !failed && rule.is_none() {
            return;
        }
        let mut information = Vec::new();
        if failed {
            information
                .push("Asymmetric NAT rules matched for forward and reverse flows".to_owned());
            if self.decision.untranslate.is_none() {
                information.push(
                    "From this side the mapped address must be used, not the real one".to_owned(),
                );
            }
        }
        let lines = rule.map(|rule| self.nat_lines(rule)).unwrap_or_default();
        self.phase("NAT", "rpf-check", !failed, &lines, information);
    }

    fn adjacency(&mut self) {
        if let Some(egress) = self.decision.egress {
            let name = &self.model.interface(egress.interface).name;
            let hop = Ipv4Addr::from_bits(egress.next_hop);
            self.phase(
                "ADJACENCY",
                "next-hop and adjacency",
                true,
                &[],
                vec![format!("next-hop {hop} on {name}")],
            );
        }
    }

    /// Source after translation.
    pub fn mapped(&self, allocated: Option<(u32, u16)>) -> Option<(u32, u16)> {
        match self.decision.source {
            SourceTranslation::None => None,
            SourceTranslation::Static { address, port, .. } => Some((address, port)),
            SourceTranslation::DynamicNat { rule } => {
                allocated.or_else(|| self.first_of_pool(rule))
            }
            SourceTranslation::DynamicPat { rule } => {
                allocated.or_else(|| self.preferred_port(rule))
            }
        }
    }

    fn first_of_pool(&self, rule: NatId) -> Option<(u32, u16)> {
        match &self.model.nat_rule(rule).source {
            NatSource::Dynamic { pool, .. } => Some((pool.one_to_one.at(0)?, self.key.sport)),
            NatSource::Static(_) => None,
        }
    }

    /// What PAT gives on an idle device: the packet's own port, or the next above it that no static rule owns.
    fn preferred_port(&self, rule: NatId) -> Option<(u32, u16)> {
        let egress = self.decision.egress?.interface;
        let address = self.model.pat_ranges(rule, egress).next()?.low;
        let own = self.key.sport;
        if self.key.proto == ICMP {
            return Some((address, own));
        }
        let port = (own..=u16::MAX).find(|&port| {
            !self
                .model
                .owned
                .contains(egress, self.key.proto, address, port)
        })?;
        Some((address, port))
    }
}

/// The group with a name and its members, if it is one of these.
fn group_of<'g, M: 'g>(
    groups: impl IntoIterator<Item = &'g Group<M>>,
    command: &'static str,
    name: &Name,
) -> Option<Vec<Line>> {
    let group = groups.into_iter().find(|group| group.name == *name)?;
    let members = group.members.iter().map(|member| member.span.into());
    Some(
        std::iter::once(naming(command, group.name.span))
            .chain(members)
            .collect(),
    )
}
