//! The files of the checkout, as git sees them.

use super::manifest::Manifest;
use super::source::{Source, SourceError};
use crate::Outcome;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// A text file and its path from the root of the checkout.
#[derive(Debug)]
pub struct Text {
    pub path: String,
    pub content: String,
}

/// Everything the checks look at.
pub struct Tree {
    pub texts: Vec<Text>,
    pub sources: Vec<Source>,
    pub manifests: Vec<Manifest>,
    pub unreadable: Vec<(String, SourceError)>,
}

impl Tree {
    /// Reads what git tracks and what it would track next (untracked, not ignored).
    ///
    /// # Errors
    /// When git cannot list the files.
    pub fn read(root: &Path) -> Outcome<Tree> {
        let mut texts = Vec::new();
        for path in list(root)? {
            // A file deleted but not yet committed, or not text: nothing to check.
            let Ok(bytes) = std::fs::read(root.join(&path)) else {
                continue;
            };
            if let Ok(content) = String::from_utf8(bytes) {
                texts.push(Text { path, content });
            }
        }
        Ok(Tree::of(texts))
    }

    pub fn of(texts: Vec<Text>) -> Tree {
        let mut sources = Vec::new();
        let mut manifests = Vec::new();
        let mut unreadable = Vec::new();
        for text in &texts {
            if text.path.ends_with("Cargo.toml") {
                manifests.extend(Manifest::read(text));
            }
            if !text.path.ends_with(".rs") {
                continue;
            }
            match Source::parse(text) {
                Ok(source) => sources.push(source),
                Err(error) => unreadable.push((text.path.clone(), error)),
            }
        }
        mark_test_files(&mut sources);
        Tree { texts, sources, manifests, unreadable }
    }
}

/// `#[cfg(test)] mod tests;` makes `tests.rs` and all below `tests/` test code.
fn mark_test_files(sources: &mut [Source]) {
    let declared: BTreeSet<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        let inside = |module: &String| {
            source.path == format!("{module}.rs") || source.path.starts_with(&format!("{module}/"))
        };
        source.test_only |= declared.iter().any(inside);
    }
}

fn list(root: &Path) -> Outcome<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git could not be started to list the files: {error}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("git cannot list the files of {}: {reason}", root.display()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, content: &str) -> Text {
        Text { path: path.to_owned(), content: content.to_owned() }
    }

    #[test]
    fn a_module_declared_for_tests_makes_its_files_test_code() {
        let tree = Tree::of(vec![
            text("crates/a/src/lib.rs", "#[cfg(test)]\nmod tests;\nmod book;"),
            text("crates/a/src/tests.rs", "mod deep;"),
            text("crates/a/src/tests/deep.rs", ""),
            text("crates/a/src/book.rs", "#[cfg(all(test, unix))]\nmod cases;"),
            text("crates/a/src/book/cases.rs", ""),
            text("crates/a/tests/whole.rs", ""),
        ]);
        let test_only: Vec<&str> = tree
            .sources
            .iter()
            .filter(|source| source.test_only)
            .map(|source| source.path.as_str())
            .collect();
        let expected = ["src/tests.rs", "src/tests/deep.rs", "src/book/cases.rs", "tests/whole.rs"];
        assert_eq!(test_only, expected.map(|path| format!("crates/a/{path}")));
    }

    #[test]
    fn a_file_that_is_not_rust_is_reported_not_skipped() {
        let tree = Tree::of(vec![text("crates/a/src/lib.rs", "fn open( {")]);
        assert_eq!(tree.unreadable.len(), 1);
    }
}
