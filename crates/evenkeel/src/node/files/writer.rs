//! Who writes the lineage of files: one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use evenkeel_vault::{OsRandom, Recipient, Writer, WriterOptions};

use super::super::domain::Domain;
use crate::config::Config;
use crate::keyfile;
use crate::report::{Exit, Report, Result};

/// The folder in which `backup` keeps what it remembers, locked.
pub(super) struct FilesHome {
    pub(super) dir: PathBuf,
    /// Held as long as this is.
    _lock: File,
}

impl FilesHome {
    pub(super) fn open(config: &Config) -> Result<Self> {
        let dir = config.files_dir();
        let scratch = dir.join("scratch");
        fs::create_dir_all(&scratch)
            .map_err(|error| Report::io("make the folder", &scratch, &error))?;
        let path = dir.join("lock");
        let failed = |error: std::io::Error| Report::io("lock", &path, &error);
        let mut open = OpenOptions::new();
        let lock = open.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(Report::new(Exit::Locked, "another backup is at work here")
                    .at(dir.display().to_string())
                    .safe("nothing was touched")
                    .next("wait for it; it holds no lock at the sites"))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// For copies that are thrown away; what a killed process left is removed.
    pub(super) fn scratch(&self) -> PathBuf {
        let scratch = self.dir.join("scratch");
        for entry in fs::read_dir(&scratch).into_iter().flatten().flatten() {
            // What stays is in the way of nobody.
            let _ = fs::remove_file(entry.path());
        }
        scratch
    }
}

/// Opens the lineage of files for writing.
pub(super) fn writer(config: &Config, domain: &Domain<'_>, home: &FilesHome) -> Result<Writer> {
    let settings = domain.settings;
    let (key, certificate) = (&config.files.writer_key_file, &config.files.writer_certificate_file);
    let parse = |text: &String| Recipient::parse(text).map_err(Report::from);
    let options = WriterOptions {
        layout: domain.layout,
        period_seconds: u64::from(settings.key_period_hours) * 3600,
        self_contained_every: config.files.self_contained_every_points.into(),
        index_path: Some(home.dir.join("chunks.index")),
        state_path: Some(home.dir.join("writer.state")),
        zstd_level: config.files.zstd_level,
        workers: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        ..WriterOptions::new(settings.recipients.iter().map(parse).collect::<Result<Vec<_>>>()?)
    };
    Writer::open(
        domain.sites(),
        &domain.trust,
        keyfile::read_certificate(certificate)?,
        keyfile::read_writer_key(key)?,
        keyfile::read_chunk_id_key(&settings.chunk_id_key_file)?,
        options,
        Box::new(OsRandom),
    )
    .map_err(Report::from)
}

/// A home made before there were lineages of files has no keys for one.
pub(crate) fn refuse_without_keys(config: &Config) -> Result<()> {
    let files = &config.files;
    let missing = [&files.writer_key_file, &files.writer_certificate_file];
    let Some(missing) = missing.into_iter().find(|file| !file.exists()) else {
        return Ok(());
    };
    Err(Report::new(Exit::Usage, "this home has no keys for a lineage of files yet")
        .at(missing.display().to_string())
        .safe("nothing was started")
        .next(format!(
            "evenkeel init --add-files --home {} --identity recovery-identity.txt",
            config.home().display()
        )))
}
