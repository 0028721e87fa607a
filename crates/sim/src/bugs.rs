//! Ten classic mistakes, each behind a switch, to show that the simulator finds them. They are made
//! in what the simulator puts between the product's parts, so no binary ever contains them.

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The journal says that a batch is durable before it was synced.
    AckBeforeFsync,
    /// Names of new segments are not made durable.
    NoDirectorySync,
    /// A journal with a damaged frame is cut off there instead of being refused.
    TruncateAtBadFrame,
    /// A second writer is let in while the first one may still write.
    MissingTermCheck,
    /// Standbys never compare their output with the primary's.
    DigestSkipped,
    /// Clients send a command again as a new one.
    RetryWithoutSequence,
    /// Snapshots are taken before primary and standby have agreed.
    SnapshotAheadOfAgreement,
    /// A sync that failed is tried again, and success is believed.
    FsyncRetry,
    /// A standby is promoted with what it has seen, without reading the journal's end.
    StaleWatch,
    /// Segments are given up before they are safe elsewhere.
    LostTrimGuard,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::AckBeforeFsync,
        Self::NoDirectorySync,
        Self::TruncateAtBadFrame,
        Self::MissingTermCheck,
        Self::DigestSkipped,
        Self::RetryWithoutSequence,
        Self::SnapshotAheadOfAgreement,
        Self::FsyncRetry,
        Self::StaleWatch,
        Self::LostTrimGuard,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AckBeforeFsync => "ack-before-fsync",
            Self::NoDirectorySync => "no-directory-sync",
            Self::TruncateAtBadFrame => "truncate-at-bad-frame",
            Self::MissingTermCheck => "missing-term-check",
            Self::DigestSkipped => "digest-skipped",
            Self::RetryWithoutSequence => "retry-without-sequence",
            Self::SnapshotAheadOfAgreement => "snapshot-ahead-of-agreement",
            Self::FsyncRetry => "fsync-retry",
            Self::StaleWatch => "stale-watch",
            Self::LostTrimGuard => "lost-trim-guard",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| bug.name() == name)
    }
}
