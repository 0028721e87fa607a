//! How a database is followed.

use std::time::Duration;

/// Time, as nanoseconds since 1970 UTC. Capture has no clock of its own.
pub trait Clock: Send + Sync {
    /// Now.
    fn now_ns(&self) -> u64;
}

/// How a database is followed.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment of the spool ends behind this many bytes.
    pub segment_bytes: u64,
    /// Once the database's log is this long, it is checkpointed and starts over.
    pub log_bytes_checkpoint: u64,
    /// Once it is this long all the same, it is let go, and a snapshot follows.
    pub log_bytes_max: u64,
    /// An epoch ends behind this many bytes, but not before twice the database's size.
    pub epoch_bytes: u64,
    /// How long a lock is waited for that another program's transaction holds.
    pub lock_wait: Duration,
    /// Level of zstd.
    pub level: i32,
    /// A page is carried whole after this many differences.
    pub differences_max: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            log_bytes_checkpoint: 16 << 20,
            log_bytes_max: 256 << 20,
            epoch_bytes: 256 << 20,
            lock_wait: Duration::from_secs(1),
            level: 1,
            differences_max: 64,
        }
    }
}
