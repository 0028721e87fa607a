//! A disk in memory that loses, tears, reorders, misplaces and refuses, as real ones do.
//!
//! It keeps what programs see (the page cache) apart from what would survive a power loss. A write
//! survives for certain only after a sync of its file, a name only after a sync of its folder; of
//! everything else [`FaultDisk::power_cycle`] keeps any part, sector by sector, by a seed.

mod changes;

use crate::disk::{Access, Claim, Disk, DiskFile, DiskLock, LockRefused};
use crate::error::Holder;
use changes::{Change, Dice, NameChange, persist};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong at one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The power goes: the operation may be done in part, and everything fails until
    /// [`FaultDisk::power_cycle`].
    PowerLoss,
    /// An input/output error. After a failed sync the pages count as clean: a part of them (by the
    /// seed) is durable, the rest never will be, although reads still show it.
    Error {
        /// Decides which sectors became durable.
        seed: u64,
    },
    /// No space left.
    NoSpace,
    /// A write goes to another offset of its file, and not to its own.
    Misdirected {
        /// Where it goes, in bytes.
        to_offset: u64,
    },
    /// The operation claims success; what it wrote or synced is not durable.
    Lie,
}

/// How much of what was not synced survives a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// All of it.
    Everything,
    /// Any sectors and any names, by the seed.
    Random {
        /// Decides which.
        seed: u64,
    },
}

/// The disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct FaultDisk(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    /// What living handles said they are for.
    claims: Vec<(usize, Claim)>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    capacity_bytes: Option<u64>,
    no_power: bool,
    /// Handles of an earlier life are dead.
    life: u64,
}

impl FaultDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An independent copy, as it is now, with the power on and nobody holding a lock. Faults that
    /// were scheduled are not copied.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut state = self.state().clone();
        state.locks.clear();
        state.claims.clear();
        state.faults.clear();
        state.no_power = false;
        state.life += 1;
        Self(Arc::new(Mutex::new(state)))
    }

    /// Number of changing operations so far (write, sync, allocate, create, rename, remove).
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets the operation with this number (counted from 0 over the life of the disk) go wrong.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().faults.insert(operation, fault);
    }

    /// Limits the sum of all file lengths, in bytes; `None` is no limit.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        self.state().capacity_bytes = capacity_bytes;
    }

    /// The power goes and comes back. Everything synced survives, of the rest what is asked.
    /// Handles and locks from before are dead.
    pub fn power_cycle(&self, survival: Survival) {
        let mut state = self.state();
        let mut dice = Dice::of(survival);
        for inode in &mut state.inodes {
            let pending = std::mem::take(&mut inode.pending);
            persist(&mut inode.durable, &pending, &mut dice);
            inode.seen = inode.durable.clone();
        }
        let changes = std::mem::take(&mut state.pending_names);
        for change in changes {
            if dice.keeps() {
                change.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
        state.locks.clear();
        state.claims.clear();
        state.faults.clear();
        state.no_power = false;
        state.life += 1;
    }

    /// What a program reads from a file.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(path).map(|inode| state.inodes[*inode].seen.clone())
    }

    /// Replaces a file's contents, durably, behind everybody's back.
    pub fn set_bytes(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let inode = Inode { seen: bytes.to_vec(), durable: bytes.to_vec(), pending: Vec::new() };
        match state.names.get(path).copied() {
            Some(index) => state.inodes[index] = inode,
            None => {
                state.inodes.push(inode);
                let index = state.inodes.len() - 1;
                state.names.insert(path.to_owned(), index);
                state.durable_names.insert(path.to_owned(), index);
            }
        }
    }

    /// Changes one bit of a file, durably. Bits are counted from the lowest one of byte 0.
    pub fn flip_bit(&self, path: &Path, bit: u64) {
        if let Some(mut bytes) = self.bytes(path) {
            let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (bit % 8);
            }
            self.set_bytes(path, &bytes);
        }
    }

    /// Names of all files, for tests that walk them.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn io_error() -> io::Error {
    io::Error::other("input/output error (played)")
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off (played)")
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl State {
    /// Counts a changing operation and tells what goes wrong with it.
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        if self.no_power {
            return Err(power_is_off());
        }
        let fault = self.faults.remove(&self.operations);
        self.operations += 1;
        match fault {
            Some(Fault::NoSpace) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::PowerLoss) => {
                self.no_power = true;
                Ok(fault)
            }
            _ => Ok(fault),
        }
    }

    fn change_names(&mut self, change: NameChange) -> io::Result<()> {
        let fault = self.begin()?;
        if matches!(fault, Some(Fault::Error { .. })) {
            return Err(io_error());
        }
        change.apply(&mut self.names);
        self.pending_names.push(change);
        if self.no_power { Err(power_is_off()) } else { Ok(()) }
    }

    fn release(&mut self, inode: usize, claim: Claim) {
        if let Some(at) = self.claims.iter().position(|held| *held == (inode, claim)) {
            self.claims.swap_remove(at);
        }
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[*inode].seen.len() as u64).sum()
    }

    fn room_for(&self, inode: usize, length_bytes: usize) -> io::Result<()> {
        let grows = length_bytes.saturating_sub(self.inodes[inode].seen.len()) as u64;
        match self.capacity_bytes {
            Some(capacity) if grows > 0 && self.used_bytes() + grows > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn change(&mut self, inode: usize, change: Change) {
        change.apply(&mut self.inodes[inode].seen);
        self.inodes[inode].pending.push(change);
    }

    fn sync(&mut self, inode: usize) -> io::Result<()> {
        let fault = self.begin()?;
        let inode = &mut self.inodes[inode];
        match fault {
            Some(Fault::PowerLoss) => Err(power_is_off()),
            Some(Fault::Lie) => Ok(()),
            Some(Fault::Error { seed }) => {
                let pending = std::mem::take(&mut inode.pending);
                persist(&mut inode.durable, &pending, &mut Dice::of(Survival::Random { seed }));
                Err(io_error())
            }
            _ => {
                let pending = std::mem::take(&mut inode.pending);
                pending.iter().for_each(|change| change.apply(&mut inode.durable));
                Ok(())
            }
        }
    }
}

impl Disk for FaultDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        if state.no_power {
            return Err(power_is_off());
        }
        let inode = *state.names.get(path).ok_or_else(not_found)?;
        let writable = access == Access::ReadWrite;
        Ok(Box::new(FaultFile::new(self, inode, writable, state.life)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change_names(NameChange::Set(path.to_owned(), inode))?;
        Ok(Box::new(FaultFile::new(self, inode, true, state.life)))
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        if self.state().no_power { Err(power_is_off()) } else { Ok(()) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.no_power {
            return Err(power_is_off());
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        let names = inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        Ok(names.collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let inode = *state.names.get(from).ok_or_else(not_found)?;
        state.change_names(NameChange::Rename(from.to_owned(), to.to_owned(), inode))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(path) {
            return Err(not_found());
        }
        state.change_names(NameChange::Remove(path.to_owned()))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        match state.begin()? {
            Some(Fault::PowerLoss) => return Err(power_is_off()),
            Some(Fault::Error { .. }) => return Err(io_error()),
            Some(Fault::Lie) => return Ok(()),
            _ => {}
        }
        let concerns = |change: &NameChange| match change {
            NameChange::Set(path, _) | NameChange::Remove(path) => path.parent() == Some(dir),
            NameChange::Rename(_, to, _) => to.parent() == Some(dir),
        };
        let (synced, rest) =
            std::mem::take(&mut state.pending_names).into_iter().partition(concerns);
        state.pending_names = rest;
        let synced: Vec<NameChange> = synced;
        synced.iter().for_each(|change| change.apply(&mut state.durable_names));
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let state = self.state();
        let capacity = state.capacity_bytes.unwrap_or(u64::MAX);
        Ok(capacity.saturating_sub(state.used_bytes()))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, LockRefused> {
        let mut state = self.state();
        if state.no_power {
            return Err(LockRefused::Io(power_is_off()));
        }
        if !state.locks.insert(path.to_owned()) {
            let command = "another holder (played)".to_owned();
            return Err(LockRefused::Held(Holder { pid: 1, since_unix_seconds: 0, command }));
        }
        Ok(Box::new(FaultLock { disk: self.clone(), path: path.to_owned(), life: state.life }))
    }
}

#[derive(Debug)]
struct FaultLock {
    disk: FaultDisk,
    path: PathBuf,
    life: u64,
}

impl DiskLock for FaultLock {}

impl Drop for FaultLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

#[derive(Debug)]
struct FaultFile {
    disk: FaultDisk,
    inode: usize,
    writable: bool,
    life: u64,
    claim: Mutex<Claim>,
}

impl FaultFile {
    fn new(disk: &FaultDisk, inode: usize, writable: bool, life: u64) -> Self {
        Self { disk: disk.clone(), inode, writable, life, claim: Mutex::new(Claim::None) }
    }

    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.no_power || state.life != self.life { Err(power_is_off()) } else { Ok(state) }
    }

    fn state_for_writing(&self) -> io::Result<MutexGuard<'_, State>> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.state()
    }
}

impl DiskFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state()?;
        let contents = &state.inodes[self.inode].seen;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
        let length = buffer.len().min(contents.len() - start);
        buffer[..length].copy_from_slice(&contents[start..start + length]);
        Ok(length)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state_for_writing()?;
        let offset = usize::try_from(offset).map_err(|_| io_error())?;
        state.room_for(self.inode, offset + bytes.len())?;
        let fault = state.begin()?;
        let (offset, ends) = match fault {
            Some(Fault::Misdirected { to_offset }) => {
                (usize::try_from(to_offset).unwrap_or(offset), Ok(()))
            }
            Some(Fault::PowerLoss) => (offset, Err(power_is_off())),
            Some(Fault::Error { .. }) => return Err(io_error()),
            Some(Fault::Lie) => return Ok(()),
            _ => (offset, Ok(())),
        };
        state.change(self.inode, Change::Bytes { offset, bytes: bytes.to_vec() });
        ends
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state_for_writing()?.sync(self.inode)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn preallocate(&self, length_bytes: u64) -> io::Result<()> {
        let mut state = self.state_for_writing()?;
        let length = usize::try_from(length_bytes).map_err(|_| io_error())?;
        state.room_for(self.inode, length)?;
        match state.begin()? {
            Some(Fault::PowerLoss) => return Err(power_is_off()),
            Some(Fault::Error { .. }) => return Err(io_error()),
            _ => {}
        }
        state.change(self.inode, Change::Length(length));
        Ok(())
    }

    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.state()?.inodes[self.inode].seen.len() as u64)
    }

    fn claim(&self, claim: Claim) -> io::Result<bool> {
        let mut state = self.state()?;
        let mut own = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        state.release(self.inode, *own);
        *own = Claim::None;
        let stands_against = |(inode, other): &(usize, Claim)| {
            *inode == self.inode && (claim == Claim::Exclusive || *other == Claim::Exclusive)
        };
        if claim == Claim::None {
            return Ok(true);
        }
        if state.claims.iter().any(stands_against) {
            return Ok(false);
        }
        state.claims.push((self.inode, claim));
        *own = claim;
        Ok(true)
    }
}

impl Drop for FaultFile {
    fn drop(&mut self) {
        let own = *self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.disk.state();
        if state.life == self.life {
            state.release(self.inode, own);
        }
    }
}
