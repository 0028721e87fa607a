//! Capture: what other programs write, followed as they write it.
//!
//! [`sqlite`] follows a live database in WAL mode that other processes write, page by page.
//! [`postgres`] follows a PostgreSQL server as a standby does, and takes base backups.
//! [`network`] reads the document of endpoints, judges what was measured of them, and ranks them.
//! [`slashing`] merges the signing histories of validators, forward only.
//! [`files`] takes files and folders as they are at one time, and brings them back.
//!
//! **Architecture invariants**
//! - It decides nothing: it copies, and says exactly what it could not copy.
//! - A source is never changed: no table, row or setting of a captured database is written.
//! - What counts as captured is committed by the source's own rules, and durable in the spool.
//! - No interval that was not protected is silent: it is recorded before the next snapshot.
//! - No clock: time comes in through a trait. Only how long others are waited for, or held up, is
//!   measured here.
//! - It knows neither sites nor keys; the vault carries what the spool holds.

#![forbid(unsafe_code)]

pub mod authorities;
mod error;
pub mod files;
pub mod network;
pub mod pages;
pub mod parcel;
pub mod postgres;
pub mod restore;
pub mod slashing;
pub mod spool;
pub mod sqlite;

pub use error::{Error, Result};
