//! `evenkeel kit …`, and commands that work with nothing but a kit and an identity.

mod facts;
mod keys;
mod words;

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use evenkeel_recovery::Clock as _;
use evenkeel_vault::Catalog;
use serde::{Deserialize, Serialize};

pub(crate) use self::facts::Kit;
use self::facts::{KitLineage, ReadCredential};
pub(crate) use self::keys::{
    NewestKeysKit, RememberedKey, newest as newest_keys_kit, next as next_keys_kit,
    stale_words as stale_keys_kit,
};
use super::clock::SystemClock;
use super::domain::Domain;
use super::drill_cmd;
use super::files::kind_in;
use crate::cli::{KitCheckArgs, KitCommand, KitMakeArgs, format_time_ns, parse_time_ns};
use crate::config::{Config, DomainName, FILE_NAME};
use crate::documents::{
    CheckDocument, ConditionDocument, KitDocument, Outcome, PointKind, Severity,
};
use crate::keys_cmd::write_kit;
use crate::report::{Exit, Report, Result};
use crate::{keyfile, output};

/// Where commands with a kit keep what they need, unless --home says where.
const WORK: &str = "evenkeel-kit";
/// What the host remembers of its newest kit.
const NEWEST: &str = "newest-kit.json";
/// A kit that is older is worth another look.
const STALE_DAYS: u64 = 90;
const DAY_NS: u64 = 86_400_000_000_000;

/// Runs `kit …`.
pub(crate) fn run(command: &KitCommand) -> Result<Exit> {
    match command {
        KitCommand::Make(args) => make(args),
        KitCommand::Check(args) => check(args),
    }
}

fn now_ns() -> u64 {
    SystemClock::new().wall_ns()
}

fn age_days(made: &str) -> u64 {
    parse_time_ns(made).map_or(0, |made| now_ns().saturating_sub(made) / DAY_NS)
}

fn make(args: &KitMakeArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let catalog = domain.catalog(None);
    let mut kit = Kit::of(&config, &domain);
    kit.made = format_time_ns(now_ns());
    kit.program_blake3 = program_hash()?;
    kit.last_proven = last_proven(&config, domain.name);
    if let Ok(catalog) = &catalog {
        kit.lineages = lineages(catalog);
    }
    if args.with_read_credentials {
        kit.read_credentials = read_credentials(&config, &kit)?;
    }
    let files = write(&kit, &args.out)?;
    remember(&config, &kit, &files)?;
    let document = KitDocument {
        action: "make".to_owned(),
        files: files.iter().map(|file| file.display().to_string()).collect(),
        intact: true,
        ..described(&kit)
    };
    if args.json {
        output::document(&document)?;
    } else {
        output::result(&format!("recovery kit {}: {}", document.kit, document.files.join(", ")))?;
    }
    output::note(
        "print it, and put it where the identities are not: together they open everything\n\
         next:  evenkeel drill --kit FILE --identity FILE --home NEW   (from a blank machine)",
    );
    match catalog {
        Ok(_) => Ok(Exit::Ok),
        Err(why) => {
            output::note(&format!("what the sites hold is not in it: {}", why.message()));
            Ok(Exit::Partial)
        }
    }
}

fn described(kit: &Kit) -> KitDocument {
    KitDocument {
        domain: kit.domain.clone(),
        made: kit.made.clone(),
        age_days: age_days(&kit.made),
        kit: kit.name(),
        read_credentials: !kit.read_credentials.is_empty(),
        ..KitDocument::default()
    }
}

/// BLAKE3 of this program.
pub(crate) fn program_hash() -> Result<String> {
    let path = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let failed = |error: std::io::Error| Report::io("read this program", &path, &error);
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(&path).map_err(failed)?).map_err(failed)?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn last_proven(config: &Config, name: DomainName) -> String {
    let mut all = drill_cmd::history(config).into_iter().rev();
    let proven = all.find_map(|one| {
        if !one.level.proves_restore() {
            return None;
        }
        let (level, time) = (one.level.word(), &one.time);
        match name {
            DomainName::State => {
                let is_proof =
                    one.domain != DomainName::Network.word() && one.result == Outcome::Ok;
                is_proof.then(|| format!("{level} of point {} at {time}", one.recovery_point))
            }
            DomainName::Network => {
                let of_network = |check: &&CheckDocument| check.name == name.word();
                let check = one.checks.iter().find(of_network)?;
                let is_proof = check.result == Outcome::Ok;
                is_proof.then(|| format!("{level} at {time}, {}", check.detail))
            }
        }
    });
    proven.unwrap_or_default()
}

fn lineages(catalog: &Catalog) -> Vec<KitLineage> {
    let points = catalog.points();
    let lineage = |info: evenkeel_vault::LineageInfo| {
        let newest = points.iter().rfind(|point| point.id.lineage == info.lineage);
        KitLineage {
            lineage: info.lineage.to_string(),
            holds: match kind_in(catalog, info.lineage) {
                PointKind::Venue => "venue",
                PointKind::Files => "files",
                PointKind::Live => "live",
                PointKind::Network => "network",
            }
            .to_owned(),
            issued: format_time_ns(info.issued_time_ns),
            newest_point: newest.map_or_else(|| "none".to_owned(), |point| point.id.to_string()),
        }
    };
    catalog.lineages().into_iter().map(lineage).collect()
}

fn read_credentials(config: &Config, kit: &Kit) -> Result<Vec<ReadCredential>> {
    let mut found = Vec::new();
    for site in &kit.sites {
        let Some(file) = &site.read_credential_file else {
            continue;
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| Report::io("read the credential", file, &error))?;
        found.push(ReadCredential { site: site.name.clone(), text: text.trim().to_owned() });
    }
    if found.is_empty() {
        return Err(Report::new(Exit::Usage, "no site has a read-only credential")
            .at(config.file.display().to_string())
            .safe("nothing was written; what writes to a site never goes into a kit")
            .next(
                "evenkeel site add-key --read-only …   (at the site), then name it in the \
                   site's read_credential_file",
            ));
    }
    Ok(found)
}

fn write(kit: &Kit, out: &Path) -> Result<Vec<PathBuf>> {
    let of = (kit.domain.as_str(), kit.made.as_str());
    write_kit(out, of, || words::text(kit), || words::page(kit))
}

/// What the host knows of its newest kit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Newest {
    made: String,
    files: Vec<PathBuf>,
    /// What the kit says, without credentials.
    kit: Kit,
}

fn remember(config: &Config, kit: &Kit, files: &[PathBuf]) -> Result<()> {
    if !config.host.data.is_dir() {
        return Ok(());
    }
    let kit = Kit { read_credentials: Vec::new(), ..kit.clone() };
    let files = files.iter().map(|file| std::path::absolute(file).unwrap_or_default()).collect();
    let path = config.host.data.join(kit.name_of_domain().file(NEWEST));
    let newest = Newest { made: kit.made.clone(), files, kit };
    keep(&path, &serde_json::to_vec(&newest).unwrap_or_default())
}

/// Puts what is remembered in the place of what was.
fn keep(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_extension("json.part");
    let _ = std::fs::remove_file(&part);
    keyfile::write_new(&part, bytes)?;
    std::fs::rename(&part, path).map_err(|error| Report::io("remember the kit", path, &error))
}

fn newest(config: &Config, name: DomainName) -> Option<Newest> {
    let file = config.host.data.join(name.file(NEWEST));
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// Files of each domain's newest kit, for the rule against circles.
pub(crate) fn newest_files(config: &Config) -> Vec<PathBuf> {
    let all = DomainName::ALL.into_iter().filter_map(|name| newest(config, name));
    all.flat_map(|newest| newest.files).collect()
}

/// What `status` and `config check` say of a domain's newest kit, if anything is to be said.
pub(crate) fn stale_words(config: &Config, name: DomainName) -> Option<String> {
    let newest = newest(config, name)?;
    // Lineages are known to the sites; here only the configuration is compared.
    let now = Kit {
        lineages: newest.kit.lineages.clone(),
        ..Kit::of(config, &Domain::named(config, name).ok()?)
    };
    let changes = newest.kit.differences(&now);
    let days = age_days(&newest.made);
    let kit = match name {
        DomainName::State => "the newest recovery kit",
        DomainName::Network => "the newest recovery kit of the network",
    };
    match changes.first() {
        Some(first) => Some(format!(
            "{kit} ({days} days old) is not of this configuration: {first}{}",
            match changes.len() {
                1 => String::new(),
                more => format!(", and {} more", more - 1),
            }
        )),
        None if days >= STALE_DAYS => Some(format!("{kit} is {days} days old")),
        None => None,
    }
}

/// What to type then.
pub(crate) fn next(config: &Config, name: DomainName) -> String {
    format!("evenkeel kit make{} --out DIR --config {}", name.option(), config.file.display())
}

/// What `status` says of them.
pub(crate) fn conditions(config: &Config) -> Vec<ConditionDocument> {
    let of = |name: DomainName| {
        Some(ConditionDocument {
            kind: name.kind("kit_stale"),
            severity: Severity::Warning,
            message: stale_words(config, name)?,
            safe: "nothing is lost; whoever has only that kit may not find everything".to_owned(),
            next: next(config, name),
        })
    };
    DomainName::ALL.into_iter().filter_map(of).chain(keys::condition(config)).collect()
}

fn check(args: &KitCheckArgs) -> Result<Exit> {
    let read = Kit::read(&args.file)?;
    let config = args.place.load()?;
    let name = read.kit.name_of_domain();
    if args.domain.domain.is_some_and(|wanted| wanted != name) {
        return Err(Report::new(Exit::Usage, format!("this is a kit of the domain `{name}`"))
            .at(args.file.display().to_string())
            .safe("nothing was compared")
            .next("evenkeel kit check KIT   (the kit says of which domain it is)"));
    }
    let domain = Domain::named(&config, name)?;
    let mut now = Kit::of(&config, &domain);
    match domain.catalog(None) {
        Ok(catalog) => now.lineages = lineages(&catalog),
        Err(why) => output::note(&format!("the sites were not compared: {}", why.message())),
    }
    let document = KitDocument {
        action: "check".to_owned(),
        files: vec![args.file.display().to_string()],
        intact: read.intact,
        changes: read.kit.differences(&now),
        ..described(&read.kit)
    };
    if args.json {
        output::document(&document)?;
    } else {
        let mut results = output::Results::new();
        for change in &document.changes {
            results.line(&format!("  {change}"))?;
        }
        results.line(&format!(
            "kit {}, {} days old: {}{}",
            document.kit,
            document.age_days,
            if document.changes.is_empty() { "as new" } else { "not of today" },
            if document.intact { "" } else { ", and changed after it was made" }
        ))?;
        results.finish()?;
    }
    if !document.changes.is_empty() {
        output::note(&format!("next:  {}", next(&config, name)));
    }
    Ok(match (document.intact, document.changes.is_empty()) {
        (false, _) => Exit::Integrity,
        (true, false) => Exit::Partial,
        (true, true) => Exit::Ok,
    })
}

/// The configuration for a command that was given a kit: all it knows is in the kit. What has to
/// be kept goes into a folder of its own.
pub(crate) fn config(file: &Path, home: Option<&Path>) -> Result<Config> {
    let read = Kit::read(file)?;
    if !read.intact {
        output::note(&format!(
            "{} was changed after it was made (its check value is another): what comes back is \
             compared with what root key {} signed, as the kit has it",
            file.display(),
            read.kit.root_public_key
        ));
    }
    let work = home.map_or_else(|| PathBuf::from(WORK), Path::to_owned);
    if home.is_some_and(|home| home.join(FILE_NAME).exists()) {
        return Err(Report::new(Exit::Usage, "--home names a home, and --kit needs none")
            .at(work.display().to_string())
            .safe("nothing was changed")
            .next("name a new or empty folder, or leave --home out"));
    }
    let mut config = read.kit.config(&work);
    config.kit = Some(file.to_owned());
    place_credentials(&read.kit, &mut config)?;
    Ok(config)
}

/// Credentials of the kit go into files of this machine that nobody else can read.
fn place_credentials(kit: &Kit, config: &mut Config) -> Result<()> {
    let folder = config.home().join("credentials");
    for credential in &kit.read_credentials {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let site = config.sites.iter_mut().find(|site| site.name == credential.site);
        let Some(site) = site.filter(|site| site.name.bytes().all(plain)) else {
            continue;
        };
        std::fs::create_dir_all(&folder)
            .map_err(|error| Report::io("make the folder", &folder, &error))?;
        let file = folder.join(&credential.site);
        let _ = std::fs::remove_file(&file);
        keyfile::write_new(&file, credential.text.as_bytes())?;
        site.credential_file = Some(file);
        site.credential_variable.clear();
    }
    Ok(())
}

/// A blank machine has no key to sign drill reports with: it makes one, and says which.
pub(crate) fn ready_for_drill(config: &Config) -> Result<()> {
    let file = &config.drill.report_key_file;
    if file.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&config.drill.home)
        .map_err(|error| Report::io("make the folder", &config.drill.home, &error))?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Report::new(Exit::Failed, format!("the system gave no randomness: {error}"))
    })?;
    let key = SigningKey::from_bytes(&seed);
    keyfile::write_report_key(file, &key)?;
    output::note(&format!(
        "this machine signs its reports with a key made just now: {}",
        keyfile::hex(key.verifying_key().as_bytes())
    ));
    Ok(())
}

/// How a report of a drill with a kit names what it began from.
pub(crate) fn used_words(file: &Path) -> String {
    let host = machine();
    match Kit::read(file) {
        Ok(read) => format!("kit {} of {} on {host}", read.kit.name(), read.kit.made),
        Err(_) => format!("kit {} on {host}", file.display()),
    }
}

/// This machine's name.
pub(crate) fn machine() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => "a machine without a name".to_owned(),
        host => host.to_owned(),
    }
}

/// What a kit says is protected: paths, databases, servers.
pub(crate) fn protected_of(file: &Path) -> Result<Vec<String>> {
    Ok(Kit::read(file)?.kit.protected)
}
