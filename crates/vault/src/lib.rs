//! The vault: chunks, packs, encryption, erasure code, sites, signed records, audits, repair.
//!
//! A *domain* has *lineages*; a lineage has one certified writer, which appends *records* to one
//! signed, hash-linked chain. A record carries a small payload itself, or refers to *packs* of
//! sealed chunks that lie as Reed–Solomon shards on the sites. [`Writer`] writes, [`Catalog`]
//! reads back what is there from any k sites, [`Opener`] decrypts it, [`verify`] finds damage,
//! [`repair`] mends it from ciphertext alone. The formats are drawn in `docs/formats/vault.md`.
//!
//! A recovery point takes long to seal, and a tail must not wait: [`Writer::begin_point`] gives a
//! [`PointSealer`] that works without the writer, [`Writer::finish_point`] signs what it sealed.
//! In the same way [`Writer::current_check`] gives a [`CurrentCheck`], which brings back what the
//! current key opens.
//!
//! ```text
//!  source ▸ FastCDC chunk ▸ keyed BLAKE3 id ▸ zstd ▸ AES-256-GCM ▸ pack ▸ k + parity shards
//!                              │ known? then only a reference             one shard per site
//!  record = header (public) + body (sealed) + signature ────────────────▸ whole, on every site
//! ```
//!
//! **Architecture invariants**
//! - It never knows what a byte means: payloads, sources and roots are opaque; no venue, no
//!   journal, no exchange.
//! - The writer cannot delete: deletion is a trait of its own ([`Janitor`]), and nothing here
//!   deletes except [`execute_deletion`], with a grant of m of n approvers and after its delay, and
//!   [`prune_demo`].
//! - The writer cannot read what it wrote in an earlier key period: a period key lives in memory
//!   only, until its period is over and what was begun under it is sealed or checked, and is
//!   wrapped for recipients whose identities are elsewhere.
//! - Nothing counts before it was read back: packs are decoded from shards (parity included),
//!   opened and compared before they are sent, and every object is re-read from its site.
//! - Repair and retention never need a key.
//! - No clock: time comes in as a parameter. Randomness comes in through [`Random`].
//! - No async: threads, where sites can be read or written at once.
//! - A reader trusts nothing a site says: every byte is checked against a signature or a hash
//!   that a signature covers before it is used, or opens as the piece that a signed record names.

#![forbid(unsafe_code)]

mod approval;
mod audit;
mod audit_report;
#[doc(hidden)]
pub mod behind_seals;
mod body;
mod catalog;
mod certificate;
mod chain;
mod crew;
mod cutting;
mod deletion;
mod direct;
mod effort;
mod erasure;
mod error;
mod evidence;
mod facts;
mod fetch;
mod folder;
mod grant;
mod hedge;
mod index;
mod keys;
mod layout;
mod manifest;
mod marks;
mod opener;
mod outboard;
mod pack;
mod part;
mod period;
mod proofs;
mod random;
mod record;
mod repair;
mod resume;
mod retention;
mod revocation;
mod rewrap;
mod rooms;
mod root;
mod seal;
mod shipping;
mod site;
mod source;
mod source_list;
mod state;
mod unlock;
mod verify;
mod wrap;
mod writer;
mod writing;

pub use approval::{
    Action, ActionAtSites, ActionId, ApprovalBundle, ApprovalPolicy, ApprovalRule, Approvals,
    Approver, ApproverKey, Detail, Execution, Kind as ActionKind, KindRule, Matter, Phase,
    Standing, Statement, Word, publish_action, publish_execution, publish_policy, publish_word,
    read_approvals, rules_less_than, utc,
};
pub use audit::{AuditOptions, Audited, SiteAudit, audit, challenges_needed};
pub use audit_report::{AuditReport, AuditedSite, SignedAudit};
pub use catalog::Catalog;
pub use certificate::{Certificate, Parent, RootPublicKey, SignElsewhere, WriterKey};
pub use deletion::{
    DeletionRefused, Executed, Forecast, Keep, Removable, check_execution, execute_deletion,
    forecast, plan_deletion,
};
pub use erasure::{PARITY_MAX, decode_shards, encode_shards, generator_matrix};
pub use error::{Error, Result};
pub use evidence::{KeyEvidence, VouchedPeriod};
pub use facts::{Fork, Freshness, LineageInfo, PointInfo, TailInfo};
pub use folder::{FolderSite, check_object_name};
pub use grant::{DeletionPlan, PlanEntry, PlanId, parse_grant_key};
pub use hedge::Hedge;
pub use index::DedupIndex;
pub use keys::{IdKey, Identity, Recipient, RecipientMark, RecoveryIdentity};
pub use layout::{Layout, Lineage};
pub use marks::{DELETION_ROOT, Grant, propose, publish_statement, read_grants};
pub use opener::{Opener, Piece, PointContent, Seen, SourceInfo, TakePiece};
pub use outboard::Outboard;
pub use random::{OsRandom, Random};
pub use record::{Kind, ObjectRef, PeriodRef, PointId, Record, RecordHeader, Root};
pub use repair::{Repair, RepairOutcome, repair};
pub use retention::{Deletion, Plan, Policy, Reason, plan_retention, prune_demo};
pub use revocation::revoke_writer;
pub use rewrap::{PeriodAccess, Rewrapped, periods, rewrap};
pub use root::{RootHand, RootRequest, RootWord};
pub use site::{Janitor, ObjectInfo, Probe, Site, SiteClass, SiteError, SiteErrorKind};
pub use source::{Feeding, SealedSource, SourceFeed};
pub use state::Pin;
pub use unlock::{FileKeys, Unlock, WrappedFileKey};
pub use verify::{Problem, ProblemKind, Verification, Verify, verify};
pub use writer::{CurrentCheck, CurrentFindings, PointSealer, SealedPoint, Writer};
pub use writing::{Point, PointHead, PointInput, Shipped, WriterOptions};
