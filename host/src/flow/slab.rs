//! Slots with handles that do not outlive their entry.

/// Names an entry; never valid again once the entry is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle {
    slot: u32,
    generation: u32,
}

/// A growing array of slots; freed ones are used again.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Entries.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// No entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores an entry.
    pub fn insert(&mut self, value: T) -> Handle {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            (self.slots.len() - 1) as u32
        });
        let (generation, entry) = &mut self.slots[slot as usize];
        *entry = Some(value);
        Handle {
            slot,
            generation: *generation,
        }
    }

    /// Takes an entry out; its handle is dead from now on.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        let (generation, entry) = self.slots.get_mut(handle.slot as usize)?;
        if *generation != handle.generation {
            return None;
        }
        let value = entry.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(handle.slot);
        Some(value)
    }

    /// The entry.
    pub fn get(&self, handle: Handle) -> Option<&T> {
        let (generation, entry) = self.slots.get(handle.slot as usize)?;
        entry.as_ref().filter(|_| *generation == handle.generation)
    }

    /// The entry, to change it.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        let (generation, entry) = self.slots.get_mut(handle.slot as usize)?;
        entry.as_mut().filter(|_| *generation == handle.generation)
    }

    /// All entries in slot order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|(_, entry)| entry.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_dies_with_its_entry() {
        let mut slab = Slab::default();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!(slab.remove(first), None);
        assert_eq!((slab.get(first), slab.get(second)), (None, Some(&'b')));
        assert_eq!(slab.len(), 1);
    }
}
