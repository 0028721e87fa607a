//! One cluster that is captured: the thread that receives its log, and the one that takes base
//! backups.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_capture::postgres::{
    Board, Error, Follower, Happening, Kind, Login, Lsn, Promise, Store, bases, remove_old,
    take_base,
};
use evenkeel_capture::sqlite::Clock as CaptureClock;
use evenkeel_journal::RealDisk;
use evenkeel_recovery::Clock as _;

use super::super::clock::SystemClock;
use super::login;
use crate::config::{Config, Confirm, OnOutage, PostgresConfig};
use crate::output;
use crate::report::{Exit, Report, Result};

/// After a connection that did not come about.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is looked whether a base backup is due.
const BEAT: Duration = Duration::from_millis(100);
/// After a base backup that was not whole.
const BASE_RETRY: Duration = Duration::from_secs(10);

struct Wall;

impl CaptureClock for Wall {
    fn now_ns(&self) -> u64 {
        SystemClock::new().wall_ns()
    }
}

/// What counts as safe, see [`Promise`].
pub(super) struct Safe {
    confirm: Confirm,
    on_outage: OnOutage,
    outage: Duration,
    /// The sites hold the log up to this.
    confirmed: AtomicU64,
    confirmed_at: Mutex<Instant>,
    degraded: AtomicBool,
    full: AtomicBool,
}

impl Safe {
    fn new(of: &PostgresConfig) -> Self {
        Self {
            confirm: of.confirm,
            on_outage: of.on_outage,
            outage: Duration::from_secs(of.outage_seconds),
            confirmed: AtomicU64::new(0),
            confirmed_at: Mutex::new(Instant::now()),
            degraded: AtomicBool::new(false),
            full: AtomicBool::new(false),
        }
    }

    /// A point that confirms holds the log up to here.
    pub(super) fn confirm(&self, lsn: Lsn) {
        self.confirmed.fetch_max(lsn.0, Ordering::SeqCst);
        *self.confirmed_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The sites hold the log up to here.
    pub(super) fn confirmed(&self) -> Lsn {
        Lsn(self.confirmed.load(Ordering::SeqCst))
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::SeqCst)
    }
}

impl Promise for Safe {
    fn flushed(&self, durable: Lsn) -> Lsn {
        let confirmed = self.confirmed();
        if self.confirm == Confirm::Spool {
            return durable;
        }
        let mut at = self.confirmed_at.lock().unwrap_or_else(PoisonError::into_inner);
        if confirmed >= durable {
            *at = Instant::now();
        }
        let degraded = self.on_outage == OnOutage::Degrade && at.elapsed() > self.outage;
        self.degraded.store(degraded, Ordering::SeqCst);
        if degraded { durable } else { confirmed }
    }

    fn may_take(&self) -> bool {
        !self.full.load(Ordering::SeqCst)
    }
}

/// One cluster that is captured.
pub(super) struct Session {
    pub(super) of: PostgresConfig,
    pub(super) board: Arc<Board>,
    pub(super) safe: Arc<Safe>,
    store: Arc<Store>,
    failed: Arc<Mutex<Option<Error>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Session {
    pub(super) fn start(config: &Config, of: &PostgresConfig) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let login = login(of, Arc::new(move || asked.load(Ordering::SeqCst)))?;
        let store = Store::open(Arc::new(RealDisk), &config.postgres_dir(&of.name))?;
        let mut session = Self {
            of: of.clone(),
            board: Arc::new(Board::default()),
            safe: Arc::new(Safe::new(of)),
            store: Arc::new(store),
            failed: Arc::new(Mutex::new(None)),
            stop,
            threads: Vec::new(),
        };
        session.begin(&login, follow);
        session.begin(&login, base_backups);
        Ok(session)
    }

    fn begin(&mut self, login: &Login, work: fn(&Work)) {
        let work_of = Work {
            of: self.of.clone(),
            login: login.clone(),
            store: Arc::clone(&self.store),
            board: Arc::clone(&self.board),
            safe: Arc::clone(&self.safe),
            failed: Arc::clone(&self.failed),
        };
        self.threads.push(std::thread::spawn(move || work(&work_of)));
    }

    /// Why it cannot go on without somebody's doing.
    pub(super) fn failure(&self) -> Option<Report> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map(|error| Report::from(error).at(format!("[[postgres]] `{}`", self.of.name)))
    }

    /// Whether a moment of it can be brought back.
    fn has_base(&self) -> bool {
        bases(self.store.folder()).is_ok_and(|bases| !bases.is_empty()) && !self.store.gap_is_open()
    }

    /// Waits for the first base backup.
    pub(super) fn wait_for_base(&self) -> Result<()> {
        while !self.has_base() {
            if let Some(report) = self.failure() {
                return Err(report);
            }
            // Somebody waits for it at a terminal: what may pass is told all the same.
            if let Some(trouble) = self.board.progress().trouble {
                return Err(Report::new(Exit::Failed, trouble));
            }
            std::thread::sleep(BEAT);
        }
        Ok(())
    }

    pub(super) fn end(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

struct Work {
    of: PostgresConfig,
    login: Login,
    store: Arc<Store>,
    board: Arc<Board>,
    safe: Arc<Safe>,
    failed: Arc<Mutex<Option<Error>>>,
}

impl Work {
    fn rest(&self, how_long: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < how_long && !(self.login.stop)() {
            std::thread::sleep(BEAT.min(how_long));
        }
    }

    fn say(&self, what: &str) {
        output::note(&format!("postgres {}: {what}", self.of.name));
    }
}

fn follow(work: &Work) {
    let mut said = String::new();
    while !(work.login.stop)() {
        let follower = Follower {
            store: &work.store,
            login: &work.login,
            slot: &work.of.slot,
            promise: work.safe.as_ref(),
            board: &work.board,
            clock: &Wall,
        };
        let error = match follower.run() {
            Ok(()) => continue,
            Err(Error::Stopped) => return,
            Err(error) => error,
        };
        let text = error.to_string();
        work.board.trouble(&text);
        if !error.is_passing() {
            *work.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return;
        }
        if text != said {
            work.say(&text);
            said = text;
        }
        work.rest(RETRY);
    }
}

fn base_backups(work: &Work) {
    let every_ns = work.of.base_every_hours.saturating_mul(3_600_000_000_000);
    let mut degraded = false;
    while !(work.login.stop)() {
        work.rest(BEAT);
        let progress = work.board.progress();
        bound_spool(work);
        if work.safe.is_degraded() != degraded {
            degraded = !degraded;
            note_degraded(work, degraded);
        }
        if progress.server.is_none() {
            continue;
        }
        let newest = bases(work.store.folder()).ok().and_then(|bases| bases.last().cloned());
        let due = newest
            .as_ref()
            .is_none_or(|newest| Wall.now_ns().saturating_sub(newest.ended_ns) > every_ns);
        if !due && !work.store.gap_is_open() {
            continue;
        }
        match take_base(&work.store, &work.login, &Wall, &work.board) {
            Ok(base) => work.say(&format!("base backup {} is whole", base.number)),
            Err(Error::Stopped) => return,
            Err(error) => {
                work.say(&error.to_string());
                work.rest(BASE_RETRY);
                continue;
            }
        }
        let kept = work.store.cluster().and_then(|cluster| match cluster {
            Some(cluster) => remove_old(&work.store, &cluster, work.of.bases_keep),
            None => Ok(0),
        });
        if let Err(error) = kept {
            work.say(&error.to_string());
        }
    }
}

fn note_degraded(work: &Work, degraded: bool) {
    let detail = if degraded { "commits do not wait for the sites" } else { "they wait again" };
    work.say(detail);
    let progress = work.board.progress();
    let noted = work.store.note(Happening {
        time_ns: Wall.now_ns(),
        kind: Kind::Degraded,
        timeline: progress.timeline,
        lsn: progress.durable,
        detail: detail.to_owned(),
    });
    if let Err(error) = noted {
        work.say(&error.to_string());
    }
}

/// Beyond its bound nothing more is taken: the server keeps its log for our slot.
fn bound_spool(work: &Work) {
    let Ok(Some(cluster)) = work.store.cluster() else {
        return;
    };
    let held = work.store.wal_bytes(cluster.segment_bytes).unwrap_or_default();
    let full = held > work.of.spool_limit_bytes;
    if work.safe.full.swap(full, Ordering::SeqCst) != full {
        work.say(match full {
            true => "the spool is full: the log stays on the server until a base backup makes room",
            false => "the spool has room again",
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safe(confirm: Confirm, on_outage: OnOutage, outage_seconds: u64) -> Safe {
        let of = PostgresConfig { confirm, on_outage, outage_seconds, ..PostgresConfig::default() };
        Safe::new(&of)
    }

    #[test]
    fn a_server_is_told_what_was_promised_and_not_more() {
        let spool = safe(Confirm::Spool, OnOutage::Block, 0);
        assert_eq!(spool.flushed(Lsn(7)), Lsn(7));
        let block = safe(Confirm::Sites, OnOutage::Block, 0);
        assert_eq!(block.flushed(Lsn(7)), Lsn(0), "no point holds it");
        block.confirm(Lsn(5));
        block.confirm(Lsn(3));
        assert_eq!(block.flushed(Lsn(7)), Lsn(5), "what was confirmed stays confirmed");
        assert!(!block.is_degraded());
    }

    #[test]
    fn an_outage_degrades_only_where_that_was_asked_for_and_ends_with_a_confirmation() {
        let patient = safe(Confirm::Sites, OnOutage::Degrade, 3600);
        assert_eq!(patient.flushed(Lsn(7)), Lsn(0));
        let hasty = safe(Confirm::Sites, OnOutage::Degrade, 0);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(hasty.flushed(Lsn(7)), Lsn(7));
        assert!(hasty.is_degraded());
        hasty.confirm(Lsn(7));
        assert_eq!(hasty.flushed(Lsn(7)), Lsn(7));
        let patient = Safe { outage: Duration::from_secs(3600), ..hasty };
        assert_eq!(patient.flushed(Lsn(9)), Lsn(7), "it waits again");
        assert!(!patient.is_degraded());
    }

    #[test]
    fn a_full_spool_takes_nothing_more() {
        let safe = safe(Confirm::Spool, OnOutage::Block, 0);
        assert!(safe.may_take());
        safe.full.store(true, Ordering::SeqCst);
        assert!(!safe.may_take());
    }
}
