//! Who writes a lineage beside the main line: one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use evenkeel_vault::{OsRandom, Recipient, Writer, WriterOptions};

use super::super::approvals::refuse_unapproved;
use super::super::domain::Domain;
use crate::config::{Config, DomainConfig, FilesConfig};
use crate::keyfile;
use crate::report::{Exit, Report, Result};

/// The key and the certificate of a lineage beside the main line.
pub(crate) struct Keys<'a> {
    key: &'a Path,
    certificate: &'a Path,
}

impl<'a> Keys<'a> {
    /// Of the lineage of files.
    pub(crate) fn files(config: &'a Config) -> Self {
        let FilesConfig { writer_key_file, writer_certificate_file, .. } = &config.files;
        Self { key: writer_key_file, certificate: writer_certificate_file }
    }

    /// Of the domain of network metadata.
    pub(crate) fn of_domain(settings: &'a DomainConfig) -> Self {
        let DomainConfig { writer_key_file, writer_certificate_file, .. } = settings;
        Self { key: writer_key_file, certificate: writer_certificate_file }
    }

    /// Of the lineage of followed databases.
    pub(crate) fn live(config: &'a Config) -> Self {
        let FilesConfig { live_writer_key_file, live_writer_certificate_file, .. } = &config.files;
        Self { key: live_writer_key_file, certificate: live_writer_certificate_file }
    }

    /// A home made before there were such lineages has no keys for one.
    pub(crate) fn missing(&self) -> Option<&'a Path> {
        [self.key, self.certificate].into_iter().find(|file| !file.exists())
    }
}

/// The folder in which a writer keeps what it remembers, locked.
#[derive(Debug)]
pub(crate) struct WriterHome {
    pub(crate) dir: PathBuf,
    /// Held as long as this is.
    _lock: File,
}

impl WriterHome {
    /// Opens the folder, made if need be.
    ///
    /// # Errors
    /// [`Exit::Locked`] if another process has it.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|error| Report::io("make the folder", dir, &error))?;
        let path = dir.join("lock");
        let failed = |error: std::io::Error| Report::io("lock", &path, &error);
        let mut open = OpenOptions::new();
        let lock = open.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
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
    ///
    /// # Errors
    /// What the system says of the folder.
    pub(super) fn scratch(&self) -> Result<PathBuf> {
        let scratch = self.dir.join("scratch");
        fs::create_dir_all(&scratch)
            .map_err(|error| Report::io("make the folder", &scratch, &error))?;
        for entry in fs::read_dir(&scratch).into_iter().flatten().flatten() {
            // What stays is in the way of nobody.
            let _ = fs::remove_file(entry.path());
        }
        Ok(scratch)
    }
}

/// Opens a lineage beside the main line for writing.
pub(crate) fn open_writer(
    config: &Config,
    domain: &Domain<'_>,
    home: &WriterHome,
    keys: &Keys<'_>,
) -> Result<Writer> {
    let settings = domain.settings;
    refuse_unapproved(config, domain, &settings.recipients)?;
    let parse = |text: &String| Recipient::parse(text).map_err(Report::from);
    let least = config.files.zstd_level;
    let options = WriterOptions {
        layout: domain.layout,
        period_seconds: u64::from(settings.key_period_hours) * 3600,
        self_contained_every: config.files.self_contained_every_points.into(),
        index_path: Some(home.dir.join("chunks.index")),
        state_path: Some(home.dir.join("writer.state")),
        zstd_levels: least..=config.files.zstd_level_max.max(least),
        workers: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        deletion: config.deletion.rule()?,
        ..WriterOptions::new(settings.recipients.iter().map(parse).collect::<Result<Vec<_>>>()?)
    };
    Writer::open(
        domain.sites(),
        &domain.trust,
        keyfile::read_certificate(keys.certificate)?,
        keyfile::read_writer_key(keys.key)?,
        keyfile::read_chunk_id_key(&settings.chunk_id_key_file)?,
        options,
        Box::new(OsRandom),
    )
    .map_err(Report::from)
}

/// A home made before there were lineages of files has no keys for one.
pub(crate) fn refuse_without_keys(config: &Config) -> Result<()> {
    let Some(missing) = Keys::files(config).missing() else {
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
