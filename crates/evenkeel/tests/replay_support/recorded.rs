//! Where recorded files lie.

use std::path::{Path, PathBuf};

/// A recorded file, or `None` with the reason said where the data is not to be had.
pub fn recorded(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("EVENKEEL_DATA") else {
        println!("skipped: EVENKEEL_DATA does not name the folder of recorded data");
        return None;
    };
    let folder = PathBuf::from(folder);
    // Relative to the workspace, as `.ci/run` sets it.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let places = [folder.join(name), folder.join("data").join(name)];
    let found = places.iter().find(|path| path.exists());
    Some(found.unwrap_or_else(|| panic!("{} is missing", places[0].display())).clone())
}
