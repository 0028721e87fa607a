//! Decision records, numbered once, titled, and agreeing with their file name; and the paragraph in
//! which each crate says what is deliberately absent from it.

use super::manifest::crate_of;
use super::tree::Text;
use super::{Finding, rules};
use std::collections::BTreeMap;

const FOLDER: &str = "docs/adr/";

/// The words `ARCHITECTURE.md` is collected by.
const INVARIANTS: &str = "Architecture invariants";

pub fn check(texts: &[Text], findings: &mut Vec<Finding>) {
    check_decisions(texts, findings);
    check_invariants(texts, findings);
}

/// Looks into the root file of each crate: `lib.rs`, or `main.rs` where there is no library.
fn check_invariants(texts: &[Text], findings: &mut Vec<Finding>) {
    let find = |path: &str| texts.iter().find(|text| text.path == path);
    for manifest in texts.iter().filter(|text| text.path.ends_with("/Cargo.toml")) {
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        if crate_of(&manifest.path).is_none() {
            continue;
        }
        let root = find(&format!("{folder}src/lib.rs"));
        let Some(root) = root.or_else(|| find(&format!("{folder}src/main.rs"))) else {
            continue;
        };
        let mut docs = root.content.lines().take_while(|line| line.starts_with("//!"));
        if !docs.any(|line| line.contains(INVARIANTS)) {
            findings.push(Finding {
                path: root.path.clone(),
                line: 1,
                rule: &rules::INVARIANTS,
                what: format!("the crate's documentation has no paragraph `{INVARIANTS}`"),
            });
        }
    }
}

fn check_decisions(texts: &[Text], findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for text in texts.iter().filter(|text| text.path.starts_with(FOLDER)) {
        let mut report = |what: String| {
            findings.push(Finding { path: text.path.clone(), line: 1, rule: &rules::ADR, what });
        };
        let Some(number) = number_in_name(&text.path[FOLDER.len()..]) else {
            report("the file name has no number".to_owned());
            continue;
        };
        if let Some(other) = seen.insert(number.clone(), &text.path) {
            report(format!("number {number} is taken by {other}"));
        }
        let first = text.content.lines().next().unwrap_or("");
        if !is_heading(first, &number) {
            report(format!("begins with `{first}` instead of `# {number}. Title`"));
        }
    }
}

/// The number of `NNN-some-title.md`.
fn number_in_name(name: &str) -> Option<String> {
    let (number, rest) = name.split_once('-')?;
    let digits = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    let titled = rest.strip_suffix(".md").is_some_and(|title| !title.is_empty());
    (digits && titled).then(|| number.to_owned())
}

/// `# 001. Title`; a colon or a dash may stand for the full stop, `ADR` before the number.
fn is_heading(line: &str, number: &str) -> bool {
    let Some(rest) = line.strip_prefix("# ") else {
        return false;
    };
    let Some(rest) = rest.trim_start_matches("ADR ").strip_prefix(number) else {
        return false;
    };
    let title = rest.trim_start_matches(['.', ':', '-', '–', '—', ' ']);
    !title.is_empty() && title.len() < rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(files: &[(&str, &str)]) -> Vec<String> {
        let texts: Vec<Text> = files
            .iter()
            .map(|(path, content)| Text { path: (*path).into(), content: (*content).into() })
            .collect();
        let mut found = Vec::new();
        check(&texts, &mut found);
        found.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn numbered_and_titled_records_pass() {
        let good = [("docs/adr/001-a.md", "# 001. A\n"), ("docs/adr/002-b.md", "# ADR 002: B\n")];
        assert!(broken(&good).is_empty());
        assert!(broken(&[("docs/formats.md", "no number")]).is_empty());
    }

    #[test]
    fn records_without_number_or_title_or_with_a_taken_number_are_found() {
        assert_eq!(broken(&[("docs/adr/snapshots.md", "# Snapshots\n")]).len(), 1);
        assert_eq!(broken(&[("docs/adr/003-c.md", "# C\n")]).len(), 1);
        assert_eq!(broken(&[("docs/adr/003-c.md", "# 003.\n")]).len(), 1);
        let twice = [("docs/adr/004-a.md", "# 004. A\n"), ("docs/adr/004-b.md", "# 004. B\n")];
        assert_eq!(broken(&twice), ["number 004 is taken by docs/adr/004-a.md"]);
    }

    #[test]
    fn a_crate_says_what_is_deliberately_absent_from_it() {
        let manifest = ("crates/vault/Cargo.toml", "");
        let good = "//! The vault.\n//!\n//! **Architecture invariants**\n//! - No clock.\n";
        assert!(broken(&[manifest, ("crates/vault/src/lib.rs", good)]).is_empty());
        let later = "//! The vault.\nfn a() {}\n// Architecture invariants\n";
        assert_eq!(broken(&[manifest, ("crates/vault/src/lib.rs", later)]).len(), 1);
        assert_eq!(broken(&[("xtask/Cargo.toml", ""), ("xtask/src/main.rs", "")]).len(), 1);
    }
}
