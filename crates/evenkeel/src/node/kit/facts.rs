//! What a recovery kit says, and how it is read back from paper, page or text.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::domain::Domain;
use crate::config::{
    ApprovalsConfig, Config, DomainConfig, DomainName, Domains, HolderConfig, SiteConfig,
    VenueConfig,
};
use crate::keyfile::hex;
use crate::report::{Exit, Report, Result};

pub(super) const BEGIN: &str = "-----BEGIN EVENKEEL RECOVERY KIT-----";
pub(super) const END: &str = "-----END EVENKEEL RECOVERY KIT-----";
const CHECK: &str = "# check: ";
/// Programs before kits of other domains read the first alone, and took each for one of the state.
const FORMATS: [(DomainName, u32); 2] = [(DomainName::State, 1), (DomainName::Network, 2)];
/// A kit is a few pages.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The part of a kit that programs read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kit {
    pub(super) format: u32,
    pub(super) domain: String,
    /// When, RFC 3339 UTC.
    pub(super) made: String,
    /// The home it was made from.
    pub(super) made_from: String,
    /// Version of the program.
    pub(super) version: String,
    /// BLAKE3 of the program that made it.
    pub(super) program_blake3: String,
    pub(super) root_public_key: String,
    pub(super) report_public_key: String,
    pub(super) data_shards: usize,
    pub(super) sites_in_order: Vec<String>,
    pub(super) recipients: Vec<String>,
    /// What is protected: paths, databases, servers.
    pub(super) protected: Vec<String>,
    /// The last restore that a drill has proven; empty if there is none.
    pub(super) last_proven: String,
    #[serde(default)]
    pub(super) lineages: Vec<KitLineage>,
    #[serde(default)]
    pub(super) holders: Vec<HolderConfig>,
    pub(super) venue: VenueConfig,
    #[serde(default, skip_serializing_if = "ApprovalsConfig::is_empty")]
    pub(super) approvals: ApprovalsConfig,
    pub(super) sites: Vec<SiteConfig>,
    #[serde(default)]
    pub(super) read_credentials: Vec<ReadCredential>,
}

/// A lineage when the kit was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KitLineage {
    pub(super) lineage: String,
    /// `venue`, `files`, `live` or `network`.
    pub(super) holds: String,
    pub(super) issued: String,
    pub(super) newest_point: String,
}

/// What reads a site, and cannot write there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadCredential {
    pub(super) site: String,
    pub(super) text: String,
}

impl Kit {
    /// What the configuration says.
    pub(super) fn of(config: &Config, domain: &Domain<'_>) -> Self {
        let settings = domain.settings;
        let format = FORMATS.iter().find(|(name, _)| *name == domain.name);
        Self {
            format: format.map_or(0, |(_, format)| *format),
            domain: domain.name.word().to_owned(),
            made_from: config.home().display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            root_public_key: settings.root_public_key.clone(),
            report_public_key: config.drill.report_public_key.clone(),
            data_shards: settings.data_shards,
            sites_in_order: settings.sites.clone(),
            recipients: settings.recipients.clone(),
            protected: protected(config, domain.name),
            holders: settings.holders.clone(),
            venue: match domain.name {
                DomainName::State => config.venue.clone(),
                DomainName::Network => VenueConfig::default(),
            },
            approvals: config.approvals.clone(),
            sites: config.sites_of(settings).cloned().collect(),
            ..Self::default()
        }
    }

    /// The domain it is of; a kit that was read has one.
    pub(super) fn name_of_domain(&self) -> DomainName {
        DomainName::of_word(&self.domain).unwrap_or_default()
    }

    /// As text between its markers, with a check value against slips of whoever copies it.
    pub(super) fn to_text(&self) -> Result<String> {
        let toml = toml::to_string(self).map_err(|error| {
            Report::new(Exit::Failed, format!("the kit cannot be written as TOML: {error}"))
        })?;
        Ok(format!("{BEGIN}\n{}\n{CHECK}{}\n{END}\n", toml.trim_end(), check_value(&toml)))
    }

    /// The first digits of the hash of what it says.
    pub(crate) fn name(&self) -> String {
        toml::to_string(self).map(|toml| check_value(&toml)[..8].to_owned()).unwrap_or_default()
    }

    /// Reads a kit from a text or a page.
    ///
    /// # Errors
    /// [`Exit::NothingYet`] if there is no such file; [`Exit::Usage`] if it is no kit.
    pub(crate) fn read(file: &Path) -> Result<ReadKit> {
        let failed = |error: std::io::Error| Report::io("read the kit", file, &error);
        let found = std::fs::metadata(file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Report::new(Exit::NothingYet, "there is no such kit")
                .at(file.display().to_string())
                .next("evenkeel kit make --out DIR   (on the protected machine)"),
            _ => failed(error),
        })?;
        if !found.is_file() || found.len() > FILE_BYTES_MAX {
            return Err(no_kit(file, "it is no file of a few pages"));
        }
        let text = String::from_utf8_lossy(&std::fs::read(file).map_err(failed)?).into_owned();
        Self::parse(&text).map_err(|why| no_kit(file, &why))
    }

    pub(super) fn parse(text: &str) -> Result<ReadKit, String> {
        let begin = text.find(BEGIN).ok_or_else(|| format!("the line {BEGIN} is missing"))?;
        let end = text.find(END).filter(|end| *end > begin);
        let end = end.ok_or_else(|| format!("the line {END} is missing: its end was lost"))?;
        let mut inner = text[begin + BEGIN.len()..end].to_owned();
        if text[..begin].contains("<pre") {
            inner = unescaped(&inner);
        }
        let stated = inner.lines().find_map(|line| line.trim().strip_prefix(CHECK));
        let kit: Self = toml::from_str(&inner).map_err(|error| error.to_string())?;
        let known = FORMATS.iter().find(|(name, _)| name.word() == kit.domain);
        match known {
            None => return Err(format!("it is of the domain `{}`, unknown here", kit.domain)),
            Some((_, format)) if *format != kit.format => {
                return Err(format!("its format is {}; this program reads {format}", kit.format));
            }
            Some(_) => {}
        }
        let lines = inner.lines().filter(|line| !line.trim().starts_with('#'));
        let body: String = lines.map(|line| format!("{line}\n")).collect();
        let intact = stated == Some(check_value(&body).as_str());
        Ok(ReadKit { kit, intact })
    }

    /// The configuration that reading with this kit needs, at home in `work`.
    pub(super) fn config(&self, work: &Path) -> Config {
        let domain = DomainConfig {
            sites: self.sites_in_order.clone(),
            data_shards: self.data_shards,
            recipients: self.recipients.clone(),
            root_public_key: self.root_public_key.clone(),
            holders: self.holders.clone(),
            ..DomainConfig::default()
        };
        let domains = match self.name_of_domain() {
            DomainName::State => Domains { state: Some(domain), ..Domains::default() },
            DomainName::Network => Domains { network: Some(domain), ..Domains::default() },
        };
        let mut config = Config {
            domains,
            sites: self.sites.clone(),
            venue: self.venue.clone(),
            approvals: ApprovalsConfig { from_kit: true, ..self.approvals.clone() },
            ..Config::default()
        };
        config.drill.report_public_key.clone_from(&self.report_public_key);
        config.placed(work.join(crate::config::FILE_NAME))
    }

    /// What differs in `other`, which is of today.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, mine: &str, theirs: &str| {
            if mine != theirs {
                found.push(format!("{what}: the kit says `{mine}`, now it is `{theirs}`"));
            }
        };
        compare("domain", &self.domain, &other.domain);
        compare("root public key", &self.root_public_key, &other.root_public_key);
        compare("report public key", &self.report_public_key, &other.report_public_key);
        let of = |kit: &Self| format!("{} of {}", kit.data_shards, kit.sites_in_order.len());
        compare("k of n", &of(self), &of(other));
        compare("sites", &self.sites_in_order.join(", "), &other.sites_in_order.join(", "));
        compare("version of the program", &self.version, &other.version);
        for site in &other.sites {
            if let Some(mine) = self.sites.iter().find(|mine| mine.name == site.name) {
                compare(&format!("site {}", site.name), &mine.location(), &site.location());
            }
        }
        if self.approvals != other.approvals {
            found.push("who has to approve what is another now".to_owned());
        }
        for recipient in other.recipients.iter().filter(|one| !self.recipients.contains(one)) {
            found.push(format!("recipient {recipient} is not in the kit"));
        }
        for recipient in self.recipients.iter().filter(|one| !other.recipients.contains(one)) {
            found.push(format!("recipient {recipient} in the kit is one no more"));
        }
        for holder in &other.holders {
            let mine = self.holders.iter().find(|mine| mine.recipient == holder.recipient);
            if mine.is_some_and(|mine| mine.kept_at != holder.kept_at) {
                found.push(format!("the identity of {} is kept elsewhere now", holder.label));
            }
        }
        for what in other.protected.iter().filter(|one| !self.protected.contains(one)) {
            found.push(format!("{what} is protected since"));
        }
        let known =
            |lineage: &KitLineage| self.lineages.iter().any(|mine| mine.lineage == lineage.lineage);
        for lineage in other.lineages.iter().filter(|lineage| !known(lineage)) {
            found.push(format!("lineage {} began since", lineage.lineage));
        }
        found
    }
}

/// What the domain protects, as people call it.
fn protected(config: &Config, name: DomainName) -> Vec<String> {
    if name == DomainName::Network {
        let document = config.network.is_set().then(|| config.network.document.display());
        return document.map(|document| format!("network:{document}")).into_iter().collect();
    }
    let paths = config.files.paths.iter().map(|path| path.display().to_string());
    let databases = config.databases.iter().map(|one| one.path.display().to_string());
    let servers = config.postgres.iter().map(|one| format!("postgres:{}", one.name));
    paths.chain(databases).chain(servers).collect()
}

/// A kit as it was read.
pub(crate) struct ReadKit {
    pub(crate) kit: Kit,
    /// Whether it is word for word what was made.
    pub(crate) intact: bool,
}

fn no_kit(file: &Path, why: &str) -> Report {
    Report::new(Exit::Usage, "this is no recovery kit, or a damaged one")
        .at(file.display().to_string())
        .detail(why)
        .safe("nothing was changed")
        .next("copy everything from the BEGIN line to the END line, character by character")
}

/// Over the lines with their ends trimmed: what printing and copying does not change.
fn check_value(toml: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    for line in toml.lines().map(str::trim).filter(|line| !line.is_empty()) {
        hasher.update(line.as_bytes()).update(b"\n");
    }
    hex(&hasher.finalize().as_bytes()[..8])
}

/// For a page.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::{InitOptions, init_home};

    fn kit() -> (tempfile::TempDir, Kit) {
        let folder = tempfile::tempdir().unwrap();
        let config = init_home(&folder.path().join("home"), &InitOptions::default()).unwrap();
        let mut kit = Kit::of(&config, &Domain::of(&config).unwrap());
        kit.protected = vec!["/srv/<odd> & \"quoted\"".to_owned()];
        (folder, kit)
    }

    #[test]
    fn a_kit_reads_back_from_a_text_and_from_a_page() {
        let (_folder, kit) = kit();
        let text = kit.to_text().unwrap();
        let read = Kit::parse(&format!("words before\n\n{text}\nand after")).unwrap();
        assert!(read.intact && read.kit == kit);
        let page = format!("<html><body><pre>{}</pre></body></html>", escaped(&text));
        let read = Kit::parse(&page).unwrap();
        assert!(read.intact && read.kit == kit);
        // Printing and copying change spaces at the ends of lines, and nothing else.
        let spaced = text.replace('\n', "  \r\n");
        assert!(Kit::parse(&spaced).unwrap().intact);
    }

    #[test]
    fn a_kit_that_was_changed_says_so_and_one_without_its_end_is_none() {
        let (_folder, kit) = kit();
        let text = kit.to_text().unwrap();
        let read = Kit::parse(&text.replacen("/sites/site-a", "/media/site-a", 1)).unwrap();
        assert!(!read.intact);
        assert_eq!(read.kit.differences(&kit).len(), 1);
        let cut = text.split(END).next().unwrap();
        assert!(Kit::parse(cut).is_err_and(|why| why.contains("its end was lost")));
        assert!(Kit::parse("nothing").is_err());
    }

    #[test]
    fn a_kit_holds_no_secret_unless_it_is_told_to() {
        let (folder, kit) = kit();
        let text = kit.to_text().unwrap();
        assert!(!text.contains("SECRET") && !text.contains("ROOT-KEY"));
        let recovery = folder.path().join("home/recovery-identity.txt");
        for line in std::fs::read_to_string(recovery).unwrap().lines() {
            assert!(line.starts_with('#') || !text.contains(line));
        }
        assert_eq!(kit.differences(&kit), Vec::<String>::new());
    }
}
