//! `evenkeel restore`: from the sites into a new home; with `--promote` as a new lineage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use evenkeel_journal::Identity as JournalIdentity;
use evenkeel_recovery::{
    Checkpoint, Clock as _, Frames, History, Promise, Restored, Restorer, Target, write_point,
};
use evenkeel_types::Timestamp;
use evenkeel_vault::{
    Catalog, IdKey, Lineage, Opener, OsRandom, Parent, Pin, PointInfo, WriterKey,
};

use super::approvals::{Gate, restore_gate};
use super::attestation;
use super::clock::SystemClock;
use super::desk::refuse_unmountable;
use super::domain::{Domain, STATE, cluster_id};
use super::evidence;
use super::files;
use super::journal_sink::JournalSink;
use super::points_cmd::freshness;
use super::postgres;
use super::root;
use super::snapshots::Snapshots;
use crate::authority::{self, Authority};
use crate::cli::{DecryptionPurpose, RestoreArgs, format_time_ns};
use crate::config::{Config, DomainName, FILE_NAME, SiteConfig};
use crate::documents::RestoreDocument;
use crate::keyfile::{self, hex};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Marks a home that was restored for inspection.
const UNPROMOTED: &str = "RESTORED-FOR-INSPECTION";

/// A restored copy shows what was; only a promoted one may go on, once its root has certified it.
pub(crate) fn refuse_unpromoted(config: &Config) -> Result<()> {
    if !config.host.data.join(UNPROMOTED).exists() {
        return authority::refuse_uncertified(config);
    }
    Err(Report::new(Exit::Usage, "this home was restored for inspection and may not go live")
        .at(config.home().display().to_string())
        .safe("nothing was started; the lineage it came from is untouched")
        .next("evenkeel restore --config FILE --identity FILE --to NEW --promote"))
}

/// Runs the command.
pub(crate) fn run(args: &RestoreArgs) -> Result<Exit> {
    let mut config = args.place.load()?;
    if let Some(folder) = &args.lazy {
        refuse_unmountable(folder, &args.to)?;
    }
    if args.no_limit {
        config.sites.iter_mut().for_each(SiteConfig::lift_bandwidth);
    }
    let domain = Domain::of(&config)?;
    let pass = match restore_gate(&config, &domain, args)? {
        Gate::Open(pass) => pass,
        Gate::Proposed => return Ok(Exit::Ok),
    };
    pass.begun(&domain)?;
    let exit = bring_back(args, &config, &domain)?;
    pass.executed(&domain, &format!("restored into {}", args.to.display()))?;
    Ok(exit)
}

fn bring_back(args: &RestoreArgs, config: &Config, domain: &Domain<'_>) -> Result<Exit> {
    let begun = Instant::now();
    // Only the recovery identity may certify a new writer: better to know before reading anything.
    let authority = authority(args, domain)?;
    let purpose = DecryptionPurpose::Restore;
    let unlock = evidence::unlock(args.identity.as_deref(), &args.quorum, purpose)?;
    let (unlock, _) = unlock.ok_or_else(nobody_opens)?;
    let postgres_name = wanted_server(args)?;
    refuse_occupied(&args.to)?;
    let pin = match args.without_pin {
        true => None,
        false => Pin::load(&config.drill.home.join("pin"))?,
    };
    let catalog = Arc::new(domain.catalog(pin)?);
    if let Some(name) = postgres_name {
        let opener = Opener::new(files_catalog(config, domain, args, catalog)?, unlock)?;
        return postgres::restore(args, &opener, &name, begun);
    }
    let wanted = files::wanted(args, &catalog)?;
    if wanted.is_beside() {
        let opener = Opener::new(files_catalog(config, domain, args, catalog)?, unlock)?;
        return wanted.restore(args, &Arc::new(opener), begun);
    }
    let named = args.point.as_deref().map(|named| catalog.point(named)).transpose()?;
    let from = match &named {
        Some(point) => point.id.lineage,
        None => choose_lineage(&catalog, args.lineage.as_deref())?,
    };
    if args.promote {
        attestation::check(config, &catalog, from, args.attest_primary_dead)?;
    }
    let opener = Opener::new(Arc::clone(&catalog), unlock)?;
    let restorer = Restorer::new(&catalog, &opener, from)?;
    let home = NewHome::begin(&args.to, config, authority)?;
    let result = restorer
        .restore(
            target(args, named.as_ref()),
            history(args),
            None,
            &mut home.sink(config, from, domain),
        )
        .map_err(Report::from)
        .and_then(|restored| home.finish(&restored, &catalog, from).map(|new| (restored, new)));
    let (restored, promoted) = match result {
        Ok(done) => done,
        Err(report) => {
            home.discard();
            return Err(report);
        }
    };
    let asked = home.promotion.is_some().then_some(home.config);
    let seen = opener.seen();
    let mut document = described(&restored, &catalog, from);
    document.elapsed_seconds = begun.elapsed().as_secs_f64();
    document.bytes_read = seen.bytes;
    document.sites_used = seen.sites_used;
    document.to = args.to.display().to_string();
    document.promoted_lineage = promoted.map(|lineage| lineage.to_string());
    let answered = |site: &String| !document.sites_missing.contains(site);
    for problem in seen.problems.iter().filter(|problem| answered(&problem.site)) {
        output::note(&format!("passed over: {problem}"));
    }
    if let (Some(file), Some(config)) = (&args.root_request, asked) {
        root::write_drafts(&config, DomainName::State, file)?;
    }
    show(&document, args)?;
    Ok(Exit::Ok)
}

/// The PostgreSQL server that is asked for; it cannot be shown before it is whole.
fn wanted_server(args: &RestoreArgs) -> Result<Option<String>> {
    let server = postgres::wanted(args)?;
    match &args.lazy {
        Some(_) if server.is_some() => Err(files::not_followed(&args.only)),
        _ => Ok(server),
    }
}

fn nobody_opens() -> Report {
    Report::new(Exit::Usage, "an identity or a quorum is needed")
        .safe("nothing was written")
        .next("evenkeel restore --identity FILE …")
}

fn authority(args: &RestoreArgs, domain: &Domain<'_>) -> Result<Option<Authority>> {
    if !args.promote {
        return Ok(None);
    }
    if let Some(file) = &args.root_request {
        root::refuse_existing(file)?;
        return Ok(Some(Authority::Elsewhere(domain.trust)));
    }
    let file = args.identity.as_deref().ok_or_else(|| {
        Report::new(Exit::Usage, "a quorum opens, but only the root key certifies a new writer")
            .safe("nothing was written")
            .next("evenkeel restore --identity recovery-identity.txt --promote …")
            .next(ELSEWHERE)
            .next("evenkeel restore --quorum DIR --table DIR …   (to inspect)")
    })?;
    let recovery = keyfile::read_recovery_identity(file).map_err(|error| error.next(ELSEWHERE))?;
    Ok(Some(Authority::Here(Box::new(recovery))))
}

const ELSEWHERE: &str =
    "evenkeel restore … --promote --root-request FILE   (where the root is elsewhere)";

/// What came back, and what it was taken from.
fn described(restored: &Restored, catalog: &Catalog, from: Lineage) -> RestoreDocument {
    RestoreDocument {
        position: restored.position,
        state_root: hex(&restored.engine.state_root()),
        sites_missing: missing(catalog),
        last_shipped_time: Some(format_time_ns(restored.last_shipped_ns)),
        recovery_point: restored.point.id.to_string(),
        entries_replayed: restored.replayed,
        entry_time: Some(format_time_ns(restored.engine.time().0)),
        journal_root: hex(&restored.journal_root),
        output_digest: hex(&restored.engine.output_digest()),
        lineage: from.to_string(),
        freshness: freshness(catalog.freshness()),
        ..RestoreDocument::default()
    }
}

fn show(document: &RestoreDocument, args: &RestoreArgs) -> Result<()> {
    if args.json {
        return output::document(document);
    }
    let mut results = output::Results::new();
    results.line(&format!(
        "restored position {} into {} in {:.2} s",
        document.position, document.to, document.elapsed_seconds
    ))?;
    results.line(&format!("  state root    {}", document.state_root))?;
    results.line(&format!("  journal root  {}", document.journal_root))?;
    results.line(&format!(
        "  from          {} and {} entries behind it; {} bytes from {}",
        document.recovery_point,
        document.entries_replayed,
        document.bytes_read,
        document.sites_used.join(", ")
    ))?;
    if !document.sites_missing.is_empty() {
        results.line(&format!("  sites missing {}", document.sites_missing.join(", ")))?;
    }
    if let Some(time) = &document.last_shipped_time {
        results.line(&format!("  last shipped  {time}"))?;
    }
    results.finish()?;
    if let Some(file) = &args.root_request {
        output::note(&root::asked_words(file));
        return Ok(());
    }
    output::note(&match &document.promoted_lineage {
        Some(lineage) => format!(
            "new lineage {lineage}\nnext:  evenkeel up --home {}   (never again the old home)",
            document.to
        ),
        None => format!(
            "next:  evenkeel status --home {}   (to go live there: restore with --promote)",
            document.to
        ),
    });
    Ok(())
}

/// What this drill host has seen of files is another record than what it has seen of the venue.
fn files_catalog(
    config: &Config,
    domain: &Domain<'_>,
    args: &RestoreArgs,
    catalog: Arc<Catalog>,
) -> Result<Arc<Catalog>> {
    let seen =
        if args.without_pin { None } else { Pin::load(&config.drill.home.join("files.pin"))? };
    match seen {
        Some(pin) => domain.catalog(Some(pin)).map(Arc::new),
        None => Ok(catalog),
    }
}

fn target(args: &RestoreArgs, point: Option<&PointInfo>) -> Target {
    if let Some(point) = point {
        return Target::Position(point.position);
    }
    match (args.at_time, args.at_position) {
        (Some(time_ns), _) => Target::Time(Timestamp(time_ns)),
        (None, Some(position)) => Target::Position(position),
        (None, None) => Target::Latest,
    }
}

fn history(args: &RestoreArgs) -> History {
    if args.without_history { History::SinceSnapshot } else { History::Full }
}

/// Names of the sites that did not answer.
pub(crate) fn missing(catalog: &Catalog) -> Vec<String> {
    let unreachable = catalog.unreachable();
    unreachable.iter().map(|text| site_name(text).to_owned()).collect()
}

/// The name in `name (reason)`.
pub(crate) fn site_name(text: &str) -> &str {
    text.split(" (").next().unwrap_or(text)
}

/// The lineage named, or the one certified last; where history forked, somebody has to choose.
pub(crate) fn choose_lineage(catalog: &Catalog, named: Option<&str>) -> Result<Lineage> {
    let known: Vec<Lineage> = catalog.lineages().iter().map(|one| one.lineage).collect();
    let list = || known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if let Some(named) = named {
        let matching = known.iter().find(|lineage| lineage.to_string().starts_with(named));
        return matching.copied().ok_or_else(|| {
            Report::new(Exit::Usage, format!("no lineage begins with `{named}`"))
                .detail(format!("known: {}", list()))
                .safe("nothing was written")
        });
    }
    if let Some(fork) = catalog.forks().first() {
        return Err(Report::new(Exit::Integrity, format!("FORK: {}", fork.detail))
            .detail(format!("lineages: {}", list()))
            .safe("nothing was written; both histories are kept at the sites")
            .next("choose one: evenkeel restore --lineage ID …"));
    }
    catalog.current_lineage().ok_or_else(|| {
        Report::new(Exit::NothingYet, "the sites hold no lineage of this domain")
            .safe("nothing was written")
    })
}

fn refuse_occupied(to: &Path) -> Result<()> {
    let entries = match fs::read_dir(to) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Report::io("look into the target", to, &error)),
    };
    let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    if paths.iter().all(|path| files::is_left_over(path)) {
        // Of restores that were killed: nothing in there was in its place.
        paths.iter().for_each(|path| files::remove_all(path));
        return Ok(());
    }
    match paths.first() {
        None => Ok(()),
        Some(_) => Err(Report::new(Exit::Usage, "the folder to restore into is not empty")
            .at(to.display().to_string())
            .safe("nothing was written")
            .next("name a new or empty folder: --to NEW")),
    }
}

/// The home being restored.
struct NewHome {
    home: PathBuf,
    host: PathBuf,
    config: Config,
    promotion: Option<Promotion>,
}

/// What a new lineage needs.
struct Promotion {
    authority: Authority,
    lineage: Lineage,
}

impl NewHome {
    fn begin(to: &Path, old: &Config, authority: Option<Authority>) -> Result<Self> {
        let home = std::path::absolute(to).unwrap_or_else(|_| to.to_owned());
        let host = home.join("host");
        fs::create_dir_all(&host).map_err(|error| Report::io("make the folder", &host, &error))?;
        let mut config = old.clone();
        config.host.data.clone_from(&host);
        config.file = home.join(FILE_NAME);
        let keys = host.join("keys").join(STATE);
        // Where there are none, `backup` says how to make them: two homes never share a writer.
        config.files.writer_key_file = keys.join("files.key");
        config.files.writer_certificate_file = keys.join("files.certificate");
        config.files.live_writer_key_file = keys.join("live.key");
        config.files.live_writer_certificate_file = keys.join("live.certificate");
        if let Some(domain) = &mut config.domains.state {
            domain.writer_key_file = keys.join("writer.key");
            domain.writer_certificate_file = keys.join("writer.certificate");
            domain.chunk_id_key_file = keys.join("chunk-id.key");
        }
        let promotion = match authority {
            Some(authority) => {
                let mut lineage = [0; 16];
                getrandom::fill(&mut lineage).map_err(|error| {
                    Report::new(Exit::Failed, format!("the system gave no randomness: {error}"))
                })?;
                Some(Promotion { authority, lineage: Lineage(lineage) })
            }
            None => None,
        };
        Ok(Self { home, host, config, promotion })
    }

    fn sink(&self, config: &Config, from: Lineage, domain: &Domain<'_>) -> JournalSink {
        let lineage = self.promotion.as_ref().map_or(from, |promotion| promotion.lineage);
        let identity =
            JournalIdentity { cluster_id: cluster_id(&domain.trust), lineage: lineage.0 };
        JournalSink::new(&self.host, identity, config.journal.segment_bytes)
    }

    /// Completes the home; returns the new lineage if it goes live.
    fn finish(
        &self,
        restored: &Restored,
        catalog: &Catalog,
        from: Lineage,
    ) -> Result<Option<Lineage>> {
        let text = self.config.to_toml()?;
        keyfile::write_new(&self.config.file, text.as_bytes())?;
        let Some(promotion) = &self.promotion else {
            let words = "This home was restored for inspection. It may not go live: its lineage \
                         may still be written elsewhere. To go live: evenkeel restore --promote\n";
            keyfile::write_new(&self.host.join(UNPROMOTED), words.as_bytes())?;
            return Ok(None);
        };
        self.promote(promotion, restored, catalog, from)?;
        Ok(Some(promotion.lineage))
    }

    /// Certifies a new writer and shows the new lineage at the sites, with a first point.
    fn promote(
        &self,
        promotion: &Promotion,
        restored: &Restored,
        catalog: &Catalog,
        from: Lineage,
    ) -> Result<()> {
        let head = catalog.pin(from).ok_or_else(|| {
            Report::new(Exit::NothingYet, "the lineage to continue has no record")
        })?;
        let position = restored
            .position
            .checked_sub(1)
            .ok_or_else(|| Report::new(Exit::NothingYet, "there is no entry to continue from"))?;
        let parent = Parent { lineage: from, position, record_hash: head.hash };
        let now_ns = SystemClock::new().wall_ns();
        let key = WriterKey::generate(&mut OsRandom)?;
        let chunk_ids = IdKey::generate(&mut OsRandom)?;
        let authority = &promotion.authority;
        let certificate =
            authority.certify(STATE, promotion.lineage, Some(parent), key.public())?;
        let domain = Domain::of(&self.config)?;
        let settings = domain.settings;
        let dir = settings.writer_key_file.parent().unwrap_or(&self.host);
        fs::create_dir_all(dir).map_err(|error| Report::io("make the folder", dir, &error))?;
        keyfile::write_writer_key(&settings.writer_key_file, STATE, &key)?;
        keyfile::write_chunk_id_key(&settings.chunk_id_key_file, STATE, &chunk_ids)?;
        keyfile::write_certificate(&settings.writer_certificate_file, &certificate)?;
        let checkpoint = Checkpoint {
            chain: restored.chain,
            frontier: restored.frontier.clone(),
            engine: restored.engine.snapshot(),
        };
        let promise = Promise {
            state_root: restored.engine.state_root(),
            journal_root: restored.journal_root,
            output_digest: restored.engine.output_digest(),
            chain: restored.chain,
        };
        Snapshots::new(self.config.snapshots_dir(), 2).save(&checkpoint).map_err(|error| {
            Report::io("write the snapshot", &self.config.snapshots_dir(), &error)
        })?;
        if !authority.is_here() {
            return Ok(());
        }
        // From here on the sites may know the new lineage: its keys must never be thrown away.
        let shown = domain.writer().and_then(|mut writer| {
            write_point(&mut writer, &checkpoint, &promise, &Frames::default(), now_ns)?;
            Ok(())
        });
        if let Err(report) = shown {
            output::note(&format!(
                "the new lineage did not reach enough sites yet: {}\nits home is complete, and \
                 `evenkeel up` there completes the rest",
                report.message()
            ));
        }
        Ok(())
    }

    /// Nothing half restored stays behind.
    fn discard(&self) {
        // The folder was new or empty; what cannot be removed is harmless and has no configuration.
        let _ = fs::remove_dir_all(&self.host);
        let _ = fs::remove_file(&self.config.file);
        let _ = fs::remove_dir(&self.home);
    }
}
