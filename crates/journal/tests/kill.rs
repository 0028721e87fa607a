//! A real process, really killed.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    Random, SMALL, append, assert_history, confirmation, create, read_from, reopen, root_before,
};
use evenkeel_journal::{Disk, FileLog, JournalError, Options, Preparation, RealDisk, verify};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const DIR_OF_THE_CHILD: &str = "EVENKEEL_TEST_KILLED_WRITER";
const LIVES: u64 = 25;
const OPTIONS: Options = Options { preparation: Preparation::Background, ..SMALL };

/// Opens the journal and appends until it is killed, telling of every acknowledgement.
fn write_until_killed(dir: &Path) -> ! {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut log = match reopen(&disk, dir, OPTIONS) {
        Ok((log, opened)) => {
            assert!(opened.stray.is_empty(), "{opened}");
            log
        }
        Err(JournalError::NotAJournal { .. }) => create(&disk, dir, OPTIONS),
        Err(error) => panic!("{error}"),
    };
    let mut random = Random(log.next());
    loop {
        let next = append(&mut log, 1 + random.below(30)).unwrap();
        println!("acknowledged {next}");
        if random.below(10) == 0 {
            log.seal_if_idle().unwrap();
        }
    }
}

/// Runs the writer, kills it after so many acknowledgements, and returns the last one it told of.
fn one_life(dir: &Path, acknowledgements: u64) -> u64 {
    let name = "a_writer_killed_again_and_again_loses_nothing_acknowledged";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(DIR_OF_THE_CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = 0;
    let mut count = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        // The harness prints the test's name in front of the first line.
        let Some((_, next)) = line.split_once("acknowledged ") else {
            continue;
        };
        told = next.parse().unwrap_or(told);
        count += 1;
        if count == acknowledgements {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    assert!(count >= acknowledgements, "the writer died by itself after {count}");
    told
}

#[test]
fn a_writer_killed_again_and_again_loses_nothing_acknowledged() {
    if let Some(dir) = std::env::var_os(DIR_OF_THE_CHILD) {
        write_until_killed(Path::new(&dir));
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut random = Random(9);
    for life in 1..=LIVES {
        let told = one_life(&dir, 1 + random.below(40));
        let (mut log, opened) = FileLog::open(disk.clone(), &dir, OPTIONS).unwrap();
        assert!(opened.next >= told, "life {life}: {told} acknowledged, {opened}");
        log.confirm_end(&[confirmation("the one who was told", told)]).unwrap();
        assert_eq!(opened.term, life);
    }
    let records = read_from(&disk, &dir, 0).unwrap();
    assert_history(&records, 0);
    let report = verify(disk.as_ref(), &dir).unwrap();
    assert!(report.is_intact(), "{:?}", report.problems);
    assert_eq!(report.root, Some(root_before(records.len() as u64)));
}
