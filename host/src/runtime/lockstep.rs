//! A simulated card started, brought up and loaded with a configuration.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::{Error, Runtime};
use crate::nic::Nic;
use crate::policy::{self, Capacity, FitReport, Model};
use crate::vfio;
use crate::vfio::child::{Child, Engine};

/// A runtime whose card is a child process of its own.
pub struct LockStep {
    // Dropped first: the card sees its client leave before it is ended.
    runtime: Runtime,
    fit: FitReport,
    _card: Child,
}

impl LockStep {
    /// Starts a card and loads what the configuration means.
    pub fn start(engine: Engine, model: Arc<Model>) -> Result<Self, Error> {
        let card = Child::start(engine).map_err(Error::from)?;
        let nic = Nic::bring_up(Box::new(card.connect().map_err(Error::from)?))?;
        let (image, fit) = policy::compile(&model, &Capacity::default());
        Ok(Self {
            runtime: Runtime::start(nic, model, image)?,
            fit,
            _card: card,
        })
    }

    /// What did not fit the card, and what the host decides in its place.
    pub fn fit(&self) -> &FitReport {
        &self.fit
    }
}

impl From<vfio::Error> for Error {
    fn from(error: vfio::Error) -> Self {
        Error::Nic(error.into())
    }
}

impl Deref for LockStep {
    type Target = Runtime;
    fn deref(&self) -> &Runtime {
        &self.runtime
    }
}

impl DerefMut for LockStep {
    fn deref_mut(&mut self) -> &mut Runtime {
        &mut self.runtime
    }
}
