//! One Rust file: its text, its tokens, its syntax tree, and which of its lines are test code.

use super::tokens::{Token, flatten};
use super::tree::Text;
use std::ops::RangeInclusive;
use syn::spanned::Spanned;
use syn::visit::Visit;

/// A file that could not be parsed.
#[derive(Debug)]
pub struct SourceError {
    pub line: usize,
    pub message: String,
}

/// A parsed file.
pub struct Source {
    pub path: String,
    pub text: String,
    pub file: syn::File,
    pub tokens: Vec<Token>,
    /// The whole file is test code.
    pub test_only: bool,
    test_lines: Vec<RangeInclusive<usize>>,
    test_mods: Vec<String>,
}

impl Source {
    /// # Errors
    /// When the text is not Rust.
    pub fn parse(text: &Text) -> Result<Source, SourceError> {
        let refuse = |line: usize, message: String| SourceError { line, message };
        let file = syn::parse_file(&text.content)
            .map_err(|error| refuse(error.span().start().line, error.to_string()))?;
        let code = text.content.strip_prefix('\u{feff}').unwrap_or(&text.content);
        // A `#!` interpreter line is not a token; no file of the house has one.
        let stream = code.parse().map_err(|error: proc_macro2::LexError| {
            refuse(error.span().start().line, error.to_string())
        })?;
        let mut tests = TestCode::default();
        tests.visit_file(&file);
        let in_folder = |folder: &str| text.path.split('/').any(|part| part == folder);
        let aside = ["tests", "benches", "examples", "fuzz"];
        Ok(Source {
            path: text.path.clone(),
            text: text.content.clone(),
            tokens: flatten(stream),
            test_only: aside.iter().any(|folder| in_folder(folder)) || tests.whole_file,
            test_lines: tests.lines,
            test_mods: tests.modules,
            file,
        })
    }

    /// Whether the line is compiled only for tests.
    pub fn is_test(&self, line: usize) -> bool {
        self.test_only || self.test_lines.iter().any(|range| range.contains(&line))
    }

    /// The crate the file belongs to: `crates/<name>/…` or `xtask/…`.
    pub fn crate_name(&self) -> Option<&str> {
        super::manifest::crate_of(&self.path)
    }

    /// Paths, without `.rs`, of modules declared for tests only.
    pub fn test_modules(&self) -> Vec<String> {
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let base = match file {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            _ => format!("{folder}/{}", file.trim_end_matches(".rs")),
        };
        self.test_mods.iter().map(|module| format!("{base}/{module}")).collect()
    }
}

#[derive(Default)]
struct TestCode {
    whole_file: bool,
    lines: Vec<RangeInclusive<usize>>,
    modules: Vec<String>,
}

impl<'ast> Visit<'ast> for TestCode {
    fn visit_file(&mut self, file: &'ast syn::File) {
        self.whole_file = is_for_tests(&file.attrs);
        syn::visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attrs: &[syn::Attribute] = match item {
            syn::Item::Mod(module) => &module.attrs,
            syn::Item::Fn(function) => &function.attrs,
            syn::Item::Impl(block) => &block.attrs,
            syn::Item::Use(import) => &import.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Enum(item) => &item.attrs,
            syn::Item::Const(item) => &item.attrs,
            syn::Item::Static(item) => &item.attrs,
            syn::Item::Macro(item) => &item.attrs,
            _ => &[],
        };
        if is_for_tests(attrs) {
            let span = item.span();
            self.lines.push(span.start().line..=span.end().line);
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
            {
                self.modules.push(module.ident.to_string());
            }
        }
        syn::visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if is_for_tests(&function.attrs) {
            let span = function.span();
            self.lines.push(span.start().line..=span.end().line);
        }
        syn::visit::visit_impl_item_fn(self, function);
    }
}

/// `#[test]`, `#[cfg(test)]` and `#[cfg(all(test, …))]`, but not `#[cfg(not(test))]`.
fn is_for_tests(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| {
        if attr.path().is_ident("test") {
            return true;
        }
        let syn::Meta::List(list) = &attr.meta else {
            return false;
        };
        if !list.path.is_ident("cfg") {
            return false;
        }
        let names = flatten(list.tokens.clone());
        let has = |name: &str| names.iter().any(|token| token.ident() == Some(name));
        has("test") && !has("not") && !has("any")
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A source for the tests of the rules.
    pub fn source(path: &str, code: &str) -> Source {
        let text = Text { path: path.to_owned(), content: code.to_owned() };
        Source::parse(&text).expect("the snippet is Rust")
    }

    #[test]
    fn lines_of_test_modules_are_test_code_and_the_rest_is_not() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let parsed = source("crates/venue/src/book.rs", code);
        let test_lines: Vec<usize> = (1..=6).filter(|line| parsed.is_test(*line)).collect();
        assert_eq!(test_lines, [2, 3, 4, 5]);
    }

    #[test]
    fn code_left_out_of_tests_is_not_test_code() {
        let parsed = source("crates/venue/src/book.rs", "#[cfg(not(test))]\nmod real {}\n");
        assert!(!parsed.is_test(2));
    }
}
