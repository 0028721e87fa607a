//! PostgreSQL: base backups and the write-ahead log, received as a standby receives it.
//!
//! [`Follower`] keeps a replication connection with a physical slot and writes the log into a
//! [`Store`]; what the server is told to be flushed is durable by what was promised
//! ([`Promise`]), so that it may stand in `synchronous_standby_names`. [`take_base`] takes base
//! backups beside it. [`Holdings`] reads such a folder, wherever it came from, says what can be
//! brought back, and [`lay_out`] lays out a data folder that recovers to a time, a position or a
//! named point.
//!
//! **Architecture invariants**
//! - A server's log is never changed; on the server, nothing but our slot is.
//! - What was acknowledged is only ever overwritten with the same bytes.
//! - No other cluster's log ever gets into a folder, and no gap is silent.
//! - No password is printed, and none is kept here.

mod address;
mod auth;
mod base;
mod connection;
mod error;
mod follow;
mod holdings;
mod journal;
mod layout;
mod lsn;
mod received;
mod records;
mod replication;
mod store;
mod tar;

pub use address::{Address, Host, Tls};
pub use base::{Base, Tablespace, bases, remove_old, take_base};
pub use connection::{Connection, Login, Purpose, Row};
pub use error::{Error, Result};
pub use follow::{Board, Follower, Progress, Promise};
pub use holdings::{Holdings, Plan, Target, Window};
pub use journal::{Happening, Kind};
pub use layout::{LaidOut, lay_out};
pub use lsn::{
    Lsn, Switch, Timeline, history_name, parse_history, parse_segment_name, segment_name,
};
pub use received::Received;
pub use records::{Record, Records, Segments, What};
pub use replication::{Event, Replication, Slot, System, WalStream};
pub use store::{Cluster, Position, Segment, Store, segments};
pub use tar::{Archive, Entry, EntryKind};
