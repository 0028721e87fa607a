//! Hosts around one store in memory.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use evenkeel_journal::fault_disk::FaultDisk;
use evenkeel_journal::{
    Admission, Base, Disk, FileLog, Identity, Log, Options, Preparation, Reader,
};
use evenkeel_quorum::memory::{MemStore, PlayedPause};
use evenkeel_quorum::{
    Handle, Holder, Keys, NotTaken, QuorumLog, Running, Settings, found, take_over,
};

pub const IDENTITY: Identity = Identity { cluster_id: [0xc1; 16], lineage: [0x11; 16] };
pub const DIR: &str = "/journal";

pub fn keys() -> Keys {
    Keys::new(&IDENTITY)
}

pub fn options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        reserve_bytes: 8192,
        preparation: Preparation::Inline,
        ..Options::default()
    }
}

/// A host: a disk with a journal, and a connection to the store.
#[derive(Debug, Clone)]
pub struct Host {
    pub name: &'static str,
    pub run: u8,
    pub disk: FaultDisk,
    pub store: MemStore,
    pub handle: Handle,
    pub now_ms: Arc<AtomicU64>,
    pub settings: Settings,
}

impl Host {
    pub fn new(name: &'static str, store: &MemStore) -> Self {
        let host = Self {
            name,
            run: name.as_bytes()[0],
            disk: FaultDisk::new(),
            store: store.another(),
            handle: Handle::default(),
            now_ms: Arc::default(),
            settings: Settings { trim_every_ms: 0, ..Settings::default() },
        };
        let disk: Arc<dyn Disk> = Arc::new(host.disk.clone());
        FileLog::create(disk, Path::new(DIR), IDENTITY, Base::genesis(), options())
            .unwrap()
            .close()
            .unwrap();
        host
    }

    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    pub fn file(&self) -> FileLog {
        FileLog::open(self.disk(), Path::new(DIR), options()).unwrap().0
    }

    pub fn holder(&self) -> Holder {
        let (name, address) = (self.name.to_owned(), format!("{}:7", self.name));
        Holder { name, address, run: [self.run; 16] }
    }

    pub fn running(&self) -> Running {
        self.running_with(|_| {})
    }

    pub fn running_with(&self, on_pause: impl FnMut(u64) + Send + 'static) -> Running {
        Running {
            pause: Box::new(PlayedPause::new(Arc::clone(&self.now_ms), on_pause)),
            handle: self.handle.clone(),
            settings: self.settings,
        }
    }

    pub fn found(&self) -> evenkeel_quorum::Result<evenkeel_quorum::Founded> {
        found(&mut self.store.clone(), &self.file(), &mut self.running())
    }

    pub fn take_over(
        &self,
        expected_term: u64,
    ) -> Result<QuorumLog<MemStore>, Box<NotTaken<MemStore>>> {
        self.take_over_with(expected_term, self.running())
    }

    pub fn take_over_with(
        &self,
        expected_term: u64,
        running: Running,
    ) -> Result<QuorumLog<MemStore>, Box<NotTaken<MemStore>>> {
        take_over(self.store.clone(), self.file(), expected_term, self.holder(), running)
    }

    /// Takes over and begins the term.
    pub fn primary(&self, expected_term: u64) -> QuorumLog<MemStore> {
        self.primary_with(expected_term, self.running())
    }

    pub fn primary_with(&self, expected_term: u64, running: Running) -> QuorumLog<MemStore> {
        let mut log = self.take_over_with(expected_term, running).unwrap();
        let term = log.next_term();
        log.begin_term(term).unwrap();
        log
    }

    /// All entries of its journal, from outside.
    pub fn entries(&self) -> Vec<Vec<u8>> {
        let mut reader = Reader::external(self.disk(), Path::new(DIR), 0).unwrap();
        let mut entries = Vec::new();
        while let Some(batch) = reader.next_batch().unwrap() {
            entries.extend(batch.records.into_iter().map(|record| record.entry));
        }
        entries
    }
}

pub fn append(log: &mut dyn Log, text: &str) -> evenkeel_journal::Result<u64> {
    log.append(&[text.as_bytes()], Admission::Normal).map(|appended| appended.first)
}

/// A store with a log that host `a` began, and hosts `a` and `b`.
pub fn two_hosts() -> (MemStore, Host, Host) {
    let store = MemStore::new();
    let (a, b) = (Host::new("a", &store), Host::new("b", &store));
    assert_eq!(a.found(), Ok(evenkeel_quorum::Founded::Begun));
    (store, a, b)
}

pub fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
