//! A security domain as configured: its sites, its trust, its keys.

use std::sync::Arc;

use evenkeel_vault::{
    Catalog, Janitor, Layout, OsRandom, Pin, Recipient, RootPublicKey, Site, Writer, WriterOptions,
    read_grants,
};

use super::approvals::refuse_unapproved;
use crate::cli::DomainArg;
use crate::config::{Config, DomainConfig, DomainName, FollowMode};
use crate::keyfile;
use crate::report::{Exit, Report, Result};
use crate::site_open::{folder_site, open_site};

/// Name of the domain, the first part of its objects' names.
pub(crate) const STATE: &str = "state";

/// Name of the domain of network metadata.
pub(crate) const NETWORK: &str = "network";

/// A domain.
pub(crate) struct Domain<'a> {
    pub(crate) name: DomainName,
    pub(crate) config: &'a Config,
    pub(crate) settings: &'a DomainConfig,
    pub(crate) trust: RootPublicKey,
    pub(crate) layout: Layout,
}

impl<'a> Domain<'a> {
    /// Reads what the configuration says about the state domain.
    ///
    /// # Errors
    /// As [`Domain::named`].
    pub(crate) fn of(config: &'a Config) -> Result<Self> {
        Self::named(config, DomainName::State)
    }

    /// Reads what the configuration says about the domain of network metadata.
    ///
    /// # Errors
    /// As [`Domain::named`].
    pub(crate) fn network(config: &'a Config) -> Result<Self> {
        Self::named(config, DomainName::Network)
    }

    /// The domain that `--domain` names; where it names none, the kit's, else the state.
    ///
    /// # Errors
    /// As [`Domain::named`].
    pub(crate) fn chosen(config: &'a Config, wanted: DomainArg) -> Result<Self> {
        Self::named(config, chosen_name(config, wanted))
    }

    /// Reads what the configuration says about a domain.
    ///
    /// # Errors
    /// [`Exit::Usage`] if it says nothing of it, or if it is that of a kit of another domain.
    pub(crate) fn named(config: &'a Config, name: DomainName) -> Result<Self> {
        let settings = name.settings(config).ok_or_else(|| not_configured(config, name))?;
        let trust = RootPublicKey::parse(&settings.root_public_key).map_err(Report::from)?;
        let layout = Layout::new(settings.data_shards, settings.sites.len())?;
        Ok(Self { name, config, settings, trust, layout })
    }

    /// Its name, as its objects at the sites begin.
    pub(crate) fn name(&self) -> &'static str {
        self.name.word()
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
            Catalog::load(&sites, self.name.word(), &self.trust, pin).map_err(Report::from)?;
        // What an interrupted deletion left of its records is neither there nor missing.
        if let Some(rule) = self.config.deletion.rule()? {
            catalog.forget_deleted(&read_grants(&sites, self.name.word()), &rule);
        }
        Ok(catalog)
    }

    /// Opens the lineage for writing.
    pub(crate) fn writer(&self) -> Result<Writer> {
        let settings = self.settings;
        refuse_unapproved(self.config, self, &settings.recipients)?;
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

/// The name of the domain that a command is about.
pub(crate) fn chosen_name(config: &Config, wanted: DomainArg) -> DomainName {
    let of_kit = || match (&config.kit, &config.domains.state) {
        (Some(_), None) => DomainName::Network,
        _ => DomainName::State,
    };
    wanted.domain.unwrap_or_else(of_kit)
}

fn not_configured(config: &Config, name: DomainName) -> Report {
    if let Some(kit) = &config.kit {
        let other = DomainName::ALL.into_iter().find(|one| one.settings(config).is_some());
        let other = other.map_or("another", DomainName::word);
        let what = format!("this is a kit of the domain `{other}`; here one of `{name}` is needed");
        return Report::new(Exit::Usage, what)
            .at(kit.display().to_string())
            .safe("nothing was started")
            .next(format!(
                "evenkeel kit make{} --out DIR   (on the protected machine)",
                name.option()
            ))
            .next(match name {
                DomainName::State => {
                    "evenkeel network restore --kit KIT --identity FILE --to NEW   (what this \
                     one brings back)"
                }
                DomainName::Network => {
                    "evenkeel restore --kit KIT --identity FILE --to NEW   (what this one brings \
                     back)"
                }
            });
    }
    let report = Report::new(Exit::Usage, format!("the configuration has no [domains.{name}]"))
        .at(config.file.display().to_string())
        .safe("nothing was started");
    match name {
        DomainName::State => {
            report.next("evenkeel config show --reference   (shows a complete one)")
        }
        DomainName::Network => report.next(format!(
            "evenkeel network protect network.toml --home {}",
            config.home().display()
        )),
    }
}

/// Names the cluster in its journals: the domain's root key, which every lineage shares.
pub(crate) fn cluster_id(trust: &RootPublicKey) -> [u8; 16] {
    let hash = blake3::derive_key("evenkeel 2026 cluster id", trust.to_string().as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id
}
