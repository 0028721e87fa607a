//! `cargo xtask campaign fuzz`: every decoder that reads bytes from outside, fed with wrong ones.

use crate::{Outcome, examples, machine};
use std::path::Path;
use std::process::{Command, Stdio};

const SECONDS_DEFAULT: u64 = 60;
/// A decoder that asks for more than this for an input of a few kilobytes trusted a length in it.
const MEMORY_LIMIT_MIB: u64 = 512;

struct Options {
    seconds: u64,
    /// Processor time, for a machine that does other things too; then `seconds` is one slice.
    cpu_seconds: Option<u64>,
    only: Option<String>,
    seed: String,
}

/// Runs each fuzz target for the given time.
///
/// # Errors
/// When a target finds a crash, or the tool is absent and cannot be built.
pub fn run(root: &Path, args: &[String]) -> Outcome {
    let options = read_options(args)?;
    let known = targets(root);
    let chosen: Vec<&String> = match &options.only {
        Some(name) if !known.contains(name) => {
            return Err(format!("no target is called `{name}`; there are: {}", known.join(", ")));
        }
        Some(name) => known.iter().filter(|target| *target == name).collect(),
        None => known.iter().collect(),
    };
    if chosen.is_empty() {
        return Err("there are no fuzz targets yet (fuzz/fuzz_targets/NAME.rs adds one)".into());
    }
    println!("campaign fuzz, {} s for each of {} targets", options.seconds, chosen.len());
    machine::print_header(root, &options.seed);
    ensure_tool(root)?;
    let mut broken = Vec::new();
    for target in &chosen {
        println!("fuzz: {target}");
        if !run_for(root, target, &options)? {
            broken.push(target.as_str());
        }
    }
    println!("{} targets ok, {} broken", chosen.len() - broken.len(), broken.len());
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!("{}: the input is below fuzz/artifacts; add it as a test", broken.join(", ")))
}

fn read_options(args: &[String]) -> Outcome<Options> {
    let mut options = Options {
        seconds: SECONDS_DEFAULT,
        cpu_seconds: None,
        only: None,
        seed: examples::seed_of(args),
    };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => options.seconds = number(word, words.next())?,
            "--cpu-seconds" => options.cpu_seconds = Some(number(word, words.next())?),
            "--seed" => {
                words.next().ok_or("--seed needs a number")?;
            }
            flag if flag.starts_with('-') => return Err(format!("unknown option `{flag}`")),
            name => options.only = Some(name.to_owned()),
        }
    }
    Ok(options)
}

fn number(flag: &str, value: Option<&String>) -> Outcome<u64> {
    let value = value.ok_or_else(|| format!("{flag} needs a number"))?;
    value.parse().map_err(|_| format!("{flag} `{value}` is not a number"))
}

fn targets(root: &Path) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(root.join("fuzz/fuzz_targets"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    found.sort();
    found
}

fn ensure_tool(root: &Path) -> Outcome {
    let mut probe = Command::new("cargo");
    probe.args(["fuzz", "--version"]).current_dir(root);
    if probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
        return Ok(());
    }
    println!("fuzz: building cargo-fuzz, which is not on this machine");
    let mut install = Command::new("cargo");
    let status = install.args(["install", "--locked", "--debug", "cargo-fuzz"]).status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err("cargo-fuzz could not be installed; type: cargo install --locked cargo-fuzz".into())
}

/// Whether the target ran its time, or until it had its processor time, without a crash.
fn run_for(root: &Path, target: &str, options: &Options) -> Outcome<bool> {
    let Some(wanted) = options.cpu_seconds else {
        return run_target(root, target, options, &options.seed);
    };
    // Built before the clock runs.
    let build = Command::new("cargo")
        .args(["fuzz", "build", target])
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(root)
        .status();
    if !build.is_ok_and(|status| status.success()) {
        return Err(format!("the fuzz target {target} does not build"));
    }
    let (begun, mut slice) = (children_cpu_seconds()?, 0_u64);
    while children_cpu_seconds()?.saturating_sub(begun) < wanted {
        // A seed of its own for each slice: the corpus goes on, the choices are others.
        let seed = format!("{}{slice:03}", options.seed);
        if !run_target(root, target, options, &seed)? {
            return Ok(false);
        }
        slice += 1;
    }
    println!(
        "fuzz: {target}: {} s of processor time",
        children_cpu_seconds()?.saturating_sub(begun)
    );
    Ok(true)
}

/// Processor time of all ended children, in seconds: fields 16 and 17 of `/proc/self/stat`, in
/// hundredths on every Linux (proc(5)).
fn children_cpu_seconds() -> Outcome<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")
        .map_err(|error| format!("/proc/self/stat cannot be read: {error}"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks / 100)
}

/// Whether the target ran a slice without a crash.
fn run_target(root: &Path, target: &str, options: &Options, seed: &str) -> Outcome<bool> {
    // The sanitizer flag is not stable; the bootstrap switch admits it on a stable compiler.
    let status = Command::new("cargo")
        .args(["fuzz", "run", target, "--"])
        .arg(format!("-max_total_time={}", options.seconds))
        .arg(format!("-seed={seed}"))
        .arg(format!("-malloc_limit_mb={MEMORY_LIMIT_MIB}"))
        .arg(format!("-timeout={}", if options.cpu_seconds.is_some() { 300 } else { 10 }))
        .args(["-verbosity=0", "-print_funcs=0", "-print_final_stats=1"])
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo fuzz could not be started: {error}"))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn time_target_and_seed_are_read_in_any_order() {
        let options = read_options(&words("--seconds 5 entry_decode --seed 9")).expect("options");
        assert_eq!(options.seconds, 5);
        assert_eq!(options.only.as_deref(), Some("entry_decode"));
        assert_eq!(options.seed, "9");
    }

    #[test]
    fn a_wrong_time_is_refused_with_the_word_that_was_wrong() {
        let refused = read_options(&words("--seconds soon")).err().expect("refused");
        assert!(refused.contains("`soon`"), "{refused}");
    }
}
