//! Following one database: read lock, hand-over, detection, gaps.
//!
//! **Why nothing is lost while it runs.** A log starts over only when all of it was copied into the
//! database file and no reader is inside it. Capture holds a read lock at all times, of one of two
//! kinds. Taken *inside the log*, it keeps the log from starting over. Taken when all was copied,
//! it lets the log start over once, and keeps anything from being copied out of the new round: what
//! comes then stays in the log until the lock is given up. A new lock is taken before the old one
//! is released; the change to the second kind happens while no other program can commit, and behind
//! the last captured commit. A log that starts over otherwise is a gap, whatever the cause.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use evenkeel_journal::Disk;

use crate::error::{Error, Result, io_error};
use crate::spool::{Body, Commit, GapBegin, History, Image, Spool, Why, replay};
use crate::sqlite::follow::{Look, capture_frames, continued};
use crate::sqlite::options::{Clock, Options};
use crate::sqlite::recorder::Recorder;
use crate::sqlite::snapshot::snapshot;
use crate::sqlite::source::{Source, read_header};
use crate::sqlite::wal::{Place, frame_offset};
use crate::sqlite::wal_index::WalIndex;

/// The image beside the spool's segments: what the next difference is taken against.
const IMAGE: &str = "image.db";
/// Between two attempts to let the log start over, if others are in the way.
const HAND_OVER_PAUSE_NS: u64 = 250_000_000;
/// Frames that may be copied while nobody can commit.
const REST_FRAMES: u32 = 200;
/// Checkpoints after which the rest is copied however much it is.
const PASSES_MAX: u32 = 4;

const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_IDLE: Duration = Duration::from_millis(10);
const PAUSE_FAILED: Duration = Duration::from_secs(1);

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// Commits captured.
    pub commits: u64,
    /// Pages in them.
    pub pages: u64,
    /// Bytes written to the spool for them.
    pub bytes: u64,
    /// Whether a snapshot was taken.
    pub snapshot: bool,
    /// An unprotected interval that was found to have begun.
    pub gap: Option<GapBegin>,
    /// Whether the log was handed over, so that it can start over.
    pub handed_over: bool,
}

/// A database that is being followed.
pub struct Capture {
    path: PathBuf,
    options: Options,
    clock: Arc<dyn Clock>,
    spool: Spool,
    /// The finished history, while it is not known to continue.
    history: Option<History>,
    last: Option<Commit>,
    gap: Option<GapBegin>,
    epoch: u64,
    /// Bytes in the spool since the epoch's snapshot.
    epoch_bytes: u64,
    looked_ns: u64,
    attached: Option<Attached>,
}

/// What is there while the database is followed without interruption.
struct Attached {
    source: Source,
    recorder: Recorder,
    /// Behind the last captured frame.
    place: Place,
    /// The frame behind which the log may start over: all before it is captured and copied.
    may_restart_at: Option<u32>,
    hand_over_not_before_ns: u64,
    /// Checkpoints of the hand-over that is under way.
    passes: u32,
}

impl Attached {
    fn new(source: Source, recorder: Recorder, place: Place, index: &WalIndex) -> Self {
        let may_restart_at = index.is_backfilled().then_some(index.frames);
        let hand_over_not_before_ns = 0;
        Self { source, recorder, place, may_restart_at, hand_over_not_before_ns, passes: 0 }
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Capture").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Capture {
    /// Opens the spool in `folder` for the database at `path`, which need not be there yet.
    ///
    /// # Errors
    /// [`Error::Locked`], and whatever the system says of the spool.
    pub fn open(
        path: &Path,
        disk: Arc<dyn Disk>,
        folder: &Path,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self> {
        let now_ns = clock.now_ns();
        let (spool, history) = Spool::open(disk, folder, options.segment_bytes, now_ns)?;
        let mut capture = Self {
            path: path.to_path_buf(),
            options,
            clock,
            spool,
            history: None,
            last: None,
            gap: None,
            epoch: 0,
            epoch_bytes: 0,
            looked_ns: 0,
            attached: None,
        };
        capture.take_history(history);
        Ok(capture)
    }

    fn take_history(&mut self, history: History) {
        self.last = history.last_commit();
        self.gap = history.gaps().pop().filter(|gap| gap.until.is_none()).map(|gap| gap.begin);
        self.epoch = history.epochs();
        self.looked_ns = self.last.map_or(0, |last| last.time_ns);
        self.history = Some(history);
    }

    /// The last captured commit.
    #[must_use]
    pub fn last(&self) -> Option<Commit> {
        self.last
    }

    /// The unprotected interval that lasts.
    #[must_use]
    pub fn gap(&self) -> Option<GapBegin> {
        self.gap
    }

    /// Whether the database is being followed.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.attached.is_some()
    }

    /// Looks once, and captures what is new.
    ///
    /// # Errors
    /// Whatever went wrong; nothing that was captured is affected, and the next step begins again
    /// from there.
    pub fn step(&mut self) -> Result<Step> {
        let mut step = Step::default();
        let result = match self.attached.take() {
            None => self.attach(&mut step),
            Some(attached) => self.look(attached, &mut step),
        };
        // After an error everything is opened again: what is in memory may be ahead of the spool.
        self.attached = result?;
        if let Some(attached) = &mut self.attached {
            let tally = attached.recorder.take_tally();
            (step.commits, step.pages, step.bytes) = (tally.commits, tally.pages, tally.bytes);
            self.epoch_bytes += tally.bytes;
        }
        Ok(step)
    }

    /// Follows the database until `stop` is set, and says what each step did.
    ///
    /// It looks every 2 ms while something happens and every 10 ms otherwise; after an error it
    /// waits longer and longer, up to a second.
    pub fn run(&mut self, stop: &AtomicBool, mut said: impl FnMut(&Self, Result<Step>)) {
        let mut pause = PAUSE_MIN;
        while !stop.load(Ordering::Relaxed) {
            let result = self.step();
            pause = match &result {
                Ok(step) if *step != Step::default() => PAUSE_MIN,
                Ok(_) if self.is_attached() => (pause * 2).min(PAUSE_IDLE),
                Ok(_) | Err(_) => (pause * 2).min(PAUSE_FAILED),
            };
            said(self, result);
            sleep(pause);
        }
    }

    fn look_now(&mut self) -> Look {
        let after_ns = self.looked_ns;
        self.looked_ns = self.clock.now_ns().max(after_ns);
        Look { time_ns: self.looked_ns, after_ns }
    }

    /// Records that what follows is not protected, once per interval.
    fn begin_gap(&mut self, why: Why, step: &mut Step) -> Result<()> {
        let Some(last) = self.last.filter(|_| self.gap.is_none()) else { return Ok(()) };
        let gap = GapBegin {
            why,
            from_number: last.number,
            from_ns: last.time_ns,
            noticed_ns: self.clock.now_ns().max(last.time_ns),
        };
        self.spool.append(&Body::Gap(gap))?;
        (self.gap, step.gap) = (Some(gap), Some(gap));
        Ok(())
    }

    fn attach(&mut self, step: &mut Step) -> Result<Option<Attached>> {
        if self.history.is_none() {
            let history = self.spool.reopen()?;
            self.take_history(history);
        }
        self.check_header(step)?;
        let mut source = Source::open(&self.path)?;
        if self.gap.is_some_and(|gap| gap.why == Why::LogBound) && !self.fits(&mut source)? {
            return Ok(None);
        }
        source.lock_writes(self.options.lock_wait)?;
        let locked = self.join(&mut source, step);
        let unlocked = source.unlock_writes();
        let (found, place) = locked?;
        unlocked?;
        let Some(place) = place else {
            return self.begin_epoch(source, &found, step).map(Some);
        };
        // The lock is held before the image is put together, which may take a while.
        let Some(recorder) = self.recover(source.page_bytes(), step)? else { return Ok(None) };
        self.resume(source, recorder, (&found, place), step)
    }

    /// Looks at the database's header before anything is locked.
    fn check_header(&mut self, step: &mut Step) -> Result<()> {
        let header = read_header(&self.path).and_then(|header| {
            let not_wal = || Error::NotWal { path: self.path.clone() };
            if header.wal { Ok(header) } else { Err(not_wal()) }
        });
        let header = match header {
            Ok(header) => header,
            Err(error) => {
                if let Some(why) = why_not(&error) {
                    self.begin_gap(why, step)?;
                }
                return Err(error);
            }
        };
        let run = self.history.as_ref().and_then(|history| history.runs().pop());
        let run = run.filter(|run| self.last.is_some_and(|last| last.number == run.last.number));
        match run {
            Some(run) if run.page_bytes == header.page_bytes => Ok(()),
            Some(_) => self.begin_gap(Why::PageSize, step),
            None => self.begin_gap(Why::SpoolDamaged, step),
        }
    }

    /// While nobody can commit: takes the read lock; what is committed, and from where on it
    /// continues what was captured, if it does.
    fn join(&mut self, source: &mut Source, step: &mut Step) -> Result<(Found, Option<Place>)> {
        source.hold()?;
        // Read behind the lock: what was copied then was copied before the lock was taken.
        let look = self.look_now();
        let index = source.index()?;
        let found = Found { index, look };
        let Some(last) = self.last.filter(|_| self.gap.is_none()) else {
            return Ok((found, None));
        };
        let Some(place) = continued(source, &index, last.place)? else {
            let why = if index.salts == last.place.salts { Why::Diverged } else { Why::LogReset };
            self.begin_gap(why, step)?;
            return Ok((found, None));
        };
        if index.is_backfilled() && index.frames > place.frame {
            // Such a log may start over although the lock is held.
            source.keep_log(place, index.frames)?;
        }
        Ok((found, Some(place)))
    }

    /// Puts the image together again. None if the spool does not hold it, which is a gap.
    fn recover(&mut self, page_bytes: u32, step: &mut Step) -> Result<Option<Recorder>> {
        let mut image = self.new_image(page_bytes)?;
        let disk = Arc::clone(self.spool.disk());
        let run = self.history.as_ref().and_then(|history| history.runs().pop());
        let (Some(history), Some(run)) = (self.history.take(), run) else {
            return self.begin_gap(Why::SpoolDamaged, step).map(|()| None);
        };
        self.epoch_bytes = history.bytes(&run);
        match replay(disk.as_ref(), &history, &run, run.last.number, &mut image) {
            Ok(_) => Ok(Some(self.recorder(image))),
            Err(Error::Damaged { .. } | Error::NotRestored { .. }) => {
                self.begin_gap(Why::SpoolDamaged, step).map(|()| None)
            }
            Err(error) => Err(error),
        }
    }

    /// Captures what was committed while capture was down.
    fn resume(
        &mut self,
        mut source: Source,
        mut recorder: Recorder,
        (found, mut place): (&Found, Place),
        step: &mut Step,
    ) -> Result<Option<Attached>> {
        let (index, look) = (&found.index, found.look);
        if index.frames > place.frame {
            let spool = &mut self.spool;
            spool.append(&Body::Downtime { from_ns: look.after_ns, to_ns: look.time_ns })?;
            (self.last, place) =
                capture_frames(&source, index, place, self.last, &mut recorder, spool, look)?;
        }
        source.forget_log();
        if index.is_backfilled() && !first_page_agrees(&source, &recorder)? {
            return self.begin_gap(Why::Replaced, step).map(|()| None);
        }
        Ok(Some(Attached::new(source, recorder, place, index)))
    }

    fn new_image(&self, page_bytes: u32) -> Result<Image> {
        let path = self.spool.folder().join(IMAGE);
        Image::create(&path, page_bytes).map_err(io_error("create", &path))
    }

    fn recorder(&self, image: Image) -> Recorder {
        Recorder::new(image, self.options.differences_max, self.options.level)
    }

    /// Whether a log that was let go is short enough again to be held.
    fn fits(&self, source: &mut Source) -> Result<bool> {
        source.checkpoint()?;
        let index = source.index()?;
        let bytes = frame_offset(source.page_bytes(), index.frames);
        Ok(index.is_backfilled() || bytes <= self.options.log_bytes_max / 2)
    }

    fn begin_epoch(&mut self, source: Source, found: &Found, step: &mut Step) -> Result<Attached> {
        let (index, look) = (&found.index, found.look);
        let mut recorder = self.recorder(self.new_image(source.page_bytes())?);
        let head = (self.epoch + 1, self.last.as_ref());
        let commit = snapshot(&source, index, head, &mut recorder, &mut self.spool, look)?;
        self.epoch += 1;
        (self.epoch_bytes, self.history) = (0, None);
        self.last = Some(commit);
        self.gap = None;
        step.snapshot = true;
        Ok(Attached::new(source, recorder, commit.place, index))
    }

    fn look(&mut self, mut attached: Attached, step: &mut Step) -> Result<Option<Attached>> {
        if !attached.source.is_in_place()? {
            self.begin_gap(Why::Replaced, step)?;
            return Ok(None);
        }
        let look = self.look_now();
        if let Some(why) = self.follow(&mut attached, look)? {
            self.begin_gap(why, step)?;
            return Ok(None);
        }
        self.begin_epoch_from_image(&mut attached, look, step)?;
        let log_bytes = log_bytes(&attached);
        match self.hand_over(&mut attached, look) {
            Ok(Handed::Yes) => step.handed_over = true,
            Ok(Handed::NotYet) | Err(Error::Busy { .. }) => {}
            Ok(Handed::Broken(why)) => {
                self.begin_gap(why, step)?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        let at_work = step.handed_over || attached.passes > 0;
        if !at_work && log_bytes > self.options.log_bytes_max {
            self.begin_gap(Why::LogBound, step)?;
            return Ok(None);
        }
        Ok(Some(attached))
    }

    /// Begins an epoch without a gap once the present one is long: whoever starts again, or
    /// restores, has to read all of it. Meanwhile the log is held and nothing is looked at.
    fn begin_epoch_from_image(
        &mut self,
        attached: &mut Attached,
        look: Look,
        step: &mut Step,
    ) -> Result<()> {
        let Some(last) = self.last else { return Ok(()) };
        let image_bytes = u64::from(last.pages) * u64::from(attached.source.page_bytes());
        if self.epoch_bytes < self.options.epoch_bytes.max(2 * image_bytes) {
            return Ok(());
        }
        let spool = &mut self.spool;
        self.last = Some(attached.recorder.begin_epoch(spool, self.epoch + 1, &last, look)?);
        self.epoch += 1;
        // What it took counts for the epoch before.
        self.epoch_bytes = 0;
        attached.recorder.take_tally();
        step.snapshot = true;
        Ok(())
    }

    /// Captures what was committed since; says why if it does not continue what was captured.
    fn follow(&mut self, attached: &mut Attached, look: Look) -> Result<Option<Why>> {
        let index = attached.source.index()?;
        if index.salts != attached.place.salts {
            if attached.may_restart_at != Some(attached.place.frame) {
                return Ok(Some(Why::LogReset));
            }
            // It started over behind all that was captured; nothing of the new round can be
            // copied, so it may start over again only while it is empty.
            attached.place = Place { salts: index.salts, ..Place::default() };
            attached.may_restart_at = Some(0);
        }
        if index.frames < attached.place.frame {
            return Ok(Some(Why::Diverged));
        }
        if index.frames > attached.place.frame {
            let Attached { source, recorder, place, .. } = attached;
            let spool = &mut self.spool;
            (self.last, *place) =
                capture_frames(source, &index, *place, self.last, recorder, spool, look)?;
        }
        Ok(None)
    }

    /// Lets a long log start over. Most of it is copied beside everything else, while others go
    /// on writing; the rest is captured and copied while nobody can commit.
    fn hand_over(&mut self, attached: &mut Attached, look: Look) -> Result<Handed> {
        if attached.source.is_checkpointing() {
            return Ok(Handed::NotYet);
        }
        let due = log_bytes(attached) >= self.options.log_bytes_checkpoint
            && attached.may_restart_at != Some(attached.place.frame)
            && look.time_ns >= attached.hand_over_not_before_ns;
        if attached.passes == 0 && !due {
            return Ok(Handed::NotYet);
        }
        attached.source.end_checkpoint()?;
        let index = attached.source.index()?;
        let rest = index.frames.saturating_sub(index.backfilled);
        if attached.passes == 0 || (rest > REST_FRAMES && attached.passes < PASSES_MAX) {
            attached.passes += 1;
            let broken = self.while_locked(attached, Self::move_hold)?;
            attached.source.begin_checkpoint();
            return Ok(broken.map_or(Handed::NotYet, Handed::Broken));
        }
        attached.passes = 0;
        if let Some(why) = self.while_locked(attached, Self::copy_rest)? {
            return Ok(Handed::Broken(why));
        }
        if attached.may_restart_at == Some(attached.place.frame) {
            return Ok(Handed::Yes);
        }
        attached.hand_over_not_before_ns = look.time_ns + HAND_OVER_PAUSE_NS;
        Ok(Handed::NotYet)
    }

    fn while_locked(
        &mut self,
        attached: &mut Attached,
        work: fn(&mut Self, &mut Attached) -> Result<Option<Why>>,
    ) -> Result<Option<Why>> {
        attached.source.lock_writes(self.options.lock_wait)?;
        let result = work(self, attached);
        let unlocked = attached.source.unlock_writes();
        let result = result?;
        unlocked.map(|()| result)
    }

    fn move_hold(&mut self, attached: &mut Attached) -> Result<Option<Why>> {
        let look = self.look_now();
        let broken = self.follow(attached, look)?;
        if broken.is_none() {
            attached.source.hold()?;
            let index = attached.source.index()?;
            attached.may_restart_at = index.is_backfilled().then_some(index.frames);
        }
        Ok(broken)
    }

    fn copy_rest(&mut self, attached: &mut Attached) -> Result<Option<Why>> {
        let broken = self.move_hold(attached)?;
        if broken.is_some() {
            return Ok(broken);
        }
        attached.source.checkpoint()?;
        if attached.source.index()?.is_backfilled() {
            if !first_page_agrees(&attached.source, &attached.recorder)? {
                return Ok(Some(Why::Replaced));
            }
            return self.move_hold(attached);
        }
        Ok(None)
    }
}

/// What was committed, and when that was looked at.
struct Found {
    index: WalIndex,
    look: Look,
}

enum Handed {
    Yes,
    NotYet,
    Broken(Why),
}

fn log_bytes(attached: &Attached) -> u64 {
    frame_offset(attached.source.page_bytes(), attached.place.frame.saturating_add(1))
}

/// Whether the database file, into which all is copied, begins as the image does: a file that was
/// overwritten in place has another change counter, schema or size there.
fn first_page_agrees(source: &Source, recorder: &Recorder) -> Result<bool> {
    let image = recorder.image();
    let mut here = vec![0; source.page_bytes() as usize];
    let mut there = here.clone();
    source.read_pages(&mut here, 1)?;
    image.read(1, &mut there).map_err(io_error("read", image.path()))?;
    Ok(here == there)
}

fn why_not(error: &Error) -> Option<Why> {
    match error {
        Error::Missing { .. } => Some(Why::Gone),
        Error::NotADatabase { .. } => Some(Why::Replaced),
        Error::NotWal { .. } => Some(Why::LeftWal),
        _ => None,
    }
}
