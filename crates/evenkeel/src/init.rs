//! Lays out a home: keys, five local sites, a commented configuration. Starts nothing, overwrites
//! nothing.
//!
//! ```text
//! HOME/evenkeel.toml            the reference with this home's recipients; written last
//! HOME/recovery-identity.txt    reads everything: to be moved away
//! HOME/host/keys/state/         writer key, its certificate, key of chunk ids
//! HOME/drill-host/              drill identity, report key
//! HOME/sites/site-a/ … site-e/  sealed data
//! ```
//! The configuration's appearance is what makes a home: it is renamed into place when all else is
//! durable. Until then its name ends in `.unfinished`, and the next `init` clears away exactly the
//! files that an `init` makes and begins again.

mod layout;
mod profile;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use evenkeel_vault::{IdKey, Identity, Lineage, OsRandom, Random, WriterKey};

use crate::authority::{Authority, OutsideRoot};
use crate::config::{Config, DashboardBind, FILE_NAME, SiteConfig};
use crate::keyfile;
use crate::report::{Exit, Report, Result};

pub use layout::add_paths;
use layout::configuration;
pub use profile::ProfileOptions;

/// The domain that a home is laid out for.
const DOMAIN: &str = "state";
const UNFINISHED: &str = "evenkeel.toml.unfinished";
const RECOVERY: &str = "recovery-identity.txt";
/// The recovery identity of the domain `keys`, where a profile has one.
pub(crate) const KEYS_RECOVERY: &str = "keys-recovery-identity.txt";

const FOLDERS: &[&str] = &[
    "host",
    "host/keys",
    "host/keys/state",
    "drill-host",
    "sites",
    "sites/site-a",
    "sites/site-b",
    "sites/site-c",
    "sites/site-d",
    "sites/site-e",
];

const WRITER_KEY: &str = "host/keys/state/writer.key";
const CERTIFICATE: &str = "host/keys/state/writer.certificate";
const FILES_KEY: &str = "host/keys/state/files.key";
const FILES_CERTIFICATE: &str = "host/keys/state/files.certificate";
const LIVE_KEY: &str = "host/keys/state/live.key";
const LIVE_CERTIFICATE: &str = "host/keys/state/live.certificate";
const CHUNK_ID_KEY: &str = "host/keys/state/chunk-id.key";
const DRILL_IDENTITY: &str = "drill-host/drill-identity.txt";
const REPORT_KEY: &str = "drill-host/report.key";

const FILES: &[&str] = &[
    RECOVERY,
    WRITER_KEY,
    CERTIFICATE,
    FILES_KEY,
    FILES_CERTIFICATE,
    LIVE_KEY,
    LIVE_CERTIFICATE,
    CHUNK_ID_KEY,
    DRILL_IDENTITY,
    REPORT_KEY,
];

/// The kind of the lineages of files, in the domain's catalog.
pub(crate) const FILES_LINEAGE: [u8; 4] = *b"file";
/// The kind of the lineages of followed databases.
pub(crate) const LIVE_LINEAGE: [u8; 4] = *b"live";

/// What a new home's configuration says instead of the defaults.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// Seed of the demonstration.
    pub seed: Option<u64>,
    /// Where the dashboard listens.
    pub dashboard: Option<DashboardBind>,
    /// A home for files, without a venue.
    pub desk: Option<Desk>,
    /// What the whole promises.
    pub profile: Option<ProfileOptions>,
    /// A file that names a key in a token, by which all that is written is signed.
    pub writer_key: Option<PathBuf>,
    /// A root that is elsewhere.
    pub root: Option<OutsideRoot>,
}

/// A home that protects files and runs no venue.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    /// Folders that are its sites; none: three inside the home.
    pub sites: Vec<PathBuf>,
    /// Sites of any kind, with absolute paths, instead of folders.
    pub described: Vec<SiteConfig>,
    /// What it protects, absolute.
    pub paths: Vec<PathBuf>,
}

/// The plain words that go with a new home: what the recovery identity is, and what to do with it.
#[must_use]
pub fn recovery_words(home: &Path) -> String {
    format!(
        "{}\n  \
         Until keys are split among holders, this one file reads everything and can certify a\n  \
         new writer. It belongs on no running machine: move it to paper or to a device in a\n  \
         safe, at two places. Without it nothing can be restored.",
        home.join(RECOVERY).display()
    )
}

/// Lays out `home` and gives its configuration.
///
/// # Errors
/// [`Exit::Failed`] naming what is there already if the folder is not empty; [`Exit::Locked`] if
/// another process is laying it out at this moment.
pub fn init_home(home: &Path, options: &InitOptions) -> Result<Config> {
    if let Some(profile) = &options.profile {
        profile.check()?;
    }
    make_folder(home)?;
    refuse_occupied(home)?;
    let mut draft = Draft::begin(home)?;
    clear(home)?;
    for folder in FOLDERS.iter().filter(|folder| !is_spare(folder, options)) {
        make_folder(&home.join(folder))?;
    }
    if let Some(desk) = &options.desk {
        let described = desk.described.iter().filter_map(|site| site.folder());
        for folder in desk.sites.iter().map(PathBuf::as_path).chain(described) {
            make_folder(folder)?;
        }
    }
    let public = write_keys(home, options)?;
    for folder in FOLDERS.iter().filter(|folder| !is_spare(folder, options)) {
        sync_folder(&home.join(folder))?;
    }
    let mut text = configuration(&public, options);
    if let Some(profile) = &options.profile {
        profile.apply(&mut text, home)?;
    }
    draft.finish(&text)?;
    sync_folder(home)?;
    Config::load(&home.join(FILE_NAME))
}

/// Folders of sites that a home for files does not have.
fn is_spare(folder: &str, options: &InitOptions) -> bool {
    let Some(desk) = &options.desk else {
        return false;
    };
    let own = desk_sites(desk);
    folder.starts_with("sites/") && !own.iter().any(|(_, path)| Path::new(folder) == path)
}

/// Names and folders of a desk's sites.
fn desk_sites(desk: &Desk) -> Vec<(String, PathBuf)> {
    if !desk.described.is_empty() {
        return desk.described.iter().map(|site| (site.name.clone(), site.path.clone())).collect();
    }
    let named =
        |at: usize| format!("site-{}", char::from(b'a' + u8::try_from(at % 26).unwrap_or(0)));
    if desk.sites.is_empty() {
        return (0..3).map(|at| (named(at), PathBuf::from("sites").join(named(at)))).collect();
    }
    desk.sites.iter().enumerate().map(|(at, path)| (named(at), path.clone())).collect()
}

/// Whether `home` is laid out.
#[must_use]
pub fn is_home(home: &Path) -> bool {
    home.join(FILE_NAME).exists()
}

/// The configuration being written, locked against another `init`.
struct Draft {
    home: PathBuf,
    file: File,
}

impl Draft {
    fn begin(home: &Path) -> Result<Self> {
        let path = home.join(UNFINISHED);
        let failed = |error: std::io::Error| Report::io("write", &path, &error);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Report::new(Exit::Locked, "another process is laying out this home")
                    .at(home.display().to_string())
                    .safe("nothing was touched")
                    .next(format!("wait for it, then: evenkeel up --home {}", home.display())));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Whoever waited for nobody may still find the home finished by the one before.
        if is_home(home) {
            let _ = fs::remove_file(&path);
            return Err(occupied(home, &entries(home)?));
        }
        sync_folder(home)?;
        Ok(Self { home: home.to_owned(), file })
    }

    fn finish(&mut self, text: &str) -> Result<()> {
        let path = self.home.join(UNFINISHED);
        let failed = |error: std::io::Error| Report::io("write", &path, &error);
        self.file.set_len(0).map_err(failed)?;
        self.file.write_all(text.as_bytes()).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        fs::rename(&path, self.home.join(FILE_NAME)).map_err(failed)
    }
}

/// What the configuration has to say about the keys.
struct Public {
    recovery: String,
    drill: String,
    root: String,
    report: String,
}

/// Makes the writer's key of a lineage, or takes the one in a token, and gives its public half.
fn give_writer_key(file: &Path, in_token: Option<&Path>) -> Result<[u8; 32]> {
    let Some(named) = in_token else {
        let key = WriterKey::generate(&mut OsRandom)?;
        keyfile::write_writer_key(file, DOMAIN, &key)?;
        return Ok(key.public());
    };
    let key = keyfile::read_writer_key(named)?;
    if key.to_bytes().is_some() {
        return Err(Report::new(Exit::Usage, "this file names no key in a token")
            .at(named.display().to_string())
            .safe("no home was laid out")
            .next("evenkeel keys hsm generate --kind ed25519 … makes one"));
    }
    let text = fs::read(named).map_err(|error| Report::io("read", named, &error))?;
    keyfile::write_new(file, &text)?;
    Ok(key.public())
}

fn write_keys(home: &Path, options: &InitOptions) -> Result<Public> {
    let file = |name: &str| home.join(name);
    let in_token = options.writer_key.as_deref();
    let outside = options.root.as_ref();
    let authority = Authority::begin(DOMAIN, outside)?;
    let chunk_id = IdKey::generate(&mut OsRandom)?;
    let drill = Identity::generate();
    let report = SigningKey::from_bytes(&random()?);
    let mut lineage = [0; 16];
    lineage.copy_from_slice(&random()?[..16]);
    let writer = give_writer_key(&file(WRITER_KEY), in_token)?;
    let certificate = authority.certify(DOMAIN, Lineage(lineage), None, writer)?;
    let recovery = authority.write_identity(&file(RECOVERY), outside)?;
    keyfile::write_certificate(&file(CERTIFICATE), &certificate)?;
    let beside = |kind, key: &str, certificate: &str| {
        certify(kind, &authority, &file(key), &file(certificate), in_token)
    };
    beside(FILES_LINEAGE, FILES_KEY, FILES_CERTIFICATE)?;
    beside(LIVE_LINEAGE, LIVE_KEY, LIVE_CERTIFICATE)?;
    keyfile::write_chunk_id_key(&file(CHUNK_ID_KEY), DOMAIN, &chunk_id)?;
    keyfile::write_drill_identity(&file(DRILL_IDENTITY), &drill)?;
    keyfile::write_report_key(&file(REPORT_KEY), &report)?;
    Ok(Public {
        recovery: recovery.to_string(),
        drill: drill.recipient().to_string(),
        root: authority.root_public().to_string(),
        report: keyfile::hex(report.verifying_key().as_bytes()),
    })
}

/// What a writer of an earlier lineage remembers is put aside: it is of no use to another one.
fn forget_writer(config: &Config, kind: [u8; 4]) -> Result<()> {
    let folder = if kind == LIVE_LINEAGE { config.live_dir() } else { config.files_dir() };
    let (state, aside) = (folder.join("writer.state"), folder.join("writer.state.earlier"));
    match fs::rename(&state, &aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Report::io("put aside what the earlier writer remembers", &state, &error))
        }
        _ => Ok(()),
    }
}

/// Makes a writer for a new lineage beside the main line.
fn certify(
    kind: [u8; 4],
    authority: &Authority,
    key_file: &Path,
    certificate: &Path,
    in_token: Option<&Path>,
) -> Result<()> {
    let mut name = [0; 8];
    name.copy_from_slice(&random()?[..8]);
    let lineage = Lineage::beside(kind, name);
    let writer = give_writer_key(key_file, in_token)?;
    let issued = authority.certify(DOMAIN, lineage, None, writer)?;
    keyfile::write_certificate(certificate, &issued)
}

/// Gives a home that was made before there were any, or that lost them, the keys of a lineage of
/// files.
///
/// # Errors
/// [`Exit::Failed`] if there are such keys already, or they cannot be written.
pub(crate) fn add_files(config: &Config, authority: &Authority) -> Result<Lineage> {
    let files = &config.files;
    let all = [
        (FILES_LINEAGE, &files.writer_key_file, &files.writer_certificate_file),
        (LIVE_LINEAGE, &files.live_writer_key_file, &files.live_writer_certificate_file),
    ];
    let is_there = |key: &Path, certificate: &Path| key.exists() || certificate.exists();
    if all.iter().all(|(_, key, certificate)| is_there(key, certificate)) {
        return Err(Report::new(Exit::Failed, "this home has keys for files already")
            .at(files.writer_key_file.display().to_string())
            .safe("they were left untouched")
            .next(format!("evenkeel backup PATH --config {}", config.file.display())));
    }
    for (kind, key, certificate) in all.into_iter().filter(|one| !is_there(one.1, one.2)) {
        let folder = key.parent().unwrap_or(Path::new("."));
        make_folder(folder)?;
        forget_writer(config, kind)?;
        certify(kind, authority, key, certificate, None)?;
        sync_folder(folder)?;
    }
    Ok(keyfile::read_certificate(&files.writer_certificate_file)?.lineage)
}

pub(crate) fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    OsRandom.fill(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| *parent != Path::new(""));
    if let Some(parent) = parent {
        make_folder(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made.map_err(|error| Report::io("make the folder", folder, &error))?,
    }
    // Its name is durable only with the folder it stands in: else a power cut takes the whole home.
    sync_folder(parent.unwrap_or(Path::new(".")))
}

pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|open| open.sync_all())
        .map_err(|error| Report::io("make durable", folder, &error))
}

fn entries(home: &Path) -> Result<Vec<String>> {
    let failed = |error: std::io::Error| Report::io("read the folder", home, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(home).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn refuse_occupied(home: &Path) -> Result<()> {
    let found = entries(home)?;
    let unfinished = found.iter().any(|name| name == UNFINISHED);
    // A fresh filesystem's own folder is nobody's.
    let nobodys = |name: &String| name == "lost+found";
    if found.iter().all(nobodys) || (unfinished && !is_home(home)) {
        return Ok(());
    }
    Err(occupied(home, &found))
}

fn occupied(home: &Path, found: &[String]) -> Report {
    let shown = found.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    let more = match found.len().checked_sub(8) {
        Some(more) if more > 0 => format!(" and {more} more"),
        _ => String::new(),
    };
    let report =
        Report::new(Exit::Failed, "the folder is not empty, so nothing was laid out in it")
            .at(home.display().to_string())
            .detail(format!("found: {shown}{more}"))
            .safe("everything in it was left untouched");
    if is_home(home) {
        report.next(format!("it is a home already: evenkeel up --home {}", home.display()))
    } else {
        report.next("choose an empty or a new folder: evenkeel init --home DIR")
    }
}

/// Removes what an interrupted `init` made. Nothing was ever written with those keys: without its
/// configuration a home cannot be started.
fn clear(home: &Path) -> Result<()> {
    let done = |path: &Path, result: std::io::Result<()>| match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Report::io("clear away an unfinished home", path, &error)
                .next(format!("remove the folder and repeat: rm -r {}", home.display())))
        }
        _ => Ok(()),
    };
    for name in FILES.iter().chain(&[KEYS_RECOVERY]) {
        let path = home.join(name);
        done(&path, fs::remove_file(&path))?;
    }
    for name in FOLDERS.iter().rev() {
        let path = home.join(name);
        done(&path, fs::remove_dir(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;
    use std::os::unix::fs::PermissionsExt;

    fn home() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("demo");
        (folder, home)
    }

    #[test]
    fn a_new_home_passes_every_rule_and_its_keys_fit_together() {
        let (_folder, home) = home();
        let config = init_home(&home, &InitOptions::default()).unwrap();
        let refused: Vec<_> = config
            .check()
            .into_iter()
            .filter(|finding| finding.severity == Severity::Refused)
            .collect();
        assert!(refused.is_empty(), "{refused:?}");
        let domain = config.domains.state.as_ref().unwrap();
        let recovery = keyfile::read_recovery_identity(&config.recovery_identity_file()).unwrap();
        assert_eq!(domain.root_public_key, recovery.root_public().to_string());
        assert_eq!(domain.recipients[0], recovery.recipient().to_string());
        let drill = keyfile::read_identity(&config.drill.identity_file).unwrap();
        assert_eq!(domain.recipients[1], drill.recipient().to_string());
        let certificate = keyfile::read_certificate(&domain.writer_certificate_file).unwrap();
        certificate.verify(&recovery.root_public()).unwrap();
        let writer = keyfile::read_writer_key(&domain.writer_key_file).unwrap();
        assert_eq!(certificate.writer, writer.public());
        let report = keyfile::read_report_key(&config.drill.report_key_file).unwrap();
        let public = keyfile::hex(report.verifying_key().as_bytes());
        assert_eq!(config.drill.report_public_key, public);
        assert_eq!(config.sites_of(domain).filter(|site| site.path.is_dir()).count(), 5);
    }

    #[test]
    fn folders_and_files_of_a_home_are_the_owners_alone() {
        let (_folder, home) = home();
        init_home(&home, &InitOptions::default()).unwrap();
        for name in FOLDERS {
            let mode = home.join(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{name}");
        }
        for name in FILES.iter().chain(&[FILE_NAME]) {
            let mode = home.join(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_second_init_refuses_says_what_it_found_and_changes_nothing() {
        let (_folder, home) = home();
        init_home(&home, &InitOptions::default()).unwrap();
        let before = fs::read(home.join(RECOVERY)).unwrap();
        let refused = init_home(&home, &InitOptions::default()).unwrap_err();
        assert_eq!(refused.exit(), Exit::Failed);
        let text = refused.to_string();
        assert!(text.contains("recovery-identity.txt") && text.contains("evenkeel up"), "{text}");
        assert_eq!(fs::read(home.join(RECOVERY)).unwrap(), before);
    }

    #[test]
    fn a_folder_with_somebody_elses_file_is_refused_by_its_name() {
        let (_folder, home) = home();
        fs::create_dir(&home).unwrap();
        fs::write(home.join("thesis.tex"), "years of work").unwrap();
        let refused = init_home(&home, &InitOptions::default()).unwrap_err();
        assert!(refused.to_string().contains("thesis.tex"), "{refused}");
        assert_eq!(entries(&home).unwrap(), ["thesis.tex"]);
    }

    #[test]
    fn an_init_that_was_cut_short_is_begun_again() {
        let (_folder, home) = home();
        for folder in FOLDERS {
            make_folder(&home.join(folder)).unwrap();
        }
        fs::write(home.join(UNFINISHED), "half a conf").unwrap();
        fs::write(home.join(WRITER_KEY), "half a key").unwrap();
        init_home(&home, &InitOptions::default()).unwrap();
        assert!(!home.join(UNFINISHED).exists());
        keyfile::read_writer_key(&home.join(WRITER_KEY)).unwrap();
    }

    #[test]
    fn two_inits_at_once_do_not_meet() {
        let (_folder, home) = home();
        fs::create_dir(&home).unwrap();
        let _draft = Draft::begin(&home).unwrap();
        let refused = init_home(&home, &InitOptions::default()).unwrap_err();
        assert_eq!(refused.exit(), Exit::Locked);
    }

    #[test]
    fn options_go_into_the_written_configuration() {
        let (_folder, home) = home();
        let options = InitOptions {
            seed: Some(42),
            dashboard: Some(DashboardBind(None)),
            ..InitOptions::default()
        };
        let config = init_home(&home, &options).unwrap();
        assert_eq!(config.venue.seed, 42);
        assert_eq!(config.dashboard.bind, DashboardBind(None));
    }
}
