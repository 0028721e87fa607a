//! Paths as bytes: `/` between components, none of them empty, `.` or `..`.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use super::error::{Error, Result, io_error};

/// Longest path.
pub(super) const PATH_BYTES_MAX: usize = 64 * 1024;

/// A path that was named, as it is stored and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    pub(super) stored: Vec<u8>,
    pub(super) disk: PathBuf,
}

impl Root {
    /// `given`, seen from the folder `base`. It is stored as it was given, without `.` and doubled
    /// slashes; with `..` in it, or if nothing is left, as the absolute path it stands for.
    ///
    /// # Errors
    /// [`Error::Io`] if a `..` cannot be resolved.
    pub fn new(given: &Path, base: &Path) -> Result<Self> {
        let up = given.components().any(|one| one == Component::ParentDir);
        let named = given.components().any(|one| matches!(one, Component::Normal(_)));
        if up || !(named || given.is_absolute()) {
            let disk = base.join(given).canonicalize().map_err(io_error("resolve", given))?;
            return Ok(Self { stored: disk.as_os_str().as_bytes().to_vec(), disk });
        }
        let parts = given.components().filter_map(|one| match one {
            Component::Normal(name) => Some(name.as_bytes()),
            _ => None,
        });
        let mut stored = parts.collect::<Vec<_>>().join(&b'/');
        if given.is_absolute() {
            stored.insert(0, b'/');
        }
        let disk = base.join(OsStr::from_bytes(&stored));
        Ok(Self { stored, disk })
    }
}

/// The components of a stored path.
pub(super) fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
}

/// The order of a tree: component by component, wherever the path begins, so that what lies in a
/// folder follows it at once.
pub(super) fn order(one: &[u8], other: &[u8]) -> Ordering {
    parts(one).cmp(parts(other))
}

/// Whether `path` is `folder` or lies below it.
pub(super) fn is_within(path: &[u8], folder: &[u8]) -> bool {
    let mut path = parts(path);
    parts(folder).all(|part| path.next() == Some(part))
}

/// What is wrong with a stored path; `None` if nothing is.
pub(super) fn fault(path: &[u8]) -> Option<&'static str> {
    if path == b"/" {
        return None;
    }
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    let mut parts = relative.split(|byte| *byte == b'/');
    if parts.any(|part| part.is_empty() || part == b"." || part == b"..") {
        return Some("a path with an empty, `.` or `..` component");
    }
    path.contains(&0).then_some("a path with a zero byte")
}

/// Where a stored path comes back below a folder.
pub(super) fn below(folder: &Path, path: &[u8]) -> PathBuf {
    let mut at = folder.to_path_buf();
    at.extend(parts(path).map(OsStr::from_bytes));
    at
}

/// A path of the system from stored bytes.
pub(super) fn child(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = folder.to_vec();
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// A path for people: on one line, whatever is in it.
#[must_use]
pub fn shown(path: &[u8]) -> String {
    let text = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
    let text = text.to_string_lossy();
    text.chars()
        .flat_map(|one| {
            let escaped = one.is_control().then(|| one.escape_default());
            let plain = escaped.is_none().then_some(one);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// Sorts what was named, and drops what lies below something else that was named.
///
/// # Errors
/// [`Error::SamePlace`], [`Error::ThroughLink`].
pub(super) fn distinct(mut roots: Vec<Root>) -> Result<Vec<Root>> {
    roots.sort_by(|one, other| order(&one.stored, &other.stored));
    let mut kept: Vec<Root> = Vec::new();
    for root in roots {
        let Some(outer) = kept.last().filter(|outer| is_within(&root.stored, &outer.stored)) else {
            kept.push(root);
            continue;
        };
        let same_place =
            Error::SamePlace { first: shown(&outer.stored), second: shown(&root.stored) };
        let depth = parts(&outer.stored).count();
        let rest: PathBuf = parts(&root.stored).skip(depth).map(OsStr::from_bytes).collect();
        let inner = std::path::absolute(&root.disk).map_err(io_error("resolve", &root.disk))?;
        let expected =
            std::path::absolute(&outer.disk).map_err(io_error("resolve", &outer.disk))?;
        if inner != expected.join(&rest) {
            return Err(same_place);
        }
        let real = |path: &Path| path.canonicalize().map_err(io_error("resolve", path));
        if rest.as_os_str().is_empty() || !inner.exists() {
            continue;
        }
        if real(&inner)? != real(&outer.disk)?.join(&rest) {
            return Err(Error::ThroughLink {
                inner: shown(&root.stored),
                outer: shown(&outer.stored),
            });
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(given: &str) -> Root {
        Root::new(Path::new(given), Path::new("/base")).unwrap()
    }

    #[test]
    fn paths_are_stored_as_given_and_normalised() {
        for (given, stored) in
            [("a//b/", "a/b"), ("./a", "a"), ("/a/./b", "/a/b"), ("/", "/"), ("-x", "-x")]
        {
            assert_eq!(root(given).stored, stored.as_bytes(), "{given}");
            assert_eq!(fault(stored.as_bytes()), None);
        }
        assert_eq!(root("a/b").disk, Path::new("/base/a/b"));
        let here = Root::new(Path::new("."), Path::new("/")).unwrap();
        assert_eq!(here.stored, b"/");
        let up = Root::new(Path::new("usr/../usr"), Path::new("/")).unwrap();
        assert_eq!(up.stored, b"/usr");
    }

    #[test]
    fn what_could_leave_a_folder_is_no_path() {
        for wrong in ["", "..", "a/../b", "a//b", "a/", "./a", "/a/..", "//", "a\0b"] {
            assert!(fault(wrong.as_bytes()).is_some(), "{wrong:?}");
        }
        assert_eq!(below(Path::new("/to"), b"/etc/x"), Path::new("/to/etc/x"));
    }

    #[test]
    fn a_folder_comes_before_what_is_in_it_and_that_before_its_neighbours() {
        let mut paths = ["a.txt", "a/b", "a", "a-b", "/a/c"].map(str::as_bytes);
        paths.sort_by(|one, other| order(one, other));
        assert_eq!(paths, ["a", "a/b", "/a/c", "a-b", "a.txt"].map(str::as_bytes));
    }

    #[test]
    fn what_lies_below_something_named_is_not_taken_twice() {
        let kept = distinct(vec![root("/x/a/b"), root("/x/a"), root("/x/ab")]).unwrap();
        let stored: Vec<_> = kept.iter().map(|one| shown(&one.stored)).collect();
        assert_eq!(stored, ["/x/a", "/x/ab"]);
        let clash = distinct(vec![root("/a"), root("a")]).unwrap_err();
        assert!(clash.to_string().contains("same place"), "{clash}");
    }

    #[test]
    fn odd_names_are_shown_on_one_line() {
        assert_eq!(shown(b"a\nb"), "a\\nb");
        assert_eq!(shown(b"\xff"), "\u{fffd}");
        assert_eq!(shown("ö x".as_bytes()), "ö x");
    }
}
