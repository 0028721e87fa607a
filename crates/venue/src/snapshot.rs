//! Snapshots: the leaves of the state root, in order, behind a header. Drawn in
//! `docs/formats/venue.md`.

use crate::engine::Engine;
use crate::leaf::Output;
use crate::restore::read_state;
use evenkeel_types::{Canonical, DecodeError, Reader};
use thiserror::Error;

/// First bytes of every snapshot.
pub const MAGIC: [u8; 4] = *b"EKVS";
/// Newest version of the layout: of a venue with margin. A venue under the first rules is written
/// in version 1, as ever.
pub const VERSION: u8 = 2;

/// Why bytes are not a snapshot to go on from. Nothing of a refused snapshot is used: take another
/// recovery point, or fetch this one again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// The bytes do not begin like a snapshot.
    #[error("not a venue snapshot: it does not begin with EKVS; give the file that was written")]
    NotASnapshot,
    /// Written by a newer program.
    #[error("snapshot layout {version} is newer than this program knows; use the newer program")]
    UnknownVersion {
        /// The version found.
        version: u8,
    },
    /// Not the canonical encoding of any state.
    #[error("the snapshot is damaged ({0}); fetch it again or restore an earlier recovery point")]
    Damaged(#[from] DecodeError),
    /// Well encoded, but no engine can have been in this state.
    #[error(
        "the snapshot contradicts itself before offset {at}: {what}; \
         restore an earlier recovery point"
    )]
    Inconsistent {
        /// Offset behind the part that was checked.
        at: usize,
        /// The rule that is broken.
        what: &'static str,
    },
}

impl Engine {
    /// The state as canonical bytes: equal states give equal bytes. It holds the venue's secret
    /// salt and every account, so it is never stored unencrypted off this host.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_snapshot(&mut |chunk| bytes.extend_from_slice(chunk));
        bytes
    }

    /// As [`Engine::snapshot`], in chunks of about 64 KiB, so that it needs little memory.
    pub fn write_snapshot(&self, sink: &mut impl FnMut(&[u8])) {
        let mut output = Output::new(sink);
        output.writer.fixed(&MAGIC);
        output.writer.u8(if self.state.has_margin() { VERSION } else { 1 });
        output.writer.fixed(&self.state.meta.salt);
        self.state.each_leaf(|key| {
            key.encode(&mut output.writer);
            // The key was just enumerated, so the leaf exists.
            let _ = self.state.write_leaf(key, &mut output);
        });
        output.flush();
    }

    /// An engine in the state of a snapshot. Strict: bytes that [`Engine::snapshot`] cannot have
    /// written are refused, and so are states in which books, orders, reserves, positions and
    /// money do not fit together. Whether it is the *right* state only its root can tell: compare
    /// [`Engine::state_root`] with the one that was signed.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut reader = Reader::new(bytes);
        if reader.array() != Ok(MAGIC) {
            return Err(SnapshotError::NotASnapshot);
        }
        let version = reader.u8()?;
        if version == 0 || version > VERSION {
            return Err(SnapshotError::UnknownVersion { version });
        }
        let state = read_state(&mut reader, version == VERSION)?;
        reader.finish()?;
        Ok(Self::from_state(state))
    }
}
