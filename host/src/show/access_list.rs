//! `show access-list [NAME]`: lines of the configuration and the packets that each judged.
//!
//! Comes in: the access lists as written, their meaning, and what the card counted for each entry of its table. Only
//! first packets of connections are judged, so only they count.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};

use serde_json::{Value, json};

use super::{Format, MOST_ROWS, left_out, pretty};
use crate::config::ast::Config;
use crate::config::ast::access_list::{AccessList, Entry};
use crate::flow::seeded::Seeded;
use crate::policy::model::Ace;
use crate::policy::{Image, Model};

/// A line, and what is known of it.
struct Line<'a> {
    number: usize,
    entry: &'a Entry,
    ace: Option<&'a Ace>,
    hits: u64,
}

/// Prints the lists; `None` if there is none of this name. `hits` are those of the image's entries, in its order.
pub fn access_lists(
    format: Format,
    name: Option<&str>,
    (config, model, image): (&Config, &Model, &Image),
    hits: &[u64],
) -> Option<String> {
    let lists: Vec<&AccessList> = config
        .access_lists
        .iter()
        .filter(|list| name.is_none_or(|name| list.name.node == name))
        .collect();
    if lists.is_empty() && name.is_some() {
        return None;
    }
    let counted = by_line(model, image, hits);
    let rows: usize = lists.iter().map(|list| list.entries.len()).sum();
    let mut room = MOST_ROWS;
    let mut told = Vec::new();
    for list in lists {
        let lines = lines(model, list, &counted).take(room).collect::<Vec<_>>();
        room -= lines.len();
        told.push((list, lines));
    }
    if format == Format::Json {
        let lists: Vec<Value> = told
            .iter()
            .map(|(list, lines)| list_json(list, lines))
            .collect();
        return Some(pretty(&json!({
            "access_lists": lists,
            "left_out": rows.saturating_sub(MOST_ROWS),
        })));
    }
    let text: String = told
        .iter()
        .map(|(list, lines)| list_text(list, lines))
        .collect();
    Some(text + &left_out(rows))
}

/// Hits by list and line.
fn by_line(model: &Model, image: &Image, hits: &[u64]) -> BTreeMap<(u16, u32), u64> {
    let mut counted = BTreeMap::new();
    for (origin, hits) in image.acl_origins.iter().zip(hits) {
        if let Some((ace, _)) = origin.ace().and_then(|id| model.ace(id)) {
            *counted.entry((ace.acl.0, ace.line)).or_default() += hits;
        }
    }
    counted
}

fn lines<'a>(
    model: &'a Model,
    list: &'a AccessList,
    counted: &'a BTreeMap<(u16, u32), u64>,
) -> impl Iterator<Item = Line<'a>> {
    let aces = model
        .access_lists
        .iter()
        .find(|known| known.name == list.name.node)
        .map_or(&[][..], |known| known.aces.as_slice());
    (1..).zip(&list.entries).map(|(number, entry)| {
        let ace = aces.iter().find(|ace| ace.line as usize == number);
        let hits = ace.and_then(|ace| counted.get(&(ace.acl.0, ace.line)));
        Line {
            number,
            entry: &entry.node,
            ace,
            hits: hits.copied().unwrap_or_default(),
        }
    })
}

fn list_text(list: &AccessList, lines: &[Line<'_>]) -> String {
    let elements: u32 = lines
        .iter()
        .filter_map(|line| line.ace)
        .map(Ace::elements)
        .sum();
    let name = &list.name.node;
    let mut text = format!(
        "access-list {name}; {elements} elements; name hash: {:#x}\n",
        hash(name)
    );
    for Line {
        number,
        entry,
        ace,
        hits,
    } in lines
    {
        let line = format!("access-list {name} line {number} {entry}");
        text += &line;
        if !matches!(entry, Entry::Remark(_)) {
            text += &format!(" (hitcnt={hits})");
            if ace.is_some_and(|ace| !ace.activity.is_active()) {
                text += " (inactive)";
            }
            text += &format!(" {:#010x}", hash(&line));
        }
        text.push('\n');
    }
    text
}

fn list_json(list: &AccessList, lines: &[Line<'_>]) -> Value {
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "line": line.number,
                "entry": line.entry.to_string(),
                "elements": line.ace.map(Ace::elements),
                "hits": line.ace.map(|_| line.hits),
                "is_active": line.ace.map(|ace| ace.activity.is_active()),
            })
        })
        .collect();
    json!({"name": list.name.node, "lines": lines})
}

/// A number that stays as long as the text does. The device's own function is not known.
fn hash(text: &str) -> u32 {
    let mut hasher = Seeded(0).build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Capacity, compile, lower};

    const CONFIG: &str = "\
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 nameif inside
 security-level 100
 ip address 10.0.0.1 255.255.255.0
object-group network servers
 network-object host 10.0.0.2
 network-object host 10.0.0.9
access-list FROM remark servers
access-list FROM extended permit tcp any object-group servers eq 5269
access-list FROM extended permit udp any any eq sip inactive
access-list FROM extended deny ip any any
access-list OTHER extended permit ip any any
access-group FROM in interface outside
";

    fn shown(format: Format, name: Option<&str>) -> Option<String> {
        let config = crate::config::parse(CONFIG).config;
        let (model, _) = lower(&config);
        let (image, _) = compile(&model, &Capacity::default());
        // Each entry has as many hits as its place says, in powers of ten.
        let hits: Vec<u64> = (0..image.acl.len() as u32)
            .map(|at| 10_u64.pow(at))
            .collect();
        access_lists(format, name, (&config, &model, &image), &hits)
    }

    #[test]
    fn a_line_has_the_hits_of_all_its_elements() {
        let text = shown(Format::Text, Some("FROM")).expect("a list");
        let without_hash: Vec<&str> = text
            .lines()
            .map(|line| line.rsplit_once(" 0x").map_or(line, |(line, _)| line))
            .collect();
        let json = shown(Format::Json, Some("FROM")).expect("a list");
        let json: Value = serde_json::from_str(&json).expect("JSON");
        let hits = |line: usize| json["access_lists"][0]["lines"][line]["hits"].as_u64();
        let (permit, deny) = (hits(1).expect("hits"), hits(3).expect("hits"));
        assert_eq!(
            without_hash,
            [
                "access-list FROM; 4 elements; name hash:",
                "access-list FROM line 1 remark servers",
                &format!(
                    "access-list FROM line 2 extended permit tcp any object-group servers eq 5269 (hitcnt={permit})"
                ),
                "access-list FROM line 3 extended permit udp any any eq sip inactive (hitcnt=0) (inactive)",
                &format!("access-list FROM line 4 extended deny ip any any (hitcnt={deny})"),
            ]
        );
        // Two elements, two places next to each other; one element, one place behind them.
        let two = permit.to_string();
        assert_eq!(two.trim_end_matches('0'), "11", "{permit}");
        assert!(deny > permit && deny.to_string().trim_end_matches('0') == "1");
        assert_eq!(hits(0), None, "a remark judges nothing");
    }

    #[test]
    fn lists_are_found_by_name() {
        assert_eq!(shown(Format::Text, Some("from")), None);
        let all = shown(Format::Text, None).expect("all");
        assert!(all.contains("access-list OTHER line 1 extended permit ip any any (hitcnt=0)"));
    }
}
