//! The tree of files: any bytes are an error, or a tree that brings nothing back outside its
//! folder.
#![no_main]

use std::path::{Component, Path};

use evenkeel_capture::files::{Kind, Tree, compare, select};
use evenkeel_types::Canonical as _;

fn check(bytes: &[u8]) {
    let Ok(tree) = Tree::from_bytes(bytes) else { return };
    assert_eq!(tree.to_bytes(), bytes, "one value, one byte string");
    for entry in &tree.entries {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        let stays = |one: Component<'_>| matches!(one, Component::Normal(_) | Component::RootDir);
        assert!(Path::new(&path).components().all(stays), "{path}");
        if let Kind::SameAs(first) = &entry.kind {
            assert!(matches!(tree.find(first).map(|one| &one.kind), Some(Kind::File(_))));
        }
    }
    assert!(compare(&tree, &tree).is_empty());
    let all = select(&tree, &[], Path::new("/")).expect("everything can be selected");
    assert_eq!(all.len(), tree.entries.len());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let mut framed = b"EVKF\x01".to_vec();
    framed.extend_from_slice(bytes);
    check(&framed);
});
