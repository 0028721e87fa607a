//! What may not enter the floors that are replayed (0 and 1), and what no library may do.

use super::floors::floor;
use super::manifest::Manifest;
use super::source::Source;
use super::tokens::{Kind, Token, macro_call, paths};
use super::{Finding, rules};

/// Floors whose code is replayed on other machines.
const REPLAYED_FLOOR_MAX: u8 = 1;
/// The binary's floor: the only one that prints and knows serde.
const BINARY_FLOOR: u8 = 5;

/// Modules and types of `std` through which the outside gets in.
const OUTSIDE: &[&[&str]] = &[
    &["std", "env"],
    &["std", "fs"],
    &["std", "io"],
    &["std", "net"],
    &["std", "os"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["std", "time", "UNIX_EPOCH"],
    &["std", "time", "self"],
    &["std", "time", "*"],
    &["time", "Instant"],
    &["time", "SystemTime"],
];

/// What a crate above the replayed floors reaches only through a trait its caller fills in.
const THROUGH_A_TRAIT: &[(&str, &[&[&str]])] = &[
    ("evidence", &[&["std", "net"]]),
    ("sheets", &[&["std", "fs"], &["std", "net"], &["std", "process"], &["std", "time"]]),
    ("recovery", &[&["std", "fs"], &["std", "net"], &["std", "process"]]),
];

/// Packages that bring randomness or I/O.
const OUTSIDE_PACKAGES: &[&str] = &[
    "rand",
    "rand_core",
    "rand_chacha",
    "getrandom",
    "fastrand",
    "oorandom",
    "tokio",
    "async-std",
    "mio",
    "socket2",
    "rustix",
    "libc",
    "nix",
    "chrono",
    "time",
    "jiff",
    "rayon",
    "ahash",
    "hashbrown",
    "dashmap",
    "rustc-hash",
];

/// Packages that belong to the edge.
const EDGE_PACKAGES: &[&str] = &[
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "simd-json",
    "sonic-rs",
    "toml",
    "bincode",
    "postcard",
    "ciborium",
    "rmp-serde",
    "serde_yaml",
];

/// Capture and chain speak other people's JSON; everybody else below the binary speaks none.
const SPEAKS_JSON: &[&str] = &["capture", "chain"];

const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln"];

pub fn check_source(source: &Source, findings: &mut Vec<Finding>) {
    let Some(own) = source.crate_name().and_then(floor) else {
        return;
    };
    if own >= BINARY_FLOOR {
        return;
    }
    let mut report = |line: usize, rule: &'static rules::Rule, what: String| {
        if !source.is_test(line) {
            findings.push(Finding { path: source.path.clone(), line, rule, what });
        }
    };
    for (at, token) in source.tokens.iter().enumerate() {
        if let Some(name) = macro_call(&source.tokens, at, PRINTING) {
            report(token.line, &rules::QUIET, format!("`{name}!` in a library"));
        }
    }
    if own > REPLAYED_FLOOR_MAX {
        let name = source.crate_name().unwrap_or_default();
        let kept_out = THROUGH_A_TRAIT.iter().filter(|(known, _)| *known == name);
        let kept_out: Vec<&[&str]> = kept_out.flat_map(|(_, paths)| *paths).copied().collect();
        for path in paths(&source.tokens) {
            if kept_out.iter().any(|banned| starts_with(&path.segments, banned)) {
                let what = format!("`{}` in `{name}`", path.segments.join("::"));
                report(path.line, &rules::THROUGH_A_TRAIT, what);
            }
        }
        return;
    }
    for path in paths(&source.tokens) {
        let banned = OUTSIDE.iter().any(|banned| starts_with(&path.segments, banned));
        let random =
            path.segments.first().is_some_and(|first| OUTSIDE_PACKAGES.contains(&&**first));
        // `time::Duration` after `use std::time` would look like the package `time`.
        let package = random && path.segments.first().is_some_and(|first| first != "time");
        if banned || package {
            let what = format!("`{}` on floor {own}", path.segments.join("::"));
            report(path.line, &rules::PURE, what);
        }
    }
    for (at, token) in source.tokens.iter().enumerate() {
        if let Some(name) = unordered(token) {
            report(token.line, &rules::ORDERED, format!("`{name}` on floor {own}"));
        }
        if let Some(name) = float(&source.tokens, at) {
            report(token.line, &rules::NO_FLOATS, format!("`{name}` on floor {own}"));
        }
    }
}

fn starts_with(segments: &[String], banned: &[&str]) -> bool {
    segments.len() >= banned.len() && segments.iter().zip(banned).all(|(own, other)| own == other)
}

fn unordered(token: &Token) -> Option<&str> {
    token.ident().filter(|name| name.ends_with("HashMap") || name.ends_with("HashSet"))
}

fn float(tokens: &[Token], at: usize) -> Option<&str> {
    match &tokens[at].kind {
        Kind::Ident(name) if name == "f32" || name == "f64" => Some(name),
        // `pair.0.1` lexes as a dot and the float 0.1.
        Kind::Float(text) => {
            let after_dot = at > 0 && tokens[at - 1].is(&Kind::Punct('.'));
            (!after_dot).then_some(text)
        }
        _ => None,
    }
}

pub fn check_manifest(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let Some(own) = floor(&manifest.name) else {
        return;
    };
    for dependency in manifest.dependencies.iter().filter(|dependency| !dependency.dev) {
        let package = dependency.package.as_str();
        let mut report = |rule: &'static rules::Rule| {
            let path = manifest.path.clone();
            let what = format!("dependency on `{package}` on floor {own}");
            findings.push(Finding { path, line: dependency.line, rule, what });
        };
        if own <= REPLAYED_FLOOR_MAX && OUTSIDE_PACKAGES.contains(&package) {
            report(&rules::PURE);
        }
        let speaks = SPEAKS_JSON.contains(&manifest.name.as_str());
        if own < BINARY_FLOOR && !speaks && EDGE_PACKAGES.contains(&package) {
            report(&rules::EDGE_FORMATS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::manifest;
    use super::super::source::tests::source;
    use super::*;

    fn rules_broken(path: &str, code: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        check_source(&source(path, code), &mut found);
        found.into_iter().map(|finding| finding.rule.name).collect()
    }

    const VENUE: &str = "crates/venue/src/engine.rs";

    #[test]
    fn the_outside_is_kept_from_the_engine_however_it_is_imported() {
        for code in [
            "use std::fs;",
            "use std::{collections::BTreeMap, net::TcpStream};",
            "fn f() { let t = std::time::Instant::now(); }",
            "use std::time::{Duration, SystemTime};",
            "use std::time; fn f() { time::SystemTime::now(); }",
            "use std::time::*;",
            "fn f() { std::thread::spawn(|| {}); }",
            "fn f() { let v = std::env::var(\"X\"); }",
            "fn f() { let n: u8 = rand::random(); }",
            "use std::io::Write;",
        ] {
            assert_eq!(rules_broken(VENUE, code), ["pure"], "{code}");
        }
    }

    #[test]
    fn pure_code_words_in_strings_and_higher_floors_are_silent() {
        let pure = "use std::time::Duration; use std::collections::{BTreeMap, BTreeSet};\n\
            /// Not std::fs.\nfn f() -> &'static str { \"std::net HashMap 0.5 f64\" }";
        assert!(rules_broken(VENUE, pure).is_empty());
        assert!(
            rules_broken("crates/journal/src/log.rs", "use std::fs; use rand::Rng;").is_empty()
        );
    }

    #[test]
    fn recovery_reaches_files_and_sockets_only_through_a_trait() {
        let path = "crates/recovery/src/drill.rs";
        assert_eq!(rules_broken(path, "use std::{net, sync::Arc};"), ["through-a-trait"]);
        assert_eq!(rules_broken(path, "fn f() { std::fs::read(\"x\"); }"), ["through-a-trait"]);
        assert!(rules_broken(path, "use std::thread; use std::time::Instant;").is_empty());
        assert!(rules_broken("crates/recovery/tests/drill.rs", "use std::fs;").is_empty());
    }

    #[test]
    fn unordered_maps_are_found_in_state_and_ordered_ones_are_not() {
        assert_eq!(rules_broken(VENUE, "struct S { a: HashMap<u8, u8> }"), ["ordered"]);
        assert_eq!(rules_broken(VENUE, "type M = ahash::AHashSet<u8>;"), ["pure", "ordered"]);
        assert!(rules_broken(VENUE, "struct S { a: BTreeMap<u8, u8> }").is_empty());
    }

    #[test]
    fn floats_are_found_by_type_and_by_literal_but_tuple_fields_are_not_floats() {
        assert_eq!(rules_broken(VENUE, "fn f(x: f64) {}"), ["no-floats"]);
        assert_eq!(rules_broken(VENUE, "fn f() { let x = 0.5; }"), ["no-floats"]);
        assert!(rules_broken(VENUE, "fn f(x: ((u8, u8), u8)) -> u8 { x.0.1 }").is_empty());
    }

    #[test]
    fn test_code_may_read_files_and_use_floats() {
        let code = "#[cfg(test)]\nmod tests {\n use std::fs;\n const X: f64 = 0.5;\n}";
        assert!(rules_broken(VENUE, code).is_empty());
        assert!(rules_broken("crates/venue/tests/golden.rs", "use std::fs;").is_empty());
    }

    #[test]
    fn libraries_do_not_print_and_the_binary_does() {
        let code = "fn f() { println!(\"x\"); }";
        assert_eq!(rules_broken("crates/vault/src/pack.rs", code), ["quiet"]);
        assert!(rules_broken("crates/evenkeel/src/main.rs", code).is_empty());
        let macro_name = "fn f() { let println = 1; let x = println != 2; }";
        assert!(rules_broken("crates/vault/src/pack.rs", macro_name).is_empty());
    }

    #[test]
    fn packages_of_randomness_and_of_the_edge_are_kept_out() {
        let broken = |path: &str, table: &str, package: &str| {
            let mut found = Vec::new();
            let text = format!("[{table}]\n{package} = \"1\"\n");
            check_manifest(&manifest(path, &text), &mut found);
            found.into_iter().map(|finding| finding.rule.name).collect::<Vec<_>>()
        };
        assert_eq!(broken("crates/types/Cargo.toml", "dependencies", "rand"), ["pure"]);
        assert_eq!(broken("crates/vault/Cargo.toml", "dependencies", "serde"), ["edge-formats"]);
        assert!(broken("crates/types/Cargo.toml", "dev-dependencies", "rand").is_empty());
        assert!(broken("crates/vault/Cargo.toml", "dependencies", "rand").is_empty());
        assert!(broken("crates/evenkeel/Cargo.toml", "dependencies", "serde_json").is_empty());
    }
}
