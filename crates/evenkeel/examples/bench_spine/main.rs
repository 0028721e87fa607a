//! The spine, measured: journal, engine, snapshots, vault, the whole, standby, cold restore.
//!
//! `cargo xtask bench spine [--only SECTIONS] [--seed N] [--dir DIR] [--quick]`, where the
//! sections are journal, replay, held, vault, whole, standby, cold
//!
//! Peers (SQLite, a bare file, restic) run in turn with what they are compared with, in the same
//! run and on the same disk, and every comparison is printed as a ratio. Figures of different runs
//! are not comparable; ratios are, more or less.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "rates and counts for people"
)]

mod cold;
mod feed;
mod figures;
mod held;
mod journal;
mod replay;
mod restic;
mod stages;
mod standby;
mod vault;
mod whole;

use std::path::PathBuf;
use std::process::ExitCode;

/// Whatever goes wrong ends the run with its message.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Set in a child: it is to be the `evenkeel` program itself.
pub(crate) const CHILD: &str = "EVENKEEL_BENCH_CHILD";

/// What to measure, and where.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Scratch folder on the disk to be measured.
    pub(crate) dir: PathBuf,
    pub(crate) seed: u64,
    /// Sizes and durations for a look, not for a table.
    pub(crate) quick: bool,
    only: Vec<String>,
}

/// A part of the benchmark.
type Section = fn(&Plan) -> Outcome;

const SECTIONS: [(&str, Section); 7] = [
    ("journal", journal::run),
    ("replay", replay::run),
    ("held", held::run),
    ("vault", vault::run),
    ("whole", whole::run),
    ("standby", standby::run),
    ("cold", cold::run),
];

impl Plan {
    fn from_args() -> Outcome<Self> {
        let seed = std::env::var("EVENKEEL_SEED").unwrap_or_else(|_| "1".to_owned());
        let mut plan = Self {
            dir: std::env::current_dir()?.join("target/bench"),
            seed: seed.parse()?,
            quick: false,
            only: Vec::new(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--quick" => plan.quick = true,
                "--dir" => plan.dir = value()?.into(),
                "--seed" => plan.seed = value()?.parse()?,
                "--only" => plan.only = value()?.split(',').map(str::to_owned).collect(),
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        let known = |name: &String| SECTIONS.iter().any(|(section, _)| section == name);
        if let Some(unknown) = plan.only.iter().find(|name| !known(name)) {
            return Err(format!("there is no section {unknown}").into());
        }
        Ok(plan)
    }

    fn run(&self) -> Outcome {
        for (name, section) in SECTIONS {
            if self.only.is_empty() || self.only.iter().any(|only| only == name) {
                println!("== {name}   (load average {})", figures::load_average());
                section(self)?;
                println!();
            }
        }
        Ok(())
    }

    /// A fresh folder below the scratch folder; gone when dropped.
    pub(crate) fn scratch(&self) -> Outcome<tempfile::TempDir> {
        std::fs::create_dir_all(&self.dir)?;
        Ok(tempfile::tempdir_in(&self.dir)?)
    }
}

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return evenkeel::cli::run();
    }
    match Plan::from_args().and_then(|plan| plan.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench spine: {error}");
            ExitCode::FAILURE
        }
    }
}
