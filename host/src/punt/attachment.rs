//! The card's interfaces as the host sends through them.

use std::net::Ipv4Addr;

use layout::desc::InjectDescriptor;
use layout::table::{HOST_FRAME_BYTES, Interface};

use super::effect::Effect;
use crate::policy::Model;
use crate::policy::range::AddressRange;
use crate::wire::Mac;

/// One interface: where it is on the card and who we are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Port of the card.
    pub port: u8,
    /// Our MAC address.
    pub mac: Mac,
    /// VLAN identifier when frames are tagged.
    pub vid: Option<u16>,
    /// Our address.
    pub address: Option<Ipv4Addr>,
    /// The connected subnet.
    pub subnet: Option<AddressRange>,
}

impl Attachment {
    /// Joins the card's interface table and the configuration; index = interface number. Configured interfaces that
    /// are not on the card come last and have none.
    pub fn all(model: &Model, interfaces: &[Interface]) -> Vec<Self> {
        model
            .interfaces
            .iter()
            .zip(interfaces)
            .take_while(|(_, entry)| entry.valid)
            .map(|(configured, entry)| Self {
                port: entry.port,
                mac: Mac::from(entry.mac),
                vid: entry.tagged.then_some(entry.vid),
                address: configured.address.map(|own| own.address().into()),
                subnet: configured.address.map(|own| own.subnet),
            })
            .collect()
    }

    /// Sends a finished frame out of the port; `None` if the host path cannot carry it.
    pub fn send(&self, frame: Vec<u8>) -> Option<Effect> {
        inject(self.port, false, frame)
    }

    /// Gives a received frame to the card again, as if it came in here.
    pub fn look_up(&self, frame: Vec<u8>) -> Option<Effect> {
        inject(self.port, true, frame)
    }
}

fn inject(port: u8, lookup: bool, frame: Vec<u8>) -> Option<Effect> {
    let length = u16::try_from(frame.len())
        .ok()
        .filter(|length| usize::from(*length) <= HOST_FRAME_BYTES)?;
    Some(Effect::Inject {
        descriptor: InjectDescriptor {
            length,
            port,
            lookup,
        },
        frame,
    })
}
