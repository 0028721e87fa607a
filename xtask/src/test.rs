//! `cargo xtask test`: one command from a fresh clone to a verdict.

use crate::{Outcome, garage, setup};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Every crate with everything in it; what is off by default is tested all the same.
const WHOLE: &str = "--workspace --features evenkeel/etcd";

/// Tests counted from what the runners print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Prepares the machine, then runs unit, integration and documentation tests in the dev profile.
///
/// # Errors
/// When the machine lacks something that cannot be installed, when any test fails, or when the
/// runners report no test at all.
pub fn run(root: &Path, args: &[String]) -> Outcome {
    setup::ensure(root)?;
    let begun = Instant::now();
    let mut total = Tally::default();
    let mut failed = Vec::new();
    for (title, command_args) in plan(has_nextest(root), args) {
        println!("test: cargo {}", command_args.join(" "));
        let (ok, tally) = run_counted(root, &command_args)?;
        total.add(tally);
        if !ok {
            failed.push(title);
        }
    }
    println!();
    println!("test: {} s, data {}", begun.elapsed().as_secs(), data_note(root));
    if !garage::is_here() {
        println!("test: {}", garage::ABSENT);
    }
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    if !failed.is_empty() {
        return Err(format!("{} did not pass; the first failure is above", failed.join(" and ")));
    }
    if total.passed == 0 {
        return Err("the runners reported no test at all, which is not a pass".to_owned());
    }
    Ok(())
}

/// The cargo calls, in order. One profile for all of them: nothing is built twice.
fn plan(nextest: bool, args: &[String]) -> Vec<(&'static str, Vec<String>)> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let one_package = args.iter().any(|arg| arg.starts_with("-p") || arg.starts_with("--package"));
    let mut options = words("--no-fail-fast");
    if !one_package {
        options.extend(words(WHOLE));
    }
    options.extend_from_slice(args);
    if !nextest {
        return vec![("the tests", [words("test"), options].concat())];
    }
    let tests = [words("nextest run"), options].concat();
    let mut calls = vec![("the tests", tests)];
    // A filter for one test is not meant for the documentation.
    if args.is_empty() {
        calls.push(("the documentation tests", [words("test --doc"), words(WHOLE)].concat()));
    }
    calls
}

fn has_nextest(root: &Path) -> bool {
    let mut probe = Command::new("cargo");
    probe.args(["nextest", "--version"]).current_dir(root);
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

fn cargo(root: &Path, args: &[String]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args).current_dir(root);
    if std::env::var_os("EVENKEEL_DATA").is_none()
        && let Some(data) = recorded_data(root)
    {
        command.env("EVENKEEL_DATA", data);
    }
    command
}

/// The recordings lie beside the checkout; tests on them say so when they are absent.
fn recorded_data(root: &Path) -> Option<std::path::PathBuf> {
    root.join("../shared").canonicalize().ok().filter(|folder| folder.is_dir())
}

fn data_note(root: &Path) -> String {
    if let Some(set) = std::env::var_os("EVENKEEL_DATA") {
        return set.to_string_lossy().into_owned();
    }
    recorded_data(root).map_or_else(
        || "absent (EVENKEEL_DATA not set, no ../shared)".to_owned(),
        |folder| folder.display().to_string(),
    )
}

/// Runs cargo, passes its output on as it comes, and counts the tests in it.
fn run_counted(root: &Path, args: &[String]) -> Outcome<(bool, Tally)> {
    let mut child = cargo(root, args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let tally = std::thread::scope(|scope| {
        let errors = scope.spawn(|| relay(stderr, std::io::stderr()));
        let mut tally = relay(stdout, std::io::stdout());
        if let Ok(other) = errors.join() {
            tally.add(other);
        }
        tally
    });
    let status = child.wait().map_err(|error| format!("cargo was lost: {error}"))?;
    Ok((status.success(), tally))
}

fn relay(from: Option<impl Read>, mut to: impl Write) -> Tally {
    let mut tally = Tally::default();
    let Some(from) = from else { return tally };
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    // A closed terminal must not end the count: the exit code still has to be right.
    while reader.read_until(b'\n', &mut line).is_ok_and(|read_bytes| read_bytes > 0) {
        let _ = to.write_all(&line);
        if let Some(found) = tally_of(&String::from_utf8_lossy(&line)) {
            tally.add(found);
        }
        line.clear();
    }
    tally
}

/// Reads the closing line of libtest (`test result: …`) or of nextest (`Summary [ … ] …`). Nextest
/// shows the output of a failed test indented, libtest's closing line in it included: not counted.
fn tally_of(line: &str) -> Option<Tally> {
    let counts = match line.strip_prefix("test result:") {
        Some(rest) => rest,
        None => line.trim().strip_prefix("Summary [")?.split_once(" run:")?.1,
    };
    let mut tally = Tally::default();
    let words: Vec<&str> = counts.trim().split([' ', ',', ';', '(', ')', '.']).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    for pair in words.windows(2) {
        let Ok(count) = pair[0].parse::<u64>() else {
            continue;
        };
        match pair[1] {
            "passed" => tally.passed = count,
            "failed" => tally.failed += count,
            "timed" => tally.failed += count,
            "skipped" | "ignored" => tally.skipped = count,
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_both_runners_are_counted() {
        let libtest = "test result: ok. 12 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out";
        assert_eq!(tally_of(libtest), Some(Tally { passed: 12, failed: 1, skipped: 2 }));
        let nextest =
            "     Summary [   1.2s] 40 tests run: 38 passed (1 slow), 2 failed, 5 skipped";
        assert_eq!(tally_of(nextest), Some(Tally { passed: 38, failed: 2, skipped: 5 }));
        let single = "     Summary [   0.1s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(tally_of(single), Some(Tally { passed: 1, failed: 0, skipped: 0 }));
        let shown_again = "    test result: FAILED. 0 passed; 1 failed; 0 ignored";
        assert_eq!(tally_of(shown_again), None);
        assert_eq!(tally_of("test money::rounds_half_even ... ok"), None);
    }

    #[test]
    fn without_nextest_one_cargo_test_covers_everything() {
        let calls = plan(false, &[]);
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].1.join(" "), format!("test --no-fail-fast {WHOLE}"));
    }

    #[test]
    fn with_nextest_the_documentation_tests_follow_unless_a_filter_is_given() {
        assert_eq!(plan(true, &[]).len(), 2);
        let one = plan(true, &["-p".to_owned(), "xtask".to_owned()]);
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].1.join(" "), "nextest run --no-fail-fast -p xtask");
    }
}
