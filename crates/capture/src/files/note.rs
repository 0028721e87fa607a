//! What a tree does not hold as it was, and why.

use evenkeel_types::{Canonical, DecodeError, Reader, Writer};

use super::path::{PATH_BYTES_MAX, fault, shown};

const DETAIL_BYTES_MAX: usize = 4096;

/// Why something is not in the tree, or not as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKind {
    /// It could not be read: it is not in the tree.
    Unreadable,
    /// It was changed while it was read: the tree holds what was read.
    ChangedWhileRead,
    /// It was gone when it was to be read: it is not in the tree.
    Vanished,
    /// A device, socket or pipe: such things are not stored.
    Special,
    /// A log beside an SQLite database, whose content is in the database's copy already.
    InDatabase,
    /// It belongs to the installation that makes the point.
    Own,
}

impl NoteKind {
    const ALL: [Self; 6] = [
        Self::Unreadable,
        Self::ChangedWhileRead,
        Self::Vanished,
        Self::Special,
        Self::InDatabase,
        Self::Own,
    ];

    /// Its stable name, snake case.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::ChangedWhileRead => "changed_while_read",
            Self::Vanished => "vanished",
            Self::Special => "special",
            Self::InDatabase => "in_database",
            Self::Own => "own",
        }
    }

    /// Whether something that should be in the point is not.
    #[must_use]
    pub fn is_partial(self) -> bool {
        self == Self::Unreadable
    }
}

/// One remark about one path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The path, as the tree would store it.
    pub path: Vec<u8>,
    /// What became of it.
    pub kind: NoteKind,
    /// The reason, for people.
    pub detail: String,
}

impl Note {
    pub(super) fn new(path: &[u8], kind: NoteKind, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        while detail.len() > DETAIL_BYTES_MAX {
            detail.pop();
        }
        Self { path: path.to_vec(), kind, detail }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", shown(&self.path), self.kind.word(), self.detail)
    }
}

impl Canonical for Note {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.path);
        let tag = NoteKind::ALL.iter().position(|kind| *kind == self.kind).unwrap_or_default();
        writer.u64(tag as u64);
        writer.bytes(self.detail.as_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let path = reader.bytes(PATH_BYTES_MAX)?.to_vec();
        if let Some(fault) = fault(&path) {
            return Err(reader.not_canonical(fault));
        }
        let tag = reader.u64()?;
        let kind = usize::try_from(tag).ok().and_then(|tag| NoteKind::ALL.get(tag).copied());
        let kind = kind.ok_or_else(|| reader.unknown_tag("note", tag))?;
        let detail = reader.bytes(DETAIL_BYTES_MAX)?.to_vec();
        let detail = String::from_utf8(detail).map_err(|_| reader.not_canonical("not UTF-8"))?;
        Ok(Self { path, kind, detail })
    }
}
