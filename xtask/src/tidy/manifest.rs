//! The few things the checks need from a Cargo.toml, read line by line.

use super::tree::Text;

/// One entry of a dependency table.
#[derive(Debug)]
pub struct Dependency {
    /// The package, also when it is renamed.
    pub package: String,
    pub line: usize,
    pub dev: bool,
}

/// A package manifest.
#[derive(Debug)]
pub struct Manifest {
    pub path: String,
    /// The folder name below `crates/`, or `xtask`.
    pub name: String,
    pub dependencies: Vec<Dependency>,
    pub workspace_lints: bool,
}

/// The crate a path belongs to: the folder below `crates/`, or `xtask`.
pub fn crate_of(path: &str) -> Option<&str> {
    let mut parts = path.split('/');
    match parts.next()? {
        "crates" => parts.next().filter(|_| parts.next().is_some()),
        "xtask" => Some("xtask"),
        _ => None,
    }
}

impl Manifest {
    /// Reads a crate's manifest; the workspace's own and those of other workspaces are none.
    pub fn read(text: &Text) -> Option<Manifest> {
        let name = crate_of(&text.path)?.to_owned();
        if text.path.matches('/').count() > if name == "xtask" { 1 } else { 2 } {
            return None;
        }
        let mut manifest = Manifest {
            path: text.path.clone(),
            name,
            dependencies: Vec::new(),
            workspace_lints: false,
        };
        let mut table = String::new();
        for (index, line) in text.content.lines().enumerate() {
            manifest.read_line(line.trim(), index + 1, &mut table);
        }
        Some(manifest)
    }

    fn read_line(&mut self, line: &str, number: usize, table: &mut String) {
        if let Some(header) = line.strip_prefix('[') {
            *table = header.trim_start_matches('[').split(']').next().unwrap_or("").to_owned();
            // `[dependencies.name]`: the header itself is the entry.
            if let Some((parent, name)) = table.rsplit_once('.')
                && is_dependencies(parent)
            {
                self.push(name, parent, number);
            }
            return;
        }
        let Some((key, value)) = line.split_once('=') else {
            return;
        };
        let (key, value) = (key.trim(), value.trim());
        if line.starts_with('#') {
            return;
        }
        if table == "lints" && key == "workspace" {
            self.workspace_lints = value.starts_with("true");
        }
        if is_dependencies(table) {
            let name = key.split('.').next().unwrap_or(key);
            let renamed = value.split_once("package").and_then(|(_, rest)| rest.split('"').nth(1));
            self.push(renamed.unwrap_or(name), table, number);
        } else if let Some((parent, _)) = table.rsplit_once('.')
            && is_dependencies(parent)
            && key == "package"
        {
            self.push(value.trim_matches('"'), parent, number);
        }
    }

    fn push(&mut self, package: &str, table: &str, line: usize) {
        self.dependencies.push(Dependency {
            package: package.trim_matches('"').to_owned(),
            line,
            dev: table.ends_with("dev-dependencies"),
        });
    }
}

fn is_dependencies(table: &str) -> bool {
    let last = table.rsplit('.').next().unwrap_or(table);
    matches!(last, "dependencies" | "dev-dependencies" | "build-dependencies")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn manifest(path: &str, content: &str) -> Manifest {
        let text = Text { path: path.to_owned(), content: content.to_owned() };
        Manifest::read(&text).expect("a crate's manifest")
    }

    #[test]
    fn every_way_to_write_a_dependency_is_seen() {
        let read = manifest(
            "crates/vault/Cargo.toml",
            "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = { version = \"1\" }\n\
             alias = { package = \"c\", version = \"1\" }\n# d = \"1\"\n[dependencies.e]\n\
             version = \"1\"\n[target.'cfg(unix)'.dependencies]\nf = \"1\"\n\
             [dev-dependencies]\ng = \"1\"\n[lints]\nworkspace = true\n",
        );
        let names: Vec<&str> = read.dependencies.iter().map(|d| d.package.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "e", "f", "g"]);
        assert!(read.dependencies.iter().all(|d| d.dev == (d.package == "g")));
        assert!(read.workspace_lints);
    }

    #[test]
    fn only_crates_of_the_house_have_manifests_here() {
        let at = |path: &str| {
            Manifest::read(&Text { path: path.to_owned(), content: String::new() }).is_some()
        };
        assert!(at("xtask/Cargo.toml") && at("crates/venue/Cargo.toml"));
        assert!(!at("Cargo.toml") && !at("fuzz/Cargo.toml"));
    }
}
