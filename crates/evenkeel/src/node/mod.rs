//! The daemon, and the commands that work on a whole installation.

mod alerts;
mod approvals;
mod attestation;
mod audit_cmd;
mod client_door;
mod client_line;
mod client_pipe;
mod client_remote;
#[cfg(test)]
mod client_remote_tests;
#[cfg(test)]
mod client_tests;
mod client_tls;
mod clients;
mod clock;
mod demo_clients;
mod desk;
mod domain;
mod doors;
mod drill_checks;
mod drill_cmd;
mod drill_loop;
mod drill_verify;
mod everything;
mod evidence;
mod explain_cmd;
mod failover_audit;
mod failover_cmd;
mod failover_hosts;
mod files;
mod follow_loop;
mod founding;
mod gateway;
mod join;
mod journal_repair;
mod journal_sink;
mod keeper;
mod keeper_children;
mod keeper_failover;
mod keeper_status;
mod kill_cmd;
mod kit;
mod link_board;
mod link_door;
#[cfg(test)]
mod link_tests;
mod link_tls;
mod link_wire;
mod market;
mod mend_loop;
mod meter;
mod network;
mod observed;
mod own_drill;
mod point_loop;
mod points_cmd;
mod postgres;
mod primary_loop;
mod prune_cmd;
mod recipients;
mod recover_quorum;
mod replay_cmd;
mod restore_cmd;
mod root;
mod scrub_loop;
mod shared_log;
mod ship_loop;
mod sites_watch;
mod slashing;
mod snapshots;
mod standby;
mod standby_link;
mod standby_snapshots;
mod standby_status;
mod start;
mod status;
mod status_cmd;
mod stop;
mod succession;
mod suspect;
mod takeover;
mod threads;
mod up;
mod vault_writer;
mod verify_cmd;

use evenkeel_recovery::RecoveryError;

use crate::report::{Exit, Report};

pub(crate) use approvals::{
    Asked as ApprovalAsked, BUNDLE as APPROVAL_BUNDLE, Gate as ApprovalGate,
    POLICY as APPROVAL_POLICY, Pass as ApprovalPass, gate as approval_gate, read_armored,
    run as approvals, write_armored,
};
pub(crate) use audit_cmd::run as audit;
pub(crate) use demo_clients::{key as client_key, run as demo_clients};
pub(crate) use desk::bot as demo_bot;
pub(crate) use domain::Domain;
pub(crate) use drill_cmd::run as drill;
pub(crate) use evidence::key_evidence;
pub(crate) use explain_cmd::run as explain;
pub(crate) use failover_cmd::run as failover;
pub(crate) use files::{backup, diff_files, list_files, protect};
pub(crate) use kill_cmd::run as kill_primary;
pub(crate) use kit::{
    NewestKeysKit, RememberedKey, config as kit_config, newest_files as newest_kit_files,
    newest_keys_kit, next as next_kit, next_keys_kit, run as kit, stale_keys_kit,
    stale_words as stale_kit,
};
pub(crate) use network::run as network;
pub(crate) use points_cmd::run as points;
pub(crate) use postgres::{postgres_run, postgres_status};
pub(crate) use prune_cmd::run as prune;
pub(crate) use recipients::run as recipients;
pub(crate) use recover_quorum::run as recover_quorum;
pub(crate) use replay_cmd::run as replay_journal;
pub(crate) use restore_cmd::run as restore;
pub(crate) use root::{
    asked_words as root_asked_words, elsewhere as root_elsewhere, run as root,
    write_drafts as write_root_drafts,
};
pub(crate) use shared_log::look_at_members;
pub(crate) use slashing::run as slashing;
pub(crate) use status_cmd::run as status;
pub(crate) use up::run as up;
pub(crate) use verify_cmd::{repair, verify};

/// Runs a command that writes plaintext state or keys: whatever it makes is the owner's alone.
pub(crate) fn private<T>(command: impl FnOnce() -> T) -> T {
    poison_for_tests();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    command()
}

/// In builds for tests an environment variable names orders at which applying panics.
fn poison_for_tests() {
    #[cfg(debug_assertions)]
    if let Some(label) =
        std::env::var("EVENKEEL_TEST_POISON_LABEL").ok().and_then(|it| it.parse().ok())
    {
        evenkeel_recovery::test_poison::set_everywhere(label);
    }
}

impl From<RecoveryError> for Report {
    fn from(error: RecoveryError) -> Self {
        let exit = match error {
            RecoveryError::Journal(error) => return error.into(),
            RecoveryError::Vault(error) => return error.into(),
            RecoveryError::Mismatch { .. }
            | RecoveryError::Divergence(_)
            | RecoveryError::Snapshot { .. }
            | RecoveryError::Gap { .. }
            | RecoveryError::WrongSkip { .. }
            | RecoveryError::NotPassedOver { .. }
            | RecoveryError::Entry { .. } => Exit::Integrity,
            RecoveryError::Poisoned(_) => Exit::Poisoned,
            RecoveryError::BeforeFirstPoint { .. } => Exit::NothingYet,
            RecoveryError::Barred(_) => Exit::Integrity,
            RecoveryError::Behind { .. }
            | RecoveryError::GoBack { .. }
            | RecoveryError::Link(_)
            | RecoveryError::Arithmetic(_)
            | RecoveryError::Sink { .. } => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}
