//! `evenkeel protect`: a desk's first minute. A home, the first recovery point, the first drill.

use std::path::{Path, PathBuf};

use super::super::drill_cmd::prove;
use super::super::postgres::{Wanted, add_protected, first_base, wanted_of};
use super::backup_cmd::{exit_of, make, print};
use crate::authority;
use crate::cli::{BackupArgs, ProtectArgs};
use crate::config::{Config, DashboardBind, DomainName, FILE_NAME, SiteConfig};
use crate::documents::{BackupDocument, DrillDocument, Outcome};
use crate::init::{self, Desk, InitOptions};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Where the home is when nothing is said.
const DEFAULT_HOME: &str = "evenkeel-desk";
/// Any two of three sites bring everything back; with fewer, none may be lost.
const SITES_MIN: usize = 3;

/// Runs the command.
pub(crate) fn run(args: &ProtectArgs) -> Result<Exit> {
    let (mut clusters, mut named) = (Vec::new(), Vec::new());
    for word in &args.paths {
        match wanted_of(word)? {
            Some(cluster) => clusters.push(cluster),
            None => named.push(word.clone()),
        }
    }
    let documents = take_documents(&mut named);
    let paths = absolute(&named)?;
    let home = args.home.clone().or_else(|| {
        let set = std::env::var_os("EVENKEEL_HOME").filter(|home| !home.is_empty());
        set.map(PathBuf::from)
    });
    let home = home.unwrap_or_else(|| DEFAULT_HOME.into());
    let is_new = !init::is_home(&home);
    let config = if is_new { lay_out(&home, args, &paths)? } else { extend(&home, args, &paths)? };
    authority::refuse_waiting(&config, DomainName::State, args.root.given()?.as_ref())?;
    let config = protect_clusters(config, &clusters, args.password_file.as_deref())?;
    let config = protect_documents(config, &documents, args.json)?;
    if config.files.paths.is_empty() && config.postgres.is_empty() {
        return Ok(Exit::Ok);
    }
    let backup = make(&config, &BackupArgs { json: args.json, ..BackupArgs::default() })?;
    let drill = prove(&config)?;
    if args.json {
        output::document(&serde_json::json!({
            "message_type": "protect",
            "home": config.home(),
            "config": config.file,
            "recovery_identity": config.recovery_identity_file(),
            "is_new": is_new,
            "paths": config.files.paths,
            "backup": backup,
            "drill": drill,
        }))?;
    } else {
        print(&backup)?;
        tell(&config, &backup, &drill)?;
    }
    if is_new {
        output::note(&format!("\nMove away: {}", init::recovery_words(config.home())));
    }
    Ok(match drill.result {
        Outcome::Ok => exit_of(&backup),
        Outcome::Unproven | Outcome::NotConfigured => Exit::Partial,
        Outcome::Failed => Exit::Integrity,
    })
}

/// A file of this name is the document of the network: it goes into a domain of its own.
const DOCUMENT_NAME: &str = "network.toml";

fn take_documents(named: &mut Vec<PathBuf>) -> Vec<PathBuf> {
    let is_document = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name == DOCUMENT_NAME) && path.is_file()
    };
    let documents = named.iter().filter(|path| is_document(path)).cloned().collect();
    named.retain(|path| !is_document(path));
    documents
}

fn protect_documents(config: Config, documents: &[PathBuf], json: bool) -> Result<Config> {
    match documents {
        [] => Ok(config),
        [document] => {
            let alone = config.files.paths.is_empty() && config.postgres.is_empty();
            super::super::network::protect_file(&config, document, alone, json)
        }
        [_, second, ..] => Err(Report::new(Exit::Usage, "a home has one document of the network")
            .at(second.display().to_string())
            .safe("nothing of it was protected")
            .next("put everything into one network.toml")),
    }
}

/// Into the configuration, and to where something can be brought back.
fn protect_clusters(
    config: Config,
    clusters: &[Wanted],
    password_file: Option<&Path>,
) -> Result<Config> {
    if clusters.is_empty() {
        return Ok(config);
    }
    add_protected(&config, clusters, password_file)?;
    let config = Config::load(&config.file)?;
    config.refuse()?;
    first_base(&config)?;
    Ok(config)
}

fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let Some(text) = path.to_str() else {
            let what = "a path in the configuration has to be text (UTF-8)";
            return Err(Report::new(Exit::Usage, what)
                .at(path.display().to_string())
                .safe("nothing was started")
                .next("name the folder above it"));
        };
        let whole = std::path::absolute(text)
            .and_then(|whole| whole.symlink_metadata().map(|_| whole))
            .map_err(|error| Report::io("look at", path, &error).safe("nothing was started"))?;
        found.push(whole);
    }
    Ok(found)
}

fn lay_out(home: &Path, args: &ProtectArgs, paths: &[PathBuf]) -> Result<Config> {
    if !args.site.is_empty() && args.site.len() < SITES_MIN {
        let what =
            format!("{} sites were named; three are the least that may lose one", args.site.len());
        return Err(Report::new(Exit::Usage, what).safe("nothing was started").next(
            "name three folders on three disks or machines: --site DIR --site DIR --site DIR",
        ));
    }
    let site = |path: &PathBuf| {
        std::path::absolute(path).map_err(|error| Report::io("resolve", path, &error))
    };
    let sites = args.site.iter().map(site).collect::<Result<Vec<_>>>()?;
    let described = args.sites.as_deref().map(described).transpose()?.unwrap_or_default();
    let desk = Desk { sites, described, paths: paths.to_vec() };
    let options = InitOptions {
        seed: None,
        dashboard: Some(DashboardBind(None)),
        desk: Some(desk),
        root: args.root.given()?,
        ..InitOptions::default()
    };
    let config = init::init_home(home, &options)?;
    output::note(&format!("laid out {}", home.display()));
    Ok(config)
}

/// Sites of any kind, from a file; relative paths in it are relative to its folder.
fn described(file: &Path) -> Result<Vec<SiteConfig>> {
    let refused = |why: String| {
        Report::new(Exit::Usage, why)
            .at(file.display().to_string())
            .safe("nothing was started")
            .next("docs/sites.md draws one; evenkeel config show --reference has every key")
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Report::io("read", file, &error).safe("nothing was started"))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| refused(error.to_string()))?;
    if let Some(other) = table.keys().find(|key| *key != "sites") {
        return Err(refused(format!("only [[sites]] belong here, and there is `{other}`")));
    }
    let mut config = Config::load(file)?;
    if config.sites.len() < SITES_MIN {
        let count = config.sites.len();
        return Err(refused(format!("{count} sites; three are the least that may lose one")));
    }
    Ok(std::mem::take(&mut config.sites))
}

/// The home is there: only the paths are added.
fn extend(home: &Path, args: &ProtectArgs, paths: &[PathBuf]) -> Result<Config> {
    let file = home.join(FILE_NAME);
    let config = Config::load(&file)?;
    if !args.site.is_empty() || args.sites.is_some() {
        return Err(Report::new(Exit::Usage, "this home has its sites already")
            .at(file.display().to_string())
            .safe("nothing was changed")
            .next("add a [[sites]] there, and its name at the end of domains.state.sites"));
    }
    init::add_paths(&config, paths)?;
    Config::load(&file)
}

fn tell(config: &Config, backup: &BackupDocument, drill: &DrillDocument) -> Result<()> {
    let home = config.home().display();
    let mut results = output::Results::new();
    let figure = |seconds: Option<f64>| {
        seconds.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:.2} s"))
    };
    results.line(&format!(
        "drill D3 {}: restored from {} sites alone; RTO {}, RPO {}",
        drill.result.word(),
        drill.sites_used.len(),
        figure(drill.rto_seconds),
        figure(drill.rpo_seconds)
    ))?;
    for check in &drill.checks {
        results.line(&format!("  {} {}: {}", check.name, check.result.word(), check.detail))?;
    }
    results.finish()?;
    let program = std::env::current_exe().unwrap_or_else(|_| "evenkeel".into());
    let program = program.display();
    output::note(&format!(
        "\nRPO is the age of the last point: have one made every minute, and one drill a day\n  \
         daemon:   {program} up --home {home}\n  \
         crontab:  * * * * *  {program} backup --home {home}\n            \
         17 3 * * * {program} drill --level D3 --home {home}\n  \
         systemd:  systemd-run --user --on-calendar=minutely {program} backup --home {home}\n\
         bring back:  evenkeel restore --home {home} --identity recovery-identity.txt --to NEW\n\
         one path:    … --only PATH      an earlier one:  … --point {}   (evenkeel points)",
        backup.recovery_point
    ));
    Ok(())
}
