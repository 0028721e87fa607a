//! `evenkeel up --demo desk`: a home beside the bot that it protects.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::stop::Stop;
use super::child;
use crate::cli::{DemoKind, UpArgs};
use crate::config::Config;
use crate::init::{self, Desk, InitOptions};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Where the home is when nothing is said.
const DEFAULT_HOME: &str = "evenkeel-desk";
/// The bot's folder in the home.
const BOT: &str = "bot";
const ORDERS_PER_SECOND: &str = "20";
/// So that something is to be seen soon.
const POINT_EVERY_SECONDS: u64 = 15;
const DRILL_EVERY_SECONDS: u64 = 60;
/// A bot that was killed is started again after this.
const PAUSE: Duration = Duration::from_secs(2);

/// The demonstration's home, laid out if it is not there; none if another `up` was asked for.
///
/// # Errors
/// Whatever prevents that; a home that is there and has no bot.
pub(crate) fn demonstration(args: &UpArgs) -> Result<Option<Config>> {
    let Some(DemoKind::Desk) = args.demo else { return Ok(None) };
    let is_named = args.place.names_a_file() || args.place.home.is_some();
    let home = if is_named { args.place.home() } else { PathBuf::from(DEFAULT_HOME) };
    let mut config = if init::is_home(&home) {
        Config::load(&home.join(crate::config::FILE_NAME))?
    } else {
        lay_out(&home)?
    };
    if !bot_folder(&config).is_dir() {
        return Err(Report::new(Exit::Usage, "this home is not that of the demonstration desk")
            .at(home.display().to_string())
            .safe("nothing was started")
            .next("evenkeel up --home HOME   (runs it as it is)")
            .next("evenkeel up --demo desk --home NEW"));
    }
    config.files.every_seconds = config.files.every_seconds.min(POINT_EVERY_SECONDS);
    config.drill.every_seconds = config.drill.every_seconds.min(DRILL_EVERY_SECONDS);
    config.dashboard.bind = args.dashboard.unwrap_or(config.dashboard.bind);
    Ok(Some(config))
}

fn lay_out(home: &Path) -> Result<Config> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| Report::io("resolve", path, &error))
    };
    let bot = absolute(&home.join(BOT))?;
    let desk = Desk { paths: vec![bot.clone()], ..Desk::default() };
    let options =
        InitOptions { seed: None, dashboard: None, desk: Some(desk), ..InitOptions::default() };
    let config = init::init_home(home, &options)?;
    std::fs::create_dir_all(&bot).map_err(|error| Report::io("make the folder", &bot, &error))?;
    output::note(&format!("laid out a new home in {}", home.display()));
    output::note(&format!("move away: {}\n", init::recovery_words(home)));
    Ok(config)
}

fn bot_folder(config: &Config) -> PathBuf {
    config.home().join(BOT)
}

/// What a person may try.
pub(super) fn say_what_to_break(config: &Config) {
    let home = config.home().display();
    let identity = config.recovery_identity_file();
    output::note(&format!("break it   rm -r {home}/host {home}/sites/site-b   (then Ctrl-C), and"));
    output::note(&format!(
        "           evenkeel restore --home {home} --identity {} --to back --only {home}/bot/{}",
        identity.display(),
        "orders.sqlite"
    ));
}

/// Keeps the bot running.
pub(super) fn keep_bot(config: &Config, stop: &Stop) -> Result<()> {
    let folder = bot_folder(config);
    let words = ["demo", "bot", "--rate", ORDERS_PER_SECOND, "--folder"].map(OsStr::new);
    let words: Vec<&OsStr> = words.into_iter().chain([folder.as_os_str()]).collect();
    while let Some(ended) = child::run(&words, stop, Duration::ZERO) {
        let why = ended.map_or_else(|why| why, |ended| format!("{} {}", ended.status, ended.err));
        output::note(&format!("the bot ended ({why}); it is started again"));
        if stop.sleep(PAUSE) {
            break;
        }
    }
    Ok(())
}
