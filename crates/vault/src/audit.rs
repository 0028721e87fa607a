//! Audits: that a site still has what it should, shown by reading little of it.
//!
//! The bytes that a site should hold are divided into as many equal strata as there are
//! challenges; in each, one byte is drawn at random, and the 8 KiB around it are read and compared
//! with the hash that a signed record gives. If a fraction f of the *bytes* is lost, wherever it
//! lies, all n challenges miss it with a probability of (1 − f)ⁿ at most: strata only lower it
//! (inequality of the means). A single flipped bit among good bytes is not what an audit finds;
//! [`crate::verify()`] does.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::layout::ObjectName;
use crate::outboard::{Division, GROUP_BYTES, is_group};
use crate::random::{self, Random};
use crate::site::{Site, SiteError, SiteErrorKind, each_site};
use crate::verify::{Audit, Problem, ProblemKind};

/// Challenges to one site at a time.
const LANES: usize = 8;
/// What a small object weighs of which only the hash is known: key objects, certificates.
const SMALL_BYTES: u64 = 1024;
/// More than any of them has.
const SMALL_BYTES_MAX: u64 = 12 * 1024;
/// Most bytes that a challenge reads: a group, all branches and the groups of one.
const CHALLENGE_BYTES_MAX: u64 = 8 * 1024 + 4608;

/// How sure an audit is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AuditOptions {
    /// Probability, at least, with which a loss is found: between 0 and 1.
    pub confidence: f64,
    /// The loss that is found with it: a fraction of a site's bytes, between 0 and 1.
    pub loss: f64,
    /// Bytes read of each site at most, whatever it holds.
    pub bytes_max: u64,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { confidence: 0.99, loss: 0.01, bytes_max: 8_000_000 }
    }
}

/// How many challenges find a loss of `loss` with a probability of `confidence`:
/// ⌈ln(1 − confidence) / ln(1 − loss)⌉.
///
/// # Errors
/// [`Error::Invalid`] unless both lie between 0 and 1, and for more than a million.
pub fn challenges_needed(confidence: f64, loss: f64) -> Result<usize> {
    let within = |value: f64| value > 0.0 && value < 1.0;
    let needed = ((1.0 - confidence).ln() / (1.0 - loss).ln()).ceil();
    if !within(confidence) || !within(loss) || !(1.0..=1e6).contains(&needed) {
        return Err(Error::Invalid {
            what: "confidence and loss",
            detail: format!(
                "{confidence} and {loss}: both lie between 0 and 1, and together ask for no more \
                 than a million challenges"
            ),
        });
    }
    // Within 1 and a million, checked above.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    Ok(needed as usize)
}

/// What an audit found at one site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteAudit {
    /// The site.
    pub site: String,
    /// Ranges asked for; all there are, if there are fewer than would be drawn.
    pub challenges: u64,
    /// Of them, those that were answered with wrong bytes or none.
    pub failed: u64,
    /// Of them, those that could not be compared: nothing proves their object's parts, and to read
    /// it whole would be too much.
    pub unproven: u64,
    /// Bytes read for the challenges (the listing and the catalog apart).
    pub bytes_read: u64,
    /// Objects that the site should hold.
    pub objects: u64,
    /// Bytes that the site should hold.
    pub bytes: u64,
    /// Objects that are not as they should be: challenged ones, and those the site does not list.
    pub damaged: Vec<Problem>,
    /// Why the site could not be asked, if it could not.
    pub unreachable: Option<String>,
}

impl SiteAudit {
    /// Nothing is wrong, as far as was looked.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty()
    }

    /// Everything that was to be looked at was.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unproven == 0 && self.unreachable.is_none()
    }
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// In shard order.
    pub sites: Vec<SiteAudit>,
}

/// Challenges the sites of a catalog, all of them or the one that is named. Needs no key. The
/// catalog is what was read before: every record once, from one site or another.
///
/// # Errors
/// [`Error::Invalid`] for options that cannot be met, [`Error::NotFound`] for a site that is not
/// there, [`Error::Random`].
pub fn audit(
    catalog: &Catalog,
    only: Option<&str>,
    options: &AuditOptions,
    random: &mut dyn Random,
) -> Result<Audited> {
    let wanted = challenges_needed(options.confidence, options.loss)?;
    let most = wanted as u64 * CHALLENGE_BYTES_MAX;
    if most > options.bytes_max {
        return Err(Error::Invalid {
            what: "audit",
            detail: format!(
                "{wanted} challenges may read {most} bytes of a site, more than the {} allowed; \
                 lower the confidence, or accept a larger loss",
                options.bytes_max
            ),
        });
    }
    let names: Vec<&str> = catalog.sites().iter().map(|site| site.name()).collect();
    if let Some(only) = only.filter(|only| !names.contains(only)) {
        return Err(Error::NotFound {
            what: format!("site {only}"),
            known: names.iter().map(|name| (*name).to_owned()).collect(),
        });
    }
    let seeds: Vec<[u8; 32]> =
        names.iter().map(|_| random::array(random)).collect::<Result<_>>()?;
    let expected = Audit::new(catalog);
    let reports = each_site(catalog.sites(), |at, site| {
        let asked = only.is_none_or(|only| only == site.name());
        asked.then(|| {
            let auditor = Auditor { catalog, expected: &expected, at, site, options };
            auditor.run(wanted, seeds[at])
        })
    });
    let mut audited = Audited { sites: reports.into_iter().flatten().collect() };
    forget_expired(catalog, &mut audited);
    Ok(audited)
}

/// Retention may have removed objects since the catalog was loaded.
fn forget_expired(catalog: &Catalog, audited: &mut Audited) {
    let missing = |problem: &Problem| problem.kind == ProblemKind::Missing;
    if !audited.sites.iter().any(|site| site.damaged.iter().any(missing)) {
        return;
    }
    let fresh = Catalog::load(catalog.sites(), catalog.domain(), catalog.trust(), None);
    let Ok(fresh) = fresh else { return };
    let expected = Audit::new(&fresh);
    for site in &mut audited.sites {
        let before = site.damaged.len();
        site.damaged.retain(|problem| {
            let name = ObjectName::parse(catalog.domain(), &problem.object);
            !missing(problem) || name.is_none_or(|name| expected.expects(&name))
        });
        let gone = (before - site.damaged.len()) as u64;
        site.failed = site.failed.saturating_sub(gone);
    }
}

/// What a range is compared with.
#[derive(Clone, Copy)]
enum Proof<'a> {
    /// The object is read whole.
    Hash([u8; 32]),
    /// The catalog knows the groups.
    Groups(&'a [[u8; 32]]),
    /// What lies beside the shard leads to this root.
    Outboard([u8; 32], Division),
}

/// An object that a site should hold.
struct Target<'a> {
    name: ObjectName,
    length_bytes: u64,
    proof: Proof<'a>,
    /// Not proven by parts though it is long: what belongs beside it is not there.
    whole_only: bool,
}

/// A range to be read.
struct Challenge<'a> {
    target: &'a Target<'a>,
    group: usize,
    from: u64,
    to: u64,
}

/// What became of a challenge.
enum Found {
    Right,
    Wrong(ObjectName, ProblemKind, String),
    Unproven,
}

struct Auditor<'a> {
    catalog: &'a Catalog,
    expected: &'a Audit<'a>,
    at: usize,
    site: &'a dyn Site,
    options: &'a AuditOptions,
}

impl Auditor<'_> {
    fn run(&self, wanted: usize, seed: [u8; 32]) -> SiteAudit {
        let mut report = SiteAudit { site: self.site.name().to_owned(), ..SiteAudit::default() };
        let listing = match self.expected.listing(self.at) {
            Ok(listing) => listing,
            Err(error) => {
                report.unreachable = Some(error.detail.clone());
                return report;
            }
        };
        let targets = self.targets();
        report.objects = targets.len() as u64;
        report.bytes = targets.iter().map(|target| target.length_bytes).sum();
        let mut damaged: BTreeMap<ObjectName, (ProblemKind, String)> = BTreeMap::new();
        for target in targets.iter().filter(|target| !listing.objects.contains_key(&target.name)) {
            let detail = "the site does not list it".to_owned();
            damaged.insert(target.name, (ProblemKind::Missing, detail));
        }
        let challenges = draw(&targets, report.bytes, wanted, seed);
        report.challenges = challenges.len() as u64;
        let answers = self.ask(&challenges, &mut report.bytes_read);
        for answer in answers {
            match answer {
                Found::Right => {}
                Found::Unproven => report.unproven += 1,
                Found::Wrong(name, kind, detail) => {
                    report.failed += 1;
                    damaged.insert(name, (kind, detail));
                }
            }
        }
        let problem = |(name, (kind, detail)): (ObjectName, (ProblemKind, String))| Problem {
            site: self.site.name().to_owned(),
            object: name.key(self.catalog.domain()),
            kind,
            detail,
        };
        report.damaged = damaged.into_iter().map(problem).collect();
        report
    }

    /// Everything that should be there. Certificates and key objects, of which only the hash is
    /// known, weigh as much as they have at most by rule of thumb.
    fn targets(&self) -> Vec<Target<'_>> {
        let mut targets = Vec::new();
        for (name, hash) in self.expected.replicated() {
            let (mut length_bytes, mut proof) = (SMALL_BYTES, Proof::Hash(hash));
            if let ObjectName::Record(lineage, counter) = name
                && let Some(record) = self.catalog.record(lineage, counter)
            {
                length_bytes = record.length_bytes;
                if !record.groups.is_empty() {
                    proof = Proof::Groups(&record.groups);
                }
            }
            targets.push(Target { name, length_bytes, proof, whole_only: false });
        }
        for shard in self.expected.shards_at(self.at) {
            let name = ObjectName::Shard(shard.lineage, shard.pack, shard.shard);
            let (root, length_bytes) = (shard.root, shard.length_bytes);
            let (proof, whole_only) = match Division::of(length_bytes) {
                Some(division) if shard.has_proof => (Proof::Outboard(root, division), false),
                division => (Proof::Hash(root), division.is_some()),
            };
            targets.push(Target { name, length_bytes, proof, whole_only });
        }
        targets
    }

    /// Asks several at a time. What has to be read whole is read while the rest of the budget
    /// lasts.
    fn ask(&self, challenges: &[Challenge<'_>], bytes_read: &mut u64) -> Vec<Found> {
        let (whole, parts): (Vec<_>, Vec<_>) =
            challenges.iter().partition(|challenge| challenge.target.whole_only);
        let lane = parts.len().div_ceil(LANES).max(1);
        let answers: Vec<(Found, u64)> = std::thread::scope(|scope| {
            let one = |challenge: &&Challenge<'_>| self.challenge(challenge);
            let lanes: Vec<_> = parts
                .chunks(lane)
                .map(|lane| scope.spawn(move || lane.iter().map(one).collect::<Vec<_>>()))
                .collect();
            let join = |lane: std::thread::ScopedJoinHandle<'_, Vec<(Found, u64)>>| {
                lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            lanes.into_iter().flat_map(join).collect()
        });
        *bytes_read = answers.iter().map(|(_, bytes)| bytes).sum();
        let mut found: Vec<Found> = answers.into_iter().map(|(found, _)| found).collect();
        for challenge in whole {
            if *bytes_read + challenge.target.length_bytes >= self.options.bytes_max {
                found.push(Found::Unproven);
                continue;
            }
            let (answer, bytes) = self.challenge(challenge);
            *bytes_read += bytes;
            found.push(answer);
        }
        found
    }

    fn challenge(&self, challenge: &Challenge<'_>) -> (Found, u64) {
        let mut bytes_read = 0;
        let name = challenge.target.name;
        let found = match self.compare(challenge, &mut bytes_read) {
            Ok(found) => found,
            Err(error) if error.kind == SiteErrorKind::NotFound => {
                Found::Wrong(name, ProblemKind::Missing, "not at this site".to_owned())
            }
            Err(error) => Found::Wrong(name, ProblemKind::Unreadable, error.detail),
        };
        (found, bytes_read)
    }

    fn compare(&self, challenge: &Challenge<'_>, read: &mut u64) -> Result<Found, SiteError> {
        let target = challenge.target;
        let wrong =
            |name, detail: &str| Ok(Found::Wrong(name, ProblemKind::Corrupt, detail.to_owned()));
        let right = match target.proof {
            Proof::Hash(hash) => {
                let most = target.length_bytes.max(SMALL_BYTES_MAX) + 1;
                let bytes = self.range(target.name, 0, most, read)?;
                *blake3::hash(&bytes).as_bytes() == hash
            }
            Proof::Groups(groups) => {
                let bytes = self.part(challenge, read)?;
                is_group(groups, challenge.group, &bytes)
            }
            Proof::Outboard(root, division) => {
                let ObjectName::Shard(lineage, pack, shard) = target.name else {
                    return Ok(Found::Unproven);
                };
                let bytes = self.part(challenge, read)?;
                let name = ObjectName::Proof(lineage, pack, shard);
                let mut proof = Vec::new();
                for range in division.proof_ranges(challenge.group) {
                    let length = range.end - range.start;
                    proof.extend(self.range(name, range.start, length, read)?);
                }
                if !division.leads_to(&root, challenge.group, &proof) {
                    // Nothing can be said of the shard; the site is at fault in any case.
                    return wrong(name, "it does not lead to its shard's signed root");
                }
                division.proves(&root, challenge.group, &bytes, &proof)
            }
        };
        if right {
            Ok(Found::Right)
        } else {
            wrong(target.name, "its bytes are not the signed ones")
        }
    }

    fn part(&self, challenge: &Challenge<'_>, read: &mut u64) -> Result<Vec<u8>, SiteError> {
        let length = challenge.to - challenge.from;
        self.range(challenge.target.name, challenge.from, length, read)
    }

    fn range(
        &self,
        name: ObjectName,
        from: u64,
        length_bytes: u64,
        read: &mut u64,
    ) -> Result<Vec<u8>, SiteError> {
        let bytes = self.site.get_range(&name.key(self.catalog.domain()), from, length_bytes)?;
        *read += bytes.len() as u64;
        Ok(bytes)
    }
}

/// Draws one byte of each stratum, and gives the groups around them, none twice. If there are not
/// more groups than challenges wanted, it gives all.
fn draw<'a>(
    targets: &'a [Target<'a>],
    bytes: u64,
    wanted: usize,
    seed: [u8; 32],
) -> Vec<Challenge<'a>> {
    let challenge = |target: &'a Target<'a>, offset: u64| match Division::of(target.length_bytes) {
        Some(division) if !matches!(target.proof, Proof::Hash(_)) => {
            let (group, range) = division.group_at(offset);
            Challenge { target, group, from: range.start, to: range.end }
        }
        _ => Challenge { target, group: 0, from: 0, to: target.length_bytes },
    };
    let groups = |target: &Target<'_>| match target.proof {
        Proof::Hash(_) => 1,
        _ => target.length_bytes.div_ceil(GROUP_BYTES as u64).max(1),
    };
    let all: u64 = targets.iter().map(groups).sum();
    if all <= wanted as u64 {
        let every = |target: &'a Target<'a>| {
            (0..groups(target)).map(move |group| challenge(target, group * GROUP_BYTES as u64))
        };
        return targets.iter().flat_map(every).collect();
    }
    let mut numbers = blake3::Hasher::new_keyed(&seed).finalize_xof();
    let mut ends = Vec::with_capacity(targets.len());
    let mut end = 0_u64;
    for target in targets {
        end += target.length_bytes;
        ends.push(end);
    }
    let mut drawn: BTreeMap<(usize, usize), Challenge<'a>> = BTreeMap::new();
    let stratum = |number: usize| share(bytes, number as u64, wanted as u64);
    for number in 0..wanted {
        let (from, to) = (stratum(number), stratum(number + 1).max(stratum(number) + 1));
        let mut random = [0; 16];
        numbers.fill(&mut random);
        // 128 random bits: what the remainder favours is far below anything that counts.
        let offset = u128::from_le_bytes(random) % u128::from(to - from);
        let byte = from + u64::try_from(offset).unwrap_or(0);
        let at = ends.partition_point(|end| *end <= byte).min(targets.len() - 1);
        let within = byte - (ends[at] - targets[at].length_bytes);
        let challenge = challenge(&targets[at], within);
        drawn.insert((at, challenge.group), challenge);
    }
    drawn.into_values().collect()
}

/// `number` of `of` equal parts of `bytes`.
fn share(bytes: u64, number: u64, of: u64) -> u64 {
    let share = u128::from(bytes) * u128::from(number) / u128::from(of);
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Lineage;

    #[test]
    fn the_number_of_challenges_is_the_smallest_that_reaches_the_confidence() {
        assert_eq!(challenges_needed(0.99, 0.01).unwrap(), 459);
        assert_eq!(challenges_needed(0.95, 0.05).unwrap(), 59);
        assert_eq!(challenges_needed(0.5, 0.5).unwrap(), 1);
        for (confidence, loss) in [(0.0, 0.1), (1.0, 0.1), (0.9, 0.0), (0.9, 1.0), (0.9, 1e-9)] {
            assert!(challenges_needed(confidence, loss).is_err(), "{confidence} {loss}");
        }
    }

    #[test]
    fn each_stratum_is_challenged_once_and_a_small_site_whole() {
        let target = |number: u8, length_bytes| Target {
            name: ObjectName::Shard(Lineage([0; 16]), [number; 32], 0),
            length_bytes,
            proof: Division::of(length_bytes)
                .map_or(Proof::Hash([0; 32]), |division| Proof::Outboard([0; 32], division)),
            whole_only: false,
        };
        let targets = [target(0, 5_000_000), target(1, 100), target(2, 3_000_000)];
        let bytes = 8_000_100;
        let drawn = draw(&targets, bytes, 100, [1; 32]);
        // Strata of 80 KB: no two draws can meet in one group but beside a boundary.
        assert!(drawn.len() >= 98);
        assert!(drawn.iter().all(|one| one.to > one.from && one.to - one.from <= 8192));
        assert!(drawn.iter().all(|one| one.to <= one.target.length_bytes));
        let other = draw(&targets, bytes, 100, [2; 32]);
        let at = |drawn: &[Challenge<'_>]| drawn.iter().map(|one| one.from).collect::<Vec<_>>();
        assert_ne!(at(&drawn), at(&other));
        let all = draw(&targets, bytes, 1000, [1; 32]);
        assert_eq!(all.len(), 611 + 1 + 367);
    }
}
