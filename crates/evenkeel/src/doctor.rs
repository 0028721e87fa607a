//! `evenkeel doctor`: whether this machine can keep the promises.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::cli::{DoctorArgs, format_time_ns};
use crate::config::{Config, FollowMode, Severity};
use crate::output::{self, Results};
use crate::report::{Exit, Report, Result, plain};
use crate::site_open::open_site;
use crate::token_key;

/// Writes timed.
const SYNC_SAMPLES: usize = 64;
/// Size of each, as a small frame.
const SYNC_BYTES: usize = 4096;
/// A slower sync holds up every acknowledgement noticeably.
const SYNC_SLOW: Duration = Duration::from_millis(20);
/// A quicker one cannot have reached any storage.
const SYNC_UNBELIEVABLE: Duration = Duration::from_micros(5);
/// How long the clocks are compared.
const CLOCK_SAMPLE: Duration = Duration::from_millis(200);
/// Wall and monotonic clock may differ by this much over the sample.
const CLOCK_SLACK: Duration = Duration::from_millis(20);
/// Years in which this program can be running.
const YEARS: std::ops::RangeInclusive<u64> = 2025..=2100;
/// Segments, shards and clients together.
const OPEN_FILES: u64 = 1024;
/// Less room than this is soon used up by the demonstration.
const FREE_BYTES_COMFORTABLE: u64 = 6 << 30;
const FREE_BYTES_LEAST: u64 = 256 << 20;
/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of `statfs(2)`.
const MEMORY_FILESYSTEMS: [u64; 2] = [0x0102_1994, 0x8584_58f6];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    result: Verdict,
    detail: String,
    /// What to do; empty if nothing.
    next: String,
}

impl Check {
    fn new(name: &'static str, result: Verdict, detail: String, next: &str) -> Self {
        Self { name, result, detail, next: next.to_owned() }
    }

    fn ok(name: &'static str, detail: String) -> Self {
        Self::new(name, Verdict::Ok, detail, "")
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "message_type", rename = "doctor")]
struct DoctorDocument {
    result: Verdict,
    folder: PathBuf,
    checks: Vec<Check>,
}

/// Checks this machine and prints a line for each check.
pub(crate) fn run(args: &DoctorArgs) -> Result<Exit> {
    let config = match args.place.load() {
        Ok(config) => Some(config),
        // A machine can be checked before there is a home.
        Err(report) if report.exit() == Exit::NothingYet && !args.place.names_a_file() => None,
        Err(report) => return Err(report),
    };
    let home = args.place.home();
    let folder = match &config {
        Some(config) => existing(&config.host.data),
        None => existing(&home),
    };
    let mut checks = vec![
        durable_writes(&folder),
        free_disk(&folder),
        locks(&folder),
        permissions(config.as_ref().map_or(&folder, |config| &config.host.data)),
        open_files(),
        wall_clock(),
        clock_rate(),
        processor(),
    ];
    if let Some(config) = &config {
        checks.push(rules(config));
        checks.extend(tokens(config));
        checks.extend(config.sites.iter().map(|site| reachable(config, site)));
        if config.standby.mode == FollowMode::Quorum {
            checks.extend(store_of_hosts(config));
        }
    }
    let worst = checks.iter().map(|check| check.result).max().unwrap_or(Verdict::Ok);
    let exit = match worst {
        Verdict::Ok => Exit::Ok,
        Verdict::Warn => Exit::Partial,
        Verdict::Fail => Exit::Failed,
    };
    if args.json {
        output::document(&DoctorDocument { result: worst, folder, checks })?;
        return Ok(exit);
    }
    let mut results = Results::new();
    for check in &checks {
        let word = match check.result {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        results.line(&format!("{word}  {:<15} {}", check.name, check.detail))?;
        if !check.next.is_empty() {
            results.line(&format!("                      {}", check.next))?;
        }
    }
    results.finish()?;
    Ok(exit)
}

/// The store that decides which of several hosts writes.
fn store_of_hosts(config: &Config) -> Vec<Check> {
    let name = "shared log";
    match crate::node::look_at_members(config) {
        Ok(found) if found.is_empty() => {
            let members = config.quorum.endpoints.len();
            vec![Check::ok(
                name,
                format!("{members} members answer, and are set as they should be"),
            )]
        }
        Ok(found) => {
            let warn =
                |(what, next): (String, String)| Check::new(name, Verdict::Warn, what, &next);
            found.into_iter().map(warn).collect()
        }
        Err(report) => vec![Check::new(
            name,
            Verdict::Fail,
            report.message().to_owned(),
            "start the members; docs/etcd.md",
        )],
    }
}

/// The nearest folder on the way up that exists.
fn existing(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors().find(|at| at.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

/// A file that is removed when the check is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(folder: &Path, what: &str) -> Self {
        Self(folder.join(format!(".evenkeel-doctor-{what}-{}", std::process::id())))
    }

    fn create(&self) -> std::io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If it was never made there is nothing to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn durable_writes(folder: &Path) -> Check {
    const NAME: &str = "durable writes";
    let times = match time_syncs(folder) {
        Ok(times) => times,
        Err(error) => {
            let detail =
                format!("cannot write and sync in {}: {}", folder.display(), plain(&error));
            let next = "choose a folder on a disk that this user can write: --home DIR";
            return Check::new(NAME, Verdict::Fail, detail, next);
        }
    };
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let detail = format!(
        "fdatasync of {SYNC_BYTES} bytes: p50 {:.2} ms, p99 {:.2} ms in {}",
        p50.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3,
        folder.display()
    );
    if in_memory(folder) || p50 < SYNC_UNBELIEVABLE {
        let next = "this is memory or a cache, not storage: power loss would lose acknowledged \
                    entries";
        return Check::new(NAME, Verdict::Warn, detail, next);
    }
    if p99 > SYNC_SLOW {
        let next = "acknowledgements wait for this; use a faster disk or one with a safe cache";
        return Check::new(NAME, Verdict::Warn, detail, next);
    }
    Check::ok(NAME, detail)
}

/// Times of write and sync, sorted; what was written is read back.
fn time_syncs(folder: &Path) -> std::io::Result<Vec<Duration>> {
    let scratch = Scratch::new(folder, "sync");
    let mut file = scratch.create()?;
    file.write_all(&vec![0; SYNC_BYTES * SYNC_SAMPLES])?;
    file.sync_all()?;
    let mut times = Vec::with_capacity(SYNC_SAMPLES);
    for (index, fill) in (1..=SYNC_SAMPLES).zip((1..=u8::MAX).cycle()) {
        let offset = ((index - 1) * SYNC_BYTES) as u64;
        let block = [fill; SYNC_BYTES];
        let begun = Instant::now();
        file.write_all_at(&block, offset)?;
        file.sync_data()?;
        times.push(begun.elapsed());
        let mut back = [0; SYNC_BYTES];
        file.read_exact_at(&mut back, offset)?;
        if back != block {
            return Err(std::io::Error::other("it gave back other bytes than were written"));
        }
    }
    times.sort();
    Ok(times)
}

fn in_memory(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|found| {
        u64::try_from(found.f_type).is_ok_and(|kind| MEMORY_FILESYSTEMS.contains(&kind))
    })
}

fn free_disk(folder: &Path) -> Check {
    const NAME: &str = "free disk";
    let free_bytes = match rustix::fs::statvfs(folder) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            let detail = format!("the filesystem does not say: {error}");
            return Check::new(NAME, Verdict::Warn, detail, "look with df");
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let detail = format!("{:.1} GiB free", free_bytes as f64 / f64::from(1 << 30));
    if free_bytes < FREE_BYTES_LEAST {
        let next = "too little for journal and sites: make room, or choose another --home DIR";
        Check::new(NAME, Verdict::Fail, detail, next)
    } else if free_bytes < FREE_BYTES_COMFORTABLE {
        let next = "lower recovery.disk_limit_bytes below it, or make room";
        Check::new(NAME, Verdict::Warn, detail, next)
    } else {
        Check::ok(NAME, detail)
    }
}

/// Whether an exclusive lock keeps a second opener out: NFS without locks does not.
fn locks(folder: &Path) -> Check {
    const NAME: &str = "file locks";
    let scratch = Scratch::new(folder, "lock");
    let tried = scratch.create().and_then(|first| {
        first.lock()?;
        let second = File::open(&scratch.0)?;
        Ok(matches!(second.try_lock(), Err(TryLockError::WouldBlock)))
    });
    match tried {
        Ok(true) => Check::ok(NAME, "a second process is kept out".to_owned()),
        Ok(false) => Check::new(
            NAME,
            Verdict::Fail,
            "a second lock on the same file was granted".to_owned(),
            "two daemons could write one journal: use a local filesystem",
        ),
        Err(error) => {
            let detail = format!("cannot lock a file in {}: {}", folder.display(), plain(&error));
            Check::new(NAME, Verdict::Fail, detail, "use a local filesystem that can be written")
        }
    }
}

fn permissions(folder: &Path) -> Check {
    const NAME: &str = "permissions";
    let Ok(found) = folder.metadata() else {
        return Check::ok(NAME, format!("{} is not there yet", folder.display()));
    };
    let mode = found.permissions().mode() & 0o777;
    let detail = format!("{} is {mode:03o}, owner {}", folder.display(), found.uid());
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    if !ours {
        let next = "run as its owner: files of two owners will lock each other out";
        return Check::new(NAME, Verdict::Warn, detail, next);
    }
    if mode & 0o077 != 0 && folder.join("keys").exists() {
        let next = "others can look into it: chmod 700";
        return Check::new(NAME, Verdict::Warn, detail, next);
    }
    Check::ok(NAME, detail)
}

fn open_files() -> Check {
    const NAME: &str = "open files";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(limit) if limit < OPEN_FILES => Check::new(
            NAME,
            Verdict::Warn,
            format!("at most {limit}"),
            "ulimit -n 4096, or LimitNOFILE= in the unit",
        ),
        Some(limit) => Check::ok(NAME, format!("at most {limit}")),
        None => Check::ok(NAME, "no limit".to_owned()),
    }
}

fn wall_clock() -> Check {
    const NAME: &str = "wall clock";
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = format_time_ns(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    let year = time.split('-').next().and_then(|year| year.parse().ok()).unwrap_or(0);
    if YEARS.contains(&year) {
        return Check::ok(NAME, time);
    }
    let next = "set the clock; times of recovery points would mislead (order and integrity do \
                not depend on it)";
    Check::new(NAME, Verdict::Fail, time, next)
}

fn clock_rate() -> Check {
    const NAME: &str = "clock rate";
    let (wall, monotonic) = (SystemTime::now(), Instant::now());
    std::thread::sleep(CLOCK_SAMPLE);
    let passed = monotonic.elapsed();
    let Ok(shown) = wall.elapsed() else {
        let next = "something sets the clock back: keep one time service";
        return Check::new(NAME, Verdict::Warn, "the wall clock ran backwards".into(), next);
    };
    let apart = passed.abs_diff(shown);
    let detail = format!("wall and monotonic clock differ by {apart:?} over {passed:?}");
    if apart > CLOCK_SLACK {
        let next = "something steps the clock: slew instead (chrony, systemd-timesyncd)";
        return Check::new(NAME, Verdict::Warn, detail, next);
    }
    Check::ok(NAME, detail)
}

fn processor() -> Check {
    const NAME: &str = "processor";
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let found: Vec<&str> =
        features().into_iter().filter_map(|(name, there)| there.then_some(name)).collect();
    let detail = format!("{count} threads; {}", found.join(", "));
    if !found.contains(&"aes") {
        let next = "without AES instructions sealing is slow: expect the sites to fall behind";
        return Check::new(NAME, Verdict::Warn, detail, next);
    }
    if count < 2 {
        let next = "engine, follower and sealing share one thread: latency will suffer";
        return Check::new(NAME, Verdict::Warn, detail, next);
    }
    Check::ok(NAME, detail)
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("aes", std::is_x86_feature_detected!("aes")),
        ("pclmulqdq", std::is_x86_feature_detected!("pclmulqdq")),
        ("sha", std::is_x86_feature_detected!("sha")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("aes", std::arch::is_aarch64_feature_detected!("aes")),
        ("pmull", std::arch::is_aarch64_feature_detected!("pmull")),
        ("sha2", std::arch::is_aarch64_feature_detected!("sha2")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

fn rules(config: &Config) -> Check {
    const NAME: &str = "configuration";
    let findings = config.check();
    let refused = findings.iter().filter(|finding| finding.severity == Severity::Refused).count();
    let warned = findings.len() - refused;
    let detail = format!("{refused} refused, {warned} warnings");
    let next = "evenkeel config check says each";
    match (refused, warned) {
        (0, 0) => Check::ok(NAME, detail),
        (0, _) => Check::new(NAME, Verdict::Warn, detail, next),
        _ => Check::new(NAME, Verdict::Fail, detail, next),
    }
}

/// Keys of this host that are in tokens: each proves that it is there, which needs its PIN once.
fn tokens(config: &Config) -> Vec<Check> {
    const NAME: &str = "token";
    let domain = config.domains.state.as_ref().map(|domain| &domain.writer_key_file);
    let files = domain.into_iter().chain([
        &config.files.writer_key_file,
        &config.files.live_writer_key_file,
        &config.drill.identity_file,
    ]);
    let mut seen = Vec::new();
    let mut checks = Vec::new();
    for file in files {
        let Some(key) = token_key::named_in(file) else { continue };
        if key.as_ref().is_ok_and(|key| seen.contains(&key.uri)) {
            continue;
        }
        let proven = key.and_then(|key| {
            seen.push(key.uri.clone());
            key.check().map(|()| key)
        });
        checks.push(match proven {
            Ok(key) => Check::ok(NAME, format!("{} answers with the recorded key", key.uri)),
            Err(report) => {
                let detail = format!("{}: {}", file.display(), report.message());
                Check::new(NAME, Verdict::Fail, detail, "evenkeel keys hsm check --key FILE")
            }
        });
    }
    checks
}

fn reachable(config: &Config, site: &crate::config::SiteConfig) -> Check {
    const NAME: &str = "site";
    match open_site(config, site).list("probe/") {
        Ok(_) => Check::ok(NAME, format!("{} answers: {}", site.name, site.location())),
        Err(error) => {
            let report = Report::from(error);
            let detail = format!("{} does not answer: {}", site.name, report.message());
            Check::new(NAME, Verdict::Fail, detail, "bring it back, then: evenkeel repair")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_written_passes_and_nothing_stays_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert_ne!(durable_writes(folder.path()).result, Verdict::Fail);
        assert_eq!(locks(folder.path()).result, Verdict::Ok);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_fails_and_says_what_to_do() {
        let check = durable_writes(Path::new("/nonexistent/folder"));
        assert_eq!(check.result, Verdict::Fail);
        assert!(check.next.contains("--home"), "{}", check.next);
    }

    #[test]
    fn the_nearest_existing_folder_stands_for_one_that_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b/c")), folder.path());
    }
}
