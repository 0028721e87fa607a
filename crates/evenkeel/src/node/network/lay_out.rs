//! Lays out the domain of network metadata in a home: keys, sites, and what the configuration says
//! of them. Nothing of it is shared with another domain, and nothing that is there is overwritten.
//!
//! ```text
//! HOME/network-recovery-identity.txt   reads every version: to be moved away
//! HOME/host/keys/network/              writer key, its certificate, key of chunk ids
//! DRILL-HOME/network-identity.txt      reads every version, for drills
//! HOME/sites/network-a/ … network-c/   sealed versions
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use evenkeel_vault::{IdKey, Identity, Lineage, OsRandom, WriterKey};

use super::super::domain::NETWORK;
use crate::authority::{Authority, OutsideRoot};
use crate::config::Config;
use crate::config_text::{quoted, rewrite, set_in};
use crate::init::{make_folder, now_ns, random, sync_folder};
use crate::keyfile;
use crate::report::{Exit, Report, Result};

const RECOVERY: &str = "network-recovery-identity.txt";
const KEYS: &str = "host/keys/network";

/// Where the network's recovery identity is put, and where it must not stay.
pub(super) fn recovery_identity(config: &Config) -> PathBuf {
    config.network_recovery_identity_file()
}

/// The identity that drills open versions with.
pub(super) fn drill_identity(config: &Config) -> PathBuf {
    config.network_drill_identity_file()
}

/// Lays it out where it is not yet, and names the document.
pub(super) fn lay_out(
    config: &Config,
    document: &Path,
    sites: &[PathBuf],
    root: Option<&OutsideRoot>,
) -> Result<Config> {
    if config.domains.network.is_none() {
        return begin(config, document, sites, root);
    }
    if !sites.is_empty() {
        return Err(Report::new(Exit::Usage, "the network's sites are chosen already")
            .at(config.file.display().to_string())
            .safe("nothing was changed")
            .next("add a [[sites]] there, and its name at the end of domains.network.sites"));
    }
    if config.network.document != document {
        rewrite(config, |text| name_document(text, document))?;
    }
    Config::load(&config.file)
}

fn begin(
    config: &Config,
    document: &Path,
    sites: &[PathBuf],
    root: Option<&OutsideRoot>,
) -> Result<Config> {
    let home = config.home();
    let folders = site_folders(config, sites)?;
    for folder in folders.iter().map(|(_, folder)| home.join(folder)) {
        make_folder(&folder)?;
        if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Report::new(Exit::Failed, "a folder for a site is not empty")
                .at(folder.display().to_string())
                .safe("everything in it was left untouched")
                .next("name another folder, which this domain has alone: --site DIR"));
        }
    }
    make_folder(&home.join(KEYS))?;
    make_folder(&config.drill.home)?;
    let public = write_keys(config, root)?;
    sync_folder(&home.join(KEYS))?;
    let tables = tables(&public, &folders) + &holders(config, &public);
    rewrite(config, |text| {
        name_document(text, document);
        text.push_str(&tables);
    })?;
    let config = Config::load(&config.file)?;
    config.refuse()?;
    Ok(config)
}

/// Names and folders of the domain's sites.
fn site_folders(config: &Config, sites: &[PathBuf]) -> Result<Vec<(String, PathBuf)>> {
    let name =
        |at: usize| format!("network-{}", char::from(b'a' + u8::try_from(at % 26).unwrap_or(0)));
    let given: Vec<PathBuf> = match sites {
        [] => (0..3).map(|at| PathBuf::from("sites").join(name(at))).collect(),
        sites => {
            let whole = |path: &PathBuf| {
                std::path::absolute(path).map_err(|error| Report::io("resolve", path, &error))
            };
            sites.iter().map(whole).collect::<Result<_>>()?
        }
    };
    let named: Vec<_> = given.into_iter().enumerate().map(|(at, path)| (name(at), path)).collect();
    match named.iter().find(|(name, _)| config.site(name).is_some()) {
        None => Ok(named),
        Some((name, _)) => {
            Err(Report::new(Exit::Usage, format!("there is a site called `{name}` already"))
                .at(config.file.display().to_string())
                .safe("nothing was changed")
                .next("give that one another name, or lay out [domains.network] by hand"))
        }
    }
}

struct Public {
    recovery: String,
    drill: String,
    root: String,
}

/// Keys of an interrupted attempt were never named by a configuration: they are made again.
fn write_keys(config: &Config, outside: Option<&OutsideRoot>) -> Result<Public> {
    let file = |name: &str| config.home().join(name);
    let drill_file = drill_identity(config);
    let names =
        ["writer.key", "writer.certificate", "chunk-id.key"].map(|name| format!("{KEYS}/{name}"));
    let old = names.iter().map(|name| file(name)).chain([file(RECOVERY), drill_file.clone()]);
    for path in old {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let action = "clear away what an interrupted start left";
                return Err(Report::io(action, &path, &error));
            }
            _ => {}
        }
    }
    let [writer_file, certificate_file, chunk_id_file] = names;
    let authority = Authority::begin(NETWORK, outside)?;
    let writer = WriterKey::generate(&mut OsRandom)?;
    let drill = Identity::generate();
    let mut lineage = [0; 16];
    lineage.copy_from_slice(&random()?[..16]);
    let certificate = authority.certify(NETWORK, Lineage(lineage), None, writer.public())?;
    let recovery = authority.write_identity(&file(RECOVERY), outside)?;
    keyfile::write_writer_key(&file(&writer_file), NETWORK, &writer)?;
    keyfile::write_certificate(&file(&certificate_file), &certificate)?;
    keyfile::write_chunk_id_key(&file(&chunk_id_file), NETWORK, &IdKey::generate(&mut OsRandom)?)?;
    keyfile::write_drill_identity(&drill_file, &drill)?;
    Ok(Public {
        recovery: recovery.to_string(),
        drill: drill.recipient().to_string(),
        root: authority.root_public().to_string(),
    })
}

fn tables(public: &Public, sites: &[(String, PathBuf)]) -> String {
    let names: Vec<String> = sites.iter().map(|(name, _)| quoted(name)).collect();
    let mut text = format!(
        "\n# --- Network metadata: a domain of its own -----------------------------------------\n\
         [domains.network]\nsites = [{}]\ndata_shards = {}\nrecipients = [\n    \"{}\", # the \
         network's recovery identity\n    \"{}\", # drill host\n]\nroot_public_key = \"{}\"\n\
         writer_key_file = \"{KEYS}/writer.key\"\n\
         writer_certificate_file = \"{KEYS}/writer.certificate\"\n\
         chunk_id_key_file = \"{KEYS}/chunk-id.key\"\n",
        names.join(", "),
        sites.len() / 2 + 1,
        public.recovery,
        public.drill,
        public.root
    );
    for (name, path) in sites {
        text.push_str(&format!(
            "\n[[sites]]\nname = {}\nkind = \"folder\"\npath = {}\nclass = \"mutable\"\n\
             operator = \"this machine\"\njurisdiction = \"here\"\n",
            quoted(name),
            quoted(&path.to_string_lossy())
        ));
    }
    text
}

/// Who stands behind the two recipients: what a recovery kit tells.
fn holders(config: &Config, public: &Public) -> String {
    let since = crate::cli::format_time_ns(now_ns());
    let drill_file = drill_identity(config);
    let kept = drill_file.strip_prefix(config.home()).unwrap_or(&drill_file);
    let holder = |recipient: &str, label: &str, role: &str, kept_at: &str| {
        format!(
            "\n[[domains.network.holders]]\nrecipient = \"{recipient}\"\nlabel = \"{label}\"\n\
             role = \"{role}\"\nsince = \"{since}\"\nkept_at = {}\n",
            quoted(kept_at)
        )
    };
    let recovery = holder(&public.recovery, "network recovery", "recovery", RECOVERY);
    let drill = holder(&public.drill, "drill host", "drill-host", &kept.to_string_lossy());
    recovery + &drill
}

fn name_document(text: &mut String, document: &Path) {
    let line = format!("document = {}", quoted(&document.to_string_lossy()));
    if !text.contains("\n[network]\n") {
        text.push_str(&format!("\n[network]\n{line}\n"));
        return;
    }
    let begin = text.find("\n[network]\n").unwrap_or(0) + 1;
    let section = &text[begin..];
    let end = section.find("\n[").unwrap_or(section.len());
    let section = &section[..end];
    if section.contains("\ndocument =") {
        set_in(text, "[network]", "document =", &line);
    } else if section.contains("\n#document =") {
        set_in(text, "[network]", "#document =", &line);
    } else {
        set_in(text, "[network]", "[network]", &format!("[network]\n{line}"));
    }
}
