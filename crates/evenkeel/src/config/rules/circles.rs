//! Circles: a key kept only inside what it opens. And keys that lie where a thief of the host
//! finds them.

use std::path::{Path, PathBuf};

use super::Findings;
use super::sites::settled;
use crate::config::Config;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    for (what, file) in secrets(config) {
        let file = settled(&file);
        for site in &config.sites {
            if site.folder().is_some_and(|folder| file.starts_with(settled(folder))) {
                findings.refuse(
                    "circle",
                    format!(
                        "{what} ({}) lies inside site `{}`, whose content it serves to open or \
                         write",
                        file.display(),
                        site.name
                    ),
                    "keep keys outside every site: what is lost together helps nobody",
                );
            }
        }
    }
    on_the_host(config, findings);
}

/// Everything secret that the configuration names.
fn secrets(config: &Config) -> Vec<(String, PathBuf)> {
    let mut files = vec![
        ("drill.identity_file".to_owned(), config.drill.identity_file.clone()),
        ("drill.report_key_file".to_owned(), config.drill.report_key_file.clone()),
        ("the recovery identity".to_owned(), config.recovery_identity_file()),
    ];
    for (name, domain) in config.domains.iter() {
        for (key, file) in domain.key_files() {
            files.push((format!("domains.{name}.{key}"), file.to_owned()));
        }
    }
    for site in &config.sites {
        if let Some(file) = &site.credential_file {
            files.push((format!("site `{}` credential_file", site.name), file.clone()));
        }
    }
    if let Some(file) = &config.dashboard.token_file {
        files.push(("dashboard.token_file".to_owned(), file.clone()));
    }
    files.retain(|(_, file)| !file.as_os_str().is_empty());
    files
}

fn on_the_host(config: &Config, findings: &mut Findings) {
    let recovery = config.recovery_identity_file();
    if recovery.exists() {
        findings.warn(
            "recovery-identity",
            format!("the recovery identity is still on this machine: {}", recovery.display()),
            "this one file reads everything: move it to a device of its own, then delete it here",
        );
    }
    let host = settled(&config.host.data);
    let drill = settled(&config.drill.identity_file);
    if drill.starts_with(&host) {
        findings.refuse(
            "drill-identity",
            format!(
                "drill.identity_file ({}) lies inside host.data ({}): a thief of the host would \
                 read every key period",
                drill.display(),
                host.display()
            ),
            "keep it on the drill host",
        );
    } else if drill.is_file() {
        findings.warn(
            "drill-identity",
            format!("the drill host's identity is on this machine: {}", drill.display()),
            "run drills on a machine of their own; here it is as good as a recovery identity",
        );
    }
    for (name, domain) in config.domains.iter() {
        for (key, file) in domain.key_files() {
            if is_open(file) {
                findings.warn(
                    "permissions",
                    format!("domains.{name}.{key}: others can read {}", file.display()),
                    format!("chmod 600 {}", file.display()),
                );
            }
        }
    }
}

/// Whether group or others may read a file. A certificate is no secret, but belongs with the keys.
fn is_open(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o077 != 0)
}
