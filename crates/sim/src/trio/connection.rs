//! A process's connection to the shared store, and what a mistake makes of it.

use evenkeel_quorum::memory::MemStore;
use evenkeel_quorum::{Committed, Guard, Health, Pairs, Store, Unreachable, Write};

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) inner: MemStore,
    /// The mistake: who writes, and behind what, is not looked at.
    pub(super) guards_nothing: bool,
}

impl Store for Connection {
    fn commit(&mut self, guards: &[Guard], writes: &[Write]) -> Committed {
        // A term is still swapped as it should be: it is the appends that nobody checks.
        let is_append = writes.len() > 1;
        let guards = if self.guards_nothing && is_append { &[] } else { guards };
        self.inner.commit(guards, writes)
    }

    fn read(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Unreachable> {
        self.inner.read(keys)
    }

    fn range(&mut self, from: &[u8], to: &[u8], count_max: usize) -> Result<Pairs, Unreachable> {
        self.inner.range(from, to, count_max)
    }

    fn await_change(
        &mut self,
        key: &[u8],
        known: Option<&[u8]>,
        wait_ms: u64,
    ) -> Result<(), Unreachable> {
        self.inner.await_change(key, known, wait_ms)
    }

    fn discard(&mut self, from: &[u8], to: &[u8]) -> Result<(), Unreachable> {
        self.inner.discard(from, to)
    }

    fn health(&mut self) -> Result<Health, Unreachable> {
        self.inner.health()
    }
}
