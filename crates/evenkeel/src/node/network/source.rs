//! The document on this host, and what it says of paths.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_capture::network::{Document, DocumentError, Health};
use evenkeel_recovery::Clock as _;

use super::super::clock::SystemClock;
use super::probe;
use crate::cli::format_time_ns;
use crate::config::Config;
use crate::keyfile::hex;
use crate::report::{Exit, Report, Result};

/// A document is some pages; anything much longer is another file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A document with the text it was read from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) text: String,
    /// Its paths are absolute: those in the text are relative to its folder.
    pub(super) document: Document,
}

impl Source {
    /// Reads the document.
    ///
    /// # Errors
    /// [`Exit::NothingYet`] if there is none; [`Exit::Usage`] with line and what to do.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Report::new(Exit::NothingYet, "there is no document of the network")
                    .at(file.display().to_string())
                    .safe("nothing was asked and nothing was changed")
                    .next("write one: docs/network.md begins with an example")
            }
            _ => Report::io("read the document", file, &error),
        };
        let mut text = String::new();
        let open = File::open(file).map_err(failed)?;
        open.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        Self::parse(file, text)
    }

    fn parse(file: &Path, text: String) -> Result<Self> {
        let document = parse(&text, &file.display().to_string())?;
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Ok(Self {
            document: absolute(document, file.parent().unwrap_or(Path::new("/"))),
            file,
            text,
        })
    }

    /// The one that is named, else the configured one.
    pub(super) fn configured(config: &Config) -> Result<Self> {
        if config.network.is_set() {
            return Self::read(&config.network.document);
        }
        Err(Report::new(Exit::Usage, "the configuration names no document of the network")
            .at(config.file.display().to_string())
            .safe("nothing was started")
            .next(format!(
                "evenkeel network protect network.toml --home {}",
                config.home().display()
            ))
            .next("one file alone: evenkeel network check --document FILE"))
    }

    /// The hash of what it says, hex: of the text as written, not of where it lies.
    pub(super) fn hash(&self) -> Result<[u8; 32]> {
        parse(&self.text, &self.file.display().to_string()).map(|document| document.hash())
    }

    /// The same in hex.
    pub(super) fn hash_hex(&self) -> Result<String> {
        self.hash().map(|hash| hex(&hash))
    }

    /// Asks everything in it.
    pub(super) fn measure(&self, patience: Duration) -> Health {
        measure(&self.document, patience)
    }
}

/// Asks everything in a document.
pub(super) fn measure(document: &Document, patience: Duration) -> Health {
    let time = format_time_ns(SystemClock::new().wall_ns());
    probe::measure(document, time, patience)
}

/// Reads a document's text.
pub(super) fn parse(text: &str, place: &str) -> Result<Document> {
    Document::parse(text).map_err(|error| {
        let DocumentError { line, message, next } = error;
        let report = Report::new(Exit::Usage, message)
            .at(format!("{place}:{line}"))
            .safe("nothing was asked and nothing was changed");
        next.into_iter().fold(report, Report::next)
    })
}

/// Paths of the document, relative to its folder.
pub(super) fn absolute(mut document: Document, folder: &Path) -> Document {
    let resolve = |path: &mut PathBuf| *path = folder.join(&*path);
    for indexer in &mut document.indexers {
        indexer.cursor_file.iter_mut().for_each(resolve);
        indexer.log_file.iter_mut().for_each(resolve);
    }
    for key in &mut document.keys {
        resolve(&mut key.record);
        key.drill_log.iter_mut().for_each(resolve);
    }
    document.tls.iter_mut().filter_map(|pin| pin.ca_file.as_mut()).for_each(resolve);
    for endpoint in &mut document.endpoints {
        let relative = endpoint.credential.as_deref().and_then(|it| it.strip_prefix("file:"));
        if let Some(relative) = relative {
            endpoint.credential = Some(format!("file:{}", folder.join(relative.trim()).display()));
        }
    }
    document
}
