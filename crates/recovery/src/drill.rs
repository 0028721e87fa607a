//! Drills: a restore into scratch, from the sites alone, timed and checked.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use evenkeel_types::Event;
use evenkeel_types::codec::Canonical;
use evenkeel_types::merkle::Frontier;
use evenkeel_vault::{
    Catalog, Freshness, Lineage, Opener, Pin, PointInfo, Problem, ProblemKind, RootPublicKey, Site,
    Unlock, Verify, verify,
};
use evenkeel_venue::Engine;

use crate::checkpoint::Checkpoint;
use crate::clock::Clock;
use crate::error::{RecoveryError, Result};
use crate::follower::Promise;
use crate::ledger::Ledger;
use crate::report::{Check, DrillReport, Level, Phase, SignedReport, SourceProof, Text, Verdict};
use crate::restore::{History, Restored, Restorer, Sink, Target};
use crate::skips::{self, Skips, with_skips};

/// What a drill needs to know.
pub struct DrillPlan<'a> {
    /// How much it proves.
    pub level: Level,
    /// The sites, in shard order.
    pub sites: Vec<Arc<dyn Site>>,
    /// Domain restored.
    pub domain: String,
    /// Whose certificates are believed.
    pub trust: RootPublicKey,
    /// The newest record this drill host has seen before.
    pub pin: Option<Pin>,
    /// The last recovery point that a drill has proven: what follows is recomputed from it.
    pub proven: Option<String>,
    /// Opens the key periods; `None` at D1.
    pub unlock: Option<Unlock>,
    /// Public name of that key.
    pub key_used: String,
    /// Durable position on the host, if it could be asked, when the drill began.
    pub durable_position: Option<u64>,
    /// Lineage to restore; `None` for the one certified last.
    pub lineage: Option<Lineage>,
    /// The drill host's clocks.
    pub clock: &'a dyn Clock,
}

/// A finished drill.
#[derive(Debug)]
pub struct Drilled {
    /// What was found, signed.
    pub report: SignedReport,
    /// What to pin: the newest record seen.
    pub pin: Option<Pin>,
    /// Why it ended early, if it did.
    pub error: Option<RecoveryError>,
}

/// What a drill proves of the lineages that stand beside the main one.
#[derive(Debug, Clone)]
pub struct BesideFound {
    /// The point that was brought back; `None` if there was nothing to bring back.
    pub point: Option<PointInfo>,
    /// What was checked.
    pub checks: Vec<Check>,
    /// Every source among it, beside what is promised of it.
    pub sources: Vec<SourceProof>,
}

/// Brings back what stands beside the main line, into a place of its own.
pub trait BesideDrill {
    /// Restores and checks. Failures are checks, and so is what could not be checked.
    fn run(&mut self, catalog: &Catalog, opener: &Opener) -> BesideFound;

    /// What a report names where nothing is opened, and so nothing is proven.
    fn unproven(&self) -> Vec<SourceProof> {
        Vec::new()
    }
}

/// Runs a drill. An error on the way ends it with a failed check, never without a report.
pub fn drill(plan: DrillPlan<'_>, sink: &mut dyn Sink, key: &SigningKey) -> Drilled {
    drill_with(plan, sink, key, None)
}

/// As [`drill`], of what stands beside the main line as well. Its checks are in the same report;
/// where there is no main line, so are its point and its times.
pub fn drill_with(
    plan: DrillPlan<'_>,
    sink: &mut dyn Sink,
    key: &SigningKey,
    beside: Option<&mut dyn BesideDrill>,
) -> Drilled {
    run(plan, Some(sink), key, beside)
}

/// As [`drill_with`], of a domain that has no main line: nothing is replayed, and point and times
/// are those of what `beside` brings back.
pub fn drill_without_venue(
    plan: DrillPlan<'_>,
    key: &SigningKey,
    beside: &mut dyn BesideDrill,
) -> Drilled {
    run(plan, None, key, Some(beside))
}

fn run(
    plan: DrillPlan<'_>,
    sink: Option<&mut dyn Sink>,
    key: &SigningKey,
    beside: Option<&mut dyn BesideDrill>,
) -> Drilled {
    // Without a key nothing more than an audit is proven, whatever was asked for.
    let level = match plan.unlock {
        Some(_) => plan.level,
        None => Level::D1,
    };
    let mut run = Run {
        report: DrillReport::begin(plan.clock.wall_ns(), level, &plan.key_used),
        started_ns: plan.clock.monotonic_ns(),
        phase_ns: plan.clock.monotonic_ns(),
        pin: None,
        plan,
    };
    let error = run.all(sink, beside).err();
    if let Some(error) = &error {
        let verdict = match error {
            RecoveryError::Vault(evenkeel_vault::Error::NothingYet { .. })
            | RecoveryError::BeforeFirstPoint { .. } => Verdict::Unproven,
            _ => Verdict::Failed,
        };
        run.report.checks.push(Check::new("restore", verdict, error.to_string()));
    }
    Drilled { report: run.report.sign(key), pin: run.pin, error }
}

/// What the sites hold, opened.
struct Reader<'a> {
    catalog: &'a Catalog,
    opener: &'a Opener,
    lineage: Lineage,
    proven: Option<String>,
}

impl<'a> Reader<'a> {
    fn restorer(&self, lineage: Lineage) -> Result<Restorer<'a>> {
        Restorer::new(self.catalog, self.opener, lineage)
    }

    /// A state from which `point` can be recomputed, where the entries since lie, and its name.
    /// Never one that applied what is passed over.
    fn base_of(
        &self,
        point: &PointInfo,
        skips: &Skips,
    ) -> Result<(Restorer<'a>, Checkpoint, String)> {
        let restorer = self.restorer(self.lineage)?;
        let before: Vec<&PointInfo> =
            restorer.points().iter().take_while(|other| other.id != point.id).collect();
        // From the last point that was proven, so that no point is ever trusted unproven; before
        // the first drill from the very beginning, if the sites still hold it.
        let is_proven = |other: &&&PointInfo| Some(other.id.to_string()) == self.proven;
        let proven = before.iter().find(is_proven).copied();
        let permits = |other: &&PointInfo| {
            skips.is_empty()
                || restorer.checkpoint(other).is_ok_and(|(_, engine)| skips.permit(&engine))
        };
        let proven = proven.filter(permits);
        if proven.is_none() && restorer.reaches_genesis()? {
            return Ok((restorer, Checkpoint::genesis(), "the beginning".to_owned()));
        }
        if let Some(before) = proven.or(before.first().copied()).cloned() {
            let (checkpoint, _) = restorer.checkpoint(&before)?;
            return Ok((restorer, checkpoint, before.id.to_string()));
        }
        let lineages = self.catalog.lineages();
        let info = lineages.iter().find(|info| info.lineage == self.lineage);
        if let Some(parent) = info.and_then(|info| info.parent) {
            let restorer = self.restorer(parent.lineage)?;
            let before =
                restorer.points().iter().rfind(|other| other.position <= point.position).cloned();
            if let Some(before) = before {
                let (checkpoint, _) = restorer.checkpoint(&before)?;
                return Ok((restorer, checkpoint, before.id.to_string()));
            }
        }
        Ok((restorer, Checkpoint::genesis(), "the beginning".to_owned()))
    }
}

struct Run<'a> {
    plan: DrillPlan<'a>,
    report: DrillReport,
    started_ns: u64,
    phase_ns: u64,
    pin: Option<Pin>,
}

impl Run<'_> {
    fn all(
        &mut self,
        sink: Option<&mut dyn Sink>,
        beside: Option<&mut dyn BesideDrill>,
    ) -> Result<()> {
        let (sites, pin) = (&self.plan.sites, self.plan.pin);
        let catalog = Catalog::load(sites, &self.plan.domain, &self.plan.trust, pin)?;
        let catalog = Arc::new(catalog);
        self.phase("catalog");
        let missing = catalog.unreachable();
        self.report.sites_missing = missing.into_iter().map(Text::from).collect();
        let lineage = self.plan.lineage.or(catalog.current_lineage());
        if let Some(lineage) = lineage {
            self.report.lineage = lineage.0;
            self.check_history(&catalog);
            self.pin = catalog.pin(lineage);
        }
        let Some(unlock) = self.plan.unlock.take() else {
            let unproven = beside.map(|beside| beside.unproven());
            self.report.sources.extend(unproven.unwrap_or_default());
            return self.audit(&catalog);
        };
        let opener = Opener::new(Arc::clone(&catalog), unlock)?;
        let main_line = lineage.zip(sink);
        let has_venue = main_line.is_some();
        let result = match main_line {
            Some((lineage, sink)) => {
                let proven = self.plan.proven.take();
                let reader = Reader { catalog: &catalog, opener: &opener, lineage, proven };
                self.restore(&reader, sink)
            }
            None => Ok(()),
        };
        if has_venue {
            self.add_venue(result.is_ok());
        }
        // Whatever became of the main line: what stands beside it does not depend on it.
        if let Some(beside) = beside {
            let found = beside.run(&catalog, &opener);
            self.phase("beside");
            self.add(found, !has_venue);
        }
        let seen = opener.seen();
        self.report.bytes_read = seen.bytes;
        self.report.sites_used = seen.sites_used.into_iter().map(Text::from).collect();
        result
    }

    /// Adds what was found beside the main line; `alone` if there is no other.
    fn add(&mut self, found: BesideFound, alone: bool) {
        if let Some(point) = found.point.as_ref().filter(|_| alone) {
            let elapsed_ns = self.plan.clock.monotonic_ns().saturating_sub(self.started_ns);
            let failed = found.checks.iter().any(|check| check.verdict == Verdict::Failed);
            self.report.rto_ns = (!failed).then_some(elapsed_ns);
            self.report.lineage = point.id.lineage.0;
            self.report.point = point.id.to_string().into();
            self.report.position = point.position;
            self.report.rpo_ns = Some(self.report.started_ns.saturating_sub(point.time_ns));
        }
        self.report.checks.extend(found.checks);
        self.report.sources.extend(found.sources);
    }

    /// The main line as a source: nothing is promised of its times here.
    fn add_venue(&mut self, is_back: bool) {
        let (report, venue) = (&mut self.report, SourceProof::unproven("venue", "venue"));
        report.sources.push(SourceProof {
            verdict: if is_back { report.verdict() } else { Verdict::Failed },
            point: report.point.clone(),
            until_ns: report.rpo_ns.map(|age_ns| report.started_ns.saturating_sub(age_ns)),
            rpo_ns: report.rpo_ns,
            rto_ns: report.rto_ns,
            ..venue
        });
    }

    fn phase(&mut self, name: &str) {
        let now = self.plan.clock.monotonic_ns();
        let elapsed_ns = now.saturating_sub(self.phase_ns);
        self.report.phases.push(Phase { name: name.into(), elapsed_ns });
        self.phase_ns = now;
    }

    /// Forks and freshness: whether this is the history, and the newest of it.
    fn check_history(&mut self, catalog: &Catalog) {
        let forks: Vec<&str> = catalog.forks().iter().map(|fork| fork.detail.as_str()).collect();
        self.report.checks.push(if forks.is_empty() {
            Check::new("single_history", Verdict::Ok, "no fork")
        } else {
            Check::new("single_history", Verdict::Failed, format!("FORK: {}", forks.join("; ")))
        });
        let (verdict, detail) = match catalog.freshness() {
            Freshness::Proven { pinned } => {
                (Verdict::Ok, format!("the sites show at least record {pinned}, seen before"))
            }
            // The first drill of a host has nothing to compare with; what it cannot know is said,
            // but a host that was never asked to remember is not a failure of the restore.
            Freshness::Unproven { why } => {
                (Verdict::NotConfigured, format!("freshness unproven: {why}"))
            }
            Freshness::RolledBack { pinned, found, .. } => {
                (Verdict::Failed, format!("rolled back: record {pinned} was seen, now {found}"))
            }
            Freshness::Contradicted { counter, .. } => {
                (Verdict::Failed, format!("record {counter} is another than was seen before"))
            }
        };
        self.report.checks.push(Check::new("freshness", verdict, detail));
    }

    /// D1: every byte of ciphertext against its signature or hash, without any key.
    fn audit(&mut self, catalog: &Catalog) -> Result<()> {
        if let Some(point) = catalog.latest_point() {
            self.report.point = point.id.to_string().into();
            self.report.position = point.position;
        }
        catalog.check_restorable()?;
        let verification = verify(catalog, Verify::Ciphertext)?;
        self.phase("check");
        self.report.bytes_read = verification.bytes;
        let missing = catalog.unreachable();
        let answered = self.plan.sites.iter().map(|site| site.name().to_owned());
        let is_missing =
            |name: &String| missing.iter().any(|one| one.starts_with(&format!("{name} (")));
        self.report.sites_used =
            answered.filter(|name| !is_missing(name)).map(Text::from).collect();
        // What nothing depends on, such as the remains of an interrupted write, is no damage.
        let mut damage = verification.problems.iter().filter(|one| one.kind.is_damage());
        let is_unread = |one: &Problem| one.kind == ProblemKind::Unreadable;
        let first = damage.clone().find(|one| !is_unread(one)).or_else(|| damage.next());
        let (verdict, detail) = match first {
            None => {
                let detail = "every object at every site matches its signature or hash";
                (Verdict::Ok, detail.to_owned())
            }
            Some(one) if is_unread(one) => (
                Verdict::Unproven,
                format!("what answers is right; {} could not be read", one.site),
            ),
            Some(one) => {
                (Verdict::Failed, format!("first: {} at {} is {}", one.object, one.site, one.kind))
            }
        };
        self.report.checks.push(Check::new("ciphertext", verdict, detail));
        Ok(())
    }

    fn restore(&mut self, reader: &Reader<'_>, sink: &mut dyn Sink) -> Result<()> {
        let restorer = reader.restorer(reader.lineage)?;
        let mut ledger = Ledger::new();
        let books = Some(&mut ledger);
        let restored = restorer.restore(Target::Latest, History::SinceSnapshot, books, sink)?;
        self.phase("restore");
        // Here a primary could take orders; the checks below only prove that it would be right.
        let elapsed_ns = self.plan.clock.monotonic_ns().saturating_sub(self.started_ns);
        self.report.rto_ns = Some(elapsed_ns);
        self.report.point = restored.point.id.to_string().into();
        self.report.position = restored.position;
        self.report.entries_replayed = restored.replayed;
        let durable = self.plan.durable_position;
        self.report.rpo_entries = durable.map(|next| next.saturating_sub(restored.position));
        let age_ns = self.report.started_ns.saturating_sub(restored.last_shipped_ns);
        self.report.rpo_ns = Some(age_ns);
        self.report.state_root = Some(restored.engine.state_root());
        self.report.journal_root = Some(restored.journal_root);
        self.report.output_digest = Some(restored.engine.output_digest());
        self.check_snapshot(reader, &restored)?;
        self.check_equity(&ledger, &restored)?;
        let detail = "no chain is configured: balances were not compared with one";
        self.report.checks.push(Check::new("chain", Verdict::NotConfigured, detail));
        self.phase("check");
        Ok(())
    }

    /// The point's promises, recomputed the long way: from the last point proven (in this lineage,
    /// else one of the lineage it continues), or from nothing, by applying every entry between.
    fn check_snapshot(&mut self, reader: &Reader<'_>, restored: &Restored) -> Result<()> {
        let own = reader.restorer(reader.lineage)?;
        let mut ahead = |from, skips: &mut Skips| match own.read_ahead(from, skips) {
            // Before this lineage began: the panic itself is told then.
            Err(RecoveryError::Gap { .. }) => Ok(()),
            read => read,
        };
        let end = restored.point.position;
        let recomputed = with_skips(restored.skips.clone(), &mut ahead, &mut |skips| {
            recompute(reader, &restored.point, skips)
        });
        let Recomputed { engine, frontier, begin, from } = match recomputed {
            Ok((recomputed, _)) if recomputed.frontier.leaf_count() == end => recomputed,
            Ok(_) | Err(RecoveryError::Gap { .. }) => {
                let detail = "the entries since the point before are no longer at the sites";
                self.report.checks.push(Check::new("state_root", Verdict::Unproven, detail));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let promise = Promise::from_roots(&restored.point.roots);
        let recomputed = [
            ("state_root", promise.map(|one| one.state_root), engine.state_root()),
            ("journal_root", promise.map(|one| one.journal_root), frontier.root()),
            ("output_digest", promise.map(|one| one.output_digest), engine.output_digest()),
        ];
        for (name, promised, recomputed) in recomputed {
            let mut check = Check::same(name, promised, recomputed);
            check.detail.push_str(&format!(" by applying {} entries since {from}", end - begin));
            self.report.checks.push(check);
        }
        Ok(())
    }

    /// Everybody's money, recomputed from events by the ledger.
    fn check_equity(&mut self, ledger: &Ledger, restored: &Restored) -> Result<()> {
        let (accounts, mismatches) = ledger.compare(&restored.engine)?;
        let detail = match mismatches.first() {
            None => format!(
                "{accounts} accounts recomputed from the events of {} entries: all equal",
                restored.replayed
            ),
            Some(one) => format!(
                "{} of {accounts} accounts' figures differ; first: account {}, {}: engine {}, \
                 ledger {}",
                mismatches.len(),
                one.account,
                one.what,
                one.engine,
                one.ledger
            ),
        };
        let verdict = if mismatches.is_empty() { Verdict::Ok } else { Verdict::Failed };
        self.report.checks.push(Check::new("equity", verdict, detail));
        Ok(())
    }
}

/// A point's state by another way than its snapshot.
struct Recomputed {
    engine: Engine,
    frontier: Frontier,
    begin: u64,
    /// What it was recomputed from.
    from: String,
}

/// Applies the entries before a point, as far as the sites hold them.
fn recompute(reader: &Reader<'_>, point: &PointInfo, skips: &Skips) -> Result<Recomputed> {
    let (restorer, checkpoint, from) = reader.base_of(point, skips)?;
    let (mut engine, mut frontier) = (checkpoint.engine()?, checkpoint.frontier);
    let begin = frontier.leaf_count();
    let mut events: Vec<Event> = Vec::new();
    restorer.frames_between(begin, point.position, &mut |frame| {
        for bytes in &frame.entries {
            events.clear();
            let entry = crate::replica::decode(frontier.leaf_count(), &bytes.0)?;
            skips::apply(&mut engine, skips, &entry, &bytes.0, &mut events)?;
            frontier.push(evenkeel_types::merkle::leaf_hash(&bytes.0));
        }
        Ok(())
    })?;
    Ok(Recomputed { engine, frontier, begin, from })
}

/// Reads a stored report; `None` if its bytes or its signature are not right.
#[must_use]
pub fn read_report(bytes: &[u8]) -> Option<SignedReport> {
    SignedReport::from_bytes(bytes).ok().filter(SignedReport::is_genuine)
}
