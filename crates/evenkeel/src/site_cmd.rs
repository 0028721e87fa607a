//! `evenkeel site …`: this machine as a site for others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use evenkeel_sites::{AccessKey, Event, Right, ServeError, ServeOptions, Server, TlsFiles};
use evenkeel_vault::{OsRandom, Random};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::cli::{SiteAddKeyArgs, SiteApproversArgs, SiteServeArgs};
use crate::config::DeletionConfig;
use crate::keyfile::{hex, write_new};
use crate::output;
use crate::report::{Exit, Report, Result};
use crate::signals;

/// The server's keys, beside the buckets; no bucket's name begins with a dot.
const KEYS: &str = ".keys.toml";
const CERTIFICATE: &str = ".certificate.pem";
const KEY: &str = ".certificate.key";
/// Refusals that are told one by one; after that, every thousandth.
const TOLD_ONE_BY_ONE: u64 = 100;
/// Reasons that are known apart; there are fewer, unless somebody makes them up.
const REASONS_MAX: usize = 100;

/// What the keys' file holds.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    #[serde(default)]
    quotas: BTreeMap<String, u64>,
    #[serde(default)]
    deletion: BTreeMap<String, DeletionConfig>,
    #[serde(default)]
    keys: Vec<KeyEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    id: String,
    secret: String,
    bucket: String,
    #[serde(default)]
    read_only: bool,
}

/// `site add-key`.
pub(crate) fn add_key(args: &SiteAddKeyArgs) -> Result<Exit> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let bucket = &args.bucket;
    let edges = bucket.starts_with('-') || bucket.ends_with('-');
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(plain) || edges {
        return Err(Report::new(Exit::Usage, format!("`{bucket}` cannot be a bucket"))
            .safe("nothing was changed")
            .next("use 3 to 63 small letters, digits and - (not at its ends)"));
    }
    std::fs::create_dir_all(&args.dir)
        .map_err(|error| Report::io("make the folder", &args.dir, &error))?;
    let file = args.dir.join(KEYS);
    let mut keys = read_keys(&file)?.unwrap_or_default();
    let entry = KeyEntry {
        id: format!("EVK{}", random_hex(8)?.to_uppercase()),
        secret: random_hex(24)?,
        bucket: bucket.clone(),
        read_only: args.read_only,
    };
    let credential = Zeroizing::new(format!("id = {}\nsecret = {}", entry.id, entry.secret));
    if let Some(quota) = args.quota_bytes {
        keys.quotas.insert(bucket.clone(), quota);
    }
    keys.keys.push(entry);
    write_keys(&file, &keys)?;
    output::result(&credential)?;
    output::note(&format!(
        "put these two lines into the client's credential_file (chmod 600). The server knows the \
         key from its next start on: evenkeel site serve --dir {}",
        args.dir.display()
    ));
    Ok(Exit::Ok)
}

/// `site approvers`.
pub(crate) fn approvers(args: &SiteApproversArgs) -> Result<Exit> {
    let deletion = DeletionConfig {
        approvers: args.approvers.clone(),
        needed: args.needed,
        delay_hours: args.delay_hours,
    };
    deletion.rule()?;
    let file = args.dir.join(KEYS);
    let mut keys = read_keys(&file)?.unwrap_or_default();
    if !keys.keys.iter().any(|key| key.bucket == args.bucket) {
        return Err(Report::new(Exit::Usage, format!("no key opens a bucket `{}`", args.bucket))
            .at(file.display().to_string())
            .safe("nothing was changed")
            .next(format!(
                "evenkeel site add-key --dir {} --bucket {}",
                args.dir.display(),
                args.bucket
            )));
    }
    let count = deletion.approvers.len();
    match count {
        0 => drop(keys.deletion.remove(&args.bucket)),
        _ => drop(keys.deletion.insert(args.bucket.clone(), deletion)),
    }
    write_keys(&file, &keys)?;
    output::result(&match count {
        0 => format!("{}: nothing is deleted", args.bucket),
        _ => format!(
            "{}: {} of {count} approvers, after {} hours",
            args.bucket, args.needed, args.delay_hours
        ),
    })?;
    output::note("the server knows it from its next start on");
    Ok(Exit::Ok)
}

/// `site serve`.
pub(crate) fn serve(args: &SiteServeArgs) -> Result<Exit> {
    let file = args.dir.join(KEYS);
    let keys = read_keys(&file)?.filter(|keys| !keys.keys.is_empty()).ok_or_else(|| {
        Report::new(Exit::NothingYet, "nobody could use this site: it has no access key")
            .at(file.display().to_string())
            .safe("nothing was started")
            .next(format!("evenkeel site add-key --dir {} --bucket NAME", args.dir.display()))
    })?;
    let mut options = ServeOptions::new(&args.dir, args.listen);
    options.tls = tls_files(args)?;
    options.quotas.clone_from(&keys.quotas);
    for (bucket, deletion) in &keys.deletion {
        if let Some(rule) = deletion.rule()? {
            options.deletion.insert(bucket.clone(), rule);
        }
    }
    options.keys = keys.keys.into_iter().map(KeyEntry::into_access_key).collect();
    options.watch = Arc::new(teller());
    let certificate = options.tls.as_ref().map(|files| files.certificates.clone());
    let server = Server::start(&options).map_err(|error| refused(&error))?;
    let scheme = if certificate.is_some() { "https" } else { "http" };
    output::result(&format!("serving {} at {scheme}://{}", args.dir.display(), server.address()))?;
    for bucket in server.buckets() {
        let quota = bucket.quota_bytes.map_or("no quota".to_owned(), |quota| format!("of {quota}"));
        output::note(&format!("  {}: {} bytes used, {quota}", bucket.bucket, bucket.used_bytes));
    }
    if let Some(certificate) = certificate {
        output::note(&format!("clients trust it by certificate_file = {}", certificate.display()));
    }
    let (stop, stopped) = mpsc::channel();
    signals::on_stop(move |why| {
        // Nobody waits any more only if the server has ended.
        let _ = stop.send(why);
    })?;
    if let Ok(why) = stopped.recv() {
        output::note(&format!("{why}: no new connections; what is under way is finished"));
    }
    server.stop();
    Ok(Exit::Ok)
}

impl Drop for KeyEntry {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl KeyEntry {
    fn into_access_key(mut self) -> AccessKey {
        let right = if self.read_only { Right::Read } else { Right::Write };
        let secret = Zeroizing::new(std::mem::take(&mut self.secret));
        AccessKey { id: self.id.clone(), secret, bucket: self.bucket.clone(), right }
    }
}

/// Tells refusals on stderr; a flood of them is told in thousands, and what is refused for a new
/// reason at once.
fn teller() -> impl Fn(&Event) {
    let told = AtomicU64::new(0);
    let reasons = Mutex::new(BTreeSet::new());
    move |event| {
        if event.is_warning {
            // Before it is full, and never more than three times: it is not counted as a refusal.
            output::note(&format!(
                "quota: {}: {}, last by {}; when it is full, nothing more is taken",
                event.bucket, event.why, event.access_key
            ));
            return;
        }
        let number = told.fetch_add(1, Ordering::Relaxed) + 1;
        let is_new = {
            let mut reasons = reasons.lock().unwrap_or_else(PoisonError::into_inner);
            reasons.len() < REASONS_MAX && reasons.insert(event.why.clone())
        };
        if number > TOLD_ONE_BY_ONE && !number.is_multiple_of(1000) && !is_new {
            return;
        }
        let object = if event.object.is_empty() { "-" } else { &event.object };
        output::note(&format!(
            "refused ({number}): {} by {} in {}, {object}: {}",
            event.operation, event.access_key, event.bucket, event.why
        ));
    }
}

fn refused(error: &ServeError) -> Report {
    let exit = match error {
        ServeError::Served(_) => Exit::Locked,
        ServeError::Io { .. } => Exit::Failed,
        _ => Exit::Usage,
    };
    Report::new(exit, error.to_string()).safe("nothing was started; what is stored is untouched")
}

/// The server's certificate: the one that is named, the one made before, or a new one.
fn tls_files(args: &SiteServeArgs) -> Result<Option<TlsFiles>> {
    if args.plain {
        return Ok(None);
    }
    if let (Some(certificates), Some(key)) = (&args.tls_certificate, &args.tls_key) {
        return Ok(Some(TlsFiles { certificates: certificates.clone(), key: key.clone() }));
    }
    let files = TlsFiles { certificates: args.dir.join(CERTIFICATE), key: args.dir.join(KEY) };
    if files.certificates.exists() && files.key.exists() {
        return Ok(Some(files));
    }
    let mut names = args.host.clone();
    if names.is_empty() {
        if args.listen.ip().is_unspecified() {
            return Err(Report::new(Exit::Usage, "what do clients call this machine?")
                .safe("nothing was started")
                .next("say it with --host NAME, or bring a certificate with --tls-certificate"));
        }
        names.push(args.listen.ip().to_string());
    }
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| {
        Report::new(Exit::Usage, format!("no certificate can be made for that name: {error}"))
            .safe("nothing was started")
    })?;
    write_new(&files.key, made.signing_key.serialize_pem().as_bytes())?;
    std::fs::write(&files.certificates, made.cert.pem())
        .map_err(|error| Report::io("write the certificate", &files.certificates, &error))?;
    Ok(Some(files))
}

fn read_keys(file: &Path) -> Result<Option<KeysFile>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Report::io("read the keys", file, &error)),
    };
    // The parser's message would show the line, and with it a secret.
    let keys = toml::from_str(&text).map_err(|_| {
        Report::new(Exit::Usage, "the keys' file is damaged")
            .at(file.display().to_string())
            .safe("nothing was changed; what is stored is untouched")
            .next("bring back a copy of it, or move it away and make new keys")
    })?;
    Ok(Some(keys))
}

fn write_keys(file: &Path, keys: &KeysFile) -> Result<()> {
    let text = toml::to_string(keys).map_err(|error| {
        Report::new(Exit::Failed, format!("the keys cannot be written: {error}"))
    })?;
    let fresh: PathBuf = file.with_extension("toml.new");
    // Left by a run that was killed; what it held was never in force.
    let _ = std::fs::remove_file(&fresh);
    write_new(&fresh, Zeroizing::new(text).as_bytes())?;
    std::fs::rename(&fresh, file).map_err(|error| Report::io("write the keys", file, &error))
}

fn random_hex(bytes: usize) -> Result<String> {
    let mut random = Zeroizing::new(vec![0; bytes]);
    OsRandom.fill(&mut random).map_err(Report::from)?;
    Ok(hex(&random))
}
