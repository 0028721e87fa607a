//! Histories of two hosts and a store that fails in every way it can, compared with a model:
//! nothing that was acknowledged is lost, nothing stands twice, and no term acknowledges after a
//! higher one was won.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Host, IDENTITY};
use evenkeel_journal::{Admission, JournalError, Log};
use evenkeel_quorum::memory::{CommitFault, MemStore};
use evenkeel_quorum::{Frames, Handle, QuorumError, QuorumLog};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// Appends a batch of so many entries.
    Append {
        host: usize,
        count: usize,
        reserve: bool,
    },
    /// Takes the term over if the host is not primary already.
    TakeOver {
        host: usize,
    },
    /// What happens to the next commits of a host.
    Fail {
        host: usize,
        faults: Vec<CommitFault>,
    },
    /// Reads of a host fail for a while.
    Deaf {
        host: usize,
        reads: u64,
    },
    /// The host's process dies and starts again with what is on its disk.
    Crash {
        host: usize,
    },
    /// Delayed commits arrive.
    Settle,
    /// The sites hold all but the last few entries.
    Archive {
        host: usize,
        behind: u64,
    },
    Tend {
        host: usize,
    },
}

fn fault() -> impl Strategy<Value = CommitFault> {
    prop_oneof![
        Just(CommitFault::None),
        Just(CommitFault::UnknownNotApplied),
        Just(CommitFault::UnknownApplied),
        (0..12_u64).prop_map(|operations| CommitFault::UnknownLater { operations }),
        Just(CommitFault::UnknownLater { operations: u64::MAX }),
        Just(CommitFault::Full),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let host = 0..2_usize;
    prop_oneof![
        8 => (host.clone(), 1..4_usize, any::<bool>())
            .prop_map(|(host, count, reserve)| Step::Append { host, count, reserve }),
        2 => host.clone().prop_map(|host| Step::TakeOver { host }),
        4 => (host.clone(), prop::collection::vec(fault(), 1..5))
            .prop_map(|(host, faults)| Step::Fail { host, faults }),
        1 => (host.clone(), 0..4_u64).prop_map(|(host, reads)| Step::Deaf { host, reads }),
        1 => host.clone().prop_map(|host| Step::Crash { host }),
        2 => Just(Step::Settle),
        1 => (host.clone(), 0..6_u64).prop_map(|(host, behind)| Step::Archive { host, behind }),
        2 => host.prop_map(|host| Step::Tend { host }),
    ]
}

struct World {
    store: MemStore,
    hosts: [Host; 2],
    logs: [Option<QuorumLog<MemStore>>; 2],
    /// Acknowledged entries by position.
    acknowledged: Vec<(u64, Vec<u8>)>,
    /// Entries whose outcome nobody was told.
    in_doubt: Vec<Vec<u8>>,
    /// Entries that were refused with the word that nothing was written.
    refused: Vec<Vec<u8>>,
    highest_won: u64,
    drawn: u64,
}

impl World {
    fn new() -> Self {
        let (store, a, b) = common::two_hosts();
        Self {
            store,
            hosts: [a, b],
            logs: [None, None],
            acknowledged: Vec::new(),
            in_doubt: Vec::new(),
            refused: Vec::new(),
            highest_won: 0,
            drawn: 0,
        }
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Append { host, count, reserve } => self.append(host, count, reserve),
            Step::TakeOver { host } => self.take_over(host),
            Step::Fail { host, faults } => self.hosts[host].store.fail_commits(faults),
            Step::Deaf { host, reads } => self.hosts[host].store.fail_reads_after(Some(reads)),
            Step::Crash { host } => self.crash(host),
            Step::Settle => drop(self.store.settle()),
            Step::Archive { host, behind } => {
                // Both hosts' sites; a host that lags must not depend on what is only there.
                let held = self.hosts.iter().map(|one| one.entries().len() as u64).min();
                self.hosts[host].handle.archived_to(held.unwrap_or(0).saturating_sub(behind));
            }
            Step::Tend { host } => {
                if let Some(log) = &mut self.logs[host] {
                    let fenced = matches!(log.tend(), Err(JournalError::Fenced { .. }));
                    assert!(!fenced || log.term().term < self.highest_in_store());
                }
            }
        }
    }

    fn highest_in_store(&self) -> u64 {
        Frames::new(self.store.another(), &IDENTITY).read_term().unwrap().term
    }

    fn append(&mut self, host: usize, count: usize, reserve: bool) {
        let Some(log) = &mut self.logs[host] else { return };
        let entries: Vec<Vec<u8>> = (0..count)
            .map(|_| {
                self.drawn += 1;
                self.drawn.to_be_bytes().to_vec()
            })
            .collect();
        let batch: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let admission = if reserve { Admission::Reserve } else { Admission::Normal };
        match log.append(&batch, admission) {
            Ok(appended) => {
                assert_eq!(log.term().term, self.highest_won, "a stale term acknowledged");
                self.acknowledged.extend((appended.first..).zip(entries));
            }
            Err(error) if error.is_full() => self.refused.extend(entries),
            Err(JournalError::Fenced { .. } | JournalError::Poisoned { .. }) => {
                self.in_doubt.extend(entries);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn take_over(&mut self, host: usize) {
        if self.logs[host].take().is_some() {
            return;
        }
        let expected = self.highest_in_store();
        let one = &mut self.hosts[host];
        one.run = one.run.wrapping_add(2);
        one.handle = Handle::default();
        // A deaf host hears again after a while, and whoever waits is stopped in the end.
        let (store, handle) = (one.store.clone(), one.handle.clone());
        let running = one.running_with(move |pauses| {
            if pauses % 7 == 0 {
                store.fail_reads_after(None);
            }
            if pauses % 50 == 49 {
                handle.stop();
            }
        });
        let taken = one.take_over_with(expected, running);
        match taken {
            Ok(mut log) => {
                self.highest_won = self.highest_won.max(log.term().term);
                let term = log.next_term();
                match log.begin_term(term) {
                    Ok(()) => self.logs[host] = Some(log),
                    Err(JournalError::Poisoned { .. } | JournalError::Fenced { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Err(not_taken) => {
                let taken = matches!(not_taken.error, QuorumError::Taken(_));
                assert!(taken || not_taken.error.is_passing(), "{not_taken}");
            }
        }
    }

    fn crash(&mut self, host: usize) {
        self.logs[host] = None;
        let survival = evenkeel_journal::fault_disk::Survival::Random { seed: self.drawn };
        self.hosts[host].disk.power_cycle(survival);
    }

    /// Everything mended: a host takes over, and what it has is the history.
    fn end(mut self) -> usize {
        self.logs = [None, None];
        self.store.settle();
        for host in &mut self.hosts {
            host.store.mend();
            host.handle = Handle::default();
            host.run = host.run.wrapping_add(2);
            let term = Frames::new(host.store.clone(), &IDENTITY).read_term().unwrap().term;
            drop(host.take_over(term).unwrap());
        }
        let history = self.hosts[0].entries();
        assert_eq!(history, self.hosts[1].entries());
        for (position, entry) in &self.acknowledged {
            let at = usize::try_from(*position).unwrap();
            assert_eq!(history.get(at), Some(entry), "acknowledged at {position}");
        }
        for entry in &self.refused {
            assert!(!history.contains(entry), "refused, but written");
        }
        let mut once = history.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), history.len(), "an entry stands twice");
        let acknowledged = self.acknowledged.iter().map(|(_, entry)| entry);
        let known: std::collections::BTreeSet<_> = acknowledged.chain(&self.in_doubt).collect();
        assert!(history.iter().all(|entry| known.contains(entry)), "an entry from nowhere");
        self.acknowledged.len()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_or_stands_twice(
        steps in prop::collection::vec(step(), 1..80)
    ) {
        let mut world = World::new();
        world.play(Step::TakeOver { host: 0 });
        for step in steps {
            world.play(step);
        }
        world.end();
    }
}

#[test]
fn the_model_sees_acknowledgements() {
    let mut world = World::new();
    world.play(Step::TakeOver { host: 0 });
    world.play(Step::Append { host: 0, count: 3, reserve: false });
    world.play(Step::TakeOver { host: 1 });
    world.play(Step::Append { host: 0, count: 3, reserve: false });
    world.play(Step::Append { host: 1, count: 2, reserve: true });
    assert_eq!(world.in_doubt.len(), 3);
    assert_eq!(world.end(), 5);
}
