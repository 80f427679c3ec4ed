//! Whom a certificate names, by the rules of SIP (RFC 5922 §7).
//!
//! Comes in: the names in a certificate. Goes out: the SIP domains that it may speak for.

use crate::pki::certificate::Names;

/// The SIP domains of a certificate (RFC 5922 §7.1), lower case: `sip:` URIs without a user; without any of them, DNS
/// names; without any subjectAltName, the common name.
pub fn domains(names: &Names) -> Vec<String> {
    let uris: Vec<String> = names.uris.iter().filter_map(|uri| domain_of(uri)).collect();
    let found = match (uris.is_empty(), names.has_alternatives) {
        (false, _) => uris,
        (true, true) => names.hosts.clone(),
        (true, false) => names.common_name.iter().cloned().collect(),
    };
    found
        .into_iter()
        .map(|name| name.trim_end_matches('.').to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Whether a certificate speaks for a domain: the whole name, whatever its case, and no wildcards (RFC 5922 §7.2).
pub fn speaks_for(names: &Names, domain: &str) -> bool {
    let wanted = domain.trim_end_matches('.');
    domains(names)
        .iter()
        .any(|own| own.eq_ignore_ascii_case(wanted))
}

/// The host of a SIP URI that names a domain and nobody in it.
fn domain_of(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    let end = rest.find([';', '?', ':']).unwrap_or(rest.len());
    Some(rest[..end].to_owned()).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(uris: &[&str], hosts: &[&str], common: &str) -> Names {
        let owned = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Names {
            has_alternatives: !uris.is_empty() || !hosts.is_empty(),
            uris: owned(uris),
            hosts: owned(hosts),
            addresses: Vec::new(),
            common_name: Some(common.to_owned()),
        }
    }

    #[test]
    fn sip_uris_come_before_hosts_and_hosts_before_the_common_name() {
        let all = names(
            &["sip:Example.COM"],
            &["host.example.com"],
            "cn.example.com",
        );
        assert_eq!(domains(&all), ["example.com"]);
        let hosts = names(
            &["https://x.example"],
            &["host.example.com"],
            "cn.example.com",
        );
        assert_eq!(domains(&hosts), ["host.example.com"]);
        assert_eq!(
            domains(&names(&[], &[], "cn.example.com")),
            ["cn.example.com"]
        );
        let mut other = names(&[], &[], "cn.example.com");
        // An address alone is a subjectAltName too: then the common name says nothing.
        other.has_alternatives = true;
        assert_eq!(domains(&other), Vec::<String>::new());
    }

    #[test]
    fn a_uri_of_a_user_or_another_scheme_names_no_domain() {
        let user = names(
            &[
                "sip:alice@example.com",
                "sips:example.com",
                "sip:",
                "im:example.com",
            ],
            &[],
            "x",
        );
        assert_eq!(domains(&user), Vec::<String>::new());
        assert_eq!(
            domains(&names(&["sip:example.com:5061;transport=tls"], &[], "x")),
            ["example.com"]
        );
    }

    #[test]
    fn names_match_whole_and_without_regard_to_case() {
        let wild = names(&[], &["*.example.com", "a.example.com"], "x");
        assert!(speaks_for(&wild, "A.Example.Com."));
        assert!(!speaks_for(&wild, "b.example.com"));
        assert!(!speaks_for(&wild, "x.a.example.com"));
        assert!(!speaks_for(&wild, ""));
    }
}
