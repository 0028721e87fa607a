//! Configurations of the strategy profiles: real ones, which `config check` enforces.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::data_shards;
use super::{KEYS_RECOVERY, now_ns};
use crate::config::{Profile, SiteConfig};
use crate::config_text::{quoted, set, set_in};
use crate::keyfile;
use crate::report::{Exit, Report, Result};

/// What a profile's configuration begins with.
#[derive(Debug, Clone)]
pub struct ProfileOptions {
    /// Which.
    pub profile: Profile,
    /// A file with `[[sites]]`, for those that spread state.
    pub sites: Option<PathBuf>,
    /// Public keys of those who approve deletions.
    pub approvers: Vec<String>,
}

/// Sites as they stand in a configuration.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sites {
    sites: Vec<SiteConfig>,
}

impl ProfileOptions {
    /// What is missing is better said before anything is laid out.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |why: &str, next: &str| {
            Err(Report::new(Exit::Usage, format!("profile {}: {why}", self.profile.name()))
                .safe("nothing was laid out")
                .next(next))
        };
        let spreads = self.profile != Profile::AirGapped;
        if spreads && self.sites.is_none() {
            return refuse(
                "it needs sites that are apart, and none were named",
                "evenkeel init --profile … --sites sites.toml   (docs/profiles.md has one)",
            );
        }
        if self.profile == Profile::Multisig && self.approvers.len() < 2 {
            return refuse(
                "it needs two approvers of deletions at least",
                "evenkeel prune key --out FILE prints a public key: --approver KEY --approver KEY",
            );
        }
        self.read_sites().map(drop)
    }

    fn read_sites(&self) -> Result<Option<Vec<SiteConfig>>> {
        let Some(file) = &self.sites else {
            return Ok(None);
        };
        let failed = |error: std::io::Error| Report::io("read the sites", file, &error);
        let text = fs::read_to_string(file).map_err(failed)?;
        let sites: Sites = toml::from_str(&text).map_err(|error| {
            Report::new(Exit::Usage, "these are no sites")
                .at(file.display().to_string())
                .detail(error.to_string())
                .safe("nothing was laid out")
                .next("[[sites]] tables as in a configuration; docs/profiles.md has some")
        })?;
        Ok(Some(sites.sites))
    }

    /// Turns the text of a home's configuration into this profile's.
    pub(super) fn apply(&self, text: &mut String, home: &Path) -> Result<()> {
        set(text, "#profile =", &format!("profile = \"{}\"", self.profile.name()));
        if let Some(sites) = self.read_sites()? {
            lay_out_sites(text, sites, self.sites.as_deref())?;
        }
        if self.profile == Profile::AirGapped {
            keys_domain(text, home)?;
        }
        if !self.approvers.is_empty() {
            let keys: Vec<String> = self.approvers.iter().map(|key| quoted(key)).collect();
            let line = format!("approvers = [{}]", keys.join(", "));
            set_in(text, "[deletion]", "approvers =", &line);
        }
        Ok(())
    }
}

fn lay_out_sites(text: &mut String, mut sites: Vec<SiteConfig>, file: Option<&Path>) -> Result<()> {
    // Relative to the file that names them, as in a configuration.
    let base = file.and_then(Path::parent).filter(|base| !base.as_os_str().is_empty());
    let base = base.unwrap_or(Path::new("."));
    let base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
    for site in &mut sites {
        let paths = [&mut site.credential_file, &mut site.read_credential_file];
        for path in paths.into_iter().chain([&mut site.certificate_file]).flatten() {
            *path = base.join(&*path);
        }
        if !site.path.as_os_str().is_empty() {
            site.path = base.join(&site.path);
        }
    }
    let names: Vec<String> = sites.iter().map(|site| quoted(&site.name)).collect();
    set_in(text, "[domains.state]", "sites =", &format!("sites = [{}]", names.join(", ")));
    let k = format!("data_shards = {}", data_shards(sites.len()));
    set_in(text, "[domains.state]", "data_shards =", &k);
    let written = toml::to_string(&Sites { sites }).map_err(|error| {
        Report::new(Exit::Usage, format!("the sites cannot be written as TOML: {error}"))
    })?;
    let begin = text.find("\n[[sites]]\n").map(|at| at + 1);
    let end = text.find("\n# --- Tail").map(|at| at + 1);
    if let (Some(begin), Some(end)) = (begin, end) {
        text.replace_range(begin..end, &format!("{written}\n"));
    }
    Ok(())
}

/// A domain for keys, whose recovery identity is made here and has to leave at once.
fn keys_domain(text: &mut String, home: &Path) -> Result<()> {
    let recovery =
        evenkeel_vault::RecoveryIdentity::generate("keys", &mut evenkeel_vault::OsRandom)?;
    keyfile::write_recovery_identity(&home.join(KEYS_RECOVERY), &recovery)?;
    let since = crate::cli::format_time_ns(now_ns());
    text.push_str(&format!(
        "\n# Keys live on paper, metal and devices: this domain names no site, ever.\n\
         [domains.keys]\nsites = []\nrecipients = [\n    \"{recipient}\", # keys recovery\n]\n\
         root_public_key = \"{root}\"\n\n[[domains.keys.holders]]\nrecipient = \"{recipient}\"\n\
         label = \"keys recovery\"\nrole = \"recovery\"\nsince = \"{since}\"\n\
         kept_at = \"{KEYS_RECOVERY}\"\n",
        recipient = recovery.recipient(),
        root = recovery.root_public(),
    ));
    Ok(())
}
