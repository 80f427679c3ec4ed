//! `show crypto key mypubkey`, in the device's shape.

use std::fmt::{self, Write};

use super::Key;
use super::certificate::{KeyKind, hexadecimal};

/// Public keys of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RSA.
    Rsa,
    /// On the NIST curves.
    Ecdsa,
    /// Ed25519.
    Eddsa,
}

impl Family {
    /// By the word of the command.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "rsa" => Some(Self::Rsa),
            "ecdsa" => Some(Self::Ecdsa),
            "eddsa" => Some(Self::Eddsa),
            _ => None,
        }
    }

    fn has(self, kind: KeyKind) -> bool {
        matches!(
            (self, kind),
            (Self::Rsa, KeyKind::Rsa(_))
                | (Self::Ecdsa, KeyKind::Ecdsa(_))
                | (Self::Eddsa, KeyKind::Ed25519)
        )
    }
}

/// The public halves of the keys of a kind.
pub fn print<'a>(keys: impl Iterator<Item = &'a Key>, family: Family) -> String {
    let mut text = String::new();
    for key in keys.filter(|key| family.has(key.kind())) {
        // Writing to a string cannot fail.
        let _ = write(&mut text, key);
    }
    text
}

fn write(out: &mut String, key: &Key) -> fmt::Result {
    writeln!(out, "Key name: {}", key.label)?;
    writeln!(out, " Usage: General Purpose Key")?;
    match key.kind() {
        KeyKind::Rsa(bits) => writeln!(out, " Key Type: RSA\n Modulus Size (bits): {bits}")?,
        KeyKind::Ecdsa(bits) => writeln!(out, " Key Type: ECDSA\n Elliptic Curve (bits): {bits}")?,
        KeyKind::Ed25519 => writeln!(out, " Key Type: EdDSA\n Edwards Curve: Ed25519")?,
        KeyKind::Other => {}
    }
    writeln!(out, " Key Data:")?;
    for line in key.public_key().chunks(24) {
        let words: Vec<String> = line.chunks(4).map(hexadecimal).collect();
        writeln!(out, "\n  {}", words.join(" "))?;
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::Wanted;

    #[test]
    fn only_keys_of_the_kind_are_shown_and_of_those_the_public_half() {
        let rsa = Key::generate("r", Wanted::Rsa(2048)).expect("a key");
        let curve = Key::generate("c", Wanted::Ecdsa(256)).expect("a key");
        let edwards = Key::generate("e", Wanted::Ed25519).expect("a key");
        let all = [rsa, curve, edwards];
        let shown = |family| print(all.iter(), family);
        assert!(shown(Family::Rsa).starts_with(
            "Key name: r\n Usage: General Purpose Key\n Key Type: RSA\n Modulus Size (bits): 2048\n"
        ));
        assert!(shown(Family::Ecdsa).contains(" Elliptic Curve (bits): 256\n"));
        let text = shown(Family::Eddsa);
        assert!(text.contains("Key name: e\n") && !text.contains("Key name: r\n"));
        let digits: String = text
            .lines()
            .filter(|line| line.starts_with("  "))
            .flat_map(str::chars)
            .filter(|letter| !letter.is_whitespace())
            .collect();
        assert_eq!(digits, hexadecimal(all[2].public_key()));
        let private = hexadecimal(&all[2].pkcs8()[16..48]);
        assert!(!digits.contains(&private));
    }
}
