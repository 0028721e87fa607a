//! What the log asks of a replicated store: few, small, linearizable operations on keys. A real
//! store and a simulated one stand behind the same trait.

use std::fmt;

use thiserror::Error;

/// Keys and their values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What a key must hold for a commit to take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The key.
    pub key: Vec<u8>,
    /// Its value; `None`: the key must not exist.
    pub value: Option<Vec<u8>>,
}

/// A key to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Vec<u8>,
    /// Its new value.
    pub value: Vec<u8>,
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is durable on a majority.
    Done,
    /// A guard did not hold; nothing was written. What the guarded keys hold, in the guards' order.
    Refused(Vec<Option<Vec<u8>>>),
    /// Nobody knows: no answer, no leader, a cut connection. It may still take place later, but
    /// only while the guards hold.
    Unknown(String),
    /// The store refuses writes until space is made; nothing was written.
    Full(String),
}

/// The store did not answer a question; nothing follows from that.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the store does not answer: {0}")]
pub struct Unreachable(pub String);

/// How a store is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Bytes that it uses on disk.
    pub used_bytes: u64,
    /// Bytes in use after the trimmed ones are left out.
    pub live_bytes: u64,
    /// Bytes at which it refuses writes.
    pub quota_bytes: u64,
    /// It refuses writes now.
    pub full: bool,
    /// Members that answer.
    pub members_up: u32,
    /// Members.
    pub members: u32,
}

/// A replicated store of keys. Every call blocks, for a bounded time.
pub trait Store: fmt::Debug + Send {
    /// Writes all keys or none, if every guard holds.
    fn commit(&mut self, guards: &[Guard], writes: &[Write]) -> Committed;

    /// Values of keys, all of one moment not before the call: a majority was asked.
    ///
    /// # Errors
    /// [`Unreachable`].
    fn read(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Unreachable>;

    /// Keys from `from` (inclusive) to `to` (exclusive) in ascending order with their values, at
    /// most `count_max` (fewer, but at least one, if the answer would be large), as of one moment
    /// not before the call.
    ///
    /// # Errors
    /// [`Unreachable`].
    fn range(&mut self, from: &[u8], to: &[u8], count_max: usize) -> Result<Pairs, Unreachable>;

    /// As [`Store::range`], without the values; worth having of its own where values are large.
    ///
    /// # Errors
    /// [`Unreachable`].
    fn keys(
        &mut self,
        from: &[u8],
        to: &[u8],
        count_max: usize,
    ) -> Result<Vec<Vec<u8>>, Unreachable> {
        Ok(self.range(from, to, count_max)?.into_iter().map(|(key, _)| key).collect())
    }

    /// Waits until `key` holds something else than `known`, at most `wait_ms`. Returning proves
    /// nothing but that it is time to ask again: a watch may be late, early or cut.
    ///
    /// # Errors
    /// [`Unreachable`].
    fn await_change(
        &mut self,
        key: &[u8],
        known: Option<&[u8]>,
        wait_ms: u64,
    ) -> Result<(), Unreachable>;

    /// Removes the keys from `from` (inclusive) to `to` (exclusive) and their history, so that
    /// their space can be used again.
    ///
    /// # Errors
    /// [`Unreachable`]: it may have happened in part, and may be repeated.
    fn discard(&mut self, from: &[u8], to: &[u8]) -> Result<(), Unreachable>;

    /// Gives space back that discarding freed, so that a store that refused writes takes them
    /// again; members may stand still meanwhile. Asked for only while it refuses them.
    ///
    /// # Errors
    /// [`Unreachable`]: it may have happened in part, and may be repeated.
    fn make_space(&mut self) -> Result<(), Unreachable> {
        Ok(())
    }

    /// How the store is doing. Asked between appends, once a second: a member that does not answer
    /// must not be waited for any longer than a commit may take.
    ///
    /// # Errors
    /// [`Unreachable`].
    fn health(&mut self) -> Result<Health, Unreachable>;
}

/// Which store there is may be known only when a program runs.
impl Store for Box<dyn Store> {
    fn commit(&mut self, guards: &[Guard], writes: &[Write]) -> Committed {
        (**self).commit(guards, writes)
    }

    fn read(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Unreachable> {
        (**self).read(keys)
    }

    fn range(&mut self, from: &[u8], to: &[u8], count_max: usize) -> Result<Pairs, Unreachable> {
        (**self).range(from, to, count_max)
    }

    fn keys(
        &mut self,
        from: &[u8],
        to: &[u8],
        count_max: usize,
    ) -> Result<Vec<Vec<u8>>, Unreachable> {
        (**self).keys(from, to, count_max)
    }

    fn await_change(
        &mut self,
        key: &[u8],
        known: Option<&[u8]>,
        wait_ms: u64,
    ) -> Result<(), Unreachable> {
        (**self).await_change(key, known, wait_ms)
    }

    fn discard(&mut self, from: &[u8], to: &[u8]) -> Result<(), Unreachable> {
        (**self).discard(from, to)
    }

    fn make_space(&mut self) -> Result<(), Unreachable> {
        (**self).make_space()
    }

    fn health(&mut self) -> Result<Health, Unreachable> {
        (**self).health()
    }
}
