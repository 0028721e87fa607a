//! Where recorded data lies.
#![allow(clippy::disallowed_methods, reason = "a recorded file is named by the environment")]

use std::path::{Path, PathBuf};

/// The file of that name; none, and a word about it, if the environment names no folder.
pub fn recorded(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("EVENKEEL_DATA") else {
        println!("skipped: EVENKEEL_DATA does not name the folder of recorded data");
        return None;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let places = [folder.join(name), folder.join("data").join(name)];
    let found = places.iter().find(|path| path.exists());
    Some(found.unwrap_or_else(|| panic!("{} is missing", places[0].display())).clone())
}
