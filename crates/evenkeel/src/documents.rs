//! The documents that `--json` prints: the machine's view of every answer.
//!
//! Each is one JSON object with a `message_type`. Positions, counts and bytes are numbers; ages and
//! durations are seconds; times are RFC 3339 in UTC; hashes are lower-case hex; money and prices
//! are decimal strings. A field that has no value yet is `null`, never absent. Fields are only ever
//! added. `docs/json.md` describes them for people, `docs/schemas/` for machines.

mod approvals;
mod audit;
mod drill;
mod everything;
mod failover;
mod files;
mod integrity;
mod keys;
mod keys_ceremony;
mod keys_decryption;
mod keys_group;
mod keys_hsm;
mod keys_sheet;
mod kit;
mod lines;
mod margin;
mod network;
mod points;
mod postgres;
mod protected;
mod recipients;
mod restore;
mod root;
mod sites;
mod slashing;
mod status;

pub use approvals::{
    ActionDetailDocument, ActionDocument, ActionLogDocument, ActionWordDocument,
    ApprovalRuleDocument, ApprovalsDocument,
};
pub use audit::{AuditDocument, ForecastDocument, PlanDocument, PruneDocument, SiteAuditDocument};
pub use drill::{CheckDocument, DrillDocument, PhaseDocument, SourceProofDocument};
pub use everything::{DrillEverythingDocument, EverythingPartDocument};
pub use failover::{FailoverCheck, FailoverCheckDocument, FailoverDocument, FailoverKind};
pub use files::{
    BackupDocument, DiffDocument, DifferenceDocument, FileProblemDocument, LsDocument,
};
pub use integrity::{ProblemDocument, RepairDocument, RepairProblemDocument, VerifyDocument};
pub use keys::{
    KeyAccountDocument, KeyAddressDocument, KeyCardDocument, KeyDepartureDocument,
    KeyFingerprintDocument, KeyGroupDocument, KeyRecoveryDocument, KeyScheme, KeySetDocument,
    KeysKitDocument, ShareDrillDocument, ShareDrillState, ShareDrillStatusDocument,
    ShareDrillsDocument, Slip39CardDocument, Slip39GroupDocument, Slip39GroupUseDocument,
    Slip39RecoveryDocument, Slip39SplitDocument,
};
pub use keys_ceremony::{CeremonyDocument, CeremonyEntryDocument, CeremonyStep};
pub use keys_decryption::{
    DecryptionDocument, DecryptionFaultDocument, DecryptionLineageDocument, DecryptionState,
};
pub use keys_group::{GroupContractDocument, GroupDocument, GroupHolderDocument, GroupState};
pub use keys_hsm::{
    HsmKeyDocument, HsmKeysDocument, HsmPinState, HsmSignatureDocument, HsmStoredKeyDocument,
    HsmTokenDocument, HsmTokensDocument,
};
pub use keys_sheet::{
    QrFilmDocument, QrReceiveDocument, QrSendDocument, SheetCardDocument, SheetDocument,
    SheetPayloadDocument, SheetPrintDocument, SheetScanDocument, SheetSymbolDocument,
};
pub use kit::KitDocument;
pub use lines::{ErrorDocument, ProgressDocument};
pub use margin::{
    CorrelationDocument, MarginNumbers, MarginSimulationDocument, RiskVectorDocument,
    RollShockDocument,
};
pub use network::{
    NetworkBackupDocument, NetworkChainDocument, NetworkCheckDocument, NetworkCursorDocument,
    NetworkDiffDocument, NetworkDnsDocument, NetworkEndpointDocument, NetworkExchangeDocument,
    NetworkKeyDocument, NetworkRestoreDocument, NetworkShareDrillDocument, NetworkVersionDocument,
    NetworkVersionsDocument, RestoredCursorDocument,
};
pub use points::{PointDocument, PointKind, PointsDocument, SourceGapDocument};
pub use postgres::{
    PostgresCaptureDocument, PostgresEventDocument, PostgresNamedPointDocument,
    PostgresStatusDocument, PostgresWindowDocument, RestorePostgresDocument,
};
pub use protected::{ProtectedDocument, ProvenSourceDocument, SourceKind, SourceState};
pub use recipients::{PeriodDocument, RecipientDocument, RecipientsDocument};
pub use restore::{
    Freshness, GapDocument, LazyRestoreDocument, RestoreDocument, RestoredDatabaseDocument,
};
pub use root::{RootDocument, RootWordDocument};
pub use sites::{AttemptDocument, AttemptOutcome, MeasuredDocument, ProbeDocument, SitesDocument};
pub use slashing::SlashingDocument;
pub use status::{
    ConditionDocument, EngineDocument, ErasureDocument, JournalDocument, LastDrillDocument,
    LatestPointDocument, ModeName, PendingApprovalsDocument, PointsSummaryDocument,
    ProvenRestoreDocument, ScrubDocument, Severity, SiteClass, SiteDocument, SiteState,
    SitesRpoDocument, StandbyDocument, StatusDocument, TailDocument, TailState,
};

use serde::{Deserialize, Serialize};

/// How a check, a drill or a verification ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything configured was checked and right.
    Ok,
    /// Something was checked and wrong.
    Failed,
    /// Something configured could not be checked: not known to be wrong, not known to be right.
    #[default]
    Unproven,
    /// Not configured, and therefore not checked. Only single checks say this, never a whole.
    NotConfigured,
}

impl Outcome {
    /// The word of the JSON documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unproven => "unproven",
            Self::NotConfigured => "not_configured",
        }
    }

    /// The outcome of a whole whose parts are `checks`: failed if one failed, otherwise unproven if
    /// one configured check could not be made or nothing was checked at all, otherwise ok.
    pub fn of_checks(checks: &[CheckDocument]) -> Self {
        let any = |wanted: Self| checks.iter().any(|check| check.result == wanted);
        if any(Self::Failed) {
            Self::Failed
        } else if any(Self::Unproven) || !any(Self::Ok) {
            Self::Unproven
        } else {
            Self::Ok
        }
    }
}

/// How much a drill could prove, by the key it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum DrillLevel {
    /// Ciphertext audit, no key.
    D1,
    /// On the writer host: what the current period's key opens.
    D2,
    /// On a drill host with its own recipient and read-only access: any period.
    #[default]
    D3,
    /// With the recovery identity or the quorum.
    D4,
}

impl DrillLevel {
    /// Whether a drill of this level counts as a proven restore.
    pub fn proves_restore(self) -> bool {
        self >= Self::D3
    }

    /// The word of the JSON documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::D1 => "D1",
            Self::D2 => "D2",
            Self::D3 => "D3",
            Self::D4 => "D4",
        }
    }
}
