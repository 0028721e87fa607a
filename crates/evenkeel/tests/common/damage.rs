//! What goes wrong with objects at sites.

use std::fs;
use std::path::{Path, PathBuf};

use super::random::Random;
use super::{Rig, files_below};

/// Kinds of objects, by the folder they lie in.
pub const CLASSES: [&str; 3] = ["shards", "records", "keys"];

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    Flipped,
    Truncated,
    /// It holds what another object of this site should hold.
    Swapped,
    /// It holds what an earlier object of this site holds.
    Older,
    /// It holds something that was never ours.
    Foreign,
    Missing,
}

pub const HARMS: [Harm; 6] =
    [Harm::Flipped, Harm::Truncated, Harm::Swapped, Harm::Older, Harm::Foreign, Harm::Missing];

/// An object that was harmed.
#[derive(Debug, Clone)]
pub struct Harmed {
    pub site: String,
    pub object: String,
    pub harm: Harm,
}

/// Objects of a class at a site, in order of their names.
pub fn objects(site: &Path, class: &str) -> Vec<PathBuf> {
    let in_class = |path: &PathBuf| {
        let folder = path.parent().and_then(Path::file_name);
        folder.is_some_and(|name| name == class)
    };
    files_below(&site.join("state")).into_iter().filter(in_class).collect()
}

/// Harms one object; `None` where that kind of harm is not possible.
pub fn harm(site: &Path, object: &Path, harm: Harm, random: &mut Random) -> Option<Harmed> {
    let right = fs::read(object).unwrap();
    let class = object.parent()?.file_name()?.to_str()?.to_owned();
    let others: Vec<PathBuf> =
        objects(site, &class).into_iter().filter(|other| other != object).collect();
    let wrong = match harm {
        Harm::Flipped => {
            let mut bytes = right.clone();
            let at = random.index(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            bytes
        }
        Harm::Truncated => right[..random.index(right.len())].to_vec(),
        Harm::Swapped => {
            let other = (!others.is_empty()).then(|| random.pick(&others))?;
            let bytes = fs::read(other).unwrap();
            fs::write(other, &right).unwrap();
            bytes
        }
        Harm::Older => {
            let older = others.iter().rfind(|other| other.as_path() < object)?;
            fs::read(older).unwrap()
        }
        Harm::Foreign => (0..right.len()).map(|_| random.below(256) as u8).collect(),
        Harm::Missing => {
            fs::remove_file(object).unwrap();
            return Some(harmed(site, object, harm));
        }
    };
    if wrong == right {
        return None;
    }
    fs::write(object, wrong).unwrap();
    Some(harmed(site, object, harm))
}

fn harmed(site: &Path, object: &Path, harm: Harm) -> Harmed {
    Harmed {
        site: site.file_name().unwrap().to_string_lossy().into_owned(),
        object: object.strip_prefix(site).unwrap().to_string_lossy().into_owned(),
        harm,
    }
}

/// Harms every object of a class at some sites, each in a way of its own.
pub fn harm_all(rig: &Rig, sites: &[usize], class: &str, random: &mut Random) -> Vec<Harmed> {
    let all = rig.sites();
    let mut done = Vec::new();
    for site in sites.iter().map(|index| &all[*index]) {
        for object in objects(site, class) {
            // Swapping would harm an object that has its own turn.
            let kinds: Vec<Harm> =
                HARMS.into_iter().filter(|harm| *harm != Harm::Swapped).collect();
            let kind = *random.pick(&kinds);
            let one = harm(site, &object, kind, random);
            done.extend(one.or_else(|| harm(site, &object, Harm::Flipped, random)));
        }
    }
    done
}
