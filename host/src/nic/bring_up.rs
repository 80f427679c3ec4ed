//! Ident block, and the refusal of cards that do not fit.
//!
//! Nothing is written before magic, layout hash and table sizes agree: with another register map
//! every later access would mean something else.

use layout::{LAYOUT_HASH, csr, table};

use super::Error;
use super::bar::Bar;
use super::flows::FlowMirror;
use super::inherit::Inheritance;
use super::policy::PolicyMirror;
use super::ring::Rings;
use crate::vfio::{BAR0, Device, EventFd};

/// What the card says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ident {
    /// major, minor, patch.
    pub core_version: (u16, u8, u8),
    /// First 32 bits of the commit it was built from, or 0.
    pub git_hash: u32,
    /// Seconds since 1970, or 0.
    pub build_time: u32,
    /// Board number, see `csr::BOARD`.
    pub board: u32,
    /// Bits, see `csr::CAPABILITIES`.
    pub capabilities: u32,
    /// Bits of the packet streams.
    pub data_width: u32,
}

/// A card that was brought up. Holding it means: the register map is ours, and nobody else uses the card.
pub struct Nic {
    // Before the device: memory is taken from it while it is open.
    pub(super) rings: Option<Rings>,
    /// One event a vector while the rings are not polled.
    pub(super) events: Vec<EventFd>,
    pub(super) bar: Bar,
    pub(super) ident: Ident,
    /// `CONTROL` as the owner wants it, without a passing hold.
    pub(super) control: u32,
    pub(super) policy: PolicyMirror,
    pub(super) flows: FlowMirror,
}

impl Nic {
    /// Checks that the device is a card this driver fits, resets it and empties its tables. It stays disabled.
    pub fn bring_up(device: Box<dyn Device>) -> Result<Self, Error> {
        Self::inspect(device)?.emptied()
    }

    /// Resets a card that was inspected and empties its tables. It stays disabled.
    pub fn emptied(mut self) -> Result<Self, Error> {
        self.bar.device().reset()?;
        self.clear()?;
        self.bar.write(csr::SCRATCH, IN_USE)?;
        Ok(self)
    }

    /// As [`Nic::bring_up`], but the card keeps what an earlier driver gave it and goes on forwarding: a reset of the
    /// function stops rings and interrupts and nothing else. The policy is not readable, so the next one that is
    /// loaded replaces all of it.
    pub fn adopt(device: Box<dyn Device>) -> Result<(Self, Inheritance), Error> {
        let mut nic = Self::inspect(device)?;
        nic.bar.device().reset()?;
        let inheritance = match nic.is_fresh()? {
            true => Inheritance::default(),
            false => nic.inherit()?,
        };
        nic.bar.write(csr::SCRATCH, IN_USE)?;
        Ok((nic, inheritance))
    }

    /// Checks that the device is a card this driver fits, and writes nothing to it.
    pub fn inspect(device: Box<dyn Device>) -> Result<Self, Error> {
        let bytes = device.region_info(BAR0).map_or(0, |info| info.size);
        if bytes < csr::BAR0_BYTES as u64 {
            return Err(Error::BarTooSmall { bytes });
        }
        let mut bar = Bar::new(device);
        let ident = identify(&mut bar)?;
        Ok(Self {
            rings: None,
            events: Vec::new(),
            bar,
            ident,
            control: 0,
            policy: PolicyMirror::default(),
            flows: FlowMirror::default(),
        })
    }

    /// Whether no driver has written to the card since it was powered on: all tables are empty then.
    pub fn is_fresh(&mut self) -> Result<bool, Error> {
        Ok(self.bar.read(csr::SCRATCH)? == 0)
    }

    /// What the card said about itself.
    pub fn ident(&self) -> &Ident {
        &self.ident
    }

    /// Sizes of the card's tables, which are those that this driver was built for.
    pub fn table_sizes() -> impl Iterator<Item = (&'static str, usize)> {
        SIZES.iter().map(|(name, _, size)| (*name, *size))
    }

    /// The device behind the card, for regions other than BAR0.
    pub fn device(&mut self) -> &mut dyn Device {
        self.bar.device()
    }

    /// Sets `CONTROL`, a combination of `csr::CONTROL_…`.
    pub fn set_control(&mut self, control: u32) -> Result<(), Error> {
        self.bar.write(csr::CONTROL, control)?;
        self.control = control;
        Ok(())
    }

    /// Sets the stamp that flow hits leave in their statistics.
    pub fn set_epoch(&mut self, epoch: u8) -> Result<(), Error> {
        Ok(self.bar.write(csr::EPOCH, epoch.into())?)
    }
}

fn identify(bar: &mut Bar) -> Result<Ident, Error> {
    let mut words = [0; IDENT_WORDS];
    bar.read_words(csr::MAGIC, &mut words)?;
    let word = |offset: u32| words[(offset - csr::MAGIC) as usize / 4];
    let magic = word(csr::MAGIC);
    if magic != csr::MAGIC_VALUE {
        return Err(Error::NotPostern { magic });
    }
    let version = word(csr::CORE_VERSION);
    let core_version = ((version >> 16) as u16, (version >> 8) as u8, version as u8);
    let card = u64::from(word(csr::LAYOUT_HASH_HIGH)) << 32 | u64::from(word(csr::LAYOUT_HASH_LOW));
    if card != LAYOUT_HASH {
        let (major, minor, patch) = core_version;
        let core = format!("{major}.{minor}.{patch}");
        return Err(Error::LayoutMismatch {
            card,
            core,
            git: word(csr::GIT_HASH),
        });
    }
    for (what, offset, host) in SIZES {
        let (card, host) = (word(offset), host as u32);
        if card != host {
            return Err(Error::SizeMismatch { what, card, host });
        }
    }
    Ok(Ident {
        core_version,
        git_hash: word(csr::GIT_HASH),
        build_time: word(csr::BUILD_TIME),
        board: word(csr::BOARD),
        capabilities: word(csr::CAPABILITIES),
        data_width: word(csr::DATA_WIDTH),
    })
}

/// Value of `SCRATCH` while tables may hold something. It survives a reset of the function as they do.
const IN_USE: u32 = 0x5553_4544;
/// Registers from `MAGIC` to `SIZE_INTERFACE`.
const IDENT_WORDS: usize = (csr::SIZE_INTERFACE - csr::MAGIC) as usize / 4 + 1;

/// Table sizes that the ident block repeats.
const SIZES: [(&str, u32, usize); 5] = [
    ("ACL slots", csr::SIZE_ACL, table::ACL_SLOTS),
    (
        "destination entries",
        csr::SIZE_DESTINATION,
        table::DESTINATIONS,
    ),
    ("flow slots", csr::SIZE_FLOW, table::FLOW_SLOTS),
    ("adjacencies", csr::SIZE_ADJACENCY, table::ADJACENCIES),
    ("interfaces", csr::SIZE_INTERFACE, table::INTERFACES),
];
