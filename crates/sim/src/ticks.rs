//! What processes do between messages: beats, shipping, snapshots, trimming, looking for their
//! primary; and what they do with what they hear from one another.

use std::sync::Arc;

use evenkeel_journal::{JournalError, Reader};
use evenkeel_recovery::link::{Heard, LinkFrame, Notice, StandbyEnd, ToPrimary, ToStandby, Wrong};
use evenkeel_recovery::{Checkpoint, RecoveryError};
use evenkeel_types::codec::Canonical;
use evenkeel_types::{Command, Entry, Lots};

use crate::bugs::Bug;
use crate::coverage::Path;
use crate::host::IDENTITY;
use crate::market;
use crate::net::{Message, Party};
use crate::plan::{Mode, Step};
use crate::process::{RHYTHM, State};
use crate::world::World;

/// Entries between two snapshots.
const SNAPSHOT_EVERY: u64 = 250;

impl World {
    pub(crate) fn tick(&mut self, slot: usize) {
        match &self.processes[slot].state {
            State::Down => {}
            State::Serving(_) => self.serving_ticks(slot),
            State::Standing(_) => self.standing_ticks(slot),
        }
    }

    fn serving_ticks(&mut self, slot: usize) {
        let host = self.host_of(slot);
        let State::Serving(serving) = &mut self.processes[slot].state else { return };
        serving.ticks += 1;
        let ticks = serving.ticks;
        let digest = serving.primary.digest();
        let digests = serving.primary.take_digests();
        if let Some((_, end)) = &mut serving.link {
            digests.into_iter().for_each(|digest| end.digest(digest));
            end.digest(digest);
        }
        if let Err(error) = serving.primary.tend() {
            return self.fails(slot, &error.to_string());
        }
        if self.plan.on_margin && ticks.is_multiple_of(2) {
            let now = serving.clock.now(&self.hosts[host].moment(self.now));
            let readings = market::readings(self.plan.seed, self.now);
            if let Err(error) = serving.primary.commit(now, readings) {
                return self.fails(slot, &error.to_string());
            }
        }
        if ticks.is_multiple_of(40)
            && let Err(error) = serving.primary.seal_if_idle()
        {
            return self.fails(slot, &error.to_string());
        }
        if let Some(follower) = &mut serving.follower {
            if let Err(error) = follower.step(64) {
                return self.fails_reading(slot, &error);
            }
            let newest = self.hosts[host].reached();
            if follower.position() >= newest + SNAPSHOT_EVERY
                && let Some((checkpoint, _)) = follower.checkpoint()
            {
                self.hosts[host].keep(checkpoint);
            }
        }
        if ticks.is_multiple_of(4) {
            self.ship(slot);
        }
        if ticks.is_multiple_of(16) {
            self.trim(slot);
        }
        self.feed(slot);
    }

    /// Something of the journal does not read back: the operator stops it and has it mended.
    fn fails_reading(&mut self, slot: usize, error: &RecoveryError) {
        match error {
            RecoveryError::Journal(_) => {
                let text = error.to_string();
                self.tell(|| format!("operator: {text}"));
                self.scrubbed(slot);
            }
            other => self.breaks(format!("process {slot}: {other}")),
        }
    }

    /// Damage was found: the processes on the host stop, and the journal is mended before they
    /// start.
    pub(crate) fn scrubbed(&mut self, slot: usize) {
        let host = self.host_of(slot);
        let is_intact = self.hosts[host].is_intact();
        for other in 0..2 {
            if self.host_of(other) == host {
                self.dies(other, "its journal does not read back");
            }
        }
        if is_intact || !self.sites.answer() {
            return;
        }
        self.steps(Step::Mend);
        let mended = self.hosts[host].mend(&self.sites, None);
        let ways = std::mem::take(&mut self.hosts[host].ways);
        ways.into_iter().for_each(|way| self.took(way));
        self.tell(|| format!("mending: {mended:?}"));
    }

    pub(crate) fn ship(&mut self, slot: usize) {
        if !self.sites.answer() {
            return;
        }
        let host = self.host_of(slot);
        let State::Serving(serving) = &self.processes[slot].state else { return };
        let log = serving.primary.log();
        let from = self.sites.end();
        if from >= log.next() {
            return self.sites.settle();
        }
        let disk = Arc::clone(&self.hosts[host].disk);
        let reader = Reader::follow(disk, log.dir(), from, log.watermark());
        let batches = reader.and_then(|mut reader| {
            let mut batches = Vec::new();
            while let Some(batch) = reader.next_batch()? {
                batches.push(batch);
            }
            Ok(batches)
        });
        match batches {
            Ok(batches) => {
                for batch in batches {
                    if !self.sites.ship(&batch) {
                        let first = batch.first;
                        return self.breaks(format!("the sites hold another history at {first}"));
                    }
                }
                self.sites.settle();
            }
            Err(error) => self.fails_reading(slot, &error.into()),
        }
    }

    fn trim(&mut self, slot: usize) {
        let host = self.host_of(slot);
        let shipped =
            if self.bug == Some(Bug::LostTrimGuard) { u64::MAX } else { self.sites.confirmed() };
        let oldest = self.hosts[host].snapshots.first().map_or(0, Checkpoint::position);
        self.steps(Step::Trim);
        let mode = self.plan.mode;
        let State::Serving(serving) = &mut self.processes[slot].state else { return };
        let held = if mode == Mode::Mirror { serving.held_elsewhere } else { u64::MAX };
        let before = oldest.min(shipped).min(held).min(serving.primary.log().next());
        if before == 0 {
            return;
        }
        match serving.primary.trim_before(before) {
            // A full disk: another time.
            Err(RecoveryError::Journal(JournalError::Io { .. })) | Ok(_) => {}
            Err(error) => self.fails_reading(slot, &error),
        }
    }

    /// Sends what the standby is due.
    pub(crate) fn feed(&mut self, slot: usize) {
        let here = Party::Process(slot, self.processes[slot].life);
        let now_ns = self.now * 1_000;
        let State::Serving(serving) = &mut self.processes[slot].state else { return };
        let time = serving.primary.engine().time();
        let Some((line, end)) = &mut serving.link else { return };
        let line = *line;
        match end.outputs(now_ns, time) {
            Ok(messages) => {
                for message in messages {
                    self.send(line, here, Message::ToStandby(Box::new(message)));
                }
            }
            Err(error) => {
                serving.link = None;
                let arrivals = self.net.end(self.now, line);
                self.send_all(arrivals);
                self.fails_reading(slot, &error);
            }
        }
    }

    pub(crate) fn primary_hears(&mut self, slot: usize, line: u64, message: ToPrimary) {
        let host = self.host_of(slot);
        let State::Serving(serving) = &mut self.processes[slot].state else {
            let arrivals = self.net.end(self.now, line);
            return self.send_all(arrivals);
        };
        if matches!(message, ToPrimary::Hello(_)) {
            let end = serving.end(&self.hosts[host], self.now);
            serving.link = Some((line, end));
        }
        let Some((_, end)) = serving.link.as_mut().filter(|(known, _)| *known == line) else {
            return;
        };
        match end.hear(message) {
            Ok(Some(Heard::Holds(held))) => serving.held_elsewhere = held.position,
            Ok(Some(Heard::Diverged(diverged))) if diverged.wrong != Wrong::Standby => {
                return self.breaks(format!("the primary is said to be wrong: {diverged:?}"));
            }
            Ok(_) => {}
            Err(RecoveryError::Link(_)) => {
                serving.link = None;
                let arrivals = self.net.end(self.now, line);
                return self.send_all(arrivals);
            }
            Err(error) => return self.fails_reading(slot, &error),
        }
        self.feed(slot);
    }

    pub(crate) fn link_ended(&mut self, slot: usize, line: u64) {
        match &mut self.processes[slot].state {
            State::Serving(serving)
                if serving.link.as_ref().is_some_and(|(known, _)| *known == line) =>
            {
                serving.link = None;
            }
            State::Standing(standing) if standing.connection == Some(line) => {
                standing.connection = None;
                standing.end.ended();
            }
            _ => {}
        }
    }

    fn standing_ticks(&mut self, slot: usize) {
        self.snapshot(slot);
        let now_ns = self.now * 1_000;
        let mode = self.plan.mode;
        let State::Standing(standing) = &mut self.processes[slot].state else { return };
        standing.ticks += 1;
        let suspects = standing.end.look(now_ns).is_some();
        let is_called = std::mem::take(&mut standing.called);
        let is_lonely = standing.connection.is_none();
        let takes = mode == Mode::Pair && suspects && self.sites.answer();
        if takes || is_called {
            self.promote(slot);
        }
        let State::Standing(standing) = &mut self.processes[slot].state else { return };
        if (is_lonely || suspects) && standing.connects_at <= self.now {
            self.connect_link(slot);
        }
    }

    fn connect_link(&mut self, slot: usize) {
        let now = self.now;
        let there = Party::Process(1 - slot, self.processes[1 - slot].life);
        let here = Party::Process(slot, self.processes[slot].life);
        let is_up = self.processes[1 - slot].is_up();
        let State::Standing(standing) = &mut self.processes[slot].state else { return };
        standing.connects_at = now + 40_000;
        let Some(standby) = &mut standing.standby else { return };
        let term = standing.end.term();
        if !is_up {
            standing.connects_at = now + 5_000;
            return;
        }
        let end = StandbyEnd::new(standby, IDENTITY.lineage, "sim", term, RHYTHM, now * 1_000);
        standing.end = end;
        let messages = standing.end.outputs(standby);
        let old = standing.connection.take();
        let line = self.net.connect(here, there);
        let State::Standing(standing) = &mut self.processes[slot].state else { return };
        standing.connection = Some(line);
        if let Some(old) = old {
            let arrivals = self.net.end(now, old);
            self.send_all(arrivals);
        }
        for message in messages {
            self.send(line, here, Message::ToPrimary(Box::new(message)));
        }
    }

    fn snapshot(&mut self, slot: usize) {
        let host = self.host_of(slot);
        let newest = self.hosts[host].reached();
        let State::Standing(standing) = &mut self.processes[slot].state else { return };
        let Some(standby) = &standing.standby else { return };
        if standby.position() < newest + SNAPSHOT_EVERY {
            return;
        }
        let taken = match &standing.roots {
            Some(roots) => Some(Checkpoint {
                chain: standby.chain(),
                frontier: roots.frontier().clone(),
                engine: standby.engine().snapshot(),
            }),
            None => standby.checkpoint().map(|(checkpoint, _)| checkpoint),
        };
        if let Some(taken) = taken {
            self.hosts[host].keep(taken);
        }
    }

    pub(crate) fn standby_hears(&mut self, slot: usize, line: u64, message: ToStandby) {
        let now_ns = self.now * 1_000;
        let skips = self.bug == Some(Bug::DigestSkipped);
        let State::Standing(standing) = &mut self.processes[slot].state else { return };
        if standing.connection != Some(line) {
            return;
        }
        let Some(standby) = &mut standing.standby else { return };
        let mut message = message;
        if let ToStandby::Frame(LinkFrame(batch)) = &mut message {
            if std::mem::take(&mut standing.flips) {
                standing.flipped_at = flip(batch).or(standing.flipped_at);
                standing.flips = standing.flipped_at.is_none();
            }
            if let Some(roots) = &mut standing.roots
                && batch.first == standby.position()
            {
                batch.records.iter().for_each(|record| {
                    roots.push(&record.entry);
                });
            }
        }
        if let ToStandby::Digest(digest) = &message {
            let flipped = standing.flipped_at;
            standing.flip_told |= flipped.is_some_and(|at| at < digest.position)
                && digest.position <= standby.position();
            if skips {
                return;
            }
        }
        let mirror = &mut standing.mirror;
        let mut keep = |batch: &evenkeel_journal::Batch| -> Result<(), RecoveryError> {
            if let Some(log) = mirror {
                log.mirror(batch, "the primary")?;
            }
            Ok(())
        };
        let heard = standing.end.hear(now_ns, message, standby, &mut keep);
        let messages = standing.end.outputs(standby);
        let here = Party::Process(slot, self.processes[slot].life);
        for message in messages {
            self.send(line, here, Message::ToPrimary(Box::new(message)));
        }
        match heard {
            Ok(None) => {}
            Ok(Some(notice)) => self.noticed(slot, notice),
            Err(error) => self.standby_fails(slot, line, &error),
        }
    }

    fn standby_fails(&mut self, slot: usize, line: u64, error: &RecoveryError) {
        self.tell(|| format!("standby {slot}: {error}"));
        if let RecoveryError::Journal(JournalError::Poisoned { .. }) = error {
            return self.dies(slot, "its copy of the journal failed");
        }
        let State::Standing(standing) = &mut self.processes[slot].state else { return };
        standing.connection = None;
        standing.connects_at = self.now + 500;
        standing.end.ended();
        self.took(Path::Refetch);
        let arrivals = self.net.end(self.now, line);
        self.send_all(arrivals);
    }

    fn noticed(&mut self, slot: usize, notice: Notice) {
        match notice {
            Notice::Welcome(welcome) => {
                let process = &mut self.processes[slot];
                process.term = process.term.max(welcome.term);
            }
            Notice::Diverged => self.settle_dispute(slot),
            Notice::Refused(why) => self.turned_away(slot, &why.0),
            Notice::HandOver(_) => {
                let other = &self.processes[1 - slot];
                if self.plan.mode == Mode::Pair || !other.is_up() {
                    self.took(Path::HandOver);
                    if let State::Standing(standing) = &mut self.processes[slot].state {
                        standing.called = true;
                    }
                }
            }
            Notice::Fetched(_) | Notice::FetchEnd(_) => {}
        }
    }

    /// The primary does not serve this standby: it starts again from what is newest, and that is
    /// right only if what it held alone was given up before.
    fn turned_away(&mut self, slot: usize, why: &str) {
        self.tell(|| format!("standby {slot} is turned away: {why}"));
        let State::Standing(standing) = &self.processes[slot].state else { return };
        let position = standing.standby.as_ref().map_or(0, evenkeel_recovery::Standby::position);
        let is_alone = why.contains("one of them has lost") || why.contains("another history");
        // Frames that were on their way when the primary's disk came back older arrive behind where
        // it went on: nobody was told of them.
        let term = standing.standby.as_ref().map_or(0, |standby| standby.engine().term().0);
        let is_left = self.oracle.is_of_the_past(term, position.saturating_sub(1));
        if is_alone && self.oracle.lost() == 0 && !is_left {
            return self.breaks(format!("the standby at {position} is turned away: {why}"));
        }
        self.dies(slot, "it was turned away");
        match self.plan.mode {
            Mode::Mirror | Mode::Trio => self.set_aside(slot),
            Mode::Pair => self.hosts[0].snapshots.retain(|one| one.position() < position),
        }
    }

    fn settle_dispute(&mut self, slot: usize) {
        let host = self.host_of(slot);
        let (disk, dir) = (Arc::clone(&self.hosts[host].disk), self.hosts[host].dir.clone());
        let State::Standing(standing) = &mut self.processes[slot].state else { return };
        let was_hit = standing.flipped_at.is_some();
        let Some(standby) = &mut standing.standby else { return };
        let from = standby.arbitrates_from();
        let verdict = Reader::external(disk, &dir, from)
            .map_err(RecoveryError::from)
            .and_then(|mut source| standby.arbitrate(&mut source).map(|_| ()));
        let wrong = standby.wrong();
        self.tell(|| format!("outputs differ; wrong is {wrong:?} ({verdict:?})"));
        if !was_hit || wrong == Some(Wrong::Primary) {
            return self.breaks(format!("outputs differ, and nothing was hit: {wrong:?}"));
        }
        self.took(Path::Barred);
        self.dies(slot, "its memory is wrong");
    }

    /// Whether primary and standby are both there and have applied the same.
    pub(crate) fn is_in_step(&self) -> bool {
        let (mut primary, mut standby) = (None, None);
        for process in &self.processes {
            match &process.state {
                State::Serving(serving) => {
                    let engine = serving.primary.engine();
                    primary = Some((engine.next_position(), engine.output_digest()));
                }
                State::Standing(standing) => {
                    let engine = standing.standby.as_ref().map(evenkeel_recovery::Standby::engine);
                    standby = engine.map(|one| (one.next_position(), one.output_digest()));
                }
                State::Down => {}
            }
        }
        primary.is_some() && primary == standby
    }
}

/// Changes the size of the first order of a batch, as a bit of memory does that turns over.
fn flip(batch: &mut evenkeel_journal::Batch) -> Option<u64> {
    for record in &mut batch.records {
        let Ok(mut entry) = Entry::from_bytes(&record.entry) else { continue };
        if let Command::Place { order } = &mut entry.command {
            order.lots = Lots(order.lots.0 ^ 1);
            record.entry = entry.to_bytes();
            return Some(record.position);
        }
    }
    None
}
