//! A card that is loaded and left alone: interfaces, addresses and access lists act, nobody is beside it.
//!
//! What the card drops, counts and recognises as its own it does without a host. A connection begins with a frame that
//! only a host can judge to its end (routes, translations, next hops), so first packets that are permitted wait in the punt
//! buffer, and are lost when it is full, until somebody serves the card.

use layout::csr::{CONTROL_DROP_NOT_SYN, CONTROL_ENABLE};
use layout::table::{ACL_PAGES, Interface, Table};

use super::Error;
use super::live::with_addresses;
use crate::nic::Nic;
use crate::policy::Image;
use crate::vfio::Device;

/// Empties a card and loads it. `expect` hears how many entries are going to be written. The card forwards nothing before
/// all of them are: what fails on the way leaves it closed. Gives the interfaces with their MAC addresses, which are
/// those that the card had, if it had any.
pub fn load(
    device: Box<dyn Device>,
    image: &Image,
    expect: impl FnOnce(usize),
) -> Result<Vec<Interface>, Error> {
    let mut nic = Nic::inspect(device)?;
    let found = nic.interfaces()?;
    let interfaces = with_addresses(&image.interfaces, &found);
    let emptied = match nic.is_fresh()? {
        true => 0,
        false => EMPTIED.iter().map(|table| table.len()).sum(),
    };
    expect(emptied + interfaces.len() + image.acl.len() + ACL_PAGES + image.destinations.len());
    let mut nic = nic.emptied()?;
    for (index, interface) in interfaces.iter().enumerate() {
        nic.set_interface(index, interface)?;
    }
    nic.load_policy(&image.acl, &image.destinations)?;
    nic.set_control(CONTROL_ENABLE | CONTROL_DROP_NOT_SYN)?;
    Ok(interfaces)
}

/// What a card that was in use is emptied of.
const EMPTIED: [Table; 5] = [
    Table::Interface,
    Table::Flow,
    Table::Adjacency,
    Table::AclValid,
    Table::Destination,
];
