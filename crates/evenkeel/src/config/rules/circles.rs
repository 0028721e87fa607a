//! Circles: a key kept only inside what it opens. And keys that lie where a thief of the host
//! finds them.

use std::path::{Path, PathBuf};

use evenkeel_capture::files::Globs;

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
    inside_itself(config, findings);
    on_the_host(config, findings);
}

/// What opens the sites or what they hold, kept among what is protected there: with the host it
/// would be found only where it is needed to get in.
fn inside_itself(config: &Config, findings: &mut Findings) {
    let excluded = Globs::new(&config.files.exclude).unwrap_or_default();
    let protected: Vec<PathBuf> = config.files.paths.iter().map(|path| settled(path)).collect();
    // What belongs to the installation is never taken along.
    let own = [
        &config.host.data,
        &config.drill.home,
        &config.recovery_identity_file(),
        &config.network_recovery_identity_file(),
    ]
    .map(|path| settled(path));
    let is_taken = |file: &Path| {
        let above = || file.ancestors().skip(1);
        let left_out =
            |path: &Path, is_folder| excluded.fits(path.as_os_str().as_encoded_bytes(), is_folder);
        protected.iter().any(|path| file.starts_with(path))
            && !own.iter().any(|path| file.starts_with(path))
            && !left_out(file, false)
            && !above().any(|folder| left_out(folder, true))
    };
    for (what, file) in openers(config) {
        let file = settled(&file);
        if file.is_file() && is_taken(&file) {
            findings.refuse(
                "circle",
                format!(
                    "{what} ({}) lies among the protected paths: when this host is lost, it is \
                     only inside what it opens",
                    file.display()
                ),
                "keep it elsewhere, or name it in files.exclude once another copy is kept \
                 elsewhere",
            );
        }
    }
    for file in crate::node::newest_kit_files(config) {
        let file = settled(&file);
        if file.is_file() && is_taken(&file) {
            findings.warn(
                "circle",
                format!("the recovery kit ({}) lies among the protected paths", file.display()),
                "keep a copy where it can be found without it: on paper, on a disk in a safe",
            );
        }
    }
}

/// What somebody needs who has nothing but the sites.
fn openers(config: &Config) -> Vec<(String, PathBuf)> {
    let mut files = vec![
        ("drill.identity_file".to_owned(), config.drill.identity_file.clone()),
        ("the recovery identity".to_owned(), config.recovery_identity_file()),
    ];
    files.extend(of_network(config));
    for (name, domain) in config.domains.iter() {
        for holder in domain.holders.iter().filter(|holder| !holder.kept_at.is_empty()) {
            let what = format!("domains.{name}.holders `{}` kept_at", holder.label);
            files.push((what, config.home().join(&holder.kept_at)));
        }
    }
    for site in &config.sites {
        for file in [&site.credential_file, &site.read_credential_file].into_iter().flatten() {
            files.push((format!("what opens site `{}`", site.name), file.clone()));
        }
    }
    files
}

/// What opens the network's versions.
fn of_network(config: &Config) -> Vec<(String, PathBuf)> {
    if config.domains.network.is_none() {
        return Vec::new();
    }
    vec![
        ("the network's recovery identity".to_owned(), config.network_recovery_identity_file()),
        ("the network's drill identity".to_owned(), config.network_drill_identity_file()),
    ]
}

/// Everything secret that the configuration names.
fn secrets(config: &Config) -> Vec<(String, PathBuf)> {
    let mut files = vec![
        ("drill.identity_file".to_owned(), config.drill.identity_file.clone()),
        ("drill.report_key_file".to_owned(), config.drill.report_key_file.clone()),
        ("the recovery identity".to_owned(), config.recovery_identity_file()),
    ];
    files.extend(of_network(config));
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
    let recovery = config.network_recovery_identity_file();
    if recovery.exists() {
        findings.warn(
            "recovery-identity",
            format!(
                "the network's recovery identity is still on this machine: {}",
                recovery.display()
            ),
            "it reads every version of the network: move it to a device of its own, not beside \
             the other one, then delete it here",
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
