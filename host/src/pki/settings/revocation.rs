//! How peers' certificates are checked for revocation: `revocation-check`, `ocsp` and `crl configure`.
//!
//! Comes in: lines of a trustpoint. Goes out: which ways to try, in order, and what is configured for each.

/// One step of `revocation-check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A revocation list.
    Crl,
    /// A responder.
    Ocsp,
    /// Nothing: the certificate is taken as it is.
    None,
}

/// Where revocation lists come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// From where the certificate says.
    #[default]
    Cdp,
    /// From where the configuration says.
    Static,
    /// From where the certificate says, then from where the configuration says.
    Both,
}

/// `crl configure`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    /// `policy`.
    pub policy: Policy,
    /// `url N URL`: number and place, by number.
    pub urls: Vec<(u8, String)>,
    /// `cache-time`: how long a list is kept, in minutes.
    pub cache_minutes: u32,
    /// `enforcenextupdate`: a list without or after its next update is no list.
    pub enforces_next_update: bool,
}

impl Default for Crl {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            urls: Vec::new(),
            cache_minutes: 60,
            enforces_next_update: true,
        }
    }
}

/// What a trustpoint says of revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// `revocation-check`: tried in order; the next only when one has no answer.
    pub ladder: Vec<Method>,
    /// `ocsp url`: instead of the responder that the certificate names.
    pub ocsp_url: Option<String>,
    /// Off with `ocsp disable-nonce`.
    pub has_nonce: bool,
    /// `crl configure`.
    pub crl: Crl,
}

impl Default for Revocation {
    fn default() -> Self {
        Self {
            ladder: vec![Method::None],
            ocsp_url: None,
            has_nonce: true,
            crl: Crl::default(),
        }
    }
}

impl Revocation {
    /// Takes a line; `None` if it is about something else. `in_crl` says whether `crl configure` came before it.
    pub(super) fn apply(&mut self, line: &str, in_crl: bool) -> Option<Result<(), &'static str>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(match words.as_slice() {
            ["revocation-check", methods @ ..] => ladder(methods).map(|found| self.ladder = found),
            ["crl", "configure"] => Ok(()),
            ["crl", old] => old_form(old).map(|found| self.ladder = found),
            ["ocsp", "url", url] => http(url).map(|url| self.ocsp_url = Some(url)),
            ["ocsp", "disable-nonce"] => {
                self.has_nonce = false;
                Ok(())
            }
            ["ocsp", ..] => Err("ocsp is url or disable-nonce"),
            ["no", words @ ..] => return self.negate(words, in_crl),
            words if in_crl => self.crl.apply(words)?,
            _ => return None,
        })
    }

    fn negate(&mut self, words: &[&str], in_crl: bool) -> Option<Result<(), &'static str>> {
        match words {
            ["revocation-check", ..] => self.ladder = Self::default().ladder,
            ["crl", "configure"] => self.crl = Crl::default(),
            ["ocsp", "url", ..] => self.ocsp_url = None,
            ["ocsp", "disable-nonce"] => self.has_nonce = true,
            words if in_crl => return self.crl.negate(words),
            _ => return None,
        }
        Some(Ok(()))
    }
}

impl Crl {
    fn negate(&mut self, words: &[&str]) -> Option<Result<(), &'static str>> {
        match words {
            ["policy", ..] => self.policy = Policy::default(),
            ["url", number, ..] => {
                let number = number.parse().unwrap_or(0);
                self.urls.retain(|(known, _)| *known != number);
            }
            ["protocol", ..] => {}
            ["cache-time", ..] => self.cache_minutes = Self::default().cache_minutes,
            ["enforcenextupdate"] => self.enforces_next_update = false,
            _ => return None,
        }
        Some(Ok(()))
    }

    fn apply(&mut self, words: &[&str]) -> Option<Result<(), &'static str>> {
        Some(match words {
            ["policy", policy] => match *policy {
                "cdp" => Ok(Policy::Cdp),
                "static" => Ok(Policy::Static),
                "both" => Ok(Policy::Both),
                _ => Err("policy is cdp, static or both"),
            }
            .map(|policy| self.policy = policy),
            ["url", number, url] => self.url(number, url),
            // Lists come by HTTP; who permits it permits nothing new, who permits others does not forbid it.
            ["protocol", "http" | "ldap" | "scep"] => Ok(()),
            ["protocol", ..] => Err("protocol is http, ldap or scep"),
            ["cache-time", minutes] => match minutes.parse() {
                Ok(minutes @ 1..=1440) => {
                    self.cache_minutes = minutes;
                    Ok(())
                }
                _ => Err("cache-time is 1 to 1440 minutes"),
            },
            ["enforcenextupdate"] => {
                self.enforces_next_update = true;
                Ok(())
            }
            _ => return None,
        })
    }

    fn url(&mut self, number: &str, url: &str) -> Result<(), &'static str> {
        let number = match number.parse() {
            Ok(number @ 1..=5) => number,
            _ => return Err("the number of a url is 1 to 5"),
        };
        let url = http(url)?;
        self.urls.retain(|(known, _)| *known != number);
        self.urls.push((number, url));
        self.urls.sort_by_key(|(number, _)| *number);
        Ok(())
    }
}

fn ladder(words: &[&str]) -> Result<Vec<Method>, &'static str> {
    let mut found = Vec::new();
    for word in words {
        let method = match *word {
            "crl" => Method::Crl,
            "ocsp" => Method::Ocsp,
            "none" => Method::None,
            _ => return Err("revocation-check is crl, ocsp and none, in the order to try them"),
        };
        if found.contains(&method) {
            return Err("a way stands twice");
        }
        if found.last() == Some(&Method::None) {
            return Err("nothing is tried after none");
        }
        found.push(method);
    }
    match found.is_empty() {
        true => Err("revocation-check is crl, ocsp and none, in the order to try them"),
        false => Ok(found),
    }
}

/// The form before `revocation-check`.
fn old_form(word: &str) -> Result<Vec<Method>, &'static str> {
    match word {
        "required" => Ok(vec![Method::Crl]),
        "optional" => Ok(vec![Method::Crl, Method::None]),
        "nocheck" => Ok(vec![Method::None]),
        _ => Err("crl is configure, required, optional or nocheck"),
    }
}

/// Lists and responses are signed, so they need no secure way; nothing else is asked for them.
fn http(url: &str) -> Result<String, &'static str> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    match rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) {
        true => Ok(url.to_owned()),
        false => Err("a url begins with http:// or https://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Revocation, &'static str> {
        let (mut read, mut in_crl) = (Revocation::default(), false);
        for line in lines {
            read.apply(line, in_crl).ok_or("not about revocation")??;
            in_crl |= *line == "crl configure";
        }
        Ok(read)
    }

    #[test]
    fn ways_are_tried_in_the_order_they_are_written() {
        let ladder = |line| read(&[line]).map(|read| read.ladder);
        assert_eq!(
            ladder("revocation-check ocsp crl none"),
            Ok(vec![Method::Ocsp, Method::Crl, Method::None])
        );
        assert_eq!(ladder("crl optional"), Ok(vec![Method::Crl, Method::None]));
        assert_eq!(read(&[]).map(|read| read.ladder), Ok(vec![Method::None]));
        for wrong in [
            "revocation-check",
            "revocation-check crl crl",
            "revocation-check none crl",
            "revocation-check pigeon",
            "crl maybe",
        ] {
            assert!(ladder(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_block_for_lists_is_read_and_its_words_mean_nothing_outside_it() {
        let read_all = read(&[
            "crl configure",
            "policy both",
            "url 2 http://b.example/b.crl",
            "url 1 http://a.example/a.crl",
            "url 2 http://c.example/c.crl",
            "protocol http",
            "cache-time 5",
            "no enforcenextupdate",
        ]);
        let crl = read_all.expect("read").crl;
        assert_eq!(crl.policy, Policy::Both);
        let urls = ["http://a.example/a.crl", "http://c.example/c.crl"];
        assert_eq!(crl.urls, [(1, urls[0].into()), (2, urls[1].into())]);
        assert_eq!((crl.cache_minutes, crl.enforces_next_update), (5, false));
        assert_eq!(read(&["policy both"]), Err("not about revocation"));
        for wrong in [
            "url 6 http://a.example",
            "url 1 file:///etc/passwd",
            "cache-time 0",
            "policy any",
        ] {
            assert!(read(&["crl configure", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_responder_is_reached_by_http_alone() {
        let with = read(&["ocsp url http://ocsp.example/", "ocsp disable-nonce"]).expect("read");
        assert_eq!(with.ocsp_url.as_deref(), Some("http://ocsp.example/"));
        assert!(!with.has_nonce);
        assert!(read(&["ocsp url ldap://x.example"]).is_err());
        assert!(read(&["ocsp url http:///x"]).is_err());
        assert!(read(&["ocsp maybe"]).is_err());
    }
}
