//! A store in memory for tests and simulations: deterministic, with faults that can be switched.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pause::Pause;
use crate::store::{Committed, Guard, Health, Store, Unreachable, Write};

/// What goes wrong with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// Nothing.
    None,
    /// The outcome stays unknown, and nothing was written.
    UnknownNotApplied,
    /// The outcome stays unknown, but if the guards held it was written.
    UnknownApplied,
    /// The outcome stays unknown; it is written after this many further operations of any handle
    /// (or by [`MemStore::settle`]), if the guards hold then.
    UnknownLater {
        /// Operations until then; 0: with the next one, before it.
        operations: u64,
    },
    /// The store refuses it for want of space.
    Full,
}

/// How [`Store::await_change`] behaves. It never takes time: whoever calls it drives the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    /// Returns.
    #[default]
    Prompt,
    /// The connection is cut.
    Cut,
}

/// The store; handles made by [`MemStore::another`] share it. Faults belong to a handle and its
/// clones, so that each host can have its own connection.
#[derive(Debug, Clone)]
pub struct MemStore {
    shared: Arc<Mutex<Shared>>,
    link: Arc<Mutex<Link>>,
}

#[derive(Debug, Default)]
struct Link {
    unreachable: bool,
    faults: VecDeque<CommitFault>,
    watch: Watch,
    /// Reads fail from the operation after the next one on: counted down.
    reads_fail_after: Option<u64>,
}

#[derive(Debug)]
struct Pending {
    due_at: u64,
    guards: Vec<Guard>,
    writes: Vec<Write>,
}

#[derive(Debug)]
struct Shared {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Bytes of values that were overwritten and not yet discarded.
    history_bytes: u64,
    used_bytes: u64,
    quota_bytes: u64,
    operations: u64,
    pending: Vec<Pending>,
    members_up: u32,
}

const MEMBERS: u32 = 3;

/// What a key and its bookkeeping take, in bytes.
const KEY_OVERHEAD_BYTES: u64 = 64;

impl Default for MemStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemStore {
    /// An empty store of three members, with a quota of 2 GiB.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            values: BTreeMap::new(),
            history_bytes: 0,
            used_bytes: 0,
            quota_bytes: 2 << 30,
            operations: 0,
            pending: Vec::new(),
            members_up: MEMBERS,
        };
        Self { shared: Arc::new(Mutex::new(shared)), link: Arc::default() }
    }

    /// Another connection to the same store, without faults.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), link: Arc::default() }
    }

    /// Cuts or mends this connection.
    pub fn set_unreachable(&self, unreachable: bool) {
        lock(&self.link).unreachable = unreachable;
    }

    /// Stops or starts members; without a majority the store answers nobody.
    pub fn set_members_up(&self, members_up: u32) {
        lock(&self.shared).members_up = members_up.min(MEMBERS);
    }

    /// What happens to the next commits of this connection, in order; all after them go well.
    pub fn fail_commits(&self, faults: impl IntoIterator<Item = CommitFault>) {
        lock(&self.link).faults.extend(faults);
    }

    /// Lets every read of this connection fail after this many more have gone well; `None` mends
    /// it.
    pub fn fail_reads_after(&self, reads: Option<u64>) {
        lock(&self.link).reads_fail_after = reads;
    }

    /// Mends this connection: nothing that was switched goes wrong any more.
    pub fn mend(&self) {
        *lock(&self.link) = Link::default();
    }

    /// How this connection watches.
    pub fn set_watch(&self, watch: Watch) {
        lock(&self.link).watch = watch;
    }

    /// Bytes at which writes are refused.
    pub fn set_quota_bytes(&self, quota_bytes: u64) {
        lock(&self.shared).quota_bytes = quota_bytes;
    }

    /// Lets every delayed commit arrive now, in the order of sending. Says how many of them were
    /// written.
    pub fn settle(&self) -> usize {
        lock(&self.shared).deliver(u64::MAX)
    }

    /// Delayed commits that have not arrived.
    #[must_use]
    pub fn delayed(&self) -> usize {
        lock(&self.shared).pending.len()
    }

    /// What a key holds now, whatever the connection is like.
    #[must_use]
    pub fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        lock(&self.shared).values.get(key).cloned()
    }

    /// Changes a key behind everybody's back: damage.
    pub fn set_value(&self, key: &[u8], value: Option<Vec<u8>>) {
        let mut shared = lock(&self.shared);
        match value {
            Some(value) => shared.values.insert(key.to_vec(), value),
            None => shared.values.remove(key),
        };
    }

    /// All keys, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<Vec<u8>> {
        lock(&self.shared).values.keys().cloned().collect()
    }

    /// A copy of its state with no delayed commits: what a backup holds.
    #[must_use]
    pub fn fork(&self) -> Self {
        let copy = Self::new();
        let from = lock(&self.shared);
        let mut to = lock(&copy.shared);
        to.values = from.values.clone();
        (to.history_bytes, to.used_bytes) = (from.history_bytes, from.used_bytes);
        to.quota_bytes = from.quota_bytes;
        drop((from, to));
        copy
    }

    /// Counts an operation; fails if nobody answers.
    fn begin(&self) -> Result<MutexGuard<'_, Shared>, Unreachable> {
        let mut shared = lock(&self.shared);
        let now = shared.operations;
        shared.operations += 1;
        shared.deliver(now);
        if lock(&self.link).unreachable {
            return Err(Unreachable("the connection is cut (played)".to_owned()));
        }
        if shared.members_up * 2 <= MEMBERS {
            return Err(Unreachable("no majority of its members runs (played)".to_owned()));
        }
        Ok(shared)
    }

    fn begin_read(&self) -> Result<MutexGuard<'_, Shared>, Unreachable> {
        let shared = self.begin()?;
        match &mut lock(&self.link).reads_fail_after {
            Some(0) => return Err(Unreachable("no answer to a read (played)".to_owned())),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(shared)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size_bytes(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64 + KEY_OVERHEAD_BYTES
}

impl Shared {
    fn live_bytes(&self) -> u64 {
        let values: u64 = self.values.iter().map(|(key, value)| size_bytes(key, value)).sum();
        values + self.history_bytes
    }

    fn deliver(&mut self, now: u64) -> usize {
        let (due, later) = self.pending.drain(..).partition(|one: &Pending| one.due_at <= now);
        self.pending = later;
        let due: Vec<Pending> = due;
        due.iter().filter(|one| self.apply(&one.guards, &one.writes) == Committed::Done).count()
    }

    fn apply(&mut self, guards: &[Guard], writes: &[Write]) -> Committed {
        if guards.iter().any(|guard| self.values.get(&guard.key) != guard.value.as_ref()) {
            let found = guards.iter().map(|guard| self.values.get(&guard.key).cloned());
            return Committed::Refused(found.collect());
        }
        let more: u64 = writes.iter().map(|one| size_bytes(&one.key, &one.value)).sum();
        let live = self.live_bytes() + more;
        if live > self.quota_bytes {
            return Committed::Full("database space exceeded (played)".to_owned());
        }
        for Write { key, value } in writes {
            if let Some(old) = self.values.insert(key.clone(), value.clone()) {
                self.history_bytes += size_bytes(key, &old);
            }
        }
        self.used_bytes = self.used_bytes.max(live);
        Committed::Done
    }
}

impl Store for MemStore {
    fn commit(&mut self, guards: &[Guard], writes: &[Write]) -> Committed {
        let mut shared = match self.begin() {
            Ok(shared) => shared,
            Err(Unreachable(why)) => return Committed::Unknown(why),
        };
        let fault = lock(&self.link).faults.pop_front().unwrap_or(CommitFault::None);
        let unknown = Committed::Unknown("no answer to a commit (played)".to_owned());
        match fault {
            CommitFault::None => shared.apply(guards, writes),
            CommitFault::UnknownNotApplied => unknown,
            CommitFault::UnknownApplied => {
                shared.apply(guards, writes);
                unknown
            }
            CommitFault::UnknownLater { operations } => {
                let due_at = shared.operations.saturating_add(operations);
                let (guards, writes) = (guards.to_vec(), writes.to_vec());
                shared.pending.push(Pending { due_at, guards, writes });
                unknown
            }
            CommitFault::Full => Committed::Full("database space exceeded (played)".to_owned()),
        }
    }

    fn read(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Unreachable> {
        let shared = self.begin_read()?;
        Ok(keys.iter().map(|key| shared.values.get(*key).cloned()).collect())
    }

    fn range(
        &mut self,
        from: &[u8],
        to: &[u8],
        count_max: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Unreachable> {
        let shared = self.begin_read()?;
        if from >= to {
            return Ok(Vec::new());
        }
        let found = shared.values.range(from.to_vec()..to.to_vec()).take(count_max);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn await_change(&mut self, _: &[u8], _: Option<&[u8]>, _: u64) -> Result<(), Unreachable> {
        drop(self.begin()?);
        match lock(&self.link).watch {
            Watch::Prompt => Ok(()),
            Watch::Cut => Err(Unreachable("the watch is cut (played)".to_owned())),
        }
    }

    fn discard(&mut self, from: &[u8], to: &[u8]) -> Result<(), Unreachable> {
        let mut shared = self.begin()?;
        shared.values.retain(|key, _| key.as_slice() < from || key.as_slice() >= to);
        shared.history_bytes = 0;
        Ok(())
    }

    fn health(&mut self) -> Result<Health, Unreachable> {
        let shared = self.begin()?;
        let live_bytes = shared.live_bytes();
        Ok(Health {
            used_bytes: shared.used_bytes.max(live_bytes),
            live_bytes,
            quota_bytes: shared.quota_bytes,
            full: live_bytes >= shared.quota_bytes,
            members_up: shared.members_up,
            members: MEMBERS,
        })
    }
}

type OnPause = Box<dyn FnMut(u64) + Send>;

/// A clock that moves only while somebody waits on it.
pub struct PlayedPause {
    now_ms: Arc<AtomicU64>,
    pauses: u64,
    on_pause: OnPause,
}

impl PlayedPause {
    /// A clock; `on_pause` is called with the number of every wait, from 1 on, and may mend or
    /// break something.
    #[must_use]
    pub fn new(now_ms: Arc<AtomicU64>, on_pause: impl FnMut(u64) + Send + 'static) -> Self {
        Self { now_ms, pauses: 0, on_pause: Box::new(on_pause) }
    }
}

impl std::fmt::Debug for PlayedPause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlayedPause").field("pauses", &self.pauses).finish_non_exhaustive()
    }
}

impl Pause for PlayedPause {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Acquire)
    }

    fn pause(&mut self, wait_ms: u64) {
        self.now_ms.fetch_add(wait_ms, Ordering::AcqRel);
        self.pauses += 1;
        (self.on_pause)(self.pauses);
    }
}
