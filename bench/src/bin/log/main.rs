//! Durable logs side by side: what they carry, and how late an entry is at a given load.
//!
//! `cargo xtask bench log [--only flat-out,load] [--logs own,raft,sqlite] [--seed N] [--dir DIR]
//! [--quick]`
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "rates and counts for people"
)]

mod drive;
mod logs;

use std::path::PathBuf;
use std::process::ExitCode;

use logs::{LOGS, Log};

/// Whatever goes wrong ends the run with its message.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What to measure.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Times for a look, not for a table.
    pub(crate) quick: bool,
    dir: PathBuf,
    only: Vec<String>,
    logs: Vec<String>,
}

impl Plan {
    fn from_args() -> Outcome<Self> {
        let seed = std::env::var("EVENKEEL_SEED").unwrap_or_else(|_| "1".to_owned()).parse()?;
        let dir = PathBuf::from("bench/target");
        let mut plan = Self { seed, quick: false, dir, only: Vec::new(), logs: Vec::new() };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--quick" => plan.quick = true,
                "--seed" => plan.seed = value()?.parse()?,
                "--dir" => plan.dir = value()?.into(),
                "--only" => plan.only = value()?.split(',').map(str::to_owned).collect(),
                "--logs" => plan.logs = value()?.split(',').map(str::to_owned).collect(),
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        let known = |name: &String| ["flat-out", "load"].contains(&name.as_str());
        if let Some(unknown) = plan.only.iter().find(|name| !known(name)) {
            return Err(format!("there is no section {unknown}").into());
        }
        if let Some(unknown) =
            plan.logs.iter().find(|name| !LOGS.iter().any(|log| log.key == **name))
        {
            return Err(format!("there is no log {unknown}").into());
        }
        Ok(plan)
    }

    /// The logs that take part, ours first: the others are told as ratios to the first.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &'static Log> {
        LOGS.iter().filter(|log| self.logs.is_empty() || self.logs.iter().any(|key| key == log.key))
    }

    fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == section)
    }

    /// An empty folder on the disk that is measured.
    pub(crate) fn scratch(&self) -> Outcome<tempfile::TempDir> {
        std::fs::create_dir_all(&self.dir)?;
        Ok(tempfile::Builder::new().prefix("bench-log-").tempdir_in(&self.dir)?)
    }
}

fn run(plan: &Plan) -> Outcome {
    if plan.wants("flat-out") {
        drive::flat_out(plan)?;
    }
    if plan.wants("load") {
        drive::under_load(plan)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match Plan::from_args().and_then(|plan| run(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench log: {error}");
            ExitCode::FAILURE
        }
    }
}
