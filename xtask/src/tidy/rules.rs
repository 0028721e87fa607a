//! The rules themselves: name, reason, remedy.

/// A rule of the house.
#[derive(Debug)]
pub struct Rule {
    pub name: &'static str,
    pub why: &'static str,
    pub remedy: &'static str,
}

macro_rules! rules {
    ($($constant:ident = $name:literal, $why:literal, $remedy:literal;)*) => {
        $(pub const $constant: Rule = Rule { name: $name, why: $why, remedy: $remedy };)*
        const ALL: &[&Rule] = &[$(&$constant),*];
    };
}

rules! {
    PARSES = "parses",
        "a file that is not Rust cannot be checked",
        "mend the syntax error the message names";
    FLOOR = "floor",
        "a crate stands above all it depends on, so that each is read, tested and replaced alone",
        "turn the dependency round with a trait, or move the code to the floor that may know it";
    FLOOR_UNKNOWN = "floor-unknown",
        "a crate without a floor could depend on anything",
        "give it a floor in xtask/src/tidy/floors.rs and a line in ARCHITECTURE.md";
    WORKSPACE_LINTS = "workspace-lints",
        "a crate outside the workspace lints may unwrap, go undocumented or use unsafe code",
        "add `[lints]` with `workspace = true` to its Cargo.toml";
    PURE = "pure",
        "floors 0 and 1 are replayed on other machines years later: no file, clock, environment, \
         thread or randomness may reach them",
        "take the value from the journal entry, or do it on the floor above and pass the result in";
    THROUGH_A_TRAIT = "through-a-trait",
        "what touches files and sockets itself cannot be run against failing ones",
        "take a trait from the caller; the binary or the tests bring the real one";
    ORDERED = "ordered",
        "an unordered map iterates differently on every run, and so do roots made of it",
        "use BTreeMap, BTreeSet or a sorted Vec";
    NO_FLOATS = "no-floats",
        "floating point differs between machines and compilers; state must not",
        "use the fixed-point types of evenkeel-types";
    EDGE_FORMATS = "edge-formats",
        "serde and JSON live in the binary crate alone; below it only canonical binary encodings \
         give the same bytes for the same value",
        "encode with evenkeel_types::codec and draw the format in docs/formats";
    QUIET = "quiet",
        "a library that prints cannot be used by a program that owns the terminal",
        "return it in the result or in the error, and let the binary print";
    FILE_LENGTH = "file-length",
        "a file is one concept and is read in one sitting: 600 lines at most",
        "move a concept into a file of its own";
    FUNCTION_LENGTH = "function-length",
        "a function is seen whole on one screen: 70 lines from `fn` to its brace at most",
        "give the steps names of their own";
    LINE_LENGTH = "line-length",
        "two files fit side by side: 100 columns at most, unless a comment is one address",
        "break the line";
    UNITS = "units",
        "a number whose unit is not in its name will be read in the wrong one",
        "end the name with its unit (_ms, _ns, _seconds, _bytes, _entries, …) or use Duration or a \
         newtype; `cargo xtask tidy --rules` tells which names count";
    UNFINISHED = "unfinished",
        "what is not built yet does not exist; a stub pretends it does",
        "build it, or take it out";
    IGNORED_TEST = "ignored-test",
        "a test that does not run proves nothing and rots",
        "mend it, delete it, or make it an example that `cargo xtask campaign` runs";
    PRIVATE_PATH = "private-path",
        "a path of one machine is wrong on every other",
        "use a relative path, an environment variable or a temporary folder";
    REGISTRY_HOST = "registry-host",
        "the project speaks of itself; where packages come from is the package client's business",
        "name the package, not the host";
    INVARIANTS = "invariants",
        "what a crate deliberately lacks cannot be read from its code, and is lost unless written",
        "write a paragraph `**Architecture invariants**` in the `//!` documentation of the crate";
    VENDORED = "vendored",
        "a file of somebody else's is theirs byte for byte, or nobody can tell what it does",
        "take the published file again, or list its version, licence and sha256 in VENDORED.md";
    NAMED_TESTS = "named-tests",
        "a failure that the documentation calls tested has to be tested",
        "write the test, or name the one that shows it";
    ADR = "adr",
        "a decision is found by its number and title",
        "name the file docs/adr/NNN-title.md, each number once, and begin it with `# NNN. Title`";
}

/// Prints every rule with its reason, then the words the `units` rule looks for.
pub fn print_all() {
    print_those(|_| true);
    println!("\n{}", super::names::explanation());
}

/// Prints the chosen rules, each once with its reason and remedy.
pub fn print_those(chosen: impl Fn(&Rule) -> bool) {
    for rule in ALL.iter().filter(|rule| chosen(rule)) {
        println!("\n[{}]\n  why: {}\n  do:  {}", rule.name, rule.why, rule.remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_one_name_a_reason_and_a_remedy() {
        let mut names: Vec<&str> = ALL.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|rule| !rule.why.is_empty() && !rule.remedy.is_empty()));
    }
}
