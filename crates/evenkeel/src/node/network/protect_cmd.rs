//! `evenkeel network protect`: a document's first minute.

use std::path::{Path, PathBuf};

use super::source::Source;
use super::{backup_cmd, lay_out};
use crate::authority::{self, OutsideRoot};
use crate::cli::NetworkProtectArgs;
use crate::config::{Config, DashboardBind, DomainName, FILE_NAME};
use crate::documents::NetworkBackupDocument;
use crate::init::{self, Desk, InitOptions};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Where the home is when nothing is said.
const DEFAULT_HOME: &str = "evenkeel-desk";
/// Any two of three sites bring everything back; with fewer, none may be lost.
const SITES_MIN: usize = 3;

/// Runs the command.
pub(super) fn run(args: &NetworkProtectArgs) -> Result<Exit> {
    let home = args.home.clone().or_else(|| {
        let set = std::env::var_os("EVENKEEL_HOME").filter(|home| !home.is_empty());
        set.map(PathBuf::from)
    });
    let home = home.unwrap_or_else(|| DEFAULT_HOME.into());
    // A document that is refused is better known before anything is laid out.
    let source = Source::read(&args.document)?;
    let config = home_of(&home)?;
    let root = args.root.given()?;
    let (config, backup) = protect(&config, &source, &args.site, root.as_ref())?;
    print(&config, &backup, args.json)?;
    say_recovery(&config);
    let home = config.home().display();
    output::note(&format!(
        "\nnext:  evenkeel network check --home {home}\n       evenkeel up --home {home}   (asks \
         everything, and makes a version when the document changes)",
    ));
    Ok(if backup.problems.is_empty() { Exit::Ok } else { Exit::Partial })
}

fn print(config: &Config, backup: &NetworkBackupDocument, json: bool) -> Result<()> {
    if json {
        output::document(&serde_json::json!({
            "message_type": "network_protect",
            "home": config.home(),
            "config": config.file,
            "recovery_identity": lay_out::recovery_identity(config),
            "backup": backup,
        }))?;
    } else {
        backup_cmd::print(backup)?;
    }
    Ok(())
}

fn say_recovery(config: &Config) {
    output::note(&format!(
        "\nMove away: {}\n  This one file reads every version of the network and can certify \
         another writer. It belongs\n  on no running machine, and not beside the recovery identity \
         of the home.",
        lay_out::recovery_identity(config).display()
    ));
}

/// As `protect` does it; `alone` if nothing else has a result: a command has one.
///
/// Lays out the domain where there is none, names the document, and makes the first version.
pub(in super::super) fn protect_file(
    config: &Config,
    document: &Path,
    alone: bool,
    json: bool,
) -> Result<Config> {
    let (config, backup) = protect(config, &Source::read(document)?, &[], None)?;
    if alone {
        print(&config, &backup, json)?;
    }
    say_recovery(&config);
    Ok(config)
}

fn protect(
    config: &Config,
    source: &Source,
    sites: &[PathBuf],
    root: Option<&OutsideRoot>,
) -> Result<(Config, NetworkBackupDocument)> {
    if !sites.is_empty() && sites.len() < SITES_MIN {
        let what =
            format!("{} sites were named; three are the least that may lose one", sites.len());
        return Err(Report::new(Exit::Usage, what).safe("nothing was started").next(
            "name three folders on three disks or machines: --site DIR --site DIR --site DIR",
        ));
    }
    let config = lay_out::lay_out(config, &source.file, sites, root)?;
    authority::refuse_waiting(&config, DomainName::Network, root)?;
    let backup = backup_cmd::make(&config)?;
    Ok((config, backup))
}

fn home_of(home: &Path) -> Result<Config> {
    if init::is_home(home) {
        return Config::load(&home.join(FILE_NAME));
    }
    let desk = Some(Desk::default());
    let dashboard = Some(DashboardBind(None));
    init::init_home(home, &InitOptions { dashboard, desk, ..InitOptions::default() })
}
