//! A vector in chunks.

/// Items of one chunk; a power of two, so that finding one is a shift.
const CHUNK_ITEMS: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 12;

/// A vector in chunks of one size: it grows without moving what it holds, which would hold up the
/// entry that comes just then, and leaves at most one chunk unused, where a vector leaves half.
#[derive(Debug, Clone)]
pub(crate) struct Chunks<T> {
    /// All full but the last.
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Chunks<T> {
    /// Number of items.
    pub fn len(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1);
        full * CHUNK_ITEMS + self.chunks.last().map_or(0, Vec::len)
    }

    /// The item at a place below [`Chunks::len`].
    pub fn at(&self, place: u32) -> &T {
        let place = place as usize;
        &self.chunks[place >> CHUNK_BITS][place % CHUNK_ITEMS]
    }

    /// As [`Chunks::at`], to change.
    pub fn at_mut(&mut self, place: u32) -> &mut T {
        let place = place as usize;
        &mut self.chunks[place >> CHUNK_BITS][place % CHUNK_ITEMS]
    }

    /// Appends an item.
    pub fn push(&mut self, item: T) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_ITEMS => last.push(item),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_ITEMS);
                chunk.push(item);
                self.chunks.push(chunk);
            }
        }
    }
}
