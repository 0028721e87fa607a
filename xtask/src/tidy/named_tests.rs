//! Tests that the documentation names as `path/file.rs::name` exist.

use super::tree::Text;
use super::{Finding, rules};

const FOLDER: &str = "docs/";

pub fn check(texts: &[Text], findings: &mut Vec<Finding>) {
    for text in texts.iter().filter(|text| is_documentation(&text.path)) {
        for (number, line) in text.content.lines().enumerate() {
            for (path, name) in named(line) {
                if let Some(what) = missing(texts, path, name) {
                    let (path, rule) = (text.path.clone(), &rules::NAMED_TESTS);
                    findings.push(Finding { path, line: number + 1, rule, what });
                }
            }
        }
    }
}

fn is_documentation(path: &str) -> bool {
    path.starts_with(FOLDER) && path.ends_with(".md")
}

/// Every `path/file.rs::name` between backticks.
fn named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split_once("::").filter(|(path, _)| path.ends_with(".rs")))
}

fn missing(texts: &[Text], path: &str, name: &str) -> Option<String> {
    let Some(file) = texts.iter().find(|text| text.path == path) else {
        return Some(format!("there is no file {path}"));
    };
    let found = file.content.contains(&format!("fn {name}("));
    (!found).then(|| format!("{path} has no test `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(line: &str) -> Vec<String> {
        let text = |path: &str, content: &str| Text { path: path.into(), content: content.into() };
        let test = text("crates/a/tests/b.rs", "#[test]\nfn it_holds() {}\n");
        let mut found = Vec::new();
        check(&[test, text("docs/failures.md", line)], &mut found);
        found.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_named_test_has_to_exist() {
        assert!(broken("| torn | `crates/a/tests/b.rs::it_holds` |").is_empty());
        assert!(broken("`Engine::apply` and `std::fs` are no tests").is_empty());
        assert_eq!(
            broken("`crates/a/tests/b.rs::it_breaks`"),
            ["crates/a/tests/b.rs has no test `it_breaks`"]
        );
        assert_eq!(
            broken("`crates/a/tests/c.rs::it_holds`"),
            ["there is no file crates/a/tests/c.rs"]
        );
    }
}
