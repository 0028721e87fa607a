//! Vendored files are what `VENDORED.md` says they are: nobody edits them here unnoticed.

use super::tree::Text;
use super::{Finding, rules};
use sha2::{Digest, Sha256};

const LIST: &str = "VENDORED.md";

pub fn check(texts: &[Text], findings: &mut Vec<Finding>) {
    for list in texts.iter().filter(|text| text.path.ends_with(LIST)) {
        let folder = list.path.trim_end_matches(LIST);
        let listed = entries(&list.content);
        let mut report = |path: &str, line: usize, what: String| {
            let path = path.to_owned();
            findings.push(Finding { path, line, rule: &rules::VENDORED, what });
        };
        for text in texts.iter().filter(|text| text.path.starts_with(folder)) {
            let name = &text.path[folder.len()..];
            if name == LIST || name.ends_with("LICENSE.txt") {
                continue;
            }
            match listed.iter().find(|entry| entry.name == name) {
                None => report(&text.path, 1, format!("is not listed in {}", list.path)),
                Some(entry) if entry.sha256 != hex_sha256(&text.content) => {
                    report(&text.path, 1, format!("is not the file with sha256 {}", entry.sha256));
                }
                Some(_) => {}
            }
        }
        for entry in &listed {
            if !texts.iter().any(|text| text.path == format!("{folder}{}", entry.name)) {
                report(&list.path, entry.line, format!("`{}` is not there", entry.name));
            }
        }
    }
}

struct Entry {
    name: String,
    sha256: String,
    line: usize,
}

/// Table rows: the file in the first cell, its checksum in the last, both in backquotes.
fn entries(list: &str) -> Vec<Entry> {
    let quoted = |cell: &str| cell.split('`').nth(1).map(str::to_owned);
    let read = |(index, line): (usize, &str)| {
        let cells: Vec<&str> =
            line.trim().strip_prefix('|')?.trim_end_matches('|').split('|').collect();
        let (name, sha256) = (quoted(cells.first()?)?, quoted(cells.last()?)?);
        Some(Entry { name, sha256, line: index + 1 })
    };
    list.lines().enumerate().filter_map(read).collect()
}

fn hex_sha256(content: &str) -> String {
    Sha256::digest(content.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn broken(files: &[(&str, &str)]) -> Vec<String> {
        let list = format!("| file | sha256 |\n|---|---|\n| `a.js` (from x) | MIT | `{ABC}` |\n");
        let mut texts = vec![Text { path: "v/VENDORED.md".into(), content: list }];
        for (path, content) in files {
            texts.push(Text { path: (*path).into(), content: (*content).into() });
        }
        let mut found = Vec::new();
        check(&texts, &mut found);
        found.into_iter().map(|finding| format!("{} {}", finding.path, finding.what)).collect()
    }

    #[test]
    fn an_untouched_file_with_its_licence_is_silent() {
        assert!(
            broken(&[("v/a.js", "abc"), ("v/a-LICENSE.txt", "MIT"), ("w/b.js", "")]).is_empty()
        );
    }

    #[test]
    fn an_edited_an_unlisted_and_a_missing_file_are_found() {
        assert_eq!(broken(&[("v/a.js", "abd")]).len(), 1);
        assert_eq!(
            broken(&[("v/a.js", "abc"), ("v/b.js", "")]),
            ["v/b.js is not listed in v/VENDORED.md"]
        );
        assert_eq!(broken(&[]), ["v/VENDORED.md `a.js` is not there"]);
    }
}
