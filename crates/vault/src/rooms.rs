//! Large buffers that are used again: packs and shards come and go, and memory that the system
//! gives anew for each of them costs more than filling it.

use std::sync::{Mutex, PoisonError};

/// As many as are in use at once: packs being filled, coded and sent, their parity, and a check.
const KEPT_MAX: usize = 16;

/// Buffers nobody uses at the moment.
#[derive(Default)]
pub(crate) struct Rooms(Mutex<Vec<Vec<u8>>>);

impl Rooms {
    /// An empty buffer for so many bytes: the smallest that has the room, or a new one.
    pub(crate) fn take(&self, bytes: usize) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = kept.iter().enumerate().filter(|(_, room)| room.capacity() >= bytes);
        let smallest = fits.min_by_key(|(_, room)| room.capacity()).map(|(at, _)| at);
        smallest.map_or_else(|| Vec::with_capacity(bytes), |at| kept.swap_remove(at))
    }

    /// Takes a buffer back; what is in it is forgotten.
    pub(crate) fn give(&self, mut room: Vec<u8>) {
        room.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_used_again_empty_if_it_is_large_enough() {
        let rooms = Rooms::default();
        let mut room = rooms.take(1000);
        room.extend([7; 1000]);
        let at = room.as_ptr();
        rooms.give(room);
        rooms.give(Vec::with_capacity(100_000));
        let again = rooms.take(900);
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
        assert!(rooms.take(100_001).capacity() > 100_000);
    }
}
