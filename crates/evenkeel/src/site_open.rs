//! From a site of the configuration to one that can be asked, and what a probe has shown of it.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_sites::{
    Bandwidth, CredentialSource, Endpoint, IpfsJanitor, IpfsSettings, IpfsSite, Lock,
    ObjectJanitor, ObjectSite, Patience, S3Settings, SettingsError, UnusableSite, WebDavSettings,
    check_site_name,
};
use evenkeel_vault::{FolderSite, Janitor, Site, SiteClass};
use serde::{Deserialize, Serialize};

use crate::config::{BandwidthConfig, Config, SiteClassName, SiteConfig, SiteKind};
use crate::documents::{ProbeDocument, SiteClass as ClassDocument};
use crate::report::{Report, Result};

/// A store that has no regions takes any word; this is the one that tools use.
const REGION: &str = "us-east-1";

/// A site as the configuration names it; nothing is touched until it is used. One that cannot be
/// reached with its settings answers everything with the reason: it counts as lost, no more.
#[must_use]
pub fn open_site(config: &Config, site: &SiteConfig) -> Arc<dyn Site> {
    let opened = open_near(config, site);
    #[cfg(debug_assertions)]
    let opened = crate::site_far::far(opened);
    opened
}

fn open_near(config: &Config, site: &SiteConfig) -> Arc<dyn Site> {
    let shown = shown(config, site);
    let opened = match site.kind {
        SiteKind::Folder => {
            return Arc::new(FolderSite::new(&site.name, site.location(), &site.path));
        }
        SiteKind::S3 => {
            s3_settings(site, &shown).and_then(|settings| ObjectSite::s3(&site.name, &settings))
        }
        SiteKind::WebDav => web_dav_settings(site, shown.conditional_put)
            .and_then(|settings| ObjectSite::web_dav(&site.name, &settings)),
        SiteKind::Ipfs => {
            return match open_ipfs(site) {
                Ok(opened) => Arc::new(opened),
                Err(why) => Arc::new(UnusableSite::new(&site.name, site.location(), &why)),
            };
        }
    };
    match opened {
        Ok(opened) => Arc::new(opened.with_class(class_of(config, site))),
        Err(why) => Arc::new(UnusableSite::new(&site.name, site.location(), &why)),
    }
}

/// Who may delete at a site; none if it cannot be reached with its settings.
#[must_use]
pub fn open_janitor(config: &Config, site: &SiteConfig) -> Option<Arc<dyn Janitor>> {
    let shown = shown(config, site);
    let opened = match site.kind {
        SiteKind::Folder => return Some(Arc::new(folder_site(site)?)),
        SiteKind::S3 => {
            s3_settings(site, &shown).and_then(|settings| ObjectJanitor::s3(&site.name, &settings))
        }
        SiteKind::WebDav => web_dav_settings(site, shown.conditional_put)
            .and_then(|settings| ObjectJanitor::web_dav(&site.name, &settings)),
        SiteKind::Ipfs => {
            let opened =
                ipfs_settings(site).and_then(|settings| IpfsJanitor::new(&site.name, &settings));
            return Some(Arc::new(opened.ok()?));
        }
    };
    Some(Arc::new(opened.ok()?))
}

/// The folder of a site that is one.
#[must_use]
pub fn folder_site(site: &SiteConfig) -> Option<FolderSite> {
    site.folder().map(|folder| FolderSite::new(&site.name, site.location(), folder))
}

/// How a bucket is reached.
///
/// # Errors
/// [`SettingsError`] if it cannot be, with these settings.
pub(crate) fn s3_settings(
    site: &SiteConfig,
    shown: &Shown,
) -> std::result::Result<S3Settings, SettingsError> {
    let credential = credential(site).ok_or_else(|| {
        SettingsError::Client("set its credential_file or credential_variable".to_owned())
    })?;
    check_site_name("bucket", &site.bucket)?;
    check_site_name("prefix", &site.prefix)?;
    let region = if site.region.is_empty() { REGION } else { &site.region };
    Ok(S3Settings {
        endpoint: Endpoint::parse(&site.endpoint, site.allow_http)?,
        region: region.to_owned(),
        bucket: site.bucket.clone(),
        prefix: site.prefix.clone(),
        credential,
        certificates: site.certificate_file.clone(),
        conditional_put: shown.conditional_put,
        versions: shown.versions,
        lock: shown.lock.clone(),
        patience: Patience::default(),
        bandwidth: bandwidth(site)?,
    })
}

/// How a folder of a WebDAV server is reached.
///
/// # Errors
/// As [`s3_settings`].
pub(crate) fn web_dav_settings(
    site: &SiteConfig,
    conditional_put: bool,
) -> std::result::Result<WebDavSettings, SettingsError> {
    for (name, value) in [("bucket", &site.bucket), ("prefix", &site.prefix)] {
        if !value.is_empty() {
            return Err(SettingsError::Client(format!(
                "a WebDAV site has no {name}: write the folder into its endpoint"
            )));
        }
    }
    Ok(WebDavSettings {
        endpoint: Endpoint::parse(&site.endpoint, site.allow_http)?,
        credential: credential(site),
        certificates: site.certificate_file.clone(),
        conditional_put,
        patience: Patience::default(),
        bandwidth: bandwidth(site)?,
    })
}

/// Whether a site beyond this machine could be reached with its settings. Sends nothing and
/// reads no credential.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_settings(site: &SiteConfig) -> std::result::Result<(), SettingsError> {
    match site.kind {
        SiteKind::Folder => Ok(()),
        SiteKind::S3 => s3_settings(site, &Shown::default()).map(drop),
        SiteKind::WebDav => web_dav_settings(site, false).map(drop),
        SiteKind::Ipfs => ipfs_settings(site).map(drop),
    }
}

/// How a node of IPFS is reached, and its peers.
///
/// # Errors
/// As [`s3_settings`].
pub(crate) fn ipfs_settings(site: &SiteConfig) -> std::result::Result<IpfsSettings, SettingsError> {
    for (name, value) in [("bucket", &site.bucket), ("region", &site.region)] {
        if !value.is_empty() {
            return Err(SettingsError::Client(format!("an IPFS site has no {name}")));
        }
    }
    check_site_name("prefix", &site.prefix)?;
    let peers = site.peers.iter().map(|peer| Endpoint::parse(peer, site.allow_http));
    Ok(IpfsSettings {
        endpoint: Endpoint::parse(&site.endpoint, site.allow_http)?,
        prefix: site.prefix.clone(),
        peers: peers.collect::<std::result::Result<_, _>>()?,
        credential: credential(site),
        certificates: site.certificate_file.clone(),
        patience: Patience::default(),
        bandwidth: bandwidth(site)?,
    })
}

/// A node of IPFS as a site.
///
/// # Errors
/// As [`s3_settings`].
pub(crate) fn open_ipfs(site: &SiteConfig) -> std::result::Result<IpfsSite, SettingsError> {
    ipfs_settings(site).and_then(|settings| IpfsSite::new(&site.name, &settings))
}

fn bandwidth(site: &SiteConfig) -> std::result::Result<Bandwidth, SettingsError> {
    let least = Bandwidth::MIN_BYTES_PER_SECOND;
    let bound = |way: &str, rate: Option<u64>| match rate {
        Some(rate) if rate < least => Err(SettingsError::Client(format!(
            "bandwidth_bytes_per_second.{way} = {rate}: with less than {least} it could not keep \
             its deadlines"
        ))),
        rate => Ok(rate.and_then(NonZeroU64::new)),
    };
    let BandwidthConfig { up, down } = site.bandwidth_bytes_per_second;
    Ok(Bandwidth {
        up_bytes_per_second: bound("up", up)?,
        down_bytes_per_second: bound("down", down)?,
    })
}

fn credential(site: &SiteConfig) -> Option<CredentialSource> {
    let variable = &site.credential_variable;
    match &site.credential_file {
        Some(file) => Some(CredentialSource::File(file.clone())),
        None if variable.is_empty() => None,
        None => Some(CredentialSource::Variable(variable.clone())),
    }
}

/// What the last probe has shown of a site; nothing, if there was none or it was elsewhere then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// It refused whatever takes something away, or keeps and locks what was written first.
    pub append_only: bool,
    /// It keeps what was written first, and locks it.
    pub immutable: bool,
    /// It refused a put under a condition that did not hold.
    pub conditional_put: bool,
    /// It keeps what is overwritten as versions.
    pub versions: bool,
    /// What it locks new objects with.
    pub lock: Option<Lock>,
}

/// A probe's finding, as it is kept beside the vault's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Finding {
    /// Where the site was.
    location: String,
    /// With which credential; another one may have other rights.
    credential: String,
    probe: ProbeDocument,
}

fn finding_file(config: &Config, site: &SiteConfig) -> PathBuf {
    config.host.data.join("vault").join("probes").join(format!("{}.json", site.name))
}

fn credential_name(site: &SiteConfig) -> String {
    credential(site).map(|source| source.to_string()).unwrap_or_default()
}

/// What the last probe has shown.
#[must_use]
pub fn shown(config: &Config, site: &SiteConfig) -> Shown {
    let Ok(text) = std::fs::read(finding_file(config, site)) else {
        return Shown::default();
    };
    let Ok(finding) = serde_json::from_slice::<Finding>(&text) else {
        return Shown::default();
    };
    if finding.location != site.location() || finding.credential != credential_name(site) {
        return Shown::default();
    }
    let probe = finding.probe;
    let lock = probe.lock_mode.zip(probe.lock_seconds);
    Shown {
        append_only: probe.class_shown != ClassDocument::Mutable,
        immutable: probe.class_shown == ClassDocument::Immutable,
        conditional_put: probe.conditional_put == Some(true),
        versions: probe.versions == Some(true),
        lock: lock.map(|(mode, seconds)| Lock { mode, seconds }),
    }
}

/// Keeps a finding for the next start.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn keep_finding(
    config: &Config,
    site: &SiteConfig,
    probe: &ProbeDocument,
) -> Result<()> {
    let file = finding_file(config, site);
    let failed = |error: std::io::Error| Report::io("write the probe's finding", &file, &error);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let finding = Finding {
        location: site.location(),
        credential: credential_name(site),
        probe: probe.clone(),
    };
    let text = serde_json::to_vec_pretty(&finding).map_err(|error| failed(error.into()))?;
    let fresh = file.with_extension("json.new");
    std::fs::write(&fresh, text).map_err(failed)?;
    std::fs::rename(&fresh, &file).map_err(failed)
}

/// What a site is counted as: what is written down, as far as a probe has shown it.
#[must_use]
pub fn class_of(config: &Config, site: &SiteConfig) -> SiteClass {
    let claimed = site.class == SiteClassName::AppendOnly && site.kind != SiteKind::Folder;
    match shown(config, site) {
        Shown { immutable: true, .. } if claimed => SiteClass::Immutable,
        Shown { append_only: true, .. } if claimed => SiteClass::AppendOnly,
        _ => SiteClass::Mutable,
    }
}
