//! `postern crypto key generate` and `postern crypto key zeroize`.

use std::process::ExitCode;

use super::{Dialogue, missing, usage};
use crate::cli::{Outcome, input};
use crate::pki::Key;
use crate::pki::certificate::KeyKind;
use crate::pki::key::{DEFAULT_LABEL, Wanted};
use crate::{store, token};

impl Dialogue<'_> {
    /// `key {generate|zeroize} …`.
    pub fn key(&mut self, token: Option<&str>, words: &[String]) -> Outcome {
        match words.first().map(String::as_str) {
            Some("zeroize") if token.is_some() => {
                usage("`zeroize` finds a key in a token by its label")
            }
            Some("zeroize") => zeroize(self, words),
            _ => generate(self, token, words),
        }
    }
}

/// `key zeroize {rsa|ecdsa|eddsa} …`: without a label all keys of that kind, and certificates with them.
fn zeroize(dialogue: &mut Dialogue<'_>, words: &[String]) -> Outcome {
    let place = dialogue.place;
    let mut rest = words.iter().skip(1).map(String::as_str);
    let kind = rest.next().unwrap_or_default().to_owned();
    let (mut label, mut is_asked) = (None, true);
    while let Some(word) = rest.next() {
        match word {
            "label" => label = Some(rest.next().ok_or_else(|| missing("a label"))?),
            "default" => label = Some(DEFAULT_LABEL),
            "noconfirm" => is_asked = false,
            word => return usage(&format!("`{word}` is no word of this command")),
        }
    }
    let is_meant = |key: &Key| match (kind.as_str(), key.kind()) {
        ("rsa", KeyKind::Rsa(_)) | ("ecdsa", KeyKind::Ecdsa(_)) | ("eddsa", KeyKind::Ed25519) => {
            label.is_none_or(|label| label == key.label)
        }
        _ => false,
    };
    if !["rsa", "ecdsa", "eddsa"].contains(&kind.as_str()) {
        return usage("say `key zeroize {rsa|ecdsa|eddsa} [label LABEL] [default] [noconfirm]`");
    }
    let keys = place.open()?.keys()?;
    let meant: Vec<&Key> = keys.iter().filter(|key| is_meant(key)).collect();
    if meant.is_empty() {
        eprintln!("postern: there is no such key");
        return Ok(ExitCode::from(1));
    }
    if is_asked {
        println!("WARNING: certificates that belong to these keys are removed with them.");
        if !input::ask(dialogue.input, "Do you really want to remove these keys?")? {
            return Ok(ExitCode::from(1));
        }
    }
    for key in meant {
        let store = place.open()?;
        for name in store.users_of(&key.label)? {
            let mut trustpoint = store.trustpoint(&name)?;
            trustpoint.forget(&key.label);
            store.save(Some(&trustpoint), None)?;
            println!(
                "INFO: trustpoint {name} has no certificate of key {} any more",
                key.label
            );
        }
        if key.uri().is_some() {
            store.forget_token_key(&key.label)?;
            println!(
                "INFO: key {} is not used any more; remove it from the token with the token's own tools",
                key.label
            );
        } else {
            store.zeroize(&key.label)?;
            println!("INFO: key {} is removed", key.label);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `key generate {rsa|ecdsa|eddsa} …`.
fn generate(dialogue: &Dialogue<'_>, token: Option<&str>, words: &[String]) -> Outcome {
    let mut rest = words.iter().map(String::as_str);
    let mut wanted = match (rest.next(), rest.next()) {
        (Some("generate"), Some("rsa")) => Wanted::Rsa(2048),
        (Some("generate"), Some("ecdsa")) => Wanted::Ecdsa(384),
        (Some("generate"), Some("eddsa")) => Wanted::Ed25519,
        _ => {
            return usage("say `key generate rsa`, `key generate ecdsa` or `key generate eddsa`");
        }
    };
    let mut label = DEFAULT_LABEL;
    while let Some(word) = rest.next() {
        match (word, &mut wanted) {
            ("label", _) => label = rest.next().ok_or_else(|| missing("a label"))?,
            ("modulus", Wanted::Rsa(bits)) | ("elliptic-curve", Wanted::Ecdsa(bits)) => {
                let number = rest.next().and_then(|word| word.parse().ok());
                *bits = number.ok_or_else(|| missing("a number of bits"))?;
            }
            ("edwards-curve", Wanted::Ed25519) => match rest.next() {
                Some("ed25519") => {}
                _ => return usage("the only edwards-curve is ed25519"),
            },
            ("general-keys" | "noconfirm", _) => {}
            (word, _) => return usage(&format!("`{word}` is no word of this command")),
        }
    }
    let store = dialogue.place.open()?;
    if store.key(label)?.is_some() {
        // What it signed would be worthless.
        eprintln!("postern: there is a key {label} already; choose another label");
        return Ok(ExitCode::from(1));
    }
    let key = match token {
        Some(uri) => token::generate(uri, label, wanted).map_err(store::Error::Token)?,
        None => Key::generate(label, wanted)?,
    };
    store.save(None, Some(&key))?;
    println!("INFO: The name for the keys will be: {label}");
    println!("{} key pair generated", key.kind());
    Ok(ExitCode::SUCCESS)
}
