//! Names that are defined and never used.

use std::collections::HashSet;

use super::super::lower::Findings;
use crate::config::ast::Config;
use crate::config::ast::access_list::{Entry, ExtendedEntry, IcmpSpec, PortSpec, ProtocolSpec};
use crate::config::ast::mpf::{ClassAction, ClassMatch};
use crate::config::ast::nat::{
    MappedAddress, NatOperand, ObjectNat, ObjectTranslation, TwiceNat, TwiceSource,
};
use crate::config::ast::object::{IcmpMember, NetworkMember, ProtocolMember, ServiceMember};
use crate::config::ast::primitive::Endpoint;
use crate::config::{Diagnostic, Name};

/// Reports what nothing names: objects, groups, access lists, time ranges, and the parts of service policies.
pub(super) fn check(config: &Config, findings: &mut Findings) {
    objects(config, findings);
    policies(config, findings);
}

/// Reports a name that is not among the used ones.
fn report(what: &str, name: &Name, used: &HashSet<&str>, findings: &mut Findings) {
    if !used.contains(name.as_str()) {
        findings.push(
            Diagnostic::warning(
                "W0402",
                name.span,
                format!("{what} {} is never used", name.node),
            )
            .with_help("remove it, or look for a mistyped name where it should be used"),
        );
    }
}

/// Maps and proxies have a namespace each. Whether what names them is itself used is said once, at its own name.
fn policies(config: &Config, findings: &mut Findings) {
    let policies = config.service_policies.iter();
    let used: HashSet<&str> = policies.map(|line| line.policy_map.as_str()).collect();
    for map in &config.policy_maps {
        report("policy-map", &map.name, &used, findings);
    }
    let classes = || config.policy_maps.iter().flat_map(|map| &map.classes);
    let mut used: HashSet<&str> = classes().map(|class| class.class.as_str()).collect();
    // Every device has it, used or not.
    used.insert("inspection_default");
    for map in &config.class_maps {
        report("class-map", &map.name, &used, findings);
    }
    let actions = || classes().flat_map(|class| &class.actions);
    let inspections = || {
        actions().filter_map(|action| match &action.node {
            ClassAction::Inspect(inspect) => Some(inspect),
            _ => None,
        })
    };
    let maps = inspections().filter_map(|inspect| inspect.map.as_ref());
    let used: HashSet<&str> = maps.map(|name| name.as_str()).collect();
    for map in &config.inspect_maps {
        report("policy-map type inspect", &map.name, &used, findings);
    }
    let proxies = inspections().filter_map(|inspect| inspect.tls_proxy.as_ref());
    let used: HashSet<&str> = proxies.map(|name| name.as_str()).collect();
    for proxy in &config.tls_proxies {
        report("tls-proxy", &proxy.name, &used, findings);
    }
    let lines = config.access_lists.iter().flat_map(|list| list.extended());
    let ranges = lines.filter_map(|(_, _, entry)| entry.time_range.as_ref());
    let used: HashSet<&str> = ranges.map(|name| name.as_str()).collect();
    for range in &config.time_ranges {
        report("time-range", &range.name, &used, findings);
    }
}

/// Objects, groups, access lists.
fn objects(config: &Config, findings: &mut Findings) {
    let used = Used::by(config);
    let mut report = |what: &str, name: &Name| report(what, name, &used.names, findings);
    for object in config
        .network_objects
        .iter()
        .filter(|object| object.nat.is_none())
    {
        report("object network", &object.name);
    }
    for object in &config.service_objects {
        report("object service", &object.name);
    }
    for group in &config.network_groups {
        report("object-group network", &group.name);
    }
    for typed in &config.service_groups {
        report("object-group service", &typed.group.name);
    }
    for group in &config.protocol_groups {
        report("object-group protocol", &group.name);
    }
    for group in &config.icmp_groups {
        report("object-group icmp-type", &group.name);
    }
    for list in &config.access_lists {
        report("access-list", &list.name);
    }
}

/// Names that something names. Kinds are not told apart: the device forbids most double names, and a name that is
/// used as another kind is reported where it is used.
#[derive(Default)]
struct Used<'a> {
    names: HashSet<&'a str>,
}

impl<'a> Used<'a> {
    fn by(config: &'a Config) -> Self {
        let mut used = Self::default();
        for (_, _, entry) in config.access_lists.iter().flat_map(|list| list.extended()) {
            used.entry(entry);
        }
        for list in &config.access_lists {
            for entry in &list.entries {
                if let Entry::Standard(entry) = &entry.node {
                    used.endpoint(&entry.address);
                }
            }
        }
        used.groups(config);
        for nat in config
            .network_objects
            .iter()
            .filter_map(|object| object.nat.as_ref())
        {
            used.object_nat(nat);
        }
        for nat in config.nat_before_auto.iter().chain(&config.nat_after_auto) {
            used.twice_nat(nat);
        }
        for line in &config.xlate_per_session {
            used.endpoint(&line.source);
            used.endpoint(&line.destination);
        }
        used.names.extend(
            config
                .access_groups
                .iter()
                .map(|group| group.access_list.as_str()),
        );
        for matched in config.class_maps.iter().flat_map(|map| &map.matches) {
            if let ClassMatch::AccessList(name) = &matched.node {
                used.names.insert(name);
            }
        }
        used
    }

    fn entry(&mut self, entry: &'a ExtendedEntry) {
        match &entry.protocol {
            ProtocolSpec::Object(name) | ProtocolSpec::Group(name) => self.names.insert(name),
            ProtocolSpec::Protocol(_) => false,
        };
        self.endpoint(&entry.source.node);
        self.endpoint(&entry.destination.node);
        for port in [&entry.source_port, &entry.destination_port]
            .into_iter()
            .flatten()
        {
            if let PortSpec::Group(name) = &port.node {
                self.names.insert(name);
            }
        }
        if let Some(IcmpSpec::Group(name)) = entry.icmp.as_ref().map(|icmp| &icmp.node) {
            self.names.insert(name);
        }
    }

    fn endpoint(&mut self, endpoint: &'a Endpoint) {
        if let Endpoint::Object(name) | Endpoint::Group(name) = endpoint {
            self.names.insert(name);
        }
    }

    fn groups(&mut self, config: &'a Config) {
        for member in config
            .network_groups
            .iter()
            .flat_map(|group| &group.members)
        {
            if let NetworkMember::Object(name) | NetworkMember::Group(name) = &member.node {
                self.names.insert(name);
            }
        }
        for member in config
            .service_groups
            .iter()
            .flat_map(|typed| &typed.group.members)
        {
            if let ServiceMember::Object(name) | ServiceMember::Group(name) = &member.node {
                self.names.insert(name);
            }
        }
        for member in config
            .protocol_groups
            .iter()
            .flat_map(|group| &group.members)
        {
            if let ProtocolMember::Group(name) = &member.node {
                self.names.insert(name);
            }
        }
        for member in config.icmp_groups.iter().flat_map(|group| &group.members) {
            if let IcmpMember::Group(name) = &member.node {
                self.names.insert(name);
            }
        }
    }

    fn object_nat(&mut self, nat: &'a ObjectNat) {
        match &nat.translation {
            ObjectTranslation::Static { mapped, .. }
            | ObjectTranslation::Dynamic { mapped, .. } => {
                if let MappedAddress::Object(name) = mapped {
                    self.names.insert(name);
                }
            }
            ObjectTranslation::PatPool { pool, .. } => {
                self.names.insert(&pool.object);
            }
        }
    }

    fn twice_nat(&mut self, nat: &'a TwiceNat) {
        match &nat.source {
            TwiceSource::Static { real, mapped } | TwiceSource::Dynamic { real, mapped, .. } => {
                self.operand(real);
                self.operand(mapped);
            }
            TwiceSource::PatPool {
                real, mapped, pool, ..
            } => {
                self.operand(real);
                mapped.iter().for_each(|mapped| self.operand(mapped));
                self.names.insert(&pool.object);
            }
        }
        if let Some(destination) = &nat.destination {
            self.operand(&destination.mapped);
            self.operand(&destination.real);
        }
        if let Some(pair) = &nat.service {
            self.names
                .extend([pair.first.as_str(), pair.second.as_str()]);
        }
    }

    fn operand(&mut self, operand: &'a NatOperand) {
        if let NatOperand::Object(name) = operand {
            self.names.insert(name);
        }
    }
}
