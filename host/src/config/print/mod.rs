//! The tree as text, as `show running-config` prints it.
//!
//! Full words, names for ports, sub-modes indented by one blank, and an order in which every name is defined before
//! it is used; the `nat` of an object comes after the access lists, among the rules. Reading the text again gives
//! the same tree.

mod primitive;
mod interface;
mod object;
mod access_list;
mod nat;
mod mpf;

use std::fmt::{self, Display, Formatter};

use super::ast::timeout::{TIMERS, Timeouts};
use super::ast::{Config, Kept};
use super::source::Spanned;
use primitive::Duration;

impl Display for Config {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        device(self, f)?;
        blocks(f, &self.interfaces)?;
        definitions(self, f)?;
        for list in &self.access_lists {
            for entry in &list.entries {
                writeln!(f, "access-list {} {entry}", list.name)?;
            }
        }
        lines(f, &self.mtus)?;
        translations(self, f)?;
        lines(f, &self.access_groups)?;
        lines(f, &self.routes)?;
        write_timeouts(&self.timeouts, f)?;
        blocks(f, &self.kept)?;
        if let Some(limit) = &self.tls_proxy_limit {
            writeln!(f, "tls-proxy maximum-session {limit}")?;
        }
        blocks(f, &self.tls_proxies)?;
        policies(self, f)
    }
}

/// What is not about any interface or object.
fn device(config: &Config, f: &mut Formatter<'_>) -> fmt::Result {
    if let Some(name) = &config.hostname {
        writeln!(f, "hostname {name}")?;
    }
    if let Some(name) = &config.domain_name {
        writeln!(f, "domain-name {name}")?;
    }
    lines(f, &config.xlate_per_session)?;
    writeln!(
        f,
        "{}",
        if config.no_names.is_some() {
            "no names"
        } else {
            "names"
        }
    )?;
    let same = &config.same_security;
    for (flag, word) in [
        (same.inter_interface, "inter-interface"),
        (same.intra_interface, "intra-interface"),
    ] {
        if flag.is_some() {
            writeln!(f, "same-security-traffic permit {word}")?;
        }
    }
    Ok(())
}

/// What access lists and rules refer to.
fn definitions(config: &Config, f: &mut Formatter<'_>) -> fmt::Result {
    lines(f, &config.regexes)?;
    texts(f, &config.time_ranges)?;
    texts(f, &config.network_objects)?;
    texts(f, &config.service_objects)?;
    texts(f, &config.network_groups)?;
    texts(f, &config.service_groups)?;
    texts(f, &config.protocol_groups)?;
    texts(f, &config.icmp_groups)
}

/// NAT in the order it is evaluated, but for the sorting inside section 2.
fn translations(config: &Config, f: &mut Formatter<'_>) -> fmt::Result {
    for rule in &config.nat_before_auto {
        writeln!(f, "{}", rule.display(false))?;
    }
    for object in &config.network_objects {
        if let Some(nat) = &object.nat {
            writeln!(f, "!\nobject network {}\n {nat}", object.name)?;
        }
    }
    for rule in &config.nat_after_auto {
        writeln!(f, "!\n{}", rule.display(true))?;
    }
    Ok(())
}

fn policies(config: &Config, f: &mut Formatter<'_>) -> fmt::Result {
    blocks(f, &config.regex_classes)?;
    blocks(f, &config.class_maps)?;
    blocks(f, &config.inspect_classes)?;
    blocks(f, &config.inspect_maps)?;
    blocks(f, &config.policy_maps)?;
    lines(f, &config.service_policies)
}

/// Items that end their own lines.
fn texts<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    items.iter().try_for_each(|item| item.fmt(f))
}

/// Items that end their own lines, each with `!` before it.
fn blocks<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    items.iter().try_for_each(|item| write!(f, "!\n{item}"))
}

/// Items of one line.
fn lines<T: Display>(f: &mut Formatter<'_>, items: &[Spanned<T>]) -> fmt::Result {
    items.iter().try_for_each(|item| writeln!(f, "{item}"))
}

/// The timers that were set, grouped on lines as the device groups them.
fn write_timeouts(timeouts: &Timeouts, f: &mut Formatter<'_>) -> fmt::Result {
    let mut line = String::new();
    for info in &TIMERS {
        if info.starts_line && !line.is_empty() {
            writeln!(f, "timeout{line}")?;
            line.clear();
        }
        if let Some(seconds) = timeouts.set.get(&info.timer) {
            line += &format!(" {} {}", info.keyword, Duration(seconds.node));
        }
    }
    if !line.is_empty() {
        writeln!(f, "timeout{line}")?;
    }
    Ok(())
}

impl Display for Kept {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.command)?;
        let indent = if self.is_data { "" } else { " " };
        self.body
            .iter()
            .try_for_each(|line| writeln!(f, "{indent}{line}"))?;
        if self.is_data {
            writeln!(f, "quit")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
