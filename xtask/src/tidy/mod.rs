//! `cargo xtask tidy`: the house rules, enforced on source text and manifests.
//!
//! Each rule has one place where it is named, explained and remedied (`rules.rs`), one check, and a
//! pair of tests: it fires on a bad snippet and stays silent on a good one.

mod bans;
mod docs;
mod floors;
mod forbidden;
mod lengths;
mod manifest;
mod named_tests;
mod names;
mod rules;
mod source;
mod tokens;
mod tree;
mod vendored;

use crate::Outcome;
use rules::Rule;
use std::path::Path;

/// One place that breaks one rule.
#[derive(Debug)]
struct Finding {
    path: String,
    line: usize,
    rule: &'static Rule,
    what: String,
}

/// Checks the whole tree below `root` and prints every finding.
///
/// # Errors
/// When a rule is broken or the tree cannot be read.
pub fn run(root: &Path, args: &[String]) -> Outcome {
    match args {
        [] => {}
        [flag] if flag == "--rules" => {
            rules::print_all();
            return Ok(());
        }
        [other, ..] => return Err(format!("unknown argument `{other}`; there is only --rules")),
    }
    let tree = tree::Tree::read(root)?;
    let mut findings = check(&tree);
    findings.sort_by(|a, b| (&a.path, a.line, a.rule.name).cmp(&(&b.path, b.line, b.rule.name)));
    for finding in &findings {
        println!("{}:{}: [{}] {}", finding.path, finding.line, finding.rule.name, finding.what);
    }
    rules::print_those(|rule| findings.iter().any(|finding| finding.rule.name == rule.name));
    let files = tree.sources.len();
    if findings.is_empty() {
        println!("tidy: {files} Rust files, {} crates, no findings", tree.manifests.len());
        return Ok(());
    }
    Err(format!("{} findings in {files} Rust files", findings.len()))
}

fn check(tree: &tree::Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.texts {
        forbidden::check_text(file, &mut findings);
    }
    for source in &tree.sources {
        lengths::check(source, &mut findings);
        forbidden::check_source(source, &mut findings);
        bans::check_source(source, &mut findings);
        names::check(source, &mut findings);
    }
    for manifest in &tree.manifests {
        floors::check(manifest, &mut findings);
        bans::check_manifest(manifest, &mut findings);
    }
    docs::check(&tree.texts, &mut findings);
    named_tests::check(&tree.texts, &mut findings);
    vendored::check(&tree.texts, &mut findings);
    for (path, error) in &tree.unreadable {
        findings.push(Finding {
            path: path.clone(),
            line: error.line,
            rule: &rules::PARSES,
            what: error.message.clone(),
        });
    }
    findings
}
