//! Benchmarks and campaigns are examples of the binary crate, so that they use what users use;
//! those of simulator, capture, and the log of several hosts are examples of their own crates.
//! Benchmarks beside peers that must stay out of the dependency tree are programs of `bench/`.

use crate::{Outcome, machine};
use std::path::Path;
use std::process::Command;

/// Used when neither `--seed` nor `EVENKEEL_SEED` says otherwise: the same run for everybody.
const SEED_DEFAULT: &str = "1";

/// Runs `crates/evenkeel/examples/<kind>_<name>`, or the benchmark `bench/src/bin/<name>`, in
/// release with the rest of the arguments.
///
/// # Errors
/// When there is neither (the message lists those that do) or the run fails.
pub fn run(root: &Path, kind: &str, args: &[String]) -> Outcome {
    let known = names(root, kind);
    let Some((name, rest)) = args.split_first() else {
        return Err(format!("say which {kind} to run; {}", listing(kind, &known)));
    };
    if !known.contains(name) {
        return Err(format!("no {kind} is called `{name}`; {}", listing(kind, &known)));
    }
    let seed = seed_of(rest);
    println!("{kind}    {name}");
    machine::print_header(root, &seed);
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--release"]);
    if kind == "bench" && beside_peers(root).contains(name) {
        cargo.args(["--manifest-path", "bench/Cargo.toml", "--bin", name]);
    } else {
        let example = format!("{kind}_{name}");
        let is_of = |package: &str| example_names(root, package).contains(&example);
        let package: &[&str] = if is_of("capture") {
            &["evenkeel-capture"]
        } else if is_of("custody") {
            &["evenkeel-custody"]
        } else if is_of("sheets") {
            &["evenkeel-sheets"]
        } else if is_of("sim") {
            &["evenkeel-sim"]
        } else if is_of("quorum") {
            &["evenkeel-quorum", "--features", "etcd"]
        } else if example == "campaign_hosts" {
            &["evenkeel", "--features", "etcd"]
        } else {
            &["evenkeel"]
        };
        cargo.arg("--package").args(package).arg("--example").arg(example);
    }
    let status = cargo
        .arg("--")
        .args(rest)
        .env("EVENKEEL_SEED", &seed)
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{kind} {name} failed ({status}); the same run again: --seed {seed}"))
}

/// The names behind `<kind>_` among the example files and folders, sorted.
fn names(root: &Path, kind: &str) -> Vec<String> {
    let prefix = format!("{kind}_");
    let mut found: Vec<String> = ["capture", "custody", "evenkeel", "quorum", "sheets", "sim"]
        .into_iter()
        .flat_map(|package| example_names(root, package))
        .filter_map(|name| name.strip_prefix(&prefix).map(str::to_owned))
        .collect();
    if kind == "bench" {
        found.extend(beside_peers(root));
    }
    if kind == "campaign" && root.join("fuzz/Cargo.toml").is_file() {
        found.push("fuzz".to_owned());
    }
    if kind == "campaign" && root.join("crates/evenkeel/tests/e2e_garage.rs").is_file() {
        found.push("garage".to_owned());
    }
    found.sort();
    found
}

fn example_names(root: &Path, package: &str) -> Vec<String> {
    let folder = root.join("crates").join(package).join("examples");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| example_name(&entry.path())).collect()
}

/// The benchmarks in the workspace that has the peers.
fn beside_peers(root: &Path) -> Vec<String> {
    let programs = std::fs::read_dir(root.join("bench/src/bin")).into_iter().flatten().flatten();
    programs.filter_map(|entry| example_name(&entry.path())).collect()
}

fn example_name(path: &Path) -> Option<String> {
    let is_file = path.extension().is_some_and(|ending| ending == "rs");
    let is_folder = path.join("main.rs").is_file();
    let name = if is_file { path.file_stem() } else { path.file_name() };
    (is_file || is_folder).then(|| name.map(|name| name.to_string_lossy().into_owned()))?
}

fn listing(kind: &str, known: &[String]) -> String {
    if known.is_empty() {
        return format!("there are none yet (crates/evenkeel/examples/{kind}_NAME.rs adds one)");
    }
    format!("there are: {}", known.join(", "))
}

pub fn seed_of(args: &[String]) -> String {
    let given = args.iter().position(|arg| arg == "--seed").and_then(|at| args.get(at + 1));
    let inline = args.iter().find_map(|arg| arg.strip_prefix("--seed=").map(str::to_owned));
    given
        .cloned()
        .or(inline)
        .or_else(|| std::env::var("EVENKEEL_SEED").ok())
        .unwrap_or_else(|| SEED_DEFAULT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let examples = folder.join("crates/evenkeel/examples");
        std::fs::create_dir_all(examples.join("campaign_flips")).expect("scratch folder");
        let beside = folder.join("bench/src/bin/venue");
        std::fs::create_dir_all(&beside).expect("scratch folder");
        std::fs::write(beside.join("main.rs"), "fn main() {}").expect("scratch file");
        for file in ["bench_spine.rs", "campaign_crash.rs", "campaign_flips/main.rs", "tour.rs"] {
            std::fs::write(examples.join(file), "fn main() {}").expect("scratch file");
        }
        folder
    }

    #[test]
    fn only_examples_that_exist_are_listed_and_unknown_names_say_which_do() {
        let root = scratch("listing");
        assert_eq!(names(&root, "bench"), ["spine", "venue"]);
        assert_eq!(beside_peers(&root), ["venue"]);
        assert_eq!(names(&root, "campaign"), ["crash", "flips"]);
        let refused = run(&root, "campaign", &["crush".to_owned()]).expect_err("unknown name");
        assert!(refused.contains("`crush`") && refused.contains("crash, flips"), "{refused}");
        std::fs::remove_dir_all(root).expect("clean up");
    }

    #[test]
    fn the_seed_on_the_command_line_is_the_one_reported() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(seed_of(&words("--runs 3 --seed 77")), "77");
        assert_eq!(seed_of(&words("--seed=78")), "78");
    }
}
