//! Project chores: `cargo xtask <chore>`.
//!
//! `tidy` enforces the house rules, `test` prepares the machine and runs every test, `bench` and
//! `campaign` run the measured examples of the binary crate.
//!
//! **Architecture invariants.** It knows no crate of the project and no crate knows it. Everything
//! it enforces is read from source text and manifests, so it works on a tree that does not compile.

mod brought;
mod examples;
mod fuzz;
mod garage;
mod machine;
mod setup;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

/// What a chore ends with: nothing, or the sentence a person reads.
type Outcome<T = ()> = Result<T, String>;

const USAGE: &str = "\
usage: cargo xtask <chore>

  tidy [--rules]            enforce the house rules; --rules lists them with their reasons
  setup                     install what the tests need, or say what to type
  test [ARGS]               install what the tests need, run all of them; ARGS go to the runner
  bench NAME [ARGS]         run crates/evenkeel/examples/bench_NAME, or bench/src/bin/NAME, in
                            release; no NAME lists them
  campaign NAME [ARGS]      run crates/evenkeel/examples/campaign_NAME in release
  campaign fuzz [--seconds N] [--cpu-seconds N] [TARGET]
                            fuzz every target (or one) for N seconds each, 60 unless told
  campaign garage [ARGS]    build garage once, then test sites in a real cluster of it; ARGS go
                            to the tests

bench and campaign take --seed N (or EVENKEEL_SEED); the run sees it as EVENKEEL_SEED.";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let chore = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let outcome = match chore.as_str() {
        "tidy" => tidy::run(&root(), &rest),
        "setup" => setup::ensure(&root()),
        "test" => test::run(&root(), &rest),
        "bench" => examples::run(&root(), "bench", &rest),
        "campaign" if rest.first().is_some_and(|name| name == "fuzz") => {
            fuzz::run(&root(), &rest[1..])
        }
        "campaign" if rest.first().is_some_and(|name| name == "garage") => {
            garage::run(&root(), &rest[1..])
        }
        "campaign" => examples::run(&root(), "campaign", &rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        "" => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
        other => {
            eprintln!("xtask: no chore is called `{other}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask {chore}: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The checkout this program was built from: the parent of its own package.
fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or(own.clone(), PathBuf::from)
}
