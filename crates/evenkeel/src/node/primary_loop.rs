//! The primary's thread: takes what clients hand over, commits it, answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_journal::JournalError;
use evenkeel_quorum::Handle;
use evenkeel_recovery::divergence::{Output, Outputs};
use evenkeel_recovery::link::{Diverged, Wrong};
use evenkeel_recovery::{Ack, JournalClock, Primary, RecoveryError, Refused};
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::{Command, Event, Mode};
use evenkeel_venue::Engine;

use super::clock::SystemClock;
use super::gateway::{Answers, Batch, Intake, Taken};
use super::observed::{Observed, lock};
use super::status::folder_bytes;
use super::stop::Stop;
use super::suspect;
use crate::config::JournalConfig;
use crate::documents::Severity;
use crate::report::{Report, Result};

/// So many entries stay in a shared log although the sites hold them: a standby whose link is
/// being set up takes over from there without asking the sites.
const SHARED_ENTRIES_KEPT: u64 = 262_144;
/// After this long without a batch the journal's end is sealed.
const IDLE: Duration = Duration::from_millis(50);
/// A wall clock that differs by more from journal time is shown.
const SKEW_SHOWN_NS: u64 = 1_000_000_000;

pub(crate) struct PrimaryLoop {
    pub(crate) primary: Primary,
    pub(crate) journal_clock: JournalClock,
    pub(crate) clock: SystemClock,
    pub(crate) observed: Arc<Observed>,
    pub(crate) trades: u64,
    pub(crate) liquidations: u64,
    /// The last batch was refused in part for want of space.
    pub(crate) refuses: bool,
    /// Where it writes down what it told its clients, should that be wrong.
    pub(crate) folder: PathBuf,
    /// A standby differed, and what follows was done.
    pub(crate) proved_wrong: bool,
    /// Of a log that several hosts share: what it need not carry any more is told here.
    pub(crate) shared: Option<Handle>,
}

impl PrimaryLoop {
    /// Runs until every client is gone or the stop flag is set, then closes the journal.
    pub(crate) fn run(
        mut self,
        intake: &Intake,
        config: &JournalConfig,
        stop: &Stop,
    ) -> Result<()> {
        let gather = Duration::from_micros(config.group_commit_wait_us.into());
        let entries_max = config.batch_max_entries as usize;
        self.observe();
        while !stop.is_set() {
            if self.observed.link.is_asked_to_hand_over() {
                return self.hand_over();
            }
            self.tell_standbys()?;
            self.trim()?;
            match intake.take(IDLE, gather, entries_max) {
                Taken::Batches(batches) => self.commit(batches, entries_max)?,
                Taken::Nothing => {
                    self.primary.seal_if_idle()?;
                    self.observe();
                }
                Taken::NoClients => break,
            }
        }
        lock(&self.observed.primary).running = false;
        // What it acknowledged last may still be shipped.
        self.observed.link.come_round(self.primary.engine().time());
        self.primary.close().map_err(Report::from)
    }

    /// Ends in favour of a standby. Batches that were not taken are never answered: their clients
    /// send them again, to the successor.
    fn hand_over(self) -> Result<()> {
        lock(&self.observed.primary).running = false;
        let observed = self.observed;
        let hand_over = self.primary.hand_over().map_err(Report::from)?;
        observed.link.hand_over(hand_over);
        Ok(())
    }

    /// Notes whether somebody else is the primary now, and an entry at which it panicked.
    fn ended_by(&self, error: RecoveryError) -> Report {
        suspect::note_error(&self.folder, &error);
        if matches!(error, RecoveryError::Journal(JournalError::Fenced { .. })) {
            self.observed.link.note_fenced();
        }
        error.into()
    }

    /// Says what the engine said, and that it lives; hears whether it was wrong.
    fn tell_standbys(&mut self) -> Result<()> {
        if let Some(shared) = &self.shared {
            // What a standby still has to fetch it finds here even if its link is cut.
            let standbys = self.observed.link.standbys().iter().map(|one| one.position).min();
            let shipped = lock(&self.observed.tail).shipped_position;
            let needed = shipped.min(standbys.unwrap_or(shipped));
            shared.archived_to(needed.saturating_sub(SHARED_ENTRIES_KEPT));
        }
        if let Err(error) = self.primary.tend() {
            return Err(self.ended_by(error));
        }
        let link = &self.observed.link;
        link.publish(self.primary.take_digests());
        link.come_round(self.primary.engine().time());
        let agreed = link.agreed();
        self.primary.keep_outputs(agreed.is_some());
        self.primary.note_agreed(agreed.unwrap_or(0));
        match link.divergence() {
            Some(diverged) if !self.proved_wrong => self.stop_when_wrong(diverged),
            _ => Ok(()),
        }
    }

    /// A replay gave another output than this engine: nothing more is traded on it.
    fn stop_when_wrong(&mut self, diverged: Diverged) -> Result<()> {
        self.proved_wrong = true;
        let Diverged { agreed, position, wrong } = diverged;
        if wrong == Wrong::Standby {
            self.observed.conditions.raise(
                "standby_wrong",
                Severity::Warning,
                format!("a standby differed at position {position} and is barred from promotion"),
                "a replay gives this primary's output; trading goes on",
                "look at what the standby printed; test its host's memory",
            );
            return Ok(());
        }
        let file = list_outputs(&self.folder, agreed, self.primary.outputs());
        let (mode, cause) = (Mode::Halted, CAUSE_DIVERGED);
        let now = self.journal_clock.now(&self.clock);
        self.primary.operate(now, Command::SetMode { mode, cause }).map_err(Report::from)?;
        self.observed.conditions.raise(
            "primary_wrong",
            Severity::Critical,
            format!(
                "a replay of positions {agreed} to below {position} gives another output than this \
                 primary gave: it is halted. What it told its clients since is listed in {file}"
            ),
            "the journal holds every command as it came; only outputs are in doubt",
            "evenkeel failover   (the standby agrees with the replay), then compare the list",
        );
        Ok(())
    }

    fn commit(&mut self, batches: Vec<Batch>, entries_max: usize) -> Result<()> {
        let mut requests = Vec::new();
        let mut clients = Vec::with_capacity(batches.len());
        for batch in batches {
            clients.push((batch.requests.len(), batch.received, batch.reply));
            requests.extend(batch.requests);
        }
        let mut answers: Answers = Vec::with_capacity(requests.len());
        while !requests.is_empty() {
            let rest = requests.split_off(requests.len().min(entries_max));
            let now = self.journal_clock.now(&self.clock);
            let part = std::mem::replace(&mut requests, rest);
            let committed = self.primary.commit(now, part);
            answers.extend(committed.map_err(|error| self.ended_by(error))?);
        }
        self.count_trades(&answers);
        self.refuses = answers.iter().any(Result::is_err);
        for (count, received, reply) in clients {
            let rest = answers.split_off(count);
            let mine = std::mem::replace(&mut answers, rest);
            lock(&self.observed.rates).note(count as u64, received.elapsed());
            // A client that went away does not need its answer.
            let _ = reply.send(mine);
        }
        self.observe();
        Ok(())
    }

    /// Lets go of old segments once the journal exceeds its share of the disk; never of anything
    /// that a self-contained recovery point does not cover.
    fn trim(&mut self) -> Result<()> {
        let Some((bytes_max, position)) = lock(&self.observed.trim).take() else {
            return Ok(());
        };
        if folder_bytes(self.primary.log().dir()) > bytes_max {
            match self.primary.trim_before(position) {
                Ok(trimmed) if trimmed.segments_removed > 0 => {
                    self.observed.conditions.clear("not_trimmed");
                }
                Ok(_) => {}
                // Damage in what was to go is no reason to stop trading.
                Err(RecoveryError::Journal(error)) if error.is_corruption() => {
                    self.observed.conditions.raise(
                        "not_trimmed",
                        Severity::Warning,
                        format!("old segments of the journal are damaged and stay: {error}"),
                        "what they hold is covered by recovery points at the sites",
                        "evenkeel journal verify",
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn count_trades(&mut self, answers: &[Result<Ack, Refused>]) {
        let events = answers.iter().flatten().flat_map(|ack| &ack.events);
        let trades = events.filter(|event| matches!(event, Event::Traded { .. })).count();
        self.trades += trades as u64;
        let events = answers.iter().flatten().flat_map(|ack| &ack.events);
        let begins =
            |event: &&Event| matches!(event, Event::Liquidation { step: WaterfallStep::Began, .. });
        self.liquidations += events.filter(begins).count() as u64;
    }

    fn observe(&self) {
        let engine = self.primary.engine();
        let skew = self.journal_clock.wall_skew_ns(&self.clock);
        let on_reserve = self.primary.log().is_on_reserve();
        {
            let mut figures = lock(&self.observed.primary);
            figures.running = true;
            figures.mode = engine.mode();
            figures.position = self.primary.log().next();
            figures.term = self.primary.log().term();
            figures.output_digest = engine.output_digest();
            figures.open_orders = engine.open_order_count() as u64;
            figures.accounts = engine.account_count() as u64;
            figures.instruments = engine.instruments().count() as u64;
            figures.trades = self.trades;
            figures.liquidations = self.liquidations;
            figures.in_liquidation = engine.liquidations().count() as u64;
            figures.rules = engine.rules();
            figures.volatility_index = volatility_index(engine);
            figures.insurance_fund = insurance_fund(engine);
            figures.on_reserve = on_reserve;
            figures.wall_skew_ns = skew;
        }
        self.show_conditions(engine.mode(), on_reserve || self.refuses, skew);
    }

    fn show_conditions(&self, mode: Mode, is_full: bool, skew_ns: i64) {
        let conditions = &self.observed.conditions;
        if is_full {
            conditions.raise(
                "disk_full",
                Severity::Critical,
                "the host's disk is full: only cancels, withdrawals and mode changes are taken",
                "every acknowledged entry is durable; nothing is lost",
                "free space on the host's disk; writing resumes by itself",
            );
        } else {
            conditions.clear("disk_full");
        }
        if skew_ns.unsigned_abs() > SKEW_SHOWN_NS {
            let seconds = skew_ns / 1_000_000_000;
            conditions.raise(
                "wall_clock_stepped",
                Severity::Warning,
                format!("the wall clock is {seconds} s off journal time: it was set while running"),
                "entries keep their order and their time; no expiry is skipped or repeated",
                "check the machine's time; a restart takes over the wall clock, if it is ahead",
            );
        } else {
            conditions.clear("wall_clock_stepped");
        }
        self.show_mode(mode);
    }

    fn show_mode(&self, mode: Mode) {
        let conditions = &self.observed.conditions;
        let what = match mode {
            Mode::Normal => return conditions.clear("mode"),
            Mode::Auction => "the venue gathers orders for its opening call",
            Mode::ReduceOnly => "the venue takes only orders that reduce positions",
            Mode::WithdrawOnly => "the venue takes only withdrawals",
            Mode::CancelOnly => "the venue takes only cancels and withdrawals",
            Mode::Halted => "the venue is halted",
        };
        conditions.raise(
            "mode",
            Severity::Critical,
            what,
            "no order is lost; balances and positions are untouched",
            "evenkeel status",
        );
    }
}

/// Cause of a halt because this primary's output was wrong.
const CAUSE_DIVERGED: u32 = 4;

/// One line for each output since the agreement; returns the file's name.
fn list_outputs(folder: &Path, agreed: u64, outputs: Option<&Outputs>) -> String {
    let path = folder.join(format!("outputs-from-{agreed}.txt"));
    let mut text = String::new();
    for output in outputs.into_iter().flat_map(Outputs::iter) {
        if output.position >= agreed {
            let Output { position, origin, events } = output;
            text.push_str(&format!("{position} {origin:?} {events:?}\n"));
        }
    }
    match std::fs::write(&path, text) {
        Ok(()) => path.display().to_string(),
        Err(error) => format!("(not written: {error})"),
    }
}

/// The highest volatility index of an underlying, in percent with two decimals.
fn volatility_index(engine: &Engine) -> Option<String> {
    let all = engine.underlyings().filter_map(|it| engine.volatility_index(it.id));
    // Millionths.
    let highest = all.max()?.0 / 100;
    Some(format!("{}.{:02}", highest / 100, highest % 100))
}

/// What the insurance fund is worth, in whole coins of the numeraire.
fn insurance_fund(engine: &Engine) -> Option<String> {
    let terms = engine.venue_terms()?;
    let scale = engine.currencies().find(|it| it.id == terms.numeraire)?.scale;
    let worth = engine.fund()?.equity?;
    let whole = worth.0 / 10i128.checked_pow(scale.into())?;
    Some(whole.to_string())
}
