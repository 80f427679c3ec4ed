//! `regex` and `class-map`.

use super::inspect::inspect_class;
use super::mpf::description;
use super::primitive::take_ports;
use super::{Handler, Mode, Parser};
use crate::config::ast::mpf::{ClassMap, ClassMatch, Regex, RegexClass};
use crate::config::ast::primitive::{Ports, Transport};
use crate::config::cursor::{Cursor, Failure, Keywords, MAX_NAME, Taken, refused};
use crate::config::diagnostic::Diagnostic;
use crate::config::source::Spanned;

/// Commands of `class-map`.
pub const COMMANDS: Keywords<'static, Handler> =
    &[("match", class_match), ("description", description)];

/// Commands of `class-map type regex`.
pub const REGEX_COMMANDS: Keywords<'static, Handler> =
    &[("match", regex_match), ("description", description)];

/// `regex NAME EXPR`.
pub fn regex(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let name = c.take_name("a name", MAX_NAME)?;
    let expression = if c.is_negated && c.is_at_end() {
        None
    } else {
        let token = c.take("an expression")?;
        Some(Spanned::new(token.text.to_owned(), token.span))
    };
    c.end()?;
    let regexes = &mut p.config.regexes;
    let count = regexes.len();
    regexes.retain(|regex| regex.name != name);
    match expression.filter(|_| !c.is_negated) {
        Some(expression) => regexes.push(Spanned::new(Regex { name, expression }, c.span())),
        None if regexes.len() == count => p.nothing_to_remove(c),
        None => {}
    }
    Ok(Mode::Global)
}

#[derive(Clone, Copy)]
enum MapType {
    Inspect,
    Regex,
    Outside,
}

/// `class-map …` in all its forms.
pub fn class_map(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    if c.eat_full("type") {
        let types = &[
            ("inspect", MapType::Inspect),
            ("regex", MapType::Regex),
            ("management", MapType::Outside),
        ];
        return match c.take_keyword("a type of class-map", types)? {
            MapType::Inspect => inspect_class(p, c),
            MapType::Regex => regex_class(p, c),
            MapType::Outside => Err(Failure::Outside),
        };
    }
    let name = c.take_name("a name", MAX_NAME)?;
    c.end()?;
    if c.is_negated {
        if !super::remove_named(&mut p.config.class_maps, &name) {
            p.nothing_to_remove(c);
        }
        return Ok(Mode::Global);
    }
    let maps = &mut p.config.class_maps;
    let index = maps
        .iter()
        .position(|map| map.name == name)
        .unwrap_or_else(|| {
            maps.push(ClassMap {
                name,
                description: None,
                matches: Vec::new(),
            });
            maps.len() - 1
        });
    Ok(Mode::ClassMap(index))
}

fn regex_class(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let is_any = c.eat_full("match-any");
    if !is_any && !c.is_negated {
        c.expect("match-any")?;
    }
    let name = c.take_name("a name", MAX_NAME)?;
    c.end()?;
    if c.is_negated {
        if !super::remove_named(&mut p.config.regex_classes, &name) {
            p.nothing_to_remove(c);
        }
        return Ok(Mode::Global);
    }
    let classes = &mut p.config.regex_classes;
    let index = classes
        .iter()
        .position(|class| class.name == name)
        .unwrap_or_else(|| {
            classes.push(RegexClass {
                name,
                description: None,
                regexes: Vec::new(),
            });
            classes.len() - 1
        });
    Ok(Mode::RegexClass(index))
}

fn regex_match(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    c.expect("regex")?;
    let name = c.take_name("a regex", MAX_NAME)?;
    c.end()?;
    let Mode::RegexClass(index) = p.mode else {
        return Ok(p.mode);
    };
    let Some(class) = p.config.regex_classes.get_mut(index) else {
        return Ok(p.mode);
    };
    if !c.is_negated {
        if !class.regexes.contains(&name) {
            class.regexes.push(name);
        }
    } else if !super::remove_equal(&mut class.regexes, &name) {
        p.nothing_to_remove(c);
    }
    Ok(p.mode)
}

#[derive(Clone, Copy)]
enum MatchWord {
    Any,
    AccessList,
    DefaultInspection,
    Port,
    Outside,
}

fn class_match(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let word = c.take_keyword(
        "any, access-list, default-inspection-traffic or port",
        &[
            ("any", MatchWord::Any),
            ("access-list", MatchWord::AccessList),
            ("default-inspection-traffic", MatchWord::DefaultInspection),
            ("port", MatchWord::Port),
            ("dscp", MatchWord::Outside),
            ("flow", MatchWord::Outside),
            ("precedence", MatchWord::Outside),
            ("rtp", MatchWord::Outside),
            ("tunnel-group", MatchWord::Outside),
        ],
    )?;
    let class_match = match word {
        MatchWord::Any => ClassMatch::Any,
        MatchWord::AccessList => ClassMatch::AccessList(c.take_name("an access list", MAX_NAME)?),
        MatchWord::DefaultInspection => ClassMatch::DefaultInspectionTraffic,
        MatchWord::Port => {
            let transport = c.take_keyword(
                "tcp or udp",
                &[("tcp", Transport::Tcp), ("udp", Transport::Udp)],
            )?;
            let ports = take_ports(c, transport)?;
            if !matches!(ports.node, Ports::Eq(_) | Ports::Range(..)) {
                return Err(refused("E0103", ports.span, "expected eq or range"));
            }
            ClassMatch::Port(transport, ports.node)
        }
        MatchWord::Outside => return Err(Failure::Outside),
    };
    c.end()?;
    let line = Spanned::new(class_match, c.span());
    let Mode::ClassMap(index) = p.mode else {
        return Ok(p.mode);
    };
    let Some(map) = p.config.class_maps.get_mut(index) else {
        return Ok(p.mode);
    };
    if c.is_negated {
        if !super::remove_equal(&mut map.matches, &line) {
            p.nothing_to_remove(c);
        }
        return Ok(p.mode);
    }
    if map.matches.contains(&line) {
        return Ok(p.mode);
    }
    if let Some(first) = map.matches.first() {
        let is_default = |m: &ClassMatch| *m == ClassMatch::DefaultInspectionTraffic;
        let is_list = |m: &ClassMatch| matches!(m, ClassMatch::AccessList(_));
        let is_pair = map.matches.len() == 1
            && (is_default(first) && is_list(&line) || is_list(first) && is_default(&line));
        if !is_pair {
            let message = "a class-map has one match, or default-inspection-traffic with one \
                           access list";
            let diagnostic = Diagnostic::error("E0124", c.span(), message);
            return Err(diagnostic
                .with_related(first.span, "the first match")
                .into());
        }
    }
    map.matches.push(line);
    Ok(p.mode)
}
