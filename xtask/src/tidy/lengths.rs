//! How long a file, a function and a line may be.

use super::source::Source;
use super::tokens::{Kind, Token, closing};
use super::{Finding, rules};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;

pub fn check(source: &Source, findings: &mut Vec<Finding>) {
    let mut report = |line: usize, rule: &'static rules::Rule, what: String| {
        findings.push(Finding { path: source.path.clone(), line, rule, what });
    };
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        report(1, &rules::FILE_LENGTH, format!("{lines} lines, {FILE_LINES_MAX} allowed"));
    }
    for function in functions(&source.tokens) {
        if function.lines > FUNCTION_LINES_MAX {
            let what = format!(
                "`{}` has {} lines, {FUNCTION_LINES_MAX} allowed",
                function.name, function.lines
            );
            report(function.begins, &rules::FUNCTION_LENGTH, what);
        }
    }
    for (index, line) in source.text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > LINE_COLUMNS_MAX && !is_address(line) {
            let what = format!("{columns} columns, {LINE_COLUMNS_MAX} allowed");
            report(index + 1, &rules::LINE_LENGTH, what);
        }
    }
}

/// A comment that is one address cannot be broken.
fn is_address(line: &str) -> bool {
    let text = line.trim_start();
    let comment = text.strip_prefix("//").map(|rest| rest.trim_start_matches(['/', '!', ' ']));
    comment.is_some_and(|rest| rest.contains("://") && rest.split_whitespace().count() <= 2)
}

struct Function {
    name: String,
    begins: usize,
    lines: usize,
}

/// Every function with a body, also in macros, counted from `fn` to its closing brace.
fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.ident() != Some("fn") {
            continue;
        }
        // `fn(u8)` is a type and has no name.
        let Some(name) = tokens.get(at + 1).and_then(Token::ident) else {
            continue;
        };
        let Some(end) = body_end(tokens, at + 2) else {
            continue;
        };
        let lines = tokens[end].line - token.line + 1;
        found.push(Function { name: name.to_owned(), begins: token.line, lines });
    }
    found
}

/// The closing brace of the body that follows a signature, if there is a body.
fn body_end(tokens: &[Token], signature: usize) -> Option<usize> {
    let mut at = signature;
    while let Some(token) = tokens.get(at) {
        match token.kind {
            Kind::Open('{') => return closing(tokens, at),
            Kind::Open(_) => at = closing(tokens, at)?,
            Kind::Punct(';') | Kind::Close(_) => return None,
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::source;
    use super::*;

    fn findings(code: &str) -> Vec<String> {
        let mut found = Vec::new();
        check(&source("crates/vault/src/pack.rs", code), &mut found);
        found.into_iter().map(|f| format!("{}:{} {}", f.rule.name, f.line, f.what)).collect()
    }

    fn function(lines: usize) -> String {
        format!("\nfn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_of_seventy_lines_passes_and_one_of_seventy_one_is_named() {
        assert!(findings(&function(70)).is_empty());
        assert_eq!(findings(&function(71)), ["function-length:2 `long` has 71 lines, 70 allowed"]);
    }

    #[test]
    fn functions_in_macros_and_methods_count_too() {
        let in_macro = format!("proptest! {{ {} }}", function(80));
        assert_eq!(findings(&in_macro).len(), 1);
        let method = format!("impl A {{ {} }}", function(80));
        assert_eq!(findings(&method).len(), 1);
    }

    #[test]
    fn braces_in_strings_function_types_and_array_lengths_mislead_nobody() {
        let code = "fn a(f: fn(u8) -> u8, x: [u8; { 3 }]) -> &'static str { \"{{{\" }\n\
            trait T { fn b(); }";
        let lines: Vec<usize> =
            functions(&source("x.rs", code).tokens).iter().map(|f| f.lines).collect();
        assert_eq!(lines, [1]);
    }

    #[test]
    fn a_file_of_six_hundred_lines_passes_and_one_more_does_not() {
        assert!(findings(&"//\n".repeat(600)).is_empty());
        assert_eq!(findings(&"//\n".repeat(601)), ["file-length:1 601 lines, 600 allowed"]);
    }

    #[test]
    fn wide_lines_are_found_but_not_addresses() {
        let wide = format!("// {}\n", "wide ".repeat(20));
        assert_eq!(findings(&wide).len(), 1);
        let address = format!("/// <https://example.org/{}>\n//\nstruct A;\n", "a".repeat(100));
        assert!(findings(&address).is_empty());
        let exact = format!("//{}\n", "é".repeat(98));
        assert!(findings(&exact).is_empty(), "columns, not bytes");
    }
}
