//! How faults strike, and how they end.

use evenkeel_journal::fault_disk::{Fault as DiskFault, FaultDisk, Survival};
use evenkeel_recovery::link::ToStandby;

use crate::net::{Message, Party};
use crate::plan::{Fault, Micros, Mode};
use crate::process::State;
use crate::random::Random;
use crate::world::{Event, World};

/// Dice by which a disk keeps about half of the sectors that were not synced: it draws its chance
/// with the same generator, so the one that is meant can be looked for.
pub(crate) fn halving(dice: u64) -> u64 {
    let is_half = |dice: &u64| (Random::new(*dice).draw() & 0xff) % 5 == 2;
    (0..64).map(|more| (dice | 2).wrapping_add(more * 4)).find(is_half).unwrap_or(dice | 2)
}

impl World {
    /// The process that a fault is for: mostly the primary, which has more to lose.
    fn target(&self, dice: u64) -> usize {
        let primary = self.processes.iter().position(crate::process::Process::is_serving);
        let other = dice.is_multiple_of(4);
        match primary {
            Some(slot) if other => 1 - slot,
            Some(slot) => slot,
            None => usize::from(other),
        }
    }

    pub(crate) fn strike(&mut self, index: usize) {
        let planned = self.plan.faults[index];
        let (fault, dice) = (planned.fault, planned.dice >> 8);
        let lasts = planned.lasts;
        let slot = self.target(planned.dice);
        let host = self.host_of(slot);
        let site = usize::try_from(dice % 5).unwrap_or(0);
        self.tell(|| format!("FAULT {fault:?} (process {slot}, host {host}, {lasts} us)"));
        self.recent.push((fault, self.now, Vec::new()));
        let until = self.now + if fault == Fault::SiteDown { lasts * 4 } else { lasts };
        match fault {
            Fault::PowerLoss => {
                self.disk_fault(host, dice % 24, DiskFault::PowerLoss);
                self.push(self.now + 1_000, Event::Blackout { host, dice });
            }
            Fault::LostWrites => self.blackout(host, 0),
            Fault::TornWrite => {
                self.disk_fault(host, dice % 2, DiskFault::PowerLoss);
                // Any part survives; long enough later for the write to have come.
                self.push(self.now + 6_000, Event::Blackout { host, dice: halving(dice) });
            }
            Fault::LostWrite => self.hosts[host].deceive(0, DiskFault::Lie),
            Fault::SyncError => {
                for ahead in 0..[1, 1, 2, 4][usize::try_from(dice / 3 % 4).unwrap_or(0)] {
                    let error = DiskFault::Error { seed: dice };
                    self.disk_fault(host, ahead + dice % 3, error);
                }
            }
            Fault::Misdirected => self.misdirect(host, dice),
            Fault::BitFlip => self.flip_bit(host, dice),
            Fault::VanishedTail => self.swap_later(host, lasts.min(4_000)),
            Fault::OldDisk => self.swap_later(host, lasts),
            Fault::Full => self.hosts[host].faults.set_capacity_bytes(Some(0)),
            Fault::SlowDisk => self.hosts[host].sync = 4_000,
            Fault::Kill => self.dies(slot, "killed"),
            Fault::KillAll => (0..2).for_each(|slot| self.dies(slot, "killed with all others")),
            Fault::Pause => self.processes[slot].paused_until = until,
            Fault::ClockJump => {
                let by = i64::try_from(dice % 3_600_000_000_000).unwrap_or(0);
                self.hosts[host].wall_ahead_ns += if dice.is_multiple_of(2) { by } else { -by };
            }
            Fault::MemoryFlip => self.flip_memory(),
            Fault::Drop => self.net.weather.drops = until,
            Fault::Delay => self.net.weather.delays = until,
            Fault::Duplicate => self.net.weather.duplicates = until,
            Fault::Reorder => self.net.weather.reorders = until,
            Fault::SlowLink => self.net.weather.slow = until,
            Fault::Partition => self.net.weather.isolated[slot] = until,
            Fault::OneWay => self.net.weather.mute[slot] = until,
            Fault::SiteDown => (0..3).for_each(|more| self.sites.set_down(site + more, true)),
            Fault::SiteLies => self.sites.set_lies(site, true),
            Fault::SiteLost => {
                self.sites.lose(site);
            }
            Fault::Failover => self.hand_over(),
            Fault::Scrub => self.scrub(slot),
            Fault::Restore => self.lose_journal(host),
            // Of three hosts only.
            Fault::StoreUnknown | Fault::StoreCut | Fault::StoreDown | Fault::StoreFull => {}
        }
        if matches!(fault, Fault::Full | Fault::SlowDisk | Fault::SiteDown | Fault::SiteLies) {
            self.push(until, Event::Lift { fault, dice: dice ^ (host as u64) << 60 });
        }
    }

    pub(crate) fn lift(&mut self, fault: Fault, dice: u64) {
        self.tell(|| format!("over: {fault:?}"));
        let site = usize::try_from((dice & (u64::MAX >> 4)) % 5).unwrap_or(0);
        for host in &mut self.hosts {
            match fault {
                Fault::Full => host.faults.set_capacity_bytes(None),
                Fault::SlowDisk => host.sync = 40,
                _ => {}
            }
        }
        match fault {
            Fault::SiteDown => (0..3).for_each(|more| self.sites.set_down(site + more, false)),
            Fault::SiteLies => self.sites.set_lies(site, false),
            _ => {}
        }
    }

    fn disk_fault(&mut self, host: usize, ahead: u64, fault: DiskFault) {
        let disk = &self.hosts[host].faults;
        disk.fail_at(disk.operations() + ahead, fault);
    }

    fn misdirect(&mut self, host: usize, dice: u64) {
        let sectors = self.plan.segment_bytes / 512;
        let to_offset = (dice >> 8) % sectors * 512;
        self.hosts[host].deceive(dice % 6, DiskFault::Misdirected { to_offset });
    }

    fn flip_bit(&mut self, host: usize, dice: u64) {
        self.hosts[host].flipped = true;
        let at = &self.hosts[host];
        let segments: Vec<_> = at
            .faults
            .paths()
            .into_iter()
            .filter(|path| path.parent() == Some(&at.dir))
            .filter(|path| path.to_string_lossy().ends_with(".seg"))
            .filter(|path| !path.ends_with("reserve.seg"))
            .collect();
        let picked = usize::try_from(dice / 2).unwrap_or(0) % segments.len().max(1);
        let picked = if dice.is_multiple_of(2) { segments.get(picked) } else { segments.last() };
        let Some(path) = picked else { return };
        let Some(bytes) = at.faults.bytes(path) else { return };
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
        // Half of them near the end, where nobody else may hold the entries yet.
        let from = if dice.is_multiple_of(2) { 0 } else { used.saturating_sub(6_144) };
        at.faults.flip_bit(path, from * 8 + (dice >> 16) % ((used - from) * 8 + 1));
    }

    /// Now is what the disk will come back as.
    fn swap_later(&mut self, host: usize, lasts: u64) {
        let disk = Box::new((self.hosts[host].epoch(), self.hosts[host].faults.fork()));
        self.push(self.now + lasts, Event::Swap { host, since: self.now, disk });
    }

    pub(crate) fn swap(&mut self, host: usize, since: Micros, disk: (u64, FaultDisk)) {
        let (epoch, disk) = disk;
        let is_branch = epoch != self.hosts[host].epoch();
        self.stop_host(host, "its host comes back with an older disk");
        disk.power_cycle(Survival::Nothing);
        self.hosts[host].replace_disk(disk);
        self.follow_folder(host);
        if is_branch || since <= self.gave_up_at {
            // What it wrote last may be of a branch, or of a lineage that was given up: the
            // operator does not take it for the one that goes on.
            self.tell(|| "operator: what the older disk holds is set aside".to_owned());
            self.hosts[host].clear_journal();
            self.hosts[host].lose_journal();
        }
    }

    /// An older disk may not know the folder that a mending has begun since.
    fn follow_folder(&mut self, host: usize) {
        let at = &mut self.hosts[host];
        let folders = at.faults.paths();
        let newest = folders
            .iter()
            .filter(|path| path.file_name().is_some_and(|name| name == "meta"))
            .filter_map(|path| path.parent())
            .max_by_key(|dir| (dir.as_os_str().len(), dir.to_owned()));
        if let Some(dir) = newest {
            at.dir = dir.to_owned();
        }
    }

    fn stop_host(&mut self, host: usize, why: &str) {
        for slot in 0..2 {
            if self.host_of(slot) == host {
                self.dies(slot, why);
            }
        }
    }

    pub(crate) fn blackout(&mut self, host: usize, dice: u64) {
        self.stop_host(host, "the power is gone");
        let survival = match dice % 4 {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Random { seed: dice },
        };
        self.hosts[host].power_cycle(survival);
    }

    fn flip_memory(&mut self) {
        for process in &mut self.processes {
            if let State::Standing(standing) = &mut process.state {
                standing.flips = true;
            }
        }
    }

    /// The operator lets the primary end in good order and its standby take over.
    fn hand_over(&mut self) {
        let Some(slot) = self.processes.iter().position(crate::process::Process::is_serving) else {
            return;
        };
        let here = Party::Process(slot, self.processes[slot].life);
        let is_linked = match &self.processes[slot].state {
            State::Serving(serving) => {
                let standing = serving.link.as_ref().and_then(|(_, end)| end.standing());
                standing.is_some_and(|standing| standing.lag_entries < 64)
            }
            _ => false,
        };
        if !is_linked {
            return self.tell(|| "operator: the standby is not ready".to_owned());
        }
        let State::Serving(serving) = std::mem::take(&mut self.processes[slot].state) else {
            return;
        };
        let (now_ns, time) = (self.now * 1_000, serving.primary.engine().time());
        let Some((line, mut end)) = serving.link else { return };
        match serving.primary.hand_over() {
            Ok(over) => end.hand_over(over),
            Err(error) => self.tell(|| format!("the end was not sealed: {error}")),
        }
        let mut messages: Vec<ToStandby> = Vec::new();
        for _ in 0..4 {
            messages.extend(end.outputs(now_ns, time).unwrap_or_default());
        }
        for message in messages {
            self.send(line, here, Message::ToStandby(Box::new(message)));
        }
        self.ends_in_order(slot);
    }

    fn ends_in_order(&mut self, slot: usize) {
        let here = Party::Process(slot, self.processes[slot].life);
        self.tell(|| format!("process {slot} ends in good order"));
        let arrivals = self.net.end_all(self.now, here);
        self.send_all(arrivals);
        self.processes[slot].life += 1;
        let life = self.processes[slot].life;
        let at = self.now + if self.plan.mode == Mode::Pair { 8_000 } else { 30_000 };
        self.push(at, Event::Start { slot, life });
    }

    fn scrub(&mut self, slot: usize) {
        let host = self.host_of(slot);
        if !self.hosts[host].is_intact() && self.processes[slot].is_up() {
            self.scrubbed(slot);
        }
    }

    fn lose_journal(&mut self, host: usize) {
        self.stop_host(host, "its journal's folder is gone");
        self.hosts[host].lose_journal();
    }
}
