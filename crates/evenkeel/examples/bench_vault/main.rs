//! The vault beside its peers, as users run them: `evenkeel backup` and `restore` to five folder
//! sites (any three suffice), restic, rustic and borg to one folder each, in turn, on the same
//! data.
//!
//! `cargo xtask bench vault [--mib N] [--rounds N] [--level default|equal] [--dir DIR] [--seed N]`
//!
//! The data is a third each of a SQLite table of orders, market data in JSON, and noise
//! (`data.rs`); then a day goes by, and everybody backs up again. `--level equal` has all of them
//! compress with zstd level 3, restic's own. Peers that are not installed are said to be missing.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "rates and counts for people"
)]

mod data;
#[path = "../bench_spine/figures.rs"]
#[allow(dead_code, reason = "shared with another benchmark")]
mod figures;
mod tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use figures::median;
use tools::{Ran, Tool};

/// Whatever goes wrong ends the run with its message.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Set in a child: it is to be the `evenkeel` program itself.
pub(crate) const CHILD: &str = "EVENKEEL_BENCH_CHILD";

struct Plan {
    dir: PathBuf,
    seed: u64,
    bytes: usize,
    rounds: usize,
    equal_level: bool,
}

impl Plan {
    fn from_args() -> Outcome<Self> {
        let seed = std::env::var("EVENKEEL_SEED").unwrap_or_else(|_| "1".to_owned());
        let mut plan = Self {
            dir: std::env::current_dir()?.join("target/bench"),
            seed: seed.parse()?,
            bytes: 1 << 30,
            rounds: 3,
            equal_level: false,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--mib" => plan.bytes = value()?.parse::<usize>()? << 20,
                "--rounds" => plan.rounds = value()?.parse()?,
                "--dir" => plan.dir = value()?.into(),
                "--seed" => plan.seed = value()?.parse()?,
                "--level" => plan.equal_level = value()? == "equal",
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        Ok(plan)
    }
}

/// What one tool took for one step, one value a round.
#[derive(Default)]
struct Figures {
    seconds: Vec<f64>,
    core_seconds: Vec<f64>,
    peak_bytes: Vec<f64>,
    added_bytes: Vec<f64>,
}

impl Figures {
    fn note(&mut self, ran: &Ran, added_bytes: u64) {
        self.seconds.push(ran.seconds);
        self.core_seconds.push(ran.core_seconds);
        self.peak_bytes.push(ran.peak_bytes as f64);
        self.added_bytes.push(added_bytes as f64);
    }
}

const STEPS: [&str; 5] =
    ["backup", "backup, nothing new", "backup, a day on", "restore", "restore, 2 of 5 gone"];

type Table = BTreeMap<(&'static str, &'static str), Figures>;

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return evenkeel::cli::run();
    }
    match Plan::from_args().and_then(|plan| run(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench vault: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(plan: &Plan) -> Outcome {
    let tools = Tool::installed(plan.equal_level);
    for (tool, version) in &tools {
        match version {
            Some(version) => println!("{:<9} {version}; {}", tool.name(), tool.settings()),
            None => println!("{:<9} not installed", tool.name()),
        }
    }
    let mut table = Table::new();
    let mut total = 0;
    for round in 0..plan.rounds {
        println!("round {} of {}   load {}", round + 1, plan.rounds, figures::load_average());
        std::fs::create_dir_all(&plan.dir)?;
        let scratch = tempfile::tempdir_in(&plan.dir)?;
        total = one_round(plan, &tools, scratch.path(), &mut table)?;
    }
    show(&tools, &table, total);
    Ok(())
}

/// Each step by every tool before the next one; gives the bytes of the data.
fn one_round(
    plan: &Plan,
    tools: &[(Tool, Option<String>)],
    dir: &Path,
    table: &mut Table,
) -> Outcome<u64> {
    let source = dir.join("data");
    data::create(&source, plan.seed, plan.bytes)?;
    let total = tools::folder_bytes(&source)?;
    let here: Vec<&Tool> = tools.iter().filter(|one| one.1.is_some()).map(|one| &one.0).collect();
    for tool in &here {
        tool.create(&dir.join(tool.name()))?;
    }
    for step in STEPS {
        if step == "backup, a day on" {
            data::a_day_on(&source, plan.seed, plan.bytes)?;
        }
        for tool in &here {
            let home = dir.join(tool.name());
            let before = tool.stored_bytes(&home)?;
            let ran = match step {
                "restore, 2 of 5 gone" if !tool.lose_two(&home)? => continue,
                "restore" | "restore, 2 of 5 gone" => {
                    let back = dir.join("back");
                    let ran = tool.restore(&home, &back)?;
                    data::compare(&source, &back)?;
                    std::fs::remove_dir_all(&back)?;
                    ran
                }
                _ => tool.backup(&home, &source)?,
            };
            let added = tool.stored_bytes(&home)?.saturating_sub(before);
            table.entry((step, tool.name())).or_default().note(&ran, added);
        }
    }
    Ok(total)
}

fn show(tools: &[(Tool, Option<String>)], table: &Table, total: u64) {
    let own = tools[0].0.name();
    println!("\n{} MB of data; medians", total / 1_000_000);
    for step in STEPS {
        println!("{step}");
        let seconds = |name| table.get(&(step, name)).map(|figures| median(&figures.seconds));
        let Some(mine) = seconds(own) else { continue };
        for (tool, _) in tools {
            let Some(figures) = table.get(&(step, tool.name())) else { continue };
            let took = median(&figures.seconds);
            println!(
                "  {:<9} {took:>7.2} s {:>6.0} MB/s  ours x{:<5.2} {:>6.2} core-s/GB  \
                 peak {:>4.0} MiB  stored +{:.1} MB",
                tool.name(),
                total as f64 / 1e6 / took,
                took / mine,
                median(&figures.core_seconds) * 1e9 / total as f64,
                median(&figures.peak_bytes) / f64::from(1 << 20),
                median(&figures.added_bytes) / 1e6,
            );
        }
    }
    if let (Some(whole), Some(two_gone)) =
        (table.get(&("restore", own)), table.get(&("restore, 2 of 5 gone", own)))
    {
        let share = median(&whole.seconds) / median(&two_gone.seconds);
        println!("with two of five sites gone: {:.0} % of the healthy speed", 100.0 * share);
    }
}
