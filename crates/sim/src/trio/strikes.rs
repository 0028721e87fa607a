//! How faults strike three hosts and their store.

use evenkeel_journal::fault_disk::{FaultDisk, Survival};
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
                _ => self.nodes[at].link.mend(),
            }
        }
    }
}
