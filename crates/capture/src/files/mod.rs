//! Files and folders: what is there now, as one tree and the contents of its files.
//!
//! [`list()`] walks what was named, [`take()`] reads it into a [`Store`] and gives the [`Tree`];
//! [`extract()`] brings a tree back. Small files that stand beside each other are read as one
//! group, so that many thousands of them are quick; a group whose files have not changed is not
//! read again.
//!
//! ```text
//!  paths ▸ list ▸ groups ▸ changed? read : refer ▸ store      (SQLite: one consistent copy)
//!                 │
//!                 └▸ tree: path, kind, mode, owner, time, BLAKE3, group and offset
//! ```
//!
//! The tree's bytes are drawn in `docs/formats/files.md`.

mod compare;
mod copy;
mod error;
mod extract;
mod glob;
mod group;
mod known;
mod list;
mod note;
mod path;
mod read;
mod take;
mod tree;

pub use compare::{Change, Difference, compare};
pub use error::{Error, Result};
pub use extract::{Contents, Extracted, Order, Selected, extract, refuse_occupied, select};
pub use glob::Globs;
pub use known::Known;
pub use list::{Listing, Selection, list};
pub use note::{Note, NoteKind};
pub use path::{Root, shown};
pub use take::{Counts, Moment, Progress, Store, Stored, Taken, take};
pub use tree::{Content, Entry, GroupId, Kind, Tree};
