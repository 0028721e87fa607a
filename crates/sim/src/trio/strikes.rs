//! How faults strike three hosts and their store.

use std::path::PathBuf;

use evenkeel_journal::fault_disk::{Fault as DiskFault, FaultDisk, Survival};
use evenkeel_quorum::memory::CommitFault;

use super::{Role, Trio};
use crate::plan::{Fault, Micros};

impl Trio<'_> {
    pub(super) fn strike(&mut self, index: usize) {
        let planned = self.plan.faults[index];
        let (fault, dice) = (planned.fault, planned.dice >> 8);
        let primary = self.nodes.iter().position(|node| matches!(node.role, Role::Serving { .. }));
        let any = usize::try_from(dice % 3).unwrap_or(0);
        let at = if planned.dice.is_multiple_of(4) { any } else { primary.unwrap_or(any) };
        let until = self.now + planned.lasts;
        self.tell(|| format!("FAULT {fault:?} (host {at}, {} us)", planned.lasts));
        self.recent.push((fault, self.now, Vec::new()));
        let applies = CommitFault::UnknownApplied;
        let later = CommitFault::UnknownLater { operations: dice % 40 };
        match fault {
            Fault::Kill => self.dies(at, "killed"),
            Fault::KillAll => (0..3).for_each(|at| self.dies(at, "killed with all others")),
            Fault::PowerLoss | Fault::LostWrites => {
                self.dies(at, "the power is gone");
                let random = Survival::Random { seed: dice };
                let lost = fault == Fault::LostWrites;
                self.nodes[at].disk.power_cycle(if lost { Survival::Nothing } else { random });
            }
            Fault::TornWrite => {
                let disk = &self.nodes[at].disk;
                disk.fail_at(disk.operations() + dice % 2, DiskFault::PowerLoss);
                self.lifts.push((self.now + 6_000, fault, at));
            }
            Fault::SyncError => {
                let disk = &self.nodes[at].disk;
                let error = DiskFault::Error { seed: dice };
                disk.fail_at(disk.operations() + dice % 3, error);
            }
            Fault::BitFlip => self.flip_bit(at, dice),
            Fault::OldDisk => {
                self.swaps.push((until, at, self.nodes[at].disk.fork()));
            }
            Fault::ClockJump => {
                let by = i64::try_from(dice % 3_600_000_000_000).unwrap_or(0);
                self.nodes[at].wall_ahead_ns += if dice.is_multiple_of(2) { by } else { -by };
            }
            Fault::Restore => {
                self.dies(at, "its disk is gone");
                self.nodes[at].disk = FaultDisk::new();
            }
            Fault::Pause => self.nodes[at].paused_until = self.now + 30_000 + planned.lasts,
            Fault::Partition => self.nodes[at].isolated_until = until,
            Fault::StoreUnknown => {
                let lost = CommitFault::UnknownNotApplied;
                let kinds = [applies, later, lost, later];
                let first = kinds[usize::try_from(dice / 40 % 4).unwrap_or(0)];
                self.nodes[at].link.fail_commits([first, CommitFault::None, later]);
                if dice.is_multiple_of(2) {
                    // The primary does not live to learn what became of it.
                    self.nodes[at].link.fail_reads_after(Some(0));
                    self.lifts.push((until, Fault::StoreCut, at));
                }
            }
            Fault::StoreCut => {
                self.nodes[at].link.set_unreachable(true);
                self.lifts.push((until, fault, at));
            }
            Fault::StoreDown => {
                self.store.set_members_up(1);
                self.lifts.push((until, fault, at));
            }
            Fault::StoreFull => {
                self.nodes[at].link.fail_commits([CommitFault::Full; 6]);
            }
            _ => {}
        }
    }

    pub(super) fn lift(&mut self) {
        let now = self.now;
        let (over, lasting) = self.lifts.drain(..).partition(|one| one.0 <= now);
        self.lifts = lasting;
        let over: Vec<(Micros, Fault, usize)> = over;
        for (_, fault, at) in over {
            self.tell(|| format!("over: {fault:?}"));
            match fault {
                Fault::StoreDown => self.store.set_members_up(3),
                Fault::TornWrite => {
                    self.dies(at, "the power is gone");
                    let seed = crate::strikes::halving(now ^ self.plan.seed);
                    self.nodes[at].disk.power_cycle(Survival::Random { seed });
                }
                _ => self.nodes[at].link.mend(),
            }
        }
    }

    /// Hosts whose time has come get the disk of some time ago.
    pub(super) fn swap(&mut self) {
        let now = self.now;
        let (over, later) = self.swaps.drain(..).partition(|one| one.0 <= now);
        self.swaps = later;
        let over: Vec<(Micros, usize, FaultDisk)> = over;
        for (_, at, disk) in over {
            self.dies(at, "its host comes back with an older disk");
            disk.power_cycle(Survival::Nothing);
            self.nodes[at].disk = disk;
        }
    }

    fn flip_bit(&self, at: usize, dice: u64) {
        let (disk, dir) = (&self.nodes[at].disk, self.nodes[at].dir());
        let is_segment = |path: &PathBuf| {
            path.parent() == Some(dir.as_path())
                && path.to_string_lossy().ends_with(".seg")
                && !path.ends_with("reserve.seg")
        };
        let segments: Vec<PathBuf> = disk.paths().into_iter().filter(is_segment).collect();
        let picked = usize::try_from(dice / 8).unwrap_or(0) % segments.len().max(1);
        let Some(path) = segments.get(picked) else { return };
        let Some(bytes) = disk.bytes(path) else { return };
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
        disk.flip_bit(path, (dice >> 16) % (used * 8 + 1));
    }
}
