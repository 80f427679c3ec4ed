//! Words that may be typed, by where one is: what short forms stand for, what `?` and the tab key offer.
//!
//! Configuration commands beyond their first word are the parser's.

use crate::config::{Editor, Lookup, in_full, look_up};

/// How much may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Look around.
    User,
    /// Do things.
    Privileged,
    /// Change the configuration.
    Configuration,
}

/// Words that lead to further ones.
struct Word {
    text: &'static str,
    then: &'static [Word],
}

const fn word(text: &'static str) -> Word {
    Word { text, then: &[] }
}

const fn words(text: &'static str, then: &'static [Word]) -> Word {
    Word { text, then }
}

/// Commands of the first level.
const USER: &[Word] = &[
    word("enable"),
    word("exit"),
    word("logout"),
    word("quit"),
    SHOW,
];

/// Commands of the second level. They are commands of the third too.
const PRIVILEGED: &[Word] = &[
    words("configure", &[word("terminal")]),
    words(
        "copy",
        &[words("running-config", &[word("startup-config")])],
    ),
    words("crypto", CRYPTO),
    word("disable"),
    word("enable"),
    word("end"),
    word("exit"),
    word("logout"),
    word("quit"),
    SHOW,
    words("write", &[word("memory"), word("terminal")]),
];

const CRYPTO: &[Word] = &[
    words(
        "ca",
        &[
            word("authenticate"),
            word("certificate"),
            words("crl", &[word("request")]),
            word("enroll"),
            word("export"),
            word("import"),
            word("trustpoint"),
        ],
    ),
    words(
        "key",
        &[words("generate", FAMILIES), words("zeroize", FAMILIES)],
    ),
];

const FAMILIES: &[Word] = &[word("ecdsa"), word("eddsa"), word("rsa")];

const SHOW: Word = words(
    "show",
    &[
        word("access-list"),
        words("conn", &[word("address"), word("detail")]),
        words(
            "crypto",
            &[
                words(
                    "ca",
                    &[word("certificates"), word("crls"), word("trustpoints")],
                ),
                words("key", &[words("mypubkey", FAMILIES)]),
            ],
        ),
        word("running-config"),
        word("service-policy"),
        word("sip"),
        words(
            "tls-proxy",
            &[words("session", &[word("count"), word("detail")])],
        ),
        word("xlate"),
    ],
);

/// Whether the words behind `crypto` do something once, and are not configuration.
pub fn is_dialogue(rest: &[&str]) -> bool {
    match rest {
        ["ca", "certificate" | "trustpoint", ..] => false,
        ["ca" | "key", ..] => true,
        _ => false,
    }
}

/// Where one is.
#[derive(Clone, Debug)]
pub struct Menu {
    /// How much may be done.
    pub level: Level,
    /// First words of the sub-mode's own commands.
    pub own: Vec<&'static str>,
}

impl Menu {
    fn commands(&self) -> &'static [Word] {
        match self.level {
            Level::User => USER,
            Level::Privileged | Level::Configuration => PRIVILEGED,
        }
    }

    /// First words of commands outside the sub-mode.
    fn outer_words(&self) -> Vec<&'static str> {
        let mut all: Vec<&'static str> = self.commands().iter().map(|word| word.text).collect();
        if self.level == Level::Configuration {
            all.extend(Editor::global_words());
            all.push("no");
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A first word in full, if there is one that it can be.
    fn head(&self, word: &str) -> Option<&'static str> {
        match (find(word, &self.own), find(word, &self.outer_words())) {
            (Lookup::Exact(full), _) | (_, Lookup::Exact(full)) => Some(full),
            (Lookup::Prefix(full), _) => Some(full),
            (Lookup::Unknown, Lookup::Prefix(full)) => Some(full),
            _ => None,
        }
    }

    /// A configuration command in full, or the word as it is.
    pub fn command(word: &str) -> &str {
        let all: Vec<_> = Editor::global_words().map(|word| (word, word)).collect();
        in_full(word, &all)
    }

    /// A line with its first word in full, the rest as it is.
    pub fn in_full(&self, line: &str) -> String {
        let words = Editor::words(line);
        let at = usize::from(words.first() == Some(&"no"));
        let found = words
            .get(at)
            .and_then(|word| Some((word, self.head(word)?)));
        let Some((word, full)) = found else {
            return line.to_owned();
        };
        // Words are parts of the line.
        let start = word.as_ptr() as usize - line.as_ptr() as usize;
        format!("{}{full}{}", &line[..start], &line[start + word.len()..])
    }

    /// Whether a line is a command outside the sub-mode whose lines are kept word for word.
    pub fn leads_out(&self, words: &[&str]) -> bool {
        let (["no", word, ..] | [word, ..]) = words else {
            return false;
        };
        let is_it = |full: &&str| full.eq_ignore_ascii_case(word);
        !self.own.iter().any(is_it) && Editor::global_words().any(|full| is_it(&full))
    }

    /// The words with those in front in full, as far as they are in the tables.
    pub fn spelled_out(&self, line: &[&str]) -> Vec<String> {
        self.follow(line).0
    }

    /// What may come next; with `is_begun`, the words that the last one may become.
    pub fn next(&self, line: &[&str], is_begun: bool) -> Vec<&'static str> {
        let (last, before) = match (is_begun, line) {
            (true, [before @ .., last]) => (*last, before),
            _ => ("", line),
        };
        let mut found = match before {
            [] | ["no"] => [self.own.clone(), self.outer_words()].concat(),
            before => {
                let behind = self.follow(before).1.iter();
                behind.map(|word| word.text).collect()
            }
        };
        found.retain(|word| {
            let head = word.get(..last.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(last))
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The words in full, and what may come behind them.
    fn follow(&self, line: &[&str]) -> (Vec<String>, &'static [Word]) {
        let mut full: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        let at = usize::from(line.first() == Some(&"no"));
        let Some(head) = line.get(at).and_then(|word| self.head(word)) else {
            return (full, &[]);
        };
        full[at] = head.to_owned();
        if self.own.contains(&head) {
            return (full, &[]);
        }
        let mut table = behind(self.commands(), head);
        for word in full.iter_mut().skip(at + 1) {
            let names: Vec<&'static str> = table.iter().map(|word| word.text).collect();
            let (Lookup::Exact(text) | Lookup::Prefix(text)) = find(word, &names) else {
                return (full, &[]);
            };
            *word = text.to_owned();
            table = behind(table, text);
        }
        (full, table)
    }
}

fn behind(table: &'static [Word], text: &str) -> &'static [Word] {
    let found = table.iter().find(|word| word.text == text);
    found.map_or(&[], |word| word.then)
}

fn find(word: &str, names: &[&'static str]) -> Lookup<&'static str> {
    let table: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
    look_up(word, &table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu(level: Level, own: &[&'static str]) -> Menu {
        Menu {
            level,
            own: own.to_vec(),
        }
    }

    fn full(menu: &Menu, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        menu.spelled_out(&words).join(" ")
    }

    #[test]
    fn short_forms_stand_for_words_and_values_stay() {
        let inside = menu(Level::Configuration, &["enrollment", "subject-name"]);
        for (short, long) in [
            ("sh cry ca cert Show", "show crypto ca certificates Show"),
            ("cry ca auth tp fing", "crypto ca authenticate tp fing"),
            ("cr k g r label rsa", "crypto key generate rsa label rsa"),
            ("wr m", "write memory"),
            ("en t", "enrollment t"),
            ("no cry ca trustpoi x", "no crypto ca trustpoint x"),
            ("9 y", "9 y"),
        ] {
            assert_eq!(full(&inside, short), long);
        }
        assert_eq!(full(&menu(Level::User, &[]), "conf t"), "conf t");
        assert_eq!(full(&menu(Level::User, &[]), "en"), "enable");
    }

    #[test]
    fn what_may_come_next_is_listed() {
        let user = menu(Level::User, &[]);
        assert_eq!(
            user.next(&[], false),
            ["enable", "exit", "logout", "quit", "show"]
        );
        assert_eq!(user.next(&["e"], true), ["enable", "exit"]);
        assert_eq!(
            user.next(&["sh", "cry", "ca"], false),
            ["certificates", "crls", "trustpoints"]
        );
        assert_eq!(user.next(&["show", "crypto", "ca", "cr"], true), ["crls"]);
        let inside = menu(Level::Configuration, &["host"]);
        assert!(
            inside
                .next(&["no", "h"], true)
                .starts_with(&["host", "hostname"])
        );
    }

    #[test]
    fn whole_words_lead_out_of_a_block_that_is_kept() {
        let inside = menu(Level::Configuration, &["crl", "enrollment"]);
        assert!(inside.leads_out(&["hostname", "x"]));
        assert!(inside.leads_out(&["no", "object", "network", "x"]));
        assert!(!inside.leads_out(&["hostn", "x"]));
        assert!(!inside.leads_out(&["crl", "configure"]));
        assert_eq!(
            inside.in_full(" x(config)# int g0/0"),
            " x(config)# interface g0/0"
        );
        assert_eq!(inside.in_full("no hostn x"), "no hostname x");
        assert_eq!(inside.in_full("cr conf"), "crl conf");
        assert_eq!(inside.in_full("coffee"), "coffee");
    }
}
