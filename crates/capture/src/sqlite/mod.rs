//! Live SQLite databases in WAL mode, which other processes write.

pub mod wal;
pub mod wal_index;
