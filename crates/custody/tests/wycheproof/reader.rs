//! Reads the vectors of Project Wycheproof, for the crates that run them through their own
//! functions.
#![allow(dead_code, reason = "each crate uses its share of this")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// The vectors of one file, each with its group; `None`, with the reason said, where they are not
/// to be had.
pub fn vectors(name: &str) -> Option<Vec<(Value, Value)>> {
    let Some(folder) = std::env::var_os("EVENKEEL_DATA") else {
        println!("skipped: EVENKEEL_DATA does not name the folder of vectors");
        return None;
    };
    // Relative to the workspace, as `.ci/run` sets it.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let name = format!("vectors/wycheproof/{name}_test.json");
    let places = [folder.join(&name), folder.join("..").join(&name)];
    let found = places.iter().find(|path| path.exists());
    let path = found.unwrap_or_else(|| panic!("{} is missing", places[0].display()));
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let groups = all["testGroups"].as_array().unwrap().iter();
    let tests = groups.flat_map(|group| {
        group["tests"].as_array().unwrap().iter().map(|test| (group.clone(), test.clone()))
    });
    let tests: Vec<_> = tests.collect();
    assert_eq!(tests.len() as u64, all["numberOfTests"].as_u64().unwrap());
    Some(tests)
}

pub fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let digits = (0..text.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Runs every vector that `run` does not pass over, and says how many that were: `run` gives what
/// came out, whether that is right by the vector's own result, or the reason to pass over it.
pub fn judge(name: &str, run: impl Fn(&Value, &Value) -> Result<bool, &'static str>) {
    let Some(tests) = vectors(name) else { return };
    let (mut tested, mut skipped) = (0, BTreeMap::<&str, u32>::new());
    for (group, test) in &tests {
        match run(group, test) {
            Ok(right) => {
                assert!(right, "{name} {}: {}", test["tcId"], test["comment"]);
                tested += 1;
            }
            Err(reason) => *skipped.entry(reason).or_default() += 1,
        }
    }
    println!("wycheproof {name}: {tested} of {} tested, skipped {skipped:?}", tests.len());
    assert!(tested > 0, "{name}: nothing was tested");
}

pub fn valid(test: &Value) -> bool {
    test["result"] == "valid"
}
