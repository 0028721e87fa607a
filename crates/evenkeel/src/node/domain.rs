//! A security domain as configured: its sites, its trust, its keys.

use std::sync::Arc;

use evenkeel_vault::{
    Catalog, Janitor, Layout, OsRandom, Pin, Recipient, RootPublicKey, Site, Writer, WriterOptions,
    read_grants,
};

use crate::config::{Config, DomainConfig, FollowMode};
use crate::keyfile;
use crate::report::{Exit, Report, Result};
use crate::site_open::{folder_site, open_site};

/// Name of the domain, the first part of its objects' names.
pub(crate) const STATE: &str = "state";

/// Name of the domain of network metadata.
pub(crate) const NETWORK: &str = "network";

/// A domain.
pub(crate) struct Domain<'a> {
    name: &'static str,
    config: &'a Config,
    pub(crate) settings: &'a DomainConfig,
    pub(crate) trust: RootPublicKey,
    pub(crate) layout: Layout,
}

impl<'a> Domain<'a> {
    /// Reads what the configuration says about the state domain.
    pub(crate) fn of(config: &'a Config) -> Result<Self> {
        let settings = config.domains.state.as_ref().ok_or_else(|| {
            Report::new(Exit::Usage, "the configuration has no [domains.state]")
                .at(config.file.display().to_string())
                .safe("nothing was started")
                .next("evenkeel config show --reference   (shows a complete one)")
        })?;
        Self::with(config, settings, STATE)
    }

    /// Reads what the configuration says about the domain of network metadata.
    pub(crate) fn network(config: &'a Config) -> Result<Self> {
        let settings = config.domains.network.as_ref().ok_or_else(|| {
            Report::new(Exit::Usage, "the configuration has no [domains.network]")
                .at(config.file.display().to_string())
                .safe("nothing was started")
                .next(format!(
                    "evenkeel network protect network.toml --home {}",
                    config.home().display()
                ))
        })?;
        Self::with(config, settings, NETWORK)
    }

    fn with(config: &'a Config, settings: &'a DomainConfig, name: &'static str) -> Result<Self> {
        let trust = RootPublicKey::parse(&settings.root_public_key).map_err(Report::from)?;
        let layout = Layout::new(settings.data_shards, settings.sites.len())?;
        Ok(Self { name, config, settings, trust, layout })
    }

    /// The sites, in shard order. A folder that is gone answers with errors, not with an empty
    /// site: it is never made here.
    pub(crate) fn sites(&self) -> Vec<Arc<dyn Site>> {
        let sites = self.config.sites_of(self.settings);
        sites.map(|site| open_site(self.config, site)).collect()
    }

    /// Who may delete at the sites: only for capping the demonstration's disk use, and only where
    /// they are folders of this machine.
    pub(crate) fn janitors(&self) -> Vec<Arc<dyn Janitor>> {
        let folders = self.config.sites_of(self.settings).filter_map(folder_site);
        folders.map(|site| Arc::new(site) as Arc<dyn Janitor>).collect()
    }

    /// Reads the catalog.
    pub(crate) fn catalog(&self, pin: Option<Pin>) -> Result<Catalog> {
        let sites = self.sites();
        let mut catalog =
            Catalog::load(&sites, self.name, &self.trust, pin).map_err(Report::from)?;
        // What an interrupted deletion left of its records is neither there nor missing.
        if let Some(rule) = self.config.deletion.rule()? {
            catalog.forget_deleted(&read_grants(&sites, self.name), &rule);
        }
        Ok(catalog)
    }

    /// Opens the lineage for writing.
    pub(crate) fn writer(&self) -> Result<Writer> {
        let settings = self.settings;
        let parse = |text: &String| Recipient::parse(text).map_err(Report::from);
        let recipients = settings.recipients.iter().map(parse).collect::<Result<Vec<_>>>()?;
        let memory = self.config.host.data.join("vault");
        std::fs::create_dir_all(&memory)
            .map_err(|error| Report::io("make the folder", &memory, &error))?;
        let options = WriterOptions {
            layout: self.layout,
            period_seconds: u64::from(settings.key_period_hours) * 3600,
            self_contained_every: self.config.recovery.self_contained_every_points.into(),
            index_path: Some(memory.join("chunks.index")),
            state_path: Some(memory.join("writer.state")),
            takes_turns: self.config.standby.mode == FollowMode::Quorum,
            deletion: self.config.deletion.rule()?,
            ..WriterOptions::new(recipients)
        };
        Writer::open(
            self.sites(),
            &self.trust,
            keyfile::read_certificate(&settings.writer_certificate_file)?,
            keyfile::read_writer_key(&settings.writer_key_file)?,
            keyfile::read_chunk_id_key(&settings.chunk_id_key_file)?,
            options,
            Box::new(OsRandom),
        )
        .map_err(Report::from)
    }
}

/// Names the cluster in its journals: the domain's root key, which every lineage shares.
pub(crate) fn cluster_id(trust: &RootPublicKey) -> [u8; 16] {
    let hash = blake3::derive_key("evenkeel 2026 cluster id", trust.to_string().as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id
}
