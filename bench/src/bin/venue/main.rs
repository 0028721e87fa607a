//! The venue engine, measured: its book against its peers, the whole engine, its memory.
//!
//! `cargo xtask bench venue [--only peers,memory,deep,margin,scenarios] [--seed N] [--quick]`
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "rates and counts for people"
)]

mod contest;
mod deep;
mod engine;
mod figures;
mod flow;
mod margin;
mod peers;

use std::process::ExitCode;

/// Whatever goes wrong ends the run with its message.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What to measure.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Sizes for a look, not for a table.
    pub(crate) quick: bool,
    only: Vec<String>,
}

/// A part of the benchmark.
type Section = fn(&Plan) -> Outcome;

const SECTIONS: [(&str, Section); 5] = [
    ("peers", peers::run),
    ("memory", deep::memory),
    ("deep", deep::run),
    ("margin", margin::run),
    ("scenarios", margin::scenarios),
];

impl Plan {
    fn from_args() -> Outcome<Self> {
        let seed = std::env::var("EVENKEEL_SEED").unwrap_or_else(|_| "1".to_owned());
        let mut plan = Self { seed: seed.parse()?, quick: false, only: Vec::new() };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--quick" => plan.quick = true,
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
}

fn main() -> ExitCode {
    match Plan::from_args().and_then(|plan| plan.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench venue: {error}");
            ExitCode::FAILURE
        }
    }
}
