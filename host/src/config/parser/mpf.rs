//! `policy-map` and `service-policy`.

use super::inspect::inspect_map;
use super::{Handler, Mode, Parser};
use crate::config::ast::mpf::{
    ClassAction, ConnectionLimits, Inspect, InspectProtocol, PolicyClass, PolicyMap, ServicePolicy,
};
use crate::config::cursor::{Cursor, Failure, Keywords, MAX_NAME, Taken, refused};
use crate::config::diagnostic::Diagnostic;
use crate::config::source::Spanned;

/// Commands of `policy-map`.
pub const POLICY_MAP_COMMANDS: Keywords<'static, Handler> =
    &[("class", class), ("description", description)];

/// Commands of `class` inside `policy-map`.
pub const POLICY_CLASS_COMMANDS: Keywords<'static, Handler> = &[
    ("inspect", inspect),
    ("set", set),
    ("class", class),
    ("description", description),
];

/// Inspectors.
pub const INSPECTORS: Keywords<'static, InspectProtocol> = &[
    ("sip", InspectProtocol::Sip),
    ("skinny", InspectProtocol::Skinny),
];

/// `description TEXT` of a class-map or policy-map.
pub fn description(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let text = c.take_unless_negated(|c| c.take_text("a description"))?;
    let config = &mut p.config;
    let (place, mode) = match p.mode {
        Mode::ClassMap(i) => (
            config.class_maps.get_mut(i).map(|m| &mut m.description),
            p.mode,
        ),
        Mode::RegexClass(i) => (
            config.regex_classes.get_mut(i).map(|m| &mut m.description),
            p.mode,
        ),
        Mode::PolicyMap(i) | Mode::PolicyClass(i, _) => (
            config.policy_maps.get_mut(i).map(|m| &mut m.description),
            Mode::PolicyMap(i),
        ),
        mode => (None, mode),
    };
    if let Some(place) = place {
        *place = text;
    }
    Ok(mode)
}

/// `policy-map NAME` or `policy-map type inspect …`.
pub fn policy_map(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    if c.eat_full("type") {
        c.expect("inspect")?;
        return inspect_map(p, c);
    }
    let name = c.take_name("a name", MAX_NAME)?;
    c.end()?;
    if c.is_negated {
        if !super::remove_named(&mut p.config.policy_maps, &name) {
            p.nothing_to_remove(c);
        }
        return Ok(Mode::Global);
    }
    let maps = &mut p.config.policy_maps;
    let index = maps
        .iter()
        .position(|map| map.name == name)
        .unwrap_or_else(|| {
            maps.push(PolicyMap {
                name,
                description: None,
                classes: Vec::new(),
            });
            maps.len() - 1
        });
    Ok(Mode::PolicyMap(index))
}

fn class(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let class = c.take_name("a class-map", MAX_NAME)?;
    c.end()?;
    let (Mode::PolicyMap(index) | Mode::PolicyClass(index, _)) = p.mode else {
        return Ok(p.mode);
    };
    let Some(map) = p.config.policy_maps.get_mut(index) else {
        return Ok(p.mode);
    };
    let found = map.classes.iter().position(|known| known.class == class);
    if c.is_negated {
        match found {
            Some(at) => drop(map.classes.remove(at)),
            None => p.nothing_to_remove(c),
        }
        return Ok(Mode::PolicyMap(index));
    }
    let at = found.unwrap_or_else(|| {
        map.classes.push(PolicyClass {
            class,
            actions: Vec::new(),
        });
        map.classes.len() - 1
    });
    Ok(Mode::PolicyClass(index, at))
}

fn inspect(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let token = c
        .peek()
        .ok_or(Failure::Incomplete("a protocol to inspect"))?;
    let known = c.take_optional(INSPECTORS)?;
    let action = match known {
        Some(protocol) => ClassAction::Inspect(take_inspect(c, protocol.node)?),
        None => ClassAction::InspectOther(c.take_words("a protocol")?.join(" ")),
    };
    c.end()?;
    if let ClassAction::InspectOther(_) = action {
        let message = format!(
            "`inspect {}` is kept, but there is no such inspector",
            token.text
        );
        p.warn("W0104", c.span(), message);
    }
    let line = Spanned::new(action, c.span());
    // The new line takes the place of one for the same protocol, as when its map is changed.
    change_action(p, c, line, |known, new| match (known, new) {
        (ClassAction::Inspect(known), ClassAction::Inspect(new)) => known.protocol == new.protocol,
        (ClassAction::InspectOther(known), ClassAction::InspectOther(new)) => {
            known.split(' ').next() == new.split(' ').next()
        }
        _ => false,
    })
}

fn take_inspect(c: &mut Cursor, protocol: InspectProtocol) -> Taken<Inspect> {
    const OPTIONS: [&str; 3] = ["tls-proxy", "phone-proxy", "uc-ime"];
    let is_option = |text: &str| OPTIONS.iter().any(|word| word.eq_ignore_ascii_case(text));
    let map = match c.peek() {
        Some(token) if !is_option(token.text) => Some(c.take_name("an inspect map", MAX_NAME)?),
        _ => None,
    };
    let mut inspect = Inspect {
        protocol,
        map,
        tls_proxy: None,
        phone_proxy: None,
        uc_ime: None,
    };
    while !c.is_at_end() {
        if c.eat_full("tls-proxy") {
            inspect.tls_proxy = Some(c.take_name("a tls-proxy", MAX_NAME)?);
        } else if c.eat_full("phone-proxy") {
            inspect.phone_proxy = Some(c.take_name("a phone-proxy", MAX_NAME)?);
        } else if c.eat_full("uc-ime") {
            inspect.uc_ime = Some(c.take_name("a uc-ime", MAX_NAME)?);
        } else {
            c.end()?;
        }
    }
    if inspect.tls_proxy.is_some() && inspect.phone_proxy.is_some() {
        return Err(refused(
            "E0120",
            c.span(),
            "`tls-proxy` excludes `phone-proxy`",
        ));
    }
    Ok(inspect)
}

#[derive(Clone, Copy)]
enum SetWord {
    Timeout,
    ConnMax,
    EmbryonicMax,
    ClientMax,
    ClientEmbryonicMax,
    Outside,
}

fn set(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    const WORDS: &[(&str, SetWord)] = &[
        ("timeout", SetWord::Timeout),
        ("conn-max", SetWord::ConnMax),
        ("embryonic-conn-max", SetWord::EmbryonicMax),
        ("per-client-max", SetWord::ClientMax),
        ("per-client-embryonic-max", SetWord::ClientEmbryonicMax),
        ("advanced-options", SetWord::Outside),
        ("decrement-ttl", SetWord::Outside),
        ("random-sequence-number", SetWord::Outside),
    ];
    let word = c.take("connection")?;
    if !"connection".starts_with(&word.text.to_ascii_lowercase()) {
        return Err(Failure::Outside);
    }
    let mut limits = ConnectionLimits::default();
    loop {
        let place = match c.take_keyword("a limit or timeout", WORDS)? {
            SetWord::Timeout => return set_timeout(p, c),
            SetWord::ConnMax => &mut limits.conn_max,
            SetWord::EmbryonicMax => &mut limits.embryonic_conn_max,
            SetWord::ClientMax => &mut limits.per_client_max,
            SetWord::ClientEmbryonicMax => &mut limits.per_client_embryonic_max,
            SetWord::Outside => return Err(Failure::Outside),
        };
        *place = Some(c.take_number("a number of connections", 0, 2_000_000)?.node);
        if c.is_at_end() {
            break;
        }
    }
    let line = Spanned::new(ClassAction::ConnectionLimits(limits), c.span());
    change_action(p, c, line, |known, _| {
        matches!(known, ClassAction::ConnectionLimits(_))
    })
}

fn set_timeout(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let word = c.take("idle")?;
    if !"idle".starts_with(&word.text.to_ascii_lowercase()) {
        return Err(Failure::Outside);
    }
    let seconds = c.take_duration()?.node;
    let reset = c.eat("reset");
    c.end()?;
    let line = Spanned::new(ClassAction::IdleTimeout { seconds, reset }, c.span());
    change_action(p, c, line, |known, _| {
        matches!(known, ClassAction::IdleTimeout { .. })
    })
}

/// Puts an action in the place of one of its kind, or removes that one.
fn change_action(
    p: &mut Parser,
    c: &Cursor,
    line: Spanned<ClassAction>,
    is_same_kind: impl Fn(&ClassAction, &ClassAction) -> bool,
) -> Taken<Mode> {
    let Mode::PolicyClass(map, class) = p.mode else {
        return Ok(p.mode);
    };
    let class = p
        .config
        .policy_maps
        .get_mut(map)
        .and_then(|map| map.classes.get_mut(class));
    let Some(actions) = class.map(|class| &mut class.actions) else {
        return Ok(p.mode);
    };
    let found = actions.iter().position(|known| is_same_kind(known, &line));
    match (found, c.is_negated) {
        (Some(at), false) => actions[at] = line,
        (None, false) => actions.push(line),
        (Some(at), true) => drop(actions.remove(at)),
        (None, true) => p.nothing_to_remove(c),
    }
    Ok(p.mode)
}

/// `service-policy NAME {global | interface IF} [fail-close]`.
pub fn service_policy(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let policy_map = c.take_name("a policy-map", MAX_NAME)?;
    let is_global = c.take_keyword(
        "global or interface",
        &[("global", true), ("interface", false)],
    )?;
    let interface = if is_global {
        None
    } else {
        Some(c.take_interface_name()?)
    };
    let fail_close = c.eat("fail-close");
    c.end()?;
    let policy = Spanned::new(
        ServicePolicy {
            policy_map,
            interface,
            fail_close,
        },
        c.span(),
    );
    let policies = &mut p.config.service_policies;
    if !c.is_negated {
        let same = policies
            .iter()
            .position(|known| known.interface == policy.interface);
        if let Some(old) = same
            .map(|at| policies.remove(at))
            .filter(|old| *old != policy)
        {
            let message = format!("replaces policy `{}` bound here before", old.policy_map);
            let diagnostic = Diagnostic::warning("W0109", c.span(), message);
            p.diagnostics
                .push(diagnostic.with_related(old.span, "bound here before"));
        }
    }
    p.add_or_remove(c, policy, |config| &mut config.service_policies);
    Ok(Mode::Global)
}
