//! Command lines to the tree.
//!
//! Like the device, the parser holds a mode and gives every line first to the commands of that mode, then to the
//! global ones; indentation decides nothing. A handler takes all words of its command before it changes the tree, so
//! a refused command changes nothing, and a command that a paste broke over several lines can be tried again with
//! the next line joined to it. Handlers are grouped by topic, as the tree is.

mod primitive;
mod interface;
mod object;
mod object_group;
mod access_list;
mod time_range;
mod nat;
mod tls_proxy;
mod class_map;
mod mpf;
mod inspect;
mod inspect_parameters;
mod timeout;
mod kept;
mod clear;
mod driver;
/// One line after the other.
mod editor;

pub use access_list::LOG_LEVELS;
pub use editor::{Editor, Entered};
pub use inspect::{SIP_FIELDS, SIP_METHODS};
pub use time_range::{DAYS, month_name};

use std::collections::HashMap;

use super::ast::Config;
use super::ast::access_list::{AccessList, TimeRange};
use super::ast::mpf::{ClassMap, PolicyMap, RegexClass};
use super::ast::object::{Group, NetworkObject, ServiceGroup, ServiceObject};
use super::ast::tls_proxy::TlsProxy;
use super::cursor::{Cursor, Keywords, Taken};
use super::diagnostic::Diagnostic;
use super::lexer::lex;
use super::source::{Name, Source, Span, Spanned};
use super::{Overwritten, Parsed};
use object_group::GroupKind;

/// Takes the words after the keyword, changes the tree, and returns the mode of the next line.
type Handler = fn(&mut Parser, &mut Cursor) -> Taken<Mode>;

/// What sub-mode the next line is read in; numbers are places in the lists of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Global,
    Interface(usize),
    NetworkObject(usize),
    ServiceObject(usize),
    NetworkGroup(usize),
    ServiceGroup(usize),
    ProtocolGroup(usize),
    IcmpGroup(usize),
    TimeRange(usize),
    TlsProxy(usize),
    ClassMap(usize),
    RegexClass(usize),
    InspectClass(usize),
    PolicyMap(usize),
    PolicyClass(usize, usize),
    InspectMap(usize),
    InspectParameters(usize),
    InspectRule(usize, usize),
    /// Lines are kept word for word.
    Kept(usize),
    /// The command that opened the block is outside the subset.
    Outside,
    /// The command that opened the block was refused.
    Refused,
}

impl Mode {
    fn commands(self) -> Keywords<'static, Handler> {
        match self {
            Mode::Global | Mode::Kept(_) | Mode::Outside | Mode::Refused => &[],
            Mode::Interface(_) => interface::COMMANDS,
            Mode::NetworkObject(_) => object::NETWORK_COMMANDS,
            Mode::ServiceObject(_) => object::SERVICE_COMMANDS,
            Mode::NetworkGroup(_) => object_group::NETWORK_COMMANDS,
            Mode::ServiceGroup(_) => object_group::SERVICE_COMMANDS,
            Mode::ProtocolGroup(_) => object_group::PROTOCOL_COMMANDS,
            Mode::IcmpGroup(_) => object_group::ICMP_COMMANDS,
            Mode::TimeRange(_) => time_range::COMMANDS,
            Mode::TlsProxy(_) => tls_proxy::COMMANDS,
            Mode::ClassMap(_) => class_map::COMMANDS,
            Mode::RegexClass(_) => class_map::REGEX_COMMANDS,
            Mode::InspectClass(_) => inspect::CLASS_COMMANDS,
            Mode::PolicyMap(_) => mpf::POLICY_MAP_COMMANDS,
            Mode::PolicyClass(..) => mpf::POLICY_CLASS_COMMANDS,
            Mode::InspectMap(_) => inspect::MAP_COMMANDS,
            Mode::InspectParameters(_) => inspect_parameters::COMMANDS,
            Mode::InspectRule(..) => inspect::RULE_COMMANDS,
        }
    }

    /// Where `exit` leads.
    fn parent(self) -> Mode {
        match self {
            Mode::PolicyClass(map, _) => Mode::PolicyMap(map),
            Mode::InspectParameters(map) | Mode::InspectRule(map, _) => Mode::InspectMap(map),
            _ => Mode::Global,
        }
    }
}

/// A global command.
#[derive(Clone, Copy)]
struct Command {
    handler: Handler,
    opens_block: bool,
}

const fn line(handler: Handler) -> Command {
    Command {
        handler,
        opens_block: false,
    }
}

const fn block(handler: Handler) -> Command {
    Command {
        handler,
        opens_block: true,
    }
}

/// Global commands.
const GLOBAL: Keywords<'static, Command> = &[
    ("access-group", line(access_list::access_group)),
    ("access-list", line(access_list::access_list)),
    ("class-map", block(class_map::class_map)),
    ("clear", line(clear::clear)),
    ("configure", line(configure)),
    ("copy", line(exec)),
    ("crypto", line(kept::crypto)),
    ("debug", line(exec)),
    ("domain-name", line(domain_name)),
    ("enable", line(exec)),
    ("end", line(end)),
    ("exit", line(exit)),
    ("global", line(nat::old_command)),
    ("hostname", line(hostname)),
    ("interface", block(interface::interface)),
    ("mtu", line(interface::mtu)),
    ("names", line(names)),
    ("nat", line(nat::twice_nat)),
    ("object", block(object::object)),
    ("object-group", block(object_group::object_group)),
    ("packet-tracer", line(exec)),
    ("ping", line(exec)),
    ("policy-map", block(mpf::policy_map)),
    ("quit", line(exit)),
    ("regex", line(class_map::regex)),
    ("reload", line(exec)),
    ("route", line(interface::route)),
    ("same-security-traffic", line(interface::same_security)),
    ("service-policy", line(mpf::service_policy)),
    ("show", line(exec)),
    ("ssl", line(kept::ssl)),
    ("static", line(nat::old_command)),
    ("time-range", block(time_range::time_range)),
    ("timeout", line(timeout::timeout)),
    ("tls-proxy", block(tls_proxy::tls_proxy)),
    ("write", line(exec)),
    ("xlate", line(nat::xlate)),
];

/// Commands of the device outside the subset that would else be read as short forms of others.
const OUTSIDE_WORDS: &[&str] = &["class", "name", "service"];

/// The state of reading one text.
pub struct Parser<'a> {
    source: &'a Source,
    config: Config,
    overwritten: Vec<Overwritten>,
    diagnostics: Vec<Diagnostic>,
    mode: Mode,
    /// Lines indented deeper than this belong to a command outside the subset.
    outside_indent: Option<usize>,
    /// The command that opened the current block.
    block: Span,
    /// Place of the kept command that was just read, if pasted data may follow it.
    awaits_data: Option<usize>,
    /// Kind and place of every `object-group` in the text.
    group_kinds: HashMap<String, (GroupKind, Span)>,
    /// Explicit line numbers of access lists so far.
    access_list_lines: HashMap<(String, u32), Span>,
    index: Index,
}

/// Places by name, so that long lists are not searched for every line.
#[derive(Clone, Default)]
struct Index {
    network_objects: HashMap<String, usize>,
    service_objects: HashMap<String, usize>,
    network_groups: HashMap<String, usize>,
    service_groups: HashMap<String, usize>,
    protocol_groups: HashMap<String, usize>,
    icmp_groups: HashMap<String, usize>,
    access_lists: HashMap<String, usize>,
}

/// Reads a whole text.
pub fn parse(text: &str) -> Parsed {
    let mut diagnostics = Vec::new();
    if text.len() > super::lexer::MAX_TEXT_BYTES {
        let limit = super::lexer::MAX_TEXT_BYTES;
        let message = format!(
            "text of {} bytes; the longest accepted is {limit}",
            text.len()
        );
        diagnostics.push(Diagnostic::error(
            "E0116",
            Span {
                line: 1,
                ..Span::default()
            },
            message,
        ));
        return Parsed {
            diagnostics,
            ..Parsed::default()
        };
    }
    let source = Source::new(text);
    let lines = lex(source.text(), &mut diagnostics);
    let mut parser = Parser::new(&source);
    parser.diagnostics = diagnostics;
    parser.run(&lines);
    let Parser {
        config,
        overwritten,
        mut diagnostics,
        ..
    } = parser;
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    Parsed {
        source,
        config,
        overwritten,
        diagnostics,
    }
}

impl<'a> Parser<'a> {
    fn new(source: &'a Source) -> Self {
        Self {
            source,
            config: Config::default(),
            overwritten: Vec::new(),
            diagnostics: Vec::new(),
            mode: Mode::Global,
            outside_indent: None,
            block: Span::default(),
            awaits_data: None,
            group_kinds: HashMap::new(),
            access_list_lines: HashMap::new(),
            index: Index::default(),
        }
    }
}

impl Parser<'_> {
    fn warn(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diagnostics
            .push(Diagnostic::warning(code, span, message));
    }

    fn nothing_to_remove(&mut self, c: &Cursor) {
        self.warn("W0107", c.span(), "there is nothing to remove");
    }

    fn group_kind(&self, name: &str) -> Option<GroupKind> {
        self.group_kinds.get(name).map(|(kind, _)| *kind)
    }

    /// Adds a line once to a list of the tree, or removes it when the command is negated.
    fn add_or_remove<T: PartialEq>(
        &mut self,
        c: &Cursor,
        line: Spanned<T>,
        list: impl FnOnce(&mut Config) -> &mut Vec<Spanned<T>>,
    ) {
        let list = list(&mut self.config);
        if !c.is_negated {
            if !list.contains(&line) {
                list.push(line);
            }
        } else if !remove_equal(list, &line) {
            self.nothing_to_remove(c);
        }
    }
}

fn hostname(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let name = c.take_unless_negated(|c| c.take_name("a name", 63))?;
    if let Some(name) = &name
        && !name
            .chars()
            .all(|ch| ch.is_ascii_alphanumeric() || "-_.".contains(ch))
    {
        let message = format!("`{}` cannot be a host name", name.node);
        return Err(super::cursor::refused("E0111", name.span, message));
    }
    p.config.hostname = name;
    Ok(Mode::Global)
}

fn domain_name(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    p.config.domain_name = c.take_unless_negated(|c| c.take_name("a domain", 254))?;
    Ok(Mode::Global)
}

fn names(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    c.end()?;
    p.config.no_names = c.is_negated.then(|| Spanned::new((), c.span()));
    Ok(Mode::Global)
}

/// `configure terminal` enters the mode a text is read in anyway.
fn configure(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    if c.eat("terminal") && c.is_at_end() {
        Ok(Mode::Global)
    } else {
        exec(p, c)
    }
}

/// `exit` and `quit` lead one mode up.
fn exit(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    c.end()?;
    Ok(p.mode.parent())
}

fn end(_: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    c.end()?;
    Ok(Mode::Global)
}

/// A command that does something once and leaves nothing in the configuration.
fn exec(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    let span = c.span();
    let command = p.source.command(span);
    p.warn(
        "W0102",
        span,
        format!("`{command}` is not a configuration command; ignored"),
    );
    Ok(p.mode)
}

/// Something with a name, in a list of the tree.
trait Named {
    fn name(&self) -> &Name;
}

macro_rules! named {
    ($($kind:ty),+) => { $(impl Named for $kind { fn name(&self) -> &Name { &self.name } })+ };
}
named!(
    NetworkObject,
    ServiceObject,
    AccessList,
    TimeRange,
    TlsProxy,
    ClassMap,
    RegexClass,
    PolicyMap
);

impl<M> Named for Group<M> {
    fn name(&self) -> &Name {
        &self.name
    }
}

impl Named for ServiceGroup {
    fn name(&self) -> &Name {
        &self.group.name
    }
}

/// The place of a name in a list, at its end when it is new. An index entry counts only while the list agrees, so
/// removals need not maintain it.
fn find_or_add<T: Named>(
    list: &mut Vec<T>,
    index: &mut HashMap<String, usize>,
    name: Name,
    new: impl FnOnce(Name) -> T,
) -> usize {
    let known = index.get(&name.node).copied();
    if let Some(at) = known {
        if list.get(at).is_some_and(|item| *item.name() == name) {
            return at;
        }
        if let Some(at) = list.iter().position(|item| *item.name() == name) {
            index.insert(name.node, at);
            return at;
        }
    }
    let at = list.len();
    index.insert(name.node.clone(), at);
    list.push(new(name));
    at
}

fn remove_named<T: Named>(list: &mut Vec<T>, name: &Name) -> bool {
    let found = list.iter().position(|item| item.name() == name);
    found.map(|at| list.remove(at)).is_some()
}

fn remove_equal<T: PartialEq>(list: &mut Vec<T>, item: &T) -> bool {
    let found = list.iter().position(|known| known == item);
    found.map(|at| list.remove(at)).is_some()
}

#[cfg(test)]
mod tests;
