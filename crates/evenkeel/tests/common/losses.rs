//! Losses on several hosts: processes, members of the store, whole hosts, everything at once, or a
//! primary that stands still; and an audit after each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_journal::{Reader, RealDisk};
use evenkeel_types::merkle::leaf_hash;
use evenkeel_types::{Canonical as _, Entry, Event, Origin, OutcomeKind};
use evenkeel_venue::Engine;
use rustix::process::Signal;
use serde_json::Value;

use super::Rig;
use super::audit::hex;
use super::hosts::Hosts;
use super::random::Random;

/// How long a stopped primary stands still.
const STOPPED: Duration = Duration::from_secs(10);

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The primary and a member of the store: a host.
    Loss,
    Primary,
    Standby,
    /// A member of the store, half of the time its leader.
    Member,
    /// Both hosts and every member.
    All,
    /// SIGSTOP of the primary, and SIGCONT ten seconds later.
    Stop,
}

impl Kind {
    pub const ALL: [(&'static str, Self); 6] = [
        ("loss", Self::Loss),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("member", Self::Member),
        ("all", Self::All),
        ("stop", Self::Stop),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Drawn as often as it is instructive: everything but the ten seconds of a stop.
    fn draw(random: &mut Random) -> Self {
        *random.pick(&[
            Self::Loss,
            Self::Primary,
            Self::Primary,
            Self::Standby,
            Self::Member,
            Self::Member,
            Self::Member,
            Self::All,
        ])
    }
}

/// What a series is to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub trials: usize,
    /// `None`: the seed draws one for each trial.
    pub kind: Option<Kind>,
}

/// What a series saw.
#[derive(Debug, Default)]
pub struct Tally {
    /// Seconds without an acknowledgement, of each trial of a kind.
    pub seconds: BTreeMap<Kind, Vec<f64>>,
    /// Processes that were killed with signal 9.
    pub killed: usize,
    /// Members among them.
    pub members: usize,
    /// Of those, leaders.
    pub leaders: usize,
    pub acknowledged: usize,
    pub entries: u64,
    /// Output digests of live primaries that a replay gave as well.
    pub digests: usize,
    /// Acknowledgements that a stopped primary's clients had after it went on.
    pub after_a_stop: usize,
}

/// Two hosts, who of them is primary, and what was promised so far.
pub struct Series {
    hosts: Hosts,
    primary: usize,
    audit: Audit,
    random: Random,
    pub tally: Tally,
}

impl Series {
    pub fn new(seed: u64) -> Self {
        let mut hosts = Hosts::new(Rig::new(), &["h", "g"]);
        hosts.start(0);
        hosts.until_primary(0, 1);
        hosts.start(1);
        let audit = Audit::new();
        Self { hosts, primary: 0, audit, random: Random::new(seed), tally: Tally::default() }
    }

    /// One loss under load, what is found after it, and everybody back.
    ///
    /// # Errors
    /// What was lost, changed, or applied twice.
    pub fn trial(&mut self, kind: Option<Kind>) -> Result<(Kind, String), String> {
        let kind = kind.unwrap_or_else(|| Kind::draw(&mut self.random));
        let begun = Instant::now();
        self.hosts.until_following(1 - self.primary);
        self.note_digest();
        let ready = begun.elapsed();
        self.hosts.until_acked(self.primary, 100 + self.random.below(400));
        std::thread::sleep(Duration::from_millis(self.random.below(100)));
        let (seconds, detail) = match kind {
            Kind::Loss => self.lose_host(),
            Kind::Primary => self.lose_primary(),
            Kind::Standby => self.lose_standby(),
            Kind::Member => self.lose_member(),
            Kind::All => self.lose_all(),
            Kind::Stop => self.stop_primary(),
        };
        self.tally.seconds.entry(kind).or_default().push(seconds);
        let lost = begun.elapsed();
        let durable = self.durable();
        self.audit.look(&self.hosts, self.primary, durable)?;
        let took = begun.elapsed();
        Ok((
            kind,
            format!(
                "{seconds:>7.3} s  {detail}; ready after {:.1} s, audited in {:.1} s, {:.1} s in \
                 all",
                ready.as_secs_f64(),
                (took - lost).as_secs_f64(),
                took.as_secs_f64()
            ),
        ))
    }

    /// What the primary says its output is at its position; nothing may be wrong.
    fn note_digest(&mut self) {
        let status = self.hosts.until(self.primary, "a primary", |one| one["role"] == "primary");
        let wrong = ["primary_wrong", "standby_wrong"];
        let conditions = status["conditions"].as_array().unwrap();
        let is_wrong = |one: &&Value| wrong.iter().any(|kind| one["kind"] == *kind);
        assert_eq!(conditions.iter().find(is_wrong), None, "{status}");
        assert_ne!(status["engine"]["digests_agree"], false, "{status}");
        let position = status["journal"]["position"].as_u64().unwrap();
        let digest = status["engine"]["output_digest"].as_str().unwrap().to_owned();
        self.audit.digests.insert(position, digest);
    }

    fn durable(&mut self) -> u64 {
        let status = self.hosts.until(self.primary, "a primary", |one| one["role"] == "primary");
        status["journal"]["durable_position"].as_u64().unwrap()
    }

    /// A member of the store; in every other trial its leader.
    fn choose_member(&mut self) -> (usize, bool) {
        let leader = self.hosts.cluster.leader();
        let apart = if self.random.below(2) == 0 { 0 } else { 1 + self.random.index(2) };
        ((leader + apart) % 3, apart == 0)
    }

    fn note_members(&mut self, members: usize, leaders: usize) {
        self.tally.killed += members;
        self.tally.members += members;
        self.tally.leaders += leaders;
    }

    /// Waits until the other host acknowledges, which is the primary from now on.
    fn await_successor(&mut self, since: Instant) -> f64 {
        let other = 1 - self.primary;
        let answered = self.hosts.ack_bytes(other);
        self.hosts.until_beyond(other, answered);
        self.primary = other;
        since.elapsed().as_secs_f64()
    }

    fn lose_host(&mut self) -> (f64, String) {
        let (member, is_leader) = self.choose_member();
        self.hosts.cluster.kill(member);
        self.hosts.kill(self.primary);
        self.note_members(1, usize::from(is_leader));
        self.tally.killed += 1;
        let lost = self.primary;
        let seconds = self.await_successor(Instant::now());
        self.hosts.cluster.restart(member);
        self.hosts.start(lost);
        (seconds, format!("with member {member}{}", leading(is_leader)))
    }

    fn lose_primary(&mut self) -> (f64, String) {
        self.hosts.kill(self.primary);
        self.tally.killed += 1;
        let lost = self.primary;
        let seconds = self.await_successor(Instant::now());
        self.hosts.start(lost);
        (seconds, String::new())
    }

    fn lose_standby(&mut self) -> (f64, String) {
        let standby = 1 - self.primary;
        self.hosts.kill(standby);
        self.tally.killed += 1;
        let seconds = self.await_more();
        self.hosts.start(standby);
        (seconds, String::new())
    }

    /// Waits until the primary that is acknowledges again.
    fn await_more(&mut self) -> f64 {
        let (since, answered) = (Instant::now(), self.hosts.ack_bytes(self.primary));
        // What was under way at the kill does not count: more than may be.
        self.hosts.until_beyond(self.primary, answered + 68 * 256);
        since.elapsed().as_secs_f64()
    }

    fn lose_member(&mut self) -> (f64, String) {
        let (member, is_leader) = self.choose_member();
        self.hosts.cluster.kill(member);
        self.note_members(1, usize::from(is_leader));
        let seconds = self.await_more();
        self.hosts.cluster.restart(member);
        // The next loss has to find a majority beside it.
        self.hosts.cluster.until_in_step(member);
        (seconds, format!("member {member}{}", leading(is_leader)))
    }

    fn lose_all(&mut self) -> (f64, String) {
        for member in 0..3 {
            self.hosts.cluster.kill(member);
        }
        for host in [self.primary, 1 - self.primary] {
            self.hosts.kill(host);
        }
        self.note_members(3, 1);
        self.tally.killed += 2;
        let since = Instant::now();
        let before = [self.hosts.ack_bytes(0), self.hosts.ack_bytes(1)];
        for member in 0..3 {
            self.hosts.cluster.restart(member);
        }
        let first = self.random.index(2);
        self.hosts.start(first);
        self.hosts.start(1 - first);
        self.primary = self.hosts.until_either_beyond(before);
        (since.elapsed().as_secs_f64(), "both hosts, three members".to_owned())
    }

    fn stop_primary(&mut self) -> (f64, String) {
        let (since, stopped) = (Instant::now(), self.primary);
        self.hosts.daemon(stopped).signal(Signal::STOP);
        let seconds = self.await_successor(since);
        std::thread::sleep(STOPPED.saturating_sub(since.elapsed()));
        let before = self.hosts.ack_bytes(stopped);
        self.hosts.daemon(stopped).signal(Signal::CONT);
        self.hosts.until_following(stopped);
        let late = usize::try_from((self.hosts.ack_bytes(stopped) - before) / 68).unwrap();
        self.tally.after_a_stop += late;
        (seconds, format!("{late} acknowledgements after it went on"))
    }

    /// Everything ends in good order; the whole journals of both hosts are held against everything
    /// that any client was told.
    ///
    /// # Errors
    /// As [`Series::trial`].
    pub fn finish(mut self) -> Result<Tally, String> {
        self.hosts.until_following(1 - self.primary);
        self.note_digest();
        self.hosts.until_acked(self.primary, 200);
        let standby = 1 - self.primary;
        self.hosts.end(standby);
        self.hosts.end(self.primary);
        self.audit.look(&self.hosts, self.primary, u64::MAX)?;
        if let Some((position, hash)) = self.audit.acks.first() {
            return Err(format!("acknowledged and not in the journal: {position} {hash}"));
        }
        let (lost, count) = self.hosts.lost(self.primary);
        if !lost.is_empty() {
            return Err(format!("{} of {count} acknowledged are lost: {lost:?}", lost.len()));
        }
        let said = self.hosts.run(self.primary, "journal verify");
        if said.exit != 0 {
            return Err(format!("journal verify: {said:?}"));
        }
        self.tally.acknowledged = count;
        self.tally.entries = self.audit.next();
        self.tally.digests = self.audit.compared;
        Ok(self.tally)
    }

    /// Where everything lies, for a look at it.
    pub fn said(&mut self) -> String {
        let said = [0, 1].map(|at| self.hosts.said(at));
        format!("h said:\n{}\ng said:\n{}", said[0], said[1])
    }
}

fn leading(is_leader: bool) -> &'static str {
    if is_leader { " (the leader)" } else { "" }
}

/// An engine of its own that follows the history, wherever the primary is, and compares.
struct Audit {
    engine: Engine,
    /// Hash of every entry so far.
    hashes: Vec<[u8; 32]>,
    /// Origins that took effect.
    effects: BTreeSet<Origin>,
    /// Acknowledgements that the history has not yet reached.
    acks: Vec<(u64, String)>,
    /// How much of each acknowledgement log was taken in.
    read: [usize; 2],
    /// What primaries said of themselves, and is not yet reached.
    digests: BTreeMap<u64, String>,
    compared: usize,
}

impl Audit {
    fn new() -> Self {
        Self {
            engine: Engine::new(),
            hashes: Vec::new(),
            effects: BTreeSet::new(),
            acks: Vec::new(),
            read: [0; 2],
            digests: BTreeMap::new(),
            compared: 0,
        }
    }

    fn next(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// Reads on in the primary's journal, up to what is durable.
    fn look(&mut self, hosts: &Hosts, primary: usize, durable: u64) -> Result<(), String> {
        for host in 0..2 {
            let text = fs::read_to_string(hosts.ack_log(host)).unwrap_or_default();
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            for line in text[self.read[host]..whole].lines() {
                let (position, hash) = line.split_once(' ').unwrap();
                self.acks.push((position.parse().unwrap(), hash.to_owned()));
            }
            self.read[host] = whole;
        }
        let mut reader =
            Reader::external(Arc::new(RealDisk), &hosts.journal(primary), self.next()).unwrap();
        while self.next() < durable
            && let Some(batch) = reader.next_batch().map_err(|error| error.to_string())?
        {
            for record in batch.records {
                self.take(record.position, &record.entry)?;
            }
        }
        let hashes = &self.hashes;
        let mut wrong = None;
        self.acks.retain(|(position, hash)| {
            let found = usize::try_from(*position).ok().and_then(|at| hashes.get(at));
            if found.is_some_and(|found| hex(found) != *hash) {
                wrong = Some(format!("acknowledged and not in the journal: {position} {hash}"));
            }
            found.is_none()
        });
        wrong.map_or(Ok(()), Err)
    }

    fn take(&mut self, position: u64, bytes: &[u8]) -> Result<(), String> {
        assert_eq!(position, self.next(), "positions have no gap");
        let said = self.digests.remove(&position);
        if let Some(said) = said {
            let found = hex(&self.engine.output_digest());
            if found != said {
                return Err(format!("digest at {position}: said {said}, a replay gives {found}"));
            }
            self.compared += 1;
        }
        self.hashes.push(leaf_hash(bytes));
        let entry = Entry::from_bytes(bytes).unwrap();
        let mut events = Vec::new();
        self.engine.apply(&entry, &mut events);
        // What the venue would refuse from anyone, it refuses again.
        if let Some(Event::Completed { outcome }) = events.last()
            && !matches!(outcome.kind, OutcomeKind::Rejected { .. })
            && !self.effects.insert(entry.origin)
        {
            return Err(format!("applied twice, again at {position}: {:?}", entry.origin));
        }
        Ok(())
    }
}
