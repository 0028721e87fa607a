//! The floors of the house: who may know whom.

use super::manifest::Manifest;
use super::{Finding, rules};

/// Where a crate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Depends on lower floors only.
    Floor(u8),
    /// Stands outside: may use every crate below the binary, nobody may use it.
    Beside,
    /// Stands outside and uses no crate of the project.
    Apart,
}

/// DESIGN's table. A crate that is not here cannot be added unnoticed.
const PLACES: &[(&str, Place)] = &[
    ("types", Place::Floor(0)),
    ("quant", Place::Floor(0)),
    ("venue", Place::Floor(1)),
    ("custody", Place::Floor(2)),
    ("evidence", Place::Floor(2)),
    ("journal", Place::Floor(3)),
    ("vault", Place::Floor(3)),
    ("sheets", Place::Floor(3)),
    ("capture", Place::Floor(4)),
    ("chain", Place::Floor(3)),
    ("hsm", Place::Floor(3)),
    ("quorum", Place::Floor(4)),
    ("recovery", Place::Floor(4)),
    ("sites", Place::Floor(4)),
    ("evenkeel", Place::Floor(5)),
    ("offline", Place::Floor(5)),
    ("sim", Place::Beside),
    ("xtask", Place::Apart),
];

/// Pairs that floors alone would allow, but that must not know each other: the log does not know
/// what an entry means, the vault not what a byte means.
const STRANGERS: &[(&str, &str)] = &[("journal", "venue"), ("vault", "venue")];

fn place(name: &str) -> Option<Place> {
    PLACES.iter().find(|(known, _)| *known == name).map(|(_, place)| *place)
}

/// The floor of a crate, if it stands on one.
pub fn floor(name: &str) -> Option<u8> {
    match place(name)? {
        Place::Floor(floor) => Some(floor),
        Place::Beside | Place::Apart => None,
    }
}

/// `evenkeel` and `evenkeel-<name>` are ours; all else comes from elsewhere.
fn ours(package: &str) -> Option<&str> {
    if package == "evenkeel" || package == "xtask" {
        return Some(package);
    }
    package.strip_prefix("evenkeel-")
}

pub fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let path = &manifest.path;
    let mut report = |line: usize, rule: &'static rules::Rule, what: String| {
        findings.push(Finding { path: path.clone(), line, rule, what });
    };
    if !manifest.workspace_lints {
        let what = format!("crate `{}` does not take the workspace lints", manifest.name);
        report(1, &rules::WORKSPACE_LINTS, what);
    }
    let Some(own) = place(&manifest.name) else {
        report(1, &rules::FLOOR_UNKNOWN, format!("crate `{}` has no floor", manifest.name));
        return;
    };
    for dependency in &manifest.dependencies {
        let Some(other) = ours(&dependency.package) else {
            continue;
        };
        // A crate's tests may switch on features of the crate itself.
        if dependency.dev && other == manifest.name {
            continue;
        }
        if let Some(reason) = objection(&manifest.name, own, other) {
            let kind = if dependency.dev { "dev-dependency" } else { "dependency" };
            report(dependency.line, &rules::FLOOR, format!("{kind} on `{other}`: {reason}"));
        }
    }
}

fn objection(name: &str, own: Place, other: &str) -> Option<String> {
    if other == "evenkeel" {
        return Some("nobody depends on the binary".to_owned());
    }
    if STRANGERS.contains(&(name, other)) {
        return Some(format!("`{name}` must not know what `{other}` means"));
    }
    match (own, place(other)) {
        (_, None) => Some("it has no floor".to_owned()),
        (Place::Apart, _) => Some(format!("`{name}` knows no crate of the project")),
        (_, Some(Place::Beside | Place::Apart)) => {
            Some("it stands beside the house, nobody depends on it".to_owned())
        }
        (Place::Beside, Some(Place::Floor(_))) => None,
        (Place::Floor(own), Some(Place::Floor(theirs))) if theirs == own => {
            Some(format!("both stand on floor {own}, whose crates do not know each other"))
        }
        (Place::Floor(own), Some(Place::Floor(theirs))) if theirs > own => {
            Some(format!("`{name}` is on floor {own}, `{other}` above it on floor {theirs}"))
        }
        (Place::Floor(_), Some(Place::Floor(_))) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::manifest;
    use super::*;

    fn findings(name: &str, table: &str, dependency: &str) -> Vec<String> {
        let text = format!("[lints]\nworkspace = true\n[{table}]\n{dependency}.workspace = true\n");
        let mut found = Vec::new();
        check(&manifest(&format!("crates/{name}/Cargo.toml"), &text), &mut found);
        found.into_iter().map(|f| format!("{}:{} {}", f.rule.name, f.line, f.what)).collect()
    }

    #[test]
    fn a_dependency_on_a_lower_floor_is_silent() {
        assert!(findings("recovery", "dependencies", "evenkeel-vault").is_empty());
        assert!(findings("evenkeel", "dependencies", "evenkeel-recovery").is_empty());
        assert!(findings("types", "dependencies", "blake3").is_empty());
    }

    #[test]
    fn a_dependency_on_a_higher_floor_is_found_with_its_line() {
        let found = findings("types", "dependencies", "evenkeel-venue");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("floor:4 dependency on `venue`"), "{found:?}");
    }

    #[test]
    fn dev_dependencies_may_not_go_up_either() {
        let found = findings("journal", "dev-dependencies", "evenkeel-recovery");
        assert!(found[0].contains("dev-dependency on `recovery`"), "{found:?}");
    }

    #[test]
    fn crates_of_one_floor_and_strangers_do_not_know_each_other() {
        assert_eq!(findings("journal", "dependencies", "evenkeel-vault").len(), 1);
        assert_eq!(findings("vault", "dev-dependencies", "evenkeel-venue").len(), 1);
        assert_eq!(findings("vault", "dependencies", "evenkeel-vault").len(), 1);
        assert!(findings("vault", "dev-dependencies", "evenkeel-vault").is_empty());
    }

    #[test]
    fn nobody_depends_on_the_binary_nor_on_what_stands_beside() {
        assert_eq!(findings("recovery", "dev-dependencies", "evenkeel").len(), 1);
        assert_eq!(findings("recovery", "dev-dependencies", "evenkeel-sim").len(), 1);
        assert!(findings("sim", "dependencies", "evenkeel-recovery").is_empty());
    }

    #[test]
    fn a_crate_without_floor_or_lints_is_found() {
        let mut found = Vec::new();
        check(&manifest("crates/cellar/Cargo.toml", "[package]\n"), &mut found);
        let names: Vec<&str> = found.iter().map(|finding| finding.rule.name).collect();
        assert_eq!(names, ["workspace-lints", "floor-unknown"]);
    }
}
