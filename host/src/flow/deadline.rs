//! What is due when: one deadline an item, in order.

use std::collections::BTreeSet;

use super::Time;

/// Ordered deadlines.
#[derive(Clone, Debug)]
pub struct Deadlines<T> {
    due: BTreeSet<(Time, T)>,
}

impl<T: Ord> Default for Deadlines<T> {
    fn default() -> Self {
        Self {
            due: BTreeSet::new(),
        }
    }
}

impl<T: Ord + Copy> Deadlines<T> {
    /// Sets an item's deadline; `old` is the one it had.
    pub fn set(&mut self, item: T, old: Option<Time>, new: Option<Time>) {
        if let Some(old) = old {
            self.due.remove(&(old, item));
        }
        if let Some(new) = new {
            self.due.insert((new, item));
        }
    }

    /// The earliest.
    pub fn next(&self) -> Option<(Time, T)> {
        self.due.first().copied()
    }

    /// Takes the earliest if it is due.
    pub fn pop(&mut self, now: Time) -> Option<T> {
        self.next().filter(|(due, _)| *due <= now)?;
        self.due.pop_first().map(|(_, item)| item)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}
