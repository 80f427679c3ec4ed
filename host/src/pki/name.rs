//! X.500 names as the command language writes them: `cn=host.example.com,o="Example, Inc",c=DE`.
//!
//! Comes in: `subject-name` as typed. Goes out: the name for a request, and names of certificates in the same form.

use rcgen::{DistinguishedName, DnType, DnValue};
use x509_parser::x509::X509Name;

use super::Error;

/// Attributes that a subject name may hold: word, object identifier, longest value (RFC 5280 appendix A.1).
const ATTRIBUTES: &[(&str, &[u64], usize)] = &[
    ("cn", &[2, 5, 4, 3], 64),
    ("ou", &[2, 5, 4, 11], 64),
    ("o", &[2, 5, 4, 10], 64),
    ("l", &[2, 5, 4, 7], 128),
    ("st", &[2, 5, 4, 8], 128),
    ("c", &[2, 5, 4, 6], 2),
    ("sn", &[2, 5, 4, 4], 64),
    ("t", &[2, 5, 4, 12], 64),
    ("g", &[2, 5, 4, 42], 64),
    ("dnq", &[2, 5, 4, 46], 64),
    ("serialnumber", &[2, 5, 4, 5], 64),
    ("e", &[1, 2, 840, 113_549, 1, 9, 1], 255),
];

/// Other words for the same attributes. `u` is a misprint of a well-known guide that people copy.
const SYNONYMS: &[(&str, &str)] = &[("ea", "e"), ("s", "st"), ("u", "ou")];

/// Reads a subject name.
pub fn parse(text: &str) -> Result<DistinguishedName, Error> {
    let fail = |reason| Error::Name {
        name: text.to_owned(),
        reason,
    };
    let mut name = DistinguishedName::new();
    for part in split(text).ok_or_else(|| fail("a quote is not closed"))? {
        let (word, value) = part
            .split_once('=')
            .ok_or_else(|| fail("parts are ATTRIBUTE=VALUE, separated by commas"))?;
        let word = word.trim().to_ascii_lowercase();
        let word = SYNONYMS
            .iter()
            .find(|(synonym, _)| *synonym == word)
            .map_or(word.as_str(), |(_, known)| known);
        let (_, oid, longest) = ATTRIBUTES
            .iter()
            .find(|(known, _, _)| *known == word)
            .ok_or_else(|| fail("attributes are CN, OU, O, L, ST, C, SN, T, G, DNQ and E"))?;
        let value = value.trim().replace('"', "");
        if value.is_empty() || value.chars().count() > *longest {
            return Err(fail("a value is empty or too long"));
        }
        let kind = DnType::from_oid(oid);
        if name.get(&kind).is_some() {
            return Err(fail("an attribute may stand once"));
        }
        name.push(kind, encode(word, value).map_err(fail)?);
    }
    Ok(name)
}

/// Whether a subject name has `U=`, which people copy from a guide that means OU.
pub fn has_misprint(text: &str) -> bool {
    let parts = split(text).unwrap_or_default();
    let mut words = parts.iter().filter_map(|part| part.split_once('='));
    words.any(|(word, _)| word.trim().eq_ignore_ascii_case("u"))
}

/// RFC 5280 wants a country in two printable letters, and mail addresses in ASCII.
fn encode(word: &str, value: String) -> Result<DnValue, &'static str> {
    match word {
        "c" if value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_alphabetic()) => value
            .to_ascii_uppercase()
            .try_into()
            .map(DnValue::PrintableString)
            .map_err(|_| "a country is two letters"),
        "c" => Err("a country is two letters"),
        "e" => value
            .try_into()
            .map(DnValue::Ia5String)
            .map_err(|_| "a mail address is ASCII"),
        _ => Ok(DnValue::Utf8String(value)),
    }
}

/// Splits at commas outside quotes; `None` if a quote stays open.
fn split(text: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut is_quoted) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!is_quoted).then_some(parts)
}

/// The name of a certificate, most specific part first as it is typed: `cn=host.example.com,o=Example`.
pub fn print(name: &X509Name<'_>) -> String {
    let parts: Vec<String> = name
        .iter_attributes()
        .map(|attribute| {
            let oid: Vec<u64> = attribute
                .attr_type()
                .iter()
                .map(Iterator::collect)
                .unwrap_or_default();
            let known = ATTRIBUTES.iter().find(|(_, known, _)| *known == oid);
            let word = known.map_or_else(
                || attribute.attr_type().to_id_string(),
                |(word, _, _)| (*word).to_owned(),
            );
            // Peers write these: nothing in them may break a line of the log.
            let value: String = attribute
                .as_str()
                .unwrap_or("?")
                .chars()
                .map(|character| {
                    if character.is_control() {
                        '?'
                    } else {
                        character
                    }
                })
                .collect();
            match value.contains(',') {
                true => format!("{word}=\"{value}\""),
                false => format!("{word}={value}"),
            }
        })
        .collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Certificate;

    fn round_trip(text: &str) -> String {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = parse(text).expect("a name");
        let key = rcgen::KeyPair::generate().expect("a key");
        let der = params.self_signed(&key).expect("a certificate");
        Certificate::parse(der.der())
            .expect("a certificate")
            .subject
    }

    #[test]
    fn a_subject_name_comes_back_from_a_certificate_as_it_was_typed() {
        assert_eq!(
            round_trip("CN=cup.example.com, OU=Presence,O=\"Example, Inc\",L=Köln,St=NW,C=de"),
            "cn=cup.example.com,ou=Presence,o=\"Example, Inc\",l=Köln,st=NW,c=DE"
        );
        assert_eq!(
            round_trip("cn=a,U=b,EA=c@d.example"),
            "cn=a,ou=b,e=c@d.example"
        );
    }

    #[test]
    fn a_subject_name_that_says_nothing_or_twice_is_refused() {
        for text in [
            "",
            "cn",
            "cn=",
            "cn=a,cn=b",
            "c=Germany",
            "x=1",
            "cn=\"a",
            "c=ßß",
            "e=ä",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&format!("cn={}", "a".repeat(65))).is_err());
    }
}
