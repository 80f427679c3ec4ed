//! `show crypto ca crls`, in the device's shape.

use std::fmt::{self, Write};

use super::{Known, Ledger};
use crate::pki::Trustpoint;

/// The lists that are known; with `only`, those of one trustpoint.
pub fn lists(ledger: &Ledger, trustpoints: &[Trustpoint], only: Option<&str>) -> String {
    let mut text = String::new();
    for known in ledger.lists() {
        let names: Vec<&str> = trustpoints
            .iter()
            .filter(|own| is_of(own, &known))
            .map(|own| own.name.as_str())
            .collect();
        if only.is_none_or(|only| names.contains(&only)) {
            // Writing to a string cannot fail.
            let _ = write(&mut text, &known, &names);
        }
    }
    text
}

/// Whether a trustpoint holds the certificate that signs a list.
fn is_of(trustpoint: &Trustpoint, known: &Known) -> bool {
    let mut holds = trustpoint.between.iter().chain(&trustpoint.authority);
    holds.any(|own| own.public_key == known.signer)
}

fn write(out: &mut String, known: &Known, names: &[&str]) -> fmt::Result {
    let list = &known.list;
    writeln!(out, "CRL Issuer Name:\n    {}", list.issuer)?;
    writeln!(out, "    LastUpdate: {}", list.this_update)?;
    match list.next_update {
        Some(next) => writeln!(out, "    NextUpdate: {next}")?,
        None => writeln!(out, "    NextUpdate: not announced")?,
    }
    writeln!(out, "    Retrieved: {}", known.at)?;
    writeln!(
        out,
        "    Retrieved from CRL Distribution Point:\n      {}",
        known.place
    )?;
    writeln!(out, "    Number: {}", list.number)?;
    writeln!(out, "    Revoked certificates: {}", list.entries)?;
    writeln!(out, "    Size (bytes): {}", list.der.len())?;
    writeln!(out, "    Associated Trustpoints: {}\n", names.join(", "))
}
