//! Units in names.
//!
//! The rule has to be free of false alarms to be obeyed, so it looks only where a number leaves the
//! function it was made in — fields, constants, statics and parameters — and only at plain numbers
//! whose name holds a word that always stands for a duration or an amount of data.

use super::source::Source;
use super::{Finding, rules};
use syn::visit::Visit;

/// Words that always mean a duration.
const DURATIONS: &[&str] = &[
    "age", "backoff", "delay", "duration", "elapsed", "interval", "lag", "latency", "timeout",
    "ttl", "uptime",
];
/// Words that always mean an amount of something.
const SIZES: &[&str] = &["length", "size"];
/// What makes the name clear, anywhere in it: `timeout_ms`, `latency_ms_max`, `size_bytes`.
const UNITS: &[&str] = &[
    "ns",
    "us",
    "ms",
    "seconds",
    "minutes",
    "hours",
    "days",
    "bytes",
    "kib",
    "mib",
    "gib",
    "bits",
    "accounts",
    "blocks",
    "chars",
    "chunks",
    "columns",
    "commands",
    "count",
    "entries",
    "events",
    "files",
    "frames",
    "items",
    "leaves",
    "levels",
    "lines",
    "lots",
    "nodes",
    "objects",
    "orders",
    "packs",
    "pages",
    "percent",
    "permille",
    "points",
    "positions",
    "records",
    "rows",
    "samples",
    "sectors",
    "segments",
    "shards",
    "steps",
    "symbols",
    "ticks",
    "words",
];
const NUMBERS: &[&str] = &[
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "f32",
    "f64",
    "AtomicU32",
    "AtomicU64",
    "AtomicUsize",
    "AtomicI64",
];

/// What `cargo xtask tidy --rules` says about the words.
pub fn explanation() -> String {
    format!(
        "units looks at struct fields, constants, statics and parameters that are plain numbers\n\
         (or Option of one) outside test code.\n    names with: {}, {}\n    need one of: {}",
        DURATIONS.join(", "),
        SIZES.join(", "),
        UNITS.join(", ")
    )
}

pub fn check(source: &Source, findings: &mut Vec<Finding>) {
    let mut names = Names { source, findings };
    names.visit_file(&source.file);
}

struct Names<'a> {
    source: &'a Source,
    findings: &'a mut Vec<Finding>,
}

impl Names<'_> {
    fn look(&mut self, ident: &syn::Ident, ty: &syn::Type) {
        let line = ident.span().start().line;
        let name = ident.to_string();
        let Some(word) = unclear_word(&name) else {
            return;
        };
        if !is_number(ty) || self.source.is_test(line) {
            return;
        }
        self.findings.push(Finding {
            path: self.source.path.clone(),
            line,
            rule: &rules::UNITS,
            what: format!("`{name}` is a number and a `{word}`, but of what?"),
        });
    }
}

/// The word that asks for a unit, if no unit stands in the name.
fn unclear_word(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> = lower.split('_').collect();
    if words.iter().any(|word| UNITS.contains(word)) {
        return None;
    }
    DURATIONS.iter().chain(SIZES).find(|asking| words.contains(asking)).copied()
}

/// A primitive or atomic number, or an `Option` of one. Newtypes and `Duration` carry their unit.
fn is_number(ty: &syn::Type) -> bool {
    let syn::Type::Path(path) = ty else {
        return false;
    };
    let Some(last) = path.path.segments.last() else {
        return false;
    };
    if last.ident == "Option"
        && let syn::PathArguments::AngleBracketed(inner) = &last.arguments
    {
        return inner.args.iter().any(|arg| match arg {
            syn::GenericArgument::Type(ty) => is_number(ty),
            _ => false,
        });
    }
    NUMBERS.iter().any(|number| last.ident == number)
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(ident) = &field.ident {
            self.look(ident, &field.ty);
        }
        syn::visit::visit_field(self, field);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.look(&item.ident, &item.ty);
        syn::visit::visit_item_const(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.look(&item.ident, &item.ty);
        syn::visit::visit_impl_item_const(self, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.look(&item.ident, &item.ty);
        syn::visit::visit_item_static(self, item);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        for input in &signature.inputs {
            if let syn::FnArg::Typed(argument) = input
                && let syn::Pat::Ident(pattern) = &*argument.pat
            {
                self.look(&pattern.ident, &argument.ty);
            }
        }
        syn::visit::visit_signature(self, signature);
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::source;
    use super::*;

    fn named(code: &str) -> Vec<String> {
        let mut found = Vec::new();
        check(&source("crates/vault/src/pack.rs", code), &mut found);
        found.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn numbers_without_a_unit_are_found_in_fields_constants_and_parameters() {
        for code in [
            "struct A { timeout: u64 }",
            "struct A { max_chunk_size: Option<usize> }",
            "enum A { B { age: i64 } }",
            "const POLL_INTERVAL: u64 = 5;",
            "impl A { const PACK_SIZE: usize = 5; }",
            "static LAG: AtomicU64 = AtomicU64::new(0);",
            "fn a(delay: u32) {}",
            "trait T { fn a(&self, length: usize); }",
        ] {
            assert_eq!(named(code).len(), 1, "{code}");
        }
    }

    #[test]
    fn units_newtypes_durations_and_other_words_are_silent() {
        for code in [
            "struct A { timeout_ms: u64, latency_ms_max: u64, pack_size_bytes: usize }",
            "struct A { timeout: Duration, size: Lots, age: Option<Duration> }",
            "struct A { agent: u64, message: u64, sizes: Vec<u64>, delayed: u32 }",
            "const TTL_SECONDS: u64 = 5;",
            "fn a(window_size_entries: u64) { let size = 3_u64; }",
            "#[cfg(test)]\nmod tests { fn a(size: usize) {} }",
        ] {
            assert!(named(code).is_empty(), "{code}: {:?}", named(code));
        }
    }
}
