//! From what was typed to who does it.

use super::args::{Command, ConfigCommand, ConfigShowArgs};
use super::demo_args::{ClientsCommand, DemoCommand};
use super::init_args::InitArgs;
use super::journal_args::JournalCommand;
use super::manual;
use super::margin_args::MarginCommand;
use super::place::Place;
use super::postgres_args::PostgresCommand;
use super::site_args::{SiteCommand, SitesCommand};
use super::vault_args::VaultCommand;
use crate::authority::Authority;
use crate::config::{DomainName, REFERENCE, Severity, environment_keys};
use crate::init::{self, InitOptions, ProfileOptions};
use crate::margin;
use crate::replay::{self, ReplayArgs};
use crate::report::{Exit, Report, Result};
use crate::{doctor, journal_cmd, keys_cmd, node, output, price, site_cmd, sites_cmd};

pub(super) fn run(command: Command) -> Result<Exit> {
    match command {
        Command::Up(args) => node::private(|| node::up(&args)),
        Command::Status(args) => node::status(&args),
        Command::Protect(args) => node::private(|| node::protect(&args)),
        Command::Backup(args) => node::private(|| node::backup(&args)),
        Command::Ls(args) => node::list_files(&args),
        Command::Diff(args) => node::diff_files(&args),
        Command::Points(args) => node::points(&args),
        Command::Drill(args) => node::private(|| node::drill(&args)),
        Command::Restore(args) => node::private(|| node::restore(&args)),
        Command::Verify(args) => node::verify(&args),
        Command::Vault(VaultCommand::Audit(args)) => node::audit(&args),
        Command::Vault(VaultCommand::Prune(command)) => node::private(|| node::prune(&command)),
        Command::Vault(VaultCommand::Approvals(command)) => {
            node::private(|| node::approvals(&command))
        }
        Command::Vault(VaultCommand::Network(command)) => node::private(|| node::network(&command)),
        Command::Vault(VaultCommand::Slashing(command)) => {
            node::private(|| node::slashing(&command))
        }
        Command::Vault(VaultCommand::Recipients(command)) => {
            node::private(|| node::recipients(&command))
        }
        Command::Vault(VaultCommand::Root(command)) => node::private(|| node::root(&command)),
        Command::Vault(VaultCommand::Kit(command)) => node::private(|| node::kit(&command)),
        Command::Repair(args) => node::private(|| node::repair(&args)),
        Command::Init(args) => node::private(|| init(&args)),
        Command::Replay(args) => replay(&args),
        Command::Price(args) => price::run(&args),
        Command::Postgres(PostgresCommand::Run(args)) => {
            node::private(|| node::postgres_run(&args))
        }
        Command::Postgres(PostgresCommand::Status(args)) => node::postgres_status(&args),
        Command::Journal(JournalCommand::Inspect(args)) => journal_cmd::inspect(&args),
        Command::Journal(JournalCommand::Verify(args)) => journal_cmd::verify(&args),
        Command::Journal(JournalCommand::Hashes(args)) => journal_cmd::hashes(&args),
        Command::Journal(JournalCommand::Replay(args)) => node::replay_journal(&args),
        Command::Margin(MarginCommand::Simulate(args)) => margin::simulate(&args),
        Command::Margin(MarginCommand::Explain(args)) => node::explain(&args),
        Command::Failover(args) => node::failover(&args),
        Command::RecoverQuorum(args) => node::recover_quorum(&args),
        Command::Demo(DemoCommand::KillPrimary(args)) => node::kill_primary(&args),
        Command::Demo(DemoCommand::Bot(args)) => node::private(|| node::demo_bot(&args)),
        Command::Demo(DemoCommand::Clients(args)) => node::demo_clients(&args),
        Command::Clients(ClientsCommand::Key(args)) => node::private(|| node::client_key(&args)),
        Command::Sites(SitesCommand::List(args)) => sites_cmd::list(&args),
        Command::Sites(SitesCommand::Probe(args)) => sites_cmd::probe(&args),
        Command::Sites(SitesCommand::Pin(args)) => sites_cmd::pin(&args),
        Command::Site(SiteCommand::Serve(args)) => node::private(|| site_cmd::serve(&args)),
        Command::Site(SiteCommand::AddKey(args)) => node::private(|| site_cmd::add_key(&args)),
        Command::Keys(command) => keys_cmd::run(&command),
        Command::Site(SiteCommand::Approvers(args)) => node::private(|| site_cmd::approvers(&args)),
        Command::Config(ConfigCommand::Show(args)) => config_show(&args),
        Command::Config(ConfigCommand::Check(args)) => config_check(&args.place, args.json),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => manual::completions(args.shell),
        Command::Man(args) => manual::man(args.out.as_deref()),
    }
}

fn replay(args: &ReplayArgs) -> Result<Exit> {
    let mut result = Vec::new();
    let outcome = replay::run(args, &mut result, &mut std::io::stderr());
    // A replay in part has a result too.
    if !result.is_empty() {
        output::result(String::from_utf8_lossy(&result).trim_end())?;
    }
    outcome.map(|()| Exit::Ok).map_err(Report::from)
}

/// The keys of a lineage of files, for a home that has none.
fn add_files(args: &InitArgs) -> Result<Exit> {
    let place = Place { home: args.home.clone(), ..Place::default() };
    let config = place.load()?;
    let authority = match (&args.identity, &args.root_request) {
        (Some(identity), _) => Authority::of_home(&config, identity)?,
        (None, Some(file)) => node::root_elsewhere(&config, file)?,
        (None, None) => {
            return Err(Report::new(Exit::Usage, "the root has to certify a new writer")
                .safe("nothing was written")
                .next("evenkeel init --add-files --home DIR --identity recovery-identity.txt")
                .next(
                    "evenkeel init --add-files --home DIR --root-request FILE   (it is elsewhere)",
                ));
        }
    };
    let lineage = init::add_files(&config, &authority)?.to_string();
    if args.json {
        output::document(&serde_json::json!({
            "message_type": "init_files",
            "home": place.home(),
            "config": config.file,
            "lineage": lineage,
        }))?;
    } else {
        output::result(&format!("files have the lineage {lineage} now"))?;
    }
    if let Some(file) = &args.root_request {
        node::write_root_drafts(&config, DomainName::State, file)?;
        output::note(&node::root_asked_words(file));
        return Ok(Exit::Ok);
    }
    output::note(&format!("next:  evenkeel backup PATH --config {}", config.file.display()));
    Ok(Exit::Ok)
}

fn init(args: &InitArgs) -> Result<Exit> {
    if args.add_files {
        return add_files(args);
    }
    let profile = args.profile.map(|profile| ProfileOptions {
        profile,
        sites: args.sites.clone(),
        approvers: args.approver.clone(),
    });
    let options = InitOptions {
        seed: args.seed,
        dashboard: args.dashboard,
        desk: None,
        profile,
        writer_key: args.writer_key.clone(),
        root: args.root.given()?,
    };
    let home = args.home.clone().unwrap_or_else(|| Place::default().home());
    let config = init::init_home(&home, &options)?;
    let domain = config.domains.state.as_ref();
    if args.json {
        let sites: Vec<_> = config
            .sites
            .iter()
            .map(|site| serde_json::json!({"name": site.name, "location": site.location()}))
            .collect();
        output::document(&serde_json::json!({
            "message_type": "init",
            "home": home,
            "config": config.file,
            "recovery_identity": config.recovery_identity_file(),
            "recipients": domain.map(|domain| &domain.recipients),
            "root_public_key": domain.map(|domain| &domain.root_public_key),
            "sites": sites,
        }))?;
    } else {
        output::result(&format!("laid out {}", home.display()))?;
    }
    match &options.root {
        None => output::note(&format!("\nMove away: {}", init::recovery_words(&home))),
        Some(root) => output::note(&root.words(&config)),
    }
    match args.profile {
        _ if options.root.is_some() => {}
        None => output::note(&format!("\nnext:  evenkeel up --home {}", home.display())),
        Some(profile) => output::note(&format!(
            "\nprofile {}: every start checks what it promises\n\
             next:  evenkeel config check --home {}   (what is left to do)",
            profile.name(),
            home.display()
        )),
    }
    Ok(Exit::Ok)
}

fn config_show(args: &ConfigShowArgs) -> Result<Exit> {
    if args.reference {
        output::result(REFERENCE.trim_end())?;
        return Ok(Exit::Ok);
    }
    if args.environment {
        for (variable, key) in environment_keys() {
            output::result(&format!("{variable:<52} {key}"))?;
        }
        return Ok(Exit::Ok);
    }
    let config = args.place.load()?;
    if args.json {
        output::document(&config.to_json()?)?;
    } else {
        output::note(&format!("# {}", config.file.display()));
        output::result(config.to_toml()?.trim_end())?;
    }
    Ok(Exit::Ok)
}

/// Prints every finding. Warnings do not fail it: they are true of a demonstration.
fn config_check(place: &Place, json: bool) -> Result<Exit> {
    let config = place.load()?;
    let findings = config.check();
    let refused = findings.iter().filter(|finding| finding.severity == Severity::Refused).count();
    let exit = if refused == 0 { Exit::Ok } else { Exit::Usage };
    if json {
        let findings: Vec<_> = findings.iter().map(|finding| finding.to_json()).collect();
        output::document(&serde_json::json!({
            "message_type": "config_check",
            "file": config.file,
            "result": if refused == 0 { "ok" } else { "refused" },
            "findings": findings,
        }))?;
        return Ok(exit);
    }
    for finding in &findings {
        output::result(&finding.to_string())?;
    }
    let warned = findings.len() - refused;
    output::result(&format!(
        "{}: {refused} refused, {warned} warnings",
        if refused == 0 { "ok" } else { "refused" }
    ))?;
    Ok(exit)
}
