//! Which databases are to be followed.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use evenkeel_capture::sqlite::FileHeader;

use crate::config::{Config, DatabaseConfig};

/// Deeper folders are not looked into.
const DEPTH_MAX: usize = 32;
/// How names of databases end, besides those with a log beside them.
const ENDINGS: [&str; 4] = ["db", "db3", "sqlite", "sqlite3"];

/// The databases that the configuration names, and those among the protected paths that are in WAL
/// mode. `is_known` are followed already: they are not opened, since closing a database drops the
/// locks that this process has on it.
pub(super) fn databases(config: &Config, is_known: &dyn Fn(&Path) -> bool) -> Vec<DatabaseConfig> {
    let mut found = config.databases.clone();
    if config.files.follow_databases {
        let mut paths = Vec::new();
        for path in &config.files.paths {
            walk(path, 0, &mut paths);
        }
        let is_new = |path: &PathBuf| !is_known(path) && is_followable(path);
        let named: Vec<PathBuf> = found.iter().map(|one| one.path.clone()).collect();
        let own = own(config);
        let fits =
            |path: &PathBuf| !named.contains(path) && !own.iter().any(|own| path.starts_with(own));
        paths.retain(|path| fits(path) && is_new(path));
        let database = |path| DatabaseConfig { path, ..DatabaseConfig::default() };
        found.extend(paths.into_iter().map(database));
    }
    found.retain(|one| !is_known(&one.path));
    found
}

/// Of this installation: never followed.
fn own(config: &Config) -> Vec<PathBuf> {
    let sites = config.sites.iter().filter_map(|site| site.folder().map(Path::to_path_buf));
    sites.chain([config.host.data.clone(), config.drill.home.clone()]).collect()
}

/// Files that may be databases, by their names alone.
fn walk(path: &Path, depth: usize, into: &mut Vec<PathBuf>) {
    let Ok(meta) = path.symlink_metadata() else { return };
    if meta.is_file() {
        let named = path.extension().is_some_and(|it| ENDINGS.iter().any(|known| it == *known));
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        if named || Path::new(&log).exists() {
            into.push(path.to_owned());
        }
        return;
    }
    if !meta.is_dir() || depth >= DEPTH_MAX {
        return;
    }
    for entry in path.read_dir().into_iter().flatten().flatten() {
        walk(&entry.path(), depth + 1, into);
    }
}

fn is_followable(path: &Path) -> bool {
    let mut bytes = [0; 100];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    read.is_ok() && FileHeader::decode(&bytes).is_some_and(|header| header.wal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_in_wal_mode_are_found_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("host")).unwrap();
        let make = |path: &Path, mode: &str| {
            let connection = rusqlite::Connection::open(path).unwrap();
            let sql = format!("PRAGMA journal_mode={mode}; CREATE TABLE t(x)");
            connection.execute_batch(&sql).unwrap();
            connection
        };
        drop(make(&at("orders.sqlite"), "WAL"));
        drop(make(&at("old.sqlite"), "DELETE"));
        drop(make(&at("host/own.sqlite"), "WAL"));
        let open = make(&at("named-oddly"), "WAL");
        std::fs::write(at("a.db"), "no database").unwrap();
        let mut config = Config::default();
        config.host.data = at("host");
        config.files.paths = vec![folder.path().to_owned()];
        let names = |known: &[&str]| {
            let found = databases(&config, &|path| known.iter().any(|name| path == at(name)));
            let mut names: Vec<String> = found
                .iter()
                .map(|one| one.path.file_name().unwrap().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&[]), ["named-oddly", "orders.sqlite"]);
        assert_eq!(names(&["orders.sqlite"]), ["named-oddly"]);
        drop(open);
        config.files.follow_databases = false;
        config.databases = vec![DatabaseConfig { path: at("x"), ..DatabaseConfig::default() }];
        assert_eq!(databases(&config, &|_| false).len(), 1);
    }
}
