//! What `evenkeel.toml` says. Every default stands here, once; `evenkeel.reference.toml` repeats
//! them with comments and a test compares the two.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::alerts::AlertsConfig;
use super::approvals::ApprovalsConfig;
use super::clients::ClientsConfig;
use super::deletion::DeletionConfig;
use super::drill::DrillConfig;
use super::files::{DatabaseConfig, FilesConfig};
use super::holders::HolderConfig;
use super::link::{LinkConfig, StandbyConfig};
use super::network::NetworkConfig;
use super::postgres::PostgresConfig;
use super::profile::Profile;
use super::quorum::QuorumConfig;
use super::site::{SiteConfig, SiteKind};
use super::slashing::SlashingConfig;
use crate::cli::Slot;

/// The effective configuration. After loading, every path is absolute.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What the whole promises; `config check` and every start enforce it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The protected machine.
    pub host: HostConfig,
    /// What drives the engine.
    pub venue: VenueConfig,
    /// The durable log.
    pub journal: JournalConfig,
    /// The security domains.
    pub domains: Domains,
    /// Every place that keeps sealed data.
    pub sites: Vec<SiteConfig>,
    /// Tail, recovery points and limits.
    pub recovery: RecoveryConfig,
    /// Files and folders that are backed up.
    pub files: FilesConfig,
    /// PostgreSQL clusters that are captured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub postgres: Vec<PostgresConfig>,
    /// Signing histories of validators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slashing: Vec<SlashingConfig>,
    /// Databases that are followed as they change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<DatabaseConfig>,
    /// How the outside is reached.
    pub network: NetworkConfig,
    /// Restore drills.
    pub drill: DrillConfig,
    /// Who is told, outside of this machine.
    pub alerts: AlertsConfig,
    /// The web page and the metrics.
    pub dashboard: DashboardConfig,
    /// What the demonstration does to itself.
    pub demo: DemoConfig,
    /// Where a primary serves standbys.
    pub link: LinkConfig,
    /// What a standby of this home follows.
    pub standby: StandbyConfig,
    /// The store that decides which of several hosts writes.
    pub quorum: QuorumConfig,
    /// Where clients on other machines come in.
    pub clients: ClientsConfig,
    /// Whose word allows deletions.
    pub deletion: DeletionConfig,
    /// Whose word exports, changes of recipients and promotions take.
    #[serde(skip_serializing_if = "ApprovalsConfig::is_empty")]
    pub approvals: ApprovalsConfig,
    /// The file this was read from; relative paths in it are relative to its folder.
    #[serde(skip)]
    pub file: PathBuf,
    /// The recovery kit that it was made of, if it was.
    #[serde(skip)]
    pub kit: Option<PathBuf>,
}

/// `[host]`: the protected machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostConfig {
    /// Folder for journal, snapshots, writer keys and the control socket.
    pub data: PathBuf,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { data: "host".into() }
    }
}

/// Where commands come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VenueSource {
    /// The seeded demonstration market.
    #[default]
    Demo,
    /// Nothing: this home protects files only.
    None,
}

/// `[venue]`: what drives the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VenueConfig {
    /// Where commands come from.
    pub source: VenueSource,
    /// Seed of the demonstration: the same seed gives the same market.
    pub seed: u64,
    /// Accounts of the demonstration.
    pub accounts: u32,
    /// Commands per second that the demonstration aims at.
    pub commands_per_second: u32,
    /// Rules of the engine that a primary moves the venue to, by an entry of the journal.
    pub rules: u32,
}

impl Default for VenueConfig {
    fn default() -> Self {
        Self {
            source: VenueSource::Demo,
            seed: 1,
            accounts: 300,
            commands_per_second: 2_500,
            rules: 2,
        }
    }
}

/// `[journal]`: the durable log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// Size of a preallocated segment file.
    pub segment_bytes: u64,
    /// Size of the segment kept for mode changes, cancels and withdrawals on a full disk.
    pub reserve_bytes: u64,
    /// Most entries in one frame, that is, behind one fdatasync.
    pub batch_max_entries: u32,
    /// How long the first entry of a batch waits for others, in microseconds.
    pub group_commit_wait_us: u32,
    /// How often the whole journal is read again to find what the disk lost; 0: never.
    pub scrub_every_hours: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            reserve_bytes: 8 << 20,
            batch_max_entries: 1_024,
            group_commit_wait_us: 500,
            scrub_every_hours: 24,
        }
    }
}

/// `[domains.*]`: what may fall together is one domain; two domains share nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Domains {
    /// Order books, positions, margin, history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<DomainConfig>,
    /// RPC endpoints, indexer logs, configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<DomainConfig>,
    /// Keys: on paper, metal and devices; never at an online site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<DomainConfig>,
}

impl Domains {
    /// The configured domains with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &DomainConfig)> {
        [("state", &self.state), ("network", &self.network), ("keys", &self.keys)]
            .into_iter()
            .filter_map(|(name, domain)| Some((name, domain.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut DomainConfig> {
        [&mut self.state, &mut self.network, &mut self.keys].into_iter().filter_map(Option::as_mut)
    }
}

/// One security domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DomainConfig {
    /// Names of `[[sites]]`, in shard order: append new ones at the end.
    pub sites: Vec<String>,
    /// k: how many sites bring everything back. n is the number of sites.
    pub data_shards: usize,
    /// age recipients of every key period: recovery, drill host.
    pub recipients: Vec<String>,
    /// The offline root's Ed25519 public key, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub root_public_key: String,
    /// The writer's signing key.
    #[serde(skip_serializing_if = "is_unset")]
    pub writer_key_file: PathBuf,
    /// What the root signed for that writer.
    #[serde(skip_serializing_if = "is_unset")]
    pub writer_certificate_file: PathBuf,
    /// The key of chunk ids; it opens nothing.
    #[serde(skip_serializing_if = "is_unset")]
    pub chunk_id_key_file: PathBuf,
    /// How long one data key encrypts, in hours; at most 24.
    pub key_period_hours: u32,
    /// Who stands behind the recipients, now and formerly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<HolderConfig>,
}

impl Default for DomainConfig {
    fn default() -> Self {
        Self {
            sites: Vec::new(),
            data_shards: 3,
            recipients: Vec::new(),
            root_public_key: String::new(),
            writer_key_file: PathBuf::new(),
            writer_certificate_file: PathBuf::new(),
            chunk_id_key_file: PathBuf::new(),
            key_period_hours: 24,
            holders: Vec::new(),
        }
    }
}

impl DomainConfig {
    /// The key files with the names of their settings.
    #[must_use]
    pub fn key_files(&self) -> [(&'static str, &Path); 3] {
        [
            ("writer_key_file", &self.writer_key_file),
            ("writer_certificate_file", &self.writer_certificate_file),
            ("chunk_id_key_file", &self.chunk_id_key_file),
        ]
    }
}

/// `[recovery]`: tail, recovery points and limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecoveryConfig {
    /// How often the journal's tail goes to the sites.
    pub tail_interval_ms: u64,
    /// A recovery point after this many seconds …
    pub point_every_seconds: u64,
    /// … or this many entries, whichever comes first.
    pub point_every_entries: u64,
    /// Every how many points one stands alone, without packs of earlier periods.
    pub self_contained_every_points: u32,
    /// How much unshipped tail may wait for a site before the venue goes cancel-only.
    pub spool_limit_bytes: u64,
    /// How many snapshots stay on the host.
    pub snapshot_keep: u32,
    /// How much the whole home may use; oldest tails and points go first. 0: no limit.
    pub disk_limit_bytes: u64,
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self {
            tail_interval_ms: 500,
            point_every_seconds: 15,
            point_every_entries: 250_000,
            self_contained_every_points: 60,
            spool_limit_bytes: 256 << 20,
            snapshot_keep: 2,
            disk_limit_bytes: 5 << 30,
        }
    }
}

/// `[dashboard]`: the web page and the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DashboardConfig {
    /// Where it listens; `off` switches it off.
    pub bind: DashboardBind,
    /// Holds the token that a bind elsewhere than on loopback needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

impl Default for DashboardConfig {
    fn default() -> Self {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7171);
        Self { bind: DashboardBind(Some(address)), token_file: None }
    }
}

/// `[demo]`: what the demonstration does to itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DemoConfig {
    /// Its primary is killed this often, so that the standby takes over. 0: never.
    pub failover_every_minutes: u32,
}

impl Default for DemoConfig {
    fn default() -> Self {
        Self { failover_every_minutes: 5 }
    }
}

/// An address, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DashboardBind(pub Option<SocketAddr>);

impl std::str::FromStr for DashboardBind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address))).map_err(|_| {
            format!("`{text}` is neither an address such as `127.0.0.1:7171` nor `off`")
        })
    }
}

impl TryFrom<String> for DashboardBind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DashboardBind> for String {
    fn from(bind: DashboardBind) -> Self {
        bind.to_string()
    }
}

impl std::fmt::Display for DashboardBind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("off"),
        }
    }
}

fn is_unset(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

impl Config {
    /// The folder of the configuration file: all relative paths start here.
    #[must_use]
    pub fn home(&self) -> &Path {
        match self.file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// What `backup` keeps on the host: all of it can be lost.
    #[must_use]
    pub fn files_dir(&self) -> PathBuf {
        self.host.data.join("files")
    }

    /// What is captured of a PostgreSQL cluster, on this host alone.
    #[must_use]
    pub fn postgres_dir(&self, name: &str) -> PathBuf {
        self.host.data.join("postgres").join(name)
    }

    /// What recovery points take of it.
    #[must_use]
    pub fn postgres_points_dir(&self, name: &str) -> PathBuf {
        self.home().join("postgres").join(name)
    }

    /// Captured signing histories, which recovery points of files take.
    #[must_use]
    pub fn slashing_dir(&self) -> PathBuf {
        self.home().join("slashing")
    }

    /// What was captured of followed databases, until the sites have it and longer.
    #[must_use]
    pub fn live_dir(&self) -> PathBuf {
        self.host.data.join("live")
    }

    /// What the network's domain keeps on the host: all of it can be lost.
    #[must_use]
    pub fn network_dir(&self) -> PathBuf {
        self.host.data.join("network")
    }

    /// The journal's folder.
    #[must_use]
    pub fn journal_dir(&self) -> PathBuf {
        self.host.data.join("journal")
    }

    /// Where snapshots lie on the host.
    #[must_use]
    pub fn snapshots_dir(&self) -> PathBuf {
        self.host.data.join("snapshots")
    }

    /// The running daemon's control socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.host.data.join("control.sock")
    }

    /// The recovery identity, where `init` puts it and where it must not stay.
    #[must_use]
    pub fn recovery_identity_file(&self) -> PathBuf {
        self.home().join("recovery-identity.txt")
    }

    /// The network's, likewise.
    #[must_use]
    pub fn network_recovery_identity_file(&self) -> PathBuf {
        self.home().join("network-recovery-identity.txt")
    }

    /// What drills open the network's versions with.
    #[must_use]
    pub fn network_drill_identity_file(&self) -> PathBuf {
        self.drill.home.join("network-identity.txt")
    }

    /// Whether the network is all that is protected here.
    #[must_use]
    pub fn protects_network_alone(&self) -> bool {
        let Self { venue, files, databases, postgres, slashing, domains, .. } = self;
        let nothing_else = files.paths.is_empty()
            && databases.is_empty()
            && postgres.is_empty()
            && slashing.is_empty();
        venue.source == VenueSource::None && nothing_else && domains.network.is_some()
    }

    /// The control socket of one of a keeper's processes.
    #[must_use]
    pub fn control_socket_of(&self, slot: Slot) -> PathBuf {
        self.host.data.join(format!("control-{slot}.sock"))
    }

    /// Where a process takes its clients' requests: alone, or as one of a keeper's.
    #[must_use]
    pub fn clients_socket(&self, slot: Option<Slot>) -> PathBuf {
        let name = slot.map_or("clients.sock".to_owned(), |slot| format!("clients-{slot}.sock"));
        self.host.data.join(name)
    }

    /// A site by its name.
    #[must_use]
    pub fn site(&self, name: &str) -> Option<&SiteConfig> {
        self.sites.iter().find(|site| site.name == name)
    }

    /// The sites of a domain in shard order; names without a site are left out (the rules refuse
    /// such a configuration before anything is started).
    pub fn sites_of<'a>(
        &'a self,
        domain: &'a DomainConfig,
    ) -> impl Iterator<Item = &'a SiteConfig> + 'a {
        domain.sites.iter().filter_map(|name| self.site(name))
    }

    /// Makes every path absolute against the configuration file's folder.
    pub(super) fn resolve_paths(&mut self) {
        let home = std::path::absolute(self.home()).unwrap_or_else(|_| self.home().to_owned());
        let resolve = |path: &mut PathBuf| {
            if !is_unset(path) {
                *path = home.join(&*path);
            }
        };
        resolve(&mut self.host.data);
        resolve(&mut self.files.writer_key_file);
        resolve(&mut self.files.writer_certificate_file);
        resolve(&mut self.files.live_writer_key_file);
        resolve(&mut self.files.live_writer_certificate_file);
        self.files.paths.iter_mut().for_each(resolve);
        for one in &mut self.postgres {
            one.password_file.iter_mut().for_each(resolve);
            one.programs.iter_mut().for_each(resolve);
        }
        self.slashing.iter_mut().filter_map(|one| one.file.as_mut()).for_each(resolve);
        self.databases.iter_mut().map(|one| &mut one.path).for_each(resolve);
        resolve(&mut self.network.document);
        resolve(&mut self.drill.home);
        resolve(&mut self.drill.identity_file);
        resolve(&mut self.drill.report_key_file);
        self.drill.scratch.iter_mut().for_each(resolve);
        self.alerts.deadman_url_file.iter_mut().for_each(resolve);
        self.alerts.webhook_url_file.iter_mut().for_each(resolve);
        self.alerts.certificate_file.iter_mut().for_each(resolve);
        for check in &mut self.drill.checks {
            resolve(&mut check.path);
            if !check.source.is_empty() && check.postgres().is_none() {
                check.source = home.join(&check.source).display().to_string();
            }
        }
        self.dashboard.token_file.iter_mut().for_each(resolve);
        self.standby.identity_file.iter_mut().for_each(resolve);
        let Self { quorum, .. } = self;
        let files = [
            &mut quorum.ca_file,
            &mut quorum.certificate_file,
            &mut quorum.key_file,
            &mut quorum.password_file,
        ];
        files.into_iter().flatten().for_each(resolve);
        for domain in self.domains.iter_mut() {
            resolve(&mut domain.writer_key_file);
            resolve(&mut domain.writer_certificate_file);
            resolve(&mut domain.chunk_id_key_file);
        }
        for site in &mut self.sites {
            if site.kind == SiteKind::Folder {
                resolve(&mut site.path);
            }
            site.credential_file.iter_mut().for_each(resolve);
            site.read_credential_file.iter_mut().for_each(resolve);
            site.certificate_file.iter_mut().for_each(resolve);
        }
    }
}
