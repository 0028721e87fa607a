//! Housekeeping of the store on a connection of its own: deleting, compacting and asking members
//! how they are may take longer than an append may wait.

use std::io;
use std::thread::{self, JoinHandle};

use evenkeel_journal::{Identity, Position};

use crate::keys::Keys;
use crate::log::{Settings, is_easy};
use crate::pause::{Pause, RealPause};
use crate::status::Handle;
use crate::store::{Health, Store, Unreachable};

/// Between two rounds of [`Keeper::run`], in milliseconds.
const ROUND_EVERY_MS: u64 = 50;

/// Does what a log with [`crate::Housekeeping::Keeper`] leaves to it. What it deletes the log has
/// noted as archived before; so it needs no term, and one that comes late does no harm.
#[derive(Debug)]
pub struct Keeper<S> {
    store: S,
    keys: Keys,
    handle: Handle,
    settings: Settings,
    discarded_below: Position,
    looked_at_ms: Option<u64>,
    compacted_at_ms: Option<u64>,
}

impl<S: Store> Keeper<S> {
    /// A keeper for the log behind the handle; `store` is another connection than the log's.
    #[must_use]
    pub fn new(store: S, identity: &Identity, handle: Handle, settings: Settings) -> Self {
        Self {
            store,
            keys: Keys::new(identity),
            handle,
            settings,
            discarded_below: 0,
            looked_at_ms: None,
            compacted_at_ms: None,
        }
    }

    /// Starts a thread that connects, for as long as it takes, and works until the log is gone. To
    /// be called when the log was taken over.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        mut connect: impl FnMut() -> Result<S, Unreachable> + Send + 'static,
        identity: Identity,
        handle: Handle,
        settings: Settings,
    ) -> io::Result<JoinHandle<()>> {
        let work = move || {
            let mut pause = RealPause::new();
            while handle.is_driven() {
                match connect() {
                    Ok(store) => {
                        return Self::new(store, &identity, handle, settings).run(&mut pause);
                    }
                    Err(unreachable) => {
                        handle.note(|status| status.keeper = Some(unreachable.to_string()));
                        pause.pause(settings.retry_ms_max);
                    }
                }
            }
        };
        thread::Builder::new().name("log-keeper".to_owned()).spawn(work)
    }

    /// Works until the log is gone or takes nothing any more.
    pub fn run(&mut self, pause: &mut dyn Pause) {
        while self.handle.is_driven() {
            self.round(pause.now_ms());
            pause.pause(ROUND_EVERY_MS);
        }
    }

    /// Does what is due. What the store does not answer is tried again in a later round, and shown
    /// in [`crate::Status::keeper`] until then.
    pub fn round(&mut self, now_ms: u64) {
        let trouble = self.try_round(now_ms).err().map(|error| error.to_string());
        self.handle.note(|status| status.keeper = trouble);
    }

    fn try_round(&mut self, now_ms: u64) -> Result<(), Unreachable> {
        let asked = self.handle.discard_asked();
        let is_due = |last: Option<u64>, every_ms: u64| {
            last.is_none_or(|at| now_ms >= at.saturating_add(every_ms))
        };
        let compacted_at_ms = *self.compacted_at_ms.get_or_insert(now_ms);
        let mut look = is_due(self.looked_at_ms, self.settings.health_every_ms);
        // Beats and tails leave history behind even if nothing is trimmed.
        let compact = is_due(Some(compacted_at_ms), self.settings.compact_every_ms);
        if asked > self.discarded_below || compact {
            self.compacted_at_ms = Some(now_ms);
            self.store.discard(&self.keys.frames_begin(), &self.keys.frame(asked))?;
            self.discarded_below = asked;
            self.handle.note(|status| {
                status.trimmed_below = status.trimmed_below.max(asked);
            });
            look = true;
        }
        if look {
            self.looked_at_ms = Some(now_ms);
            let health = self.look()?;
            if health.full && is_easy(&health) {
                self.store.make_space()?;
                self.look()?;
            }
        }
        Ok(())
    }

    fn look(&mut self) -> Result<Health, Unreachable> {
        let health = self.store.health()?;
        self.handle.note_health(health);
        Ok(health)
    }
}
