//! `[[sites]]`: where sealed data goes, and how it is reached.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How a site is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SiteKind {
    /// A folder of this machine, or mounted on it.
    #[default]
    Folder,
    /// A bucket of an S3-compatible store; `evenkeel site serve` is one.
    S3,
    /// A folder of a WebDAV server.
    WebDav,
    /// The file system of a node of IPFS, over its RPC.
    Ipfs,
}

/// What a site claims to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteClassName {
    /// Whoever can write can also replace and delete.
    #[default]
    Mutable,
    /// It refuses to replace and delete; counts once `sites probe` has shown it.
    AppendOnly,
}

/// `[[sites]]`: a place that keeps sealed data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// Its name, unique.
    pub name: String,
    /// How it is reached.
    #[serde(default)]
    pub kind: SiteKind,
    /// The folder, of kind `folder`.
    #[serde(default, skip_serializing_if = "path_is_empty")]
    pub path: PathBuf,
    /// Where the server of another kind listens: `https://host[:port][/path]`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// The bucket, of kind `s3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bucket: String,
    /// In front of every name in the bucket: empty, or ending in `/`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// As the store calls it; empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// RPCs of other nodes that keep what this one holds, of kind `ipfs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// Certificates that are trusted for this site instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Plain http to another machine is allowed: its network is encrypted already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_http: bool,
    /// What it claims to refuse.
    #[serde(default)]
    pub class: SiteClassName,
    /// Who runs it; sites of one operator fall together.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operator: String,
    /// Whose law it is under; sites of one jurisdiction can be seized together.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jurisdiction: String,
    /// What it is written with, if it needs that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_file: Option<PathBuf>,
    /// What it is read with and cannot be written: for the recovery kit, never used here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_credential_file: Option<PathBuf>,
    /// The environment variable that holds it as `id:secret`, instead of a file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub credential_variable: String,
    /// How fast it may be written to and read by a process of this host.
    #[serde(default, skip_serializing_if = "BandwidthConfig::is_free")]
    pub bandwidth_bytes_per_second: BandwidthConfig,
}

/// `bandwidth_bytes_per_second`: none is as fast as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandwidthConfig {
    /// To the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<u64>,
    /// From the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<u64>,
}

impl BandwidthConfig {
    fn is_free(&self) -> bool {
        *self == Self::default()
    }
}

fn path_is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

impl SiteConfig {
    /// Where it is, for people: a folder or an address, without credentials.
    #[must_use]
    pub fn location(&self) -> String {
        let endpoint = self.endpoint.trim_end_matches('/');
        match self.kind {
            SiteKind::Folder => self.path.display().to_string(),
            SiteKind::S3 => {
                let all = format!("{endpoint}/{}/{}", self.bucket, self.prefix);
                all.trim_end_matches('/').to_owned()
            }
            SiteKind::WebDav => endpoint.to_owned(),
            SiteKind::Ipfs => {
                let folder = if self.prefix.is_empty() { "evenkeel" } else { &self.prefix };
                format!("{endpoint}/{}", folder.trim_end_matches('/'))
            }
        }
    }

    /// Reads and writes it as fast as it goes, whatever the configuration says.
    pub fn lift_bandwidth(&mut self) {
        self.bandwidth_bytes_per_second = BandwidthConfig::default();
    }

    /// Its folder on this machine, if that is what it is.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        (self.kind == SiteKind::Folder).then_some(self.path.as_path())
    }
}
