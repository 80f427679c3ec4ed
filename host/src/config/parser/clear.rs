//! `clear configure X`: removes all of X.

use super::{Mode, Parser};
use crate::config::ast::Config;
use crate::config::ast::interface::Interface;
use crate::config::cursor::{Cursor, Failure, Keywords, Taken, unexpected};

type Clear = fn(&mut Config);

/// What can be cleared as a whole.
const TARGETS: Keywords<'static, Clear> = &[
    ("access-group", |config| config.access_groups.clear()),
    ("access-list", |config| config.access_lists.clear()),
    ("all", |config| *config = Config::default()),
    ("class-map", |config| {
        config.class_maps.clear();
        config.inspect_classes.clear();
        config.regex_classes.clear();
    }),
    ("crypto", |config| {
        config
            .kept
            .retain(|kept| !kept.command.starts_with("crypto"))
    }),
    ("domain-name", |config| config.domain_name = None),
    ("hostname", |config| config.hostname = None),
    ("interface", |config| {
        for interface in &mut config.interfaces {
            *interface = Interface::new(interface.hardware.clone());
        }
    }),
    ("mtu", |config| config.mtus.clear()),
    ("names", |config| config.no_names = None),
    ("nat", |config| {
        config.nat_before_auto.clear();
        config.nat_after_auto.clear();
        for object in &mut config.network_objects {
            object.nat = None;
        }
    }),
    ("object", |config| {
        config.network_objects.clear();
        config.service_objects.clear();
    }),
    ("object-group", |config| {
        config.network_groups.clear();
        config.service_groups.clear();
        config.protocol_groups.clear();
        config.icmp_groups.clear();
    }),
    ("policy-map", |config| {
        config.policy_maps.clear();
        config.inspect_maps.clear();
    }),
    ("regex", |config| config.regexes.clear()),
    ("route", |config| config.routes.clear()),
    ("same-security-traffic", |config| {
        config.same_security = Default::default()
    }),
    ("service-policy", |config| config.service_policies.clear()),
    ("ssl", |config| {
        config.kept.retain(|kept| !kept.command.starts_with("ssl"))
    }),
    ("time-range", |config| config.time_ranges.clear()),
    ("timeout", |config| config.timeouts.set.clear()),
    ("tls-proxy", |config| {
        config.tls_proxies.clear();
        config.tls_proxy_limit = None;
    }),
    ("xlate", |config| config.xlate_per_session.clear()),
];

/// `clear configure X` and `clear configure access-list NAME`; other `clear` commands are not configuration.
pub fn clear(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    if !c.eat("configure") {
        return super::exec(p, c);
    }
    let token = c.peek().ok_or(Failure::Incomplete("what to clear"))?;
    let target = c.take_keyword("what to clear", TARGETS)?;
    let is_access_list = "access-list".starts_with(&token.text.to_ascii_lowercase());
    match c.peek() {
        Some(_) if is_access_list => {
            let name = c.take_name("an access list", crate::config::cursor::MAX_NAME)?;
            c.end()?;
            if !super::remove_named(&mut p.config.access_lists, &name) {
                p.nothing_to_remove(c);
            }
        }
        Some(extra) => return Err(unexpected(extra, "the end of the command")),
        None => target(&mut p.config),
    }
    Ok(Mode::Global)
}
