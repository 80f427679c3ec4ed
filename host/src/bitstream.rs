//! What was written beside a bitstream when it was built, and whether the bitstream is for this program.
//!
//! Comes in: the text of `manifest.toml`. It may be anything, of any length.

use std::collections::BTreeMap;
use std::fmt;

use layout::LAYOUT_HASH;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Longest text that is read.
pub const MAX_TEXT_BYTES: usize = 64 << 10;

/// `manifest.toml`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Manifest {
    /// Commit it was built from.
    pub git_commit: String,
    /// Version of each tool.
    pub tools: Tools,
    /// Seed of the placement.
    pub seed: u64,
    /// The FPGA.
    pub device: String,
    /// The board, as `--board` takes it.
    pub board: String,
    /// Clock domains.
    pub clocks: Vec<Clock>,
    /// What it takes, by kind.
    pub resources: BTreeMap<String, u64>,
    /// Hash of its register map.
    #[serde(deserialize_with = "layout_hash")]
    pub layout_hash: u64,
    /// Entries of its tables.
    pub tables: Tables,
    /// SHA-256 of the bitstream.
    #[serde(deserialize_with = "sha256")]
    pub sha256: Sha256,
}

/// Versions of the tools.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Tools {
    /// Synthesis.
    pub yosys: String,
    /// Place and route.
    pub nextpnr: String,
    /// Bitstream.
    pub ecppack: String,
}

/// One clock domain.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Clock {
    /// Its name.
    pub name: String,
    /// What was asked for, in MHz.
    pub constraint_mhz: f64,
    /// What was reached, in MHz.
    pub fmax_mhz: f64,
}

/// Entries of the tables.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Tables {
    /// Access list.
    pub acl: u64,
    /// Destinations of one bank.
    pub destination: u64,
    /// Flows.
    pub flow: u64,
    /// Next hops.
    pub adjacency: u64,
    /// Interfaces.
    pub interface: u64,
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a bitstream is not for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text is no manifest.
    #[error("is no manifest of a bitstream: {0}")]
    Text(String),
    /// The bitstream is not the one that the manifest is about.
    #[error(
        "describes another bitstream: its SHA-256 is {manifest}, that of the file is {file}; take both from one build"
    )]
    Digest {
        /// The manifest's.
        manifest: Sha256,
        /// The file's.
        file: Sha256,
    },
    /// The bitstream has another register map.
    #[error(
        "describes a bitstream with layout {manifest:#018x} (commit {commit}), this program has {LAYOUT_HASH:#018x}: \
         registers and tables would mean something else; build both from the same source"
    )]
    Layout {
        /// The manifest's.
        manifest: u64,
        /// Its commit.
        commit: String,
    },
    /// The bitstream is for another board.
    #[error("describes a bitstream for the board {manifest}, not for {wanted}")]
    Board {
        /// The manifest's.
        manifest: String,
        /// Ours.
        wanted: String,
    },
}

impl Manifest {
    /// Reads a manifest.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Refusal::Text(format!("longer than {MAX_TEXT_BYTES} bytes")));
        }
        // Its text has the line, a mark below it, and a line break at the end.
        toml::from_str(text).map_err(|error| Refusal::Text(error.to_string().trim_end().into()))
    }

    /// Whether a bitstream with this digest is the one meant, and is for this program and this board.
    pub fn judge(&self, board: &str, file: Sha256) -> Result<(), Refusal> {
        if self.board != board {
            return Err(Refusal::Board {
                manifest: self.board.clone(),
                wanted: board.into(),
            });
        }
        if self.layout_hash != LAYOUT_HASH {
            return Err(Refusal::Layout {
                manifest: self.layout_hash,
                commit: self.git_commit.clone(),
            });
        }
        if self.sha256 != file {
            return Err(Refusal::Digest {
                manifest: self.sha256,
                file,
            });
        }
        Ok(())
    }
}

fn layout_hash<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let bytes: [u8; 8] = hexadecimal(from)?;
    Ok(u64::from_be_bytes(bytes))
}

fn sha256<'de, D: Deserializer<'de>>(from: D) -> Result<Sha256, D::Error> {
    Ok(Sha256(hexadecimal(from)?))
}

/// Exactly so many bytes as hexadecimal digits.
fn hexadecimal<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
    let text = String::deserialize(from)?;
    let wrong = || D::Error::custom(format!("expected {} hexadecimal digits", 2 * N));
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(wrong());
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |letter: u8| char::from(letter).to_digit(16).ok_or_else(wrong);
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> String {
        format!(
            "git_commit = \"a5c5737\"\nseed = 3\ndevice = \"LFE5UM5G-45F-8\"\nboard = \"versa-ecp5\"\n\
             layout_hash = \"{LAYOUT_HASH:016x}\"\nsha256 = \"{}\"\n\
             [tools]\nyosys = \"0.70\"\nnextpnr = \"0.11\"\necppack = \"1.4\"\n\
             [[clocks]]\nname = \"system\"\nconstraint_mhz = 125.0\nfmax_mhz = 131.5\n\
             [resources]\nlut4 = 20000\nff = 21000\nebr = 90\n\
             [tables]\nacl = 1152\ndestination = 144\nflow = 4104\nadjacency = 256\ninterface = 8\n",
            Sha256([0xab; 32])
        )
    }

    #[test]
    fn a_manifest_is_read_and_its_bitstream_accepted() {
        let manifest = Manifest::parse(&text()).expect("a manifest");
        assert_eq!(manifest.clocks[0].fmax_mhz, 131.5);
        assert_eq!(manifest.resources["ebr"], 90);
        assert_eq!(manifest.layout_hash, LAYOUT_HASH);
        assert_eq!(manifest.judge("versa-ecp5", Sha256([0xab; 32])), Ok(()));
    }

    #[test]
    fn the_manifest_that_is_kept_is_of_its_board_and_every_clock_is_met() {
        let kept = include_str!("../../bitstreams/versa-ecp5/manifest.toml");
        let manifest = Manifest::parse(kept).expect("a manifest");
        assert_eq!(manifest.board, "versa-ecp5");
        assert_eq!(manifest.clocks.len(), 3);
        for clock in &manifest.clocks {
            assert!(clock.fmax_mhz >= clock.constraint_mhz, "{clock:?}");
        }
    }

    #[test]
    fn refusals_name_both_sides() {
        let right = Manifest::parse(&text()).expect("a manifest");
        let said = |manifest: &Manifest, board: &str, byte: u8| {
            let refusal = manifest.judge(board, Sha256([byte; 32]));
            refusal.expect_err("a refusal").to_string()
        };
        let digest = said(&right, "versa-ecp5", 0xcd);
        assert!(digest.contains(&"ab".repeat(32)) && digest.contains(&"cd".repeat(32)));
        let board = said(&right, "other", 0xab);
        assert!(board.contains("versa-ecp5") && board.contains("other"));
        let other = Manifest {
            layout_hash: !LAYOUT_HASH,
            ..right
        };
        let layout = said(&other, "versa-ecp5", 0xab);
        assert!(layout.contains(&format!("{LAYOUT_HASH:#018x}")));
        assert!(layout.contains(&format!("{:#018x}", !LAYOUT_HASH)));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_its_line() {
        for (good, bad, what) in [
            ("seed = 3\n", "", "missing field `seed`"),
            ("acl = 1152", "acl = \"x\"", "expected u64"),
            ("sha256 = \"ab", "sha256 = \"b", "64 hexadecimal digits"),
            ("sha256 = \"ab", "sha256 = \"ag", "64 hexadecimal digits"),
            (
                "layout_hash = \"",
                "layout_hash = \"0x",
                "16 hexadecimal digits",
            ),
            ("ebr = 90", "ebr = -1", "u64"),
            ("[tools]", "[tools", "line 7"),
        ] {
            let text = text().replacen(good, bad, 1);
            let error = Manifest::parse(&text).expect_err("a refusal").to_string();
            assert!(error.contains(what), "{what}: {error}");
        }
        let long = format!("{}#{}", text(), " ".repeat(MAX_TEXT_BYTES));
        assert!(Manifest::parse(&long).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(at in 0_usize..600, change in ".{0,8}") {
            let mut text = text();
            let at = at.min(text.len() - 1);
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                text.replace_range(at..at + 1, &change);
            }
            let _ = Manifest::parse(&text);
            let _ = Manifest::parse(&change);
        }
    }
}
