//! The log of several hosts over a real cluster.
#![cfg(feature = "etcd")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use cluster::{Cluster, Plan};
use evenkeel_journal::fault_disk::FaultDisk;
use evenkeel_journal::{
    Admission, Base, Chain, Disk, FileLog, Identity, JournalError, Log, Options, Preparation,
    Reader,
};
use evenkeel_quorum::{
    EtcdStore, Founded, Frames, Handle, Holder, Housekeeping, Keeper, QuorumError, QuorumLog,
    RealPause, Running, Settings, found, take_over,
};

const IDENTITY: Identity = Identity { cluster_id: [0xc1; 16], lineage: [0x11; 16] };
const DIR: &str = "/journal";

struct Host {
    name: &'static str,
    disk: FaultDisk,
    handle: Handle,
    settings: Settings,
}

impl Host {
    fn new(name: &'static str) -> Self {
        let disk = FaultDisk::new();
        let on: Arc<dyn Disk> = Arc::new(disk.clone());
        let file = FileLog::create(on, Path::new(DIR), IDENTITY, Base::genesis(), options());
        file.unwrap().close().unwrap();
        // An election on a machine that is busy may take longer than on one that serves.
        let settings = Settings { patience_ms: 60_000, ..Settings::default() };
        Self { name, disk, handle: Handle::default(), settings }
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    fn file(&self) -> FileLog {
        FileLog::open(self.disk(), Path::new(DIR), options()).unwrap().0
    }

    fn running(&self) -> Running {
        Running {
            pause: Box::new(RealPause::new()),
            handle: self.handle.clone(),
            settings: self.settings,
        }
    }

    fn found(&self, cluster: &Cluster) -> Founded {
        found(&mut cluster.store(), &self.file(), &mut self.running()).unwrap()
    }

    /// Takes over from a term and begins the next.
    fn primary(&self, cluster: &Cluster, expected_term: u64) -> QuorumLog<EtcdStore> {
        let run = [self.name.as_bytes()[0]; 16];
        let me = Holder { name: self.name.to_owned(), address: "here:1".to_owned(), run };
        let taken = take_over(cluster.store(), self.file(), expected_term, me, self.running());
        let mut log = taken.map_err(|not| not.error.to_string()).unwrap();
        let term = log.next_term();
        log.begin_term(term).unwrap();
        log
    }

    fn entries(&self) -> Vec<String> {
        let mut reader = Reader::external(self.disk(), Path::new(DIR), 0).unwrap();
        let mut entries = Vec::new();
        while let Some(batch) = reader.next_batch().unwrap() {
            let texts = batch.records.into_iter().map(|one| String::from_utf8(one.entry).unwrap());
            entries.extend(texts);
        }
        entries
    }
}

fn options() -> Options {
    Options {
        segment_bytes: 1 << 20,
        reserve_bytes: 8_192,
        preparation: Preparation::Inline,
        ..Options::default()
    }
}

fn append(log: &mut impl Log, text: &str) -> Result<u64, JournalError> {
    log.append(&[text.as_bytes()], Admission::Normal).map(|appended| appended.first)
}

fn numbered(prefix: &str, count: u32) -> Vec<String> {
    (0..count).map(|at| format!("{prefix}{at}")).collect()
}

#[test]
fn whoever_was_replaced_is_fenced_and_told_by_whom_and_the_other_goes_on_behind_it() {
    let cluster = Cluster::start(Plan::default());
    let (a, b) = (Host::new("a"), Host::new("b"));
    assert_eq!(a.found(&cluster), Founded::Begun);
    let mut first = a.primary(&cluster, 0);
    for text in numbered("a", 20) {
        append(&mut first, &text).unwrap();
    }
    let mut second = b.primary(&cluster, 1);
    assert_eq!(append(&mut second, "b0").unwrap(), 20);
    let refused = append(&mut first, "too late").unwrap_err();
    assert!(matches!(refused, JournalError::Fenced { .. }), "{refused}");
    assert!(refused.to_string().contains('b'), "{refused}");
    assert!(matches!(first.tend(), Err(JournalError::Fenced { .. })));
    append(&mut second, "b1").unwrap();
    let both = [numbered("a", 20), numbered("b", 2)].concat();
    assert_eq!(b.entries(), both);
    assert_eq!(a.entries(), numbered("a", 20), "the replaced one holds a beginning");
}

#[test]
fn two_that_take_over_at_once_never_both_hold_the_term_and_nothing_acknowledged_is_lost() {
    let cluster = Cluster::start(Plan::default());
    let hosts = ["a", "b", "c"].map(Host::new);
    assert_eq!(hosts[0].found(&cluster), Founded::Begun);
    // Each takes over from whoever holds the term, appends a little, and is replaced meanwhile.
    let acknowledged: Vec<(u64, String)> = thread::scope(|scope| {
        let driven = hosts.each_ref().map(|host| {
            let cluster = &cluster;
            scope.spawn(move || {
                let mut acknowledged = Vec::new();
                for round in 0..6 {
                    let term = Frames::new(cluster.store(), &IDENTITY).read_term().unwrap().term;
                    let run = [host.name.as_bytes()[0], round, 0, 0].repeat(4);
                    let me = Holder {
                        name: host.name.to_owned(),
                        address: "here:1".to_owned(),
                        run: run.try_into().unwrap(),
                    };
                    let (store, file) = (cluster.store(), host.file());
                    let Ok(mut log) = take_over(store, file, term, me, host.running()) else {
                        continue;
                    };
                    let term = log.next_term();
                    if log.begin_term(term).is_err() {
                        continue;
                    }
                    for at in 0..25 {
                        let text = format!("{}{round}.{at}", host.name);
                        match append(&mut log, &text) {
                            Ok(first) => acknowledged.push((first, text)),
                            Err(JournalError::Fenced { .. }) => break,
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
                acknowledged
            })
        });
        driven.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    assert!(!acknowledged.is_empty());
    let last = Host::new("d");
    let term = Frames::new(cluster.store(), &IDENTITY).read_term().unwrap().term;
    last.primary(&cluster, term);
    let entries = last.entries();
    for (position, text) in &acknowledged {
        assert_eq!(&entries[usize::try_from(*position).unwrap()], text);
    }
    // What was committed but never acknowledged may be there; nothing is there twice.
    let mut once = entries.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), entries.len());
}

#[test]
fn killed_leaders_delay_appends_and_neither_lose_nor_repeat_an_entry() {
    let mut cluster = Cluster::start(Plan::default());
    let (a, b) = (Host::new("a"), Host::new("b"));
    a.found(&cluster);
    let mut log = a.primary(&cluster, 0);
    let texts = numbered("n", 400);
    let (sent, told) = std::sync::mpsc::channel();
    let all = texts.clone();
    let writing = thread::spawn(move || {
        for text in &all {
            append(&mut log, text).unwrap();
            let _ = sent.send(());
        }
        log
    });
    for _ in 0..3 {
        // In the middle of the stream, whatever it is doing.
        for _ in 0..60 {
            told.recv().unwrap();
        }
        let leader = cluster.leader();
        cluster.kill(leader);
        for _ in 0..30 {
            told.recv().unwrap();
        }
        cluster.restart(leader);
    }
    writing.join().unwrap();
    b.primary(&cluster, 1);
    assert_eq!(b.entries(), texts);
    assert_eq!(a.entries(), texts);
}

#[test]
fn without_a_majority_nothing_is_acknowledged_and_the_wait_can_be_ended() {
    let mut cluster = Cluster::start(Plan::default());
    let (a, b) = (Host::new("a"), Host::new("b"));
    a.found(&cluster);
    let mut log = a.primary(&cluster, 0);
    append(&mut log, "before").unwrap();
    cluster.kill(0);
    cluster.kill(1);
    let writing = thread::spawn(move || append(&mut log, "meanwhile"));
    while a.handle.status().waiting.is_none_or(|waiting| waiting.attempts < 2) {
        assert!(!writing.is_finished(), "nobody can have acknowledged it");
        thread::sleep(std::time::Duration::from_millis(20));
    }
    a.handle.stop();
    let ended = writing.join().unwrap();
    assert!(ended.is_err(), "{ended:?}");
    cluster.restart(0);
    cluster.restart(1);
    let mut log = b.primary(&cluster, 1);
    append(&mut log, "after").unwrap();
    let entries = b.entries();
    // Its outcome was told to be unknown.
    assert!(entries == ["before", "after"] || entries == ["before", "meanwhile", "after"]);
}

#[test]
fn a_majority_that_comes_back_gets_the_append_that_waited_for_it() {
    let mut cluster = Cluster::start(Plan::default());
    let a = Host::new("a");
    a.found(&cluster);
    let mut log = a.primary(&cluster, 0);
    append(&mut log, "before").unwrap();
    cluster.kill(0);
    cluster.kill(1);
    let writing = thread::spawn(move || {
        append(&mut log, "meanwhile").unwrap();
        log
    });
    while a.handle.status().waiting.is_none() {
        thread::sleep(std::time::Duration::from_millis(20));
    }
    cluster.restart(0);
    cluster.restart(1);
    let mut log = writing.join().unwrap();
    append(&mut log, "after").unwrap();
    assert_eq!(a.entries(), ["before", "meanwhile", "after"]);
}

/// More passes through the store than it has room for, since the keeper trims what is archived.
#[test]
fn a_trimmed_log_carries_more_than_the_quota_and_a_late_follower_is_sent_to_the_sites() {
    let quota_bytes = 24 << 20;
    let cluster = Cluster::start(Plan { quota_bytes, ..Plan::default() });
    let mut a = Host::new("a");
    a.settings.housekeeping = Housekeeping::Keeper;
    a.settings.trim_every_ms = 50;
    a.found(&cluster);
    let mut log = a.primary(&cluster, 0);
    let access = cluster.access();
    let connect = move || EtcdStore::connect(&access);
    let keeper = Keeper::start(connect, IDENTITY, a.handle.clone(), a.settings).unwrap();
    let entry = vec![7; 64 << 10];
    for _ in 0..3 * quota_bytes / (256 << 10) {
        // A full store is waited out: the sites have everything at once here.
        let appended = loop {
            match log.append(&[&entry, &entry, &entry, &entry], Admission::Normal) {
                Ok(appended) => break appended,
                Err(JournalError::StoreFull { .. }) => log.tend().unwrap(),
                Err(other) => panic!("{other}"),
            }
        };
        a.handle.archived_to(appended.last + 1);
        log.tend().unwrap();
        log.trim_beside(appended.first).unwrap();
    }
    let status = a.handle.status();
    assert!(status.trimmed_below > 0);
    let mut frames = Frames::new(cluster.store(), &IDENTITY);
    let genesis = Chain::default();
    match frames.next_batches(0, &genesis, 0).unwrap_err() {
        QuorumError::TrimmedAway { from: 0, to } => assert!(to >= status.trimmed_below),
        other => panic!("{other}"),
    }
    drop(log);
    keeper.join().unwrap();
}
