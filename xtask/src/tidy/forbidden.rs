//! What no file may contain.

use super::source::Source;
use super::tokens::{Kind, Token, macro_call};
use super::tree::Text;
use super::{Finding, rules};

const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

// Written in halves, or this file would break its own rules.
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/tmp/bash", "_jobs"), concat!("/ro", "ot/")];
const REGISTRY_HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("npmjs", ".com"),
    concat!("npmjs", ".org"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("deb.debian", ".org"),
    concat!("proxy.golang", ".org"),
];

pub fn check_source(source: &Source, findings: &mut Vec<Finding>) {
    let mut report = |line: usize, rule: &'static rules::Rule, what: String| {
        findings.push(Finding { path: source.path.clone(), line, rule, what });
    };
    for at in 0..source.tokens.len() {
        let line = source.tokens[at].line;
        if let Some(name) = macro_call(&source.tokens, at, UNFINISHED) {
            report(line, &rules::UNFINISHED, format!("`{name}!`"));
        }
        if ignored(&source.tokens, at) {
            report(line, &rules::IGNORED_TEST, "a test that does not run".to_owned());
        }
    }
}

/// `#[ignore]`, `#[ignore = "…"]` and `#[cfg_attr(…, ignore)]`.
fn ignored(tokens: &[Token], at: usize) -> bool {
    if tokens[at].ident() != Some("ignore") || at == 0 {
        return false;
    }
    let opens = |at: usize| tokens[at].is(&Kind::Open('['));
    if opens(at - 1) && at >= 2 {
        return tokens[at - 2].is(&Kind::Punct('#'));
    }
    let begin = tokens[..at].iter().rposition(|token| token.is(&Kind::Open('['))).unwrap_or(at);
    tokens.get(begin + 1).and_then(Token::ident) == Some("cfg_attr")
        && !tokens[begin..at].iter().any(|token| token.is(&Kind::Close(']')))
}

/// Looks through every text file; lock files name their registry by nature.
pub fn check_text(text: &Text, findings: &mut Vec<Finding>) {
    let name = text.path.rsplit('/').next().unwrap_or(&text.path);
    if matches!(name, "Cargo.lock" | "package-lock.json") {
        return;
    }
    for (index, line) in text.content.lines().enumerate() {
        let mut report = |rule: &'static rules::Rule, what: String| {
            findings.push(Finding { path: text.path.clone(), line: index + 1, rule, what });
        };
        if let Some(path) = MACHINE_PATHS.iter().find(|path| begins_path(line, path)) {
            report(&rules::PRIVATE_PATH, format!("`{path}`"));
        }
        if let Some(host) = REGISTRY_HOSTS.iter().find(|host| line.contains(**host)) {
            report(&rules::REGISTRY_HOST, format!("`{host}`"));
        }
    }
}

/// Whether `path` stands in the line as an absolute path, not as the middle of a longer one.
fn begins_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '_' | '-' | '}' | '$'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::source;
    use super::*;

    fn in_source(code: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        check_source(&source("crates/vault/src/pack.rs", code), &mut found);
        found.into_iter().map(|finding| finding.rule.name).collect()
    }

    fn in_text(path: &str, content: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        let text = Text { path: path.to_owned(), content: content.to_owned() };
        check_text(&text, &mut found);
        found.into_iter().map(|finding| finding.rule.name).collect()
    }

    #[test]
    fn unfinished_work_is_found_in_code_and_not_in_words() {
        assert_eq!(in_source("fn a() { todo!() }"), ["unfinished"]);
        assert_eq!(in_source("fn a() { unimplemented!(\"later\") }"), ["unfinished"]);
        assert_eq!(in_source("fn a() { let b = dbg!(1); }"), ["unfinished"]);
        assert!(in_source("/// todo!() is banned\nfn todo() { \"todo!()\"; todo(); }").is_empty());
    }

    #[test]
    fn tests_that_do_not_run_are_found() {
        assert_eq!(in_source("#[test]\n#[ignore]\nfn a() {}"), ["ignored-test"]);
        assert_eq!(in_source("#[test]\n#[ignore = \"slow\"]\nfn a() {}"), ["ignored-test"]);
        assert_eq!(in_source("#[cfg_attr(debug_assertions, ignore)]\nfn a() {}"), ["ignored-test"]);
        assert!(in_source("#[test]\nfn ignore() { let v = [1]; ignore(v); }").is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_found_and_relative_ones_are_not() {
        let path = concat!("read /wo", "rk/data");
        assert_eq!(in_text("README.md", path), ["private-path"]);
        assert!(in_text("README.md", concat!("read docs/wo", "rk/data")).is_empty());
    }

    #[test]
    fn hosts_of_registries_are_found_outside_lock_files() {
        let line = concat!("registry+https://example/crates", ".io-index");
        assert_eq!(in_text("deny.toml", line), ["registry-host"]);
        assert!(in_text("fuzz/Cargo.lock", line).is_empty());
    }
}
