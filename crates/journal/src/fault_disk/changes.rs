//! Changes that are not yet durable, and the dice that decide which of them survive.

use super::Survival;
use std::collections::BTreeMap;
use std::path::PathBuf;

const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone)]
pub(super) enum Change {
    Bytes { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Set(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Set(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename(from, to, inode) => {
                // It is this file that gets the name, whatever else is forgotten of the folder.
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Change {
    pub(super) fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Self::Length(length) => contents.resize((*length).max(contents.len()), 0),
            Self::Bytes { offset, bytes } => {
                let end = offset + bytes.len();
                contents.resize(end.max(contents.len()), 0);
                contents[*offset..end].copy_from_slice(bytes);
            }
        }
    }

    /// In sectors, each of which a disk writes whole or not at all.
    fn split(&self) -> Vec<Self> {
        let Self::Bytes { offset, bytes } = self else {
            return vec![self.clone()];
        };
        let mut parts = Vec::new();
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done;
            let length = (SECTOR_BYTES - at % SECTOR_BYTES).min(bytes.len() - done);
            parts.push(Self::Bytes { offset: at, bytes: bytes[done..done + length].to_vec() });
            done += length;
        }
        parts
    }
}

pub(super) fn persist(durable: &mut Vec<u8>, pending: &[Change], dice: &mut Dice) {
    for change in pending {
        for part in change.split() {
            if dice.keeps() {
                part.apply(durable);
            }
        }
    }
}

/// Decides what survives.
#[derive(Debug)]
pub(super) struct Dice {
    seed: u64,
    /// Of 256.
    chance: u64,
}

impl Dice {
    pub(super) fn of(survival: Survival) -> Self {
        match survival {
            Survival::Nothing => Self { seed: 0, chance: 0 },
            Survival::Everything => Self { seed: 0, chance: 256 },
            Survival::Random { seed } => {
                let mut dice = Self { seed, chance: 0 };
                dice.chance = [16, 64, 128, 192, 240][usize::from(dice.roll() % 5)];
                dice
            }
        }
    }

    pub(super) fn keeps(&mut self) -> bool {
        u64::from(self.roll()) < self.chance
    }

    /// One byte of splitmix64.
    fn roll(&mut self) -> u8 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).to_le_bytes()[0]
    }
}
