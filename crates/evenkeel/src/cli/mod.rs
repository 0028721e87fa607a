//! The command line: what can be typed, and where each command goes.

mod approvals_args;
mod args;
mod demo_args;
mod dispatch;
mod domain_arg;
mod drill_args;
mod everything_args;
mod failover_args;
mod files_args;
mod init_args;
mod journal_args;
mod keys_args;
mod keys_ceremony_args;
mod keys_decrypt_args;
mod keys_group_args;
mod keys_hsm_args;
mod keys_qr_args;
mod keys_sheet_args;
mod kit_args;
mod manual;
mod margin_args;
mod network_args;
mod place;
mod postgres_args;
mod recipients_args;
mod root_args;
mod site_args;
mod slashing_args;
mod time;
mod vault_args;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use approvals_args::{
    ApprovalsCommand, ApprovalsListArgs, ApprovalsMessageArgs, ApprovalsPublishArgs,
    ApprovalsSayArgs, ApprovalsShowArgs, WordArgs,
};
pub use args::{
    Cli, Command, CompletionsArgs, ConfigCheckArgs, ConfigCommand, ConfigShowArgs, DoctorArgs,
    ManArgs, PointsArgs, RepairArgs, RestoreArgs, StatusArgs, UpArgs, VerifyArgs,
};
pub use demo_args::{
    ClientsCommand, ClientsKeyArgs, DemoBotArgs, DemoClientsArgs, DemoCommand, DemoKind,
    KillPrimaryArgs, Role, Slot,
};
pub use domain_arg::DomainArg;
pub use drill_args::{DrillAction, DrillArgs, DrillVerifyArgs};
pub use everything_args::{DrillEverythingArgs, EverythingPart};
pub use failover_args::{FailoverArgs, RecoverQuorumArgs};
pub use files_args::{BackupArgs, DiffArgs, LsArgs, ProtectArgs};
pub use init_args::InitArgs;
pub use journal_args::{
    JournalCommand, JournalHashesArgs, JournalPlace, JournalReplayArgs, JournalShowArgs,
};
pub use keys_args::{
    DrillCheckArgs, DrillCommand, DrillProveArgs, DrillStatusArgs, KeysCommand, KeysDepartArgs,
    KeysEvidenceArgs, KeysFingerprintArgs, KeysGenerateArgs, KeysKitArgs, KeysKitCheckArgs,
    KeysKitCommand, KeysRecoverArgs, Slip39Command, Slip39RecoverArgs, Slip39SplitArgs,
};
pub use keys_ceremony_args::{
    CeremonyBeginArgs, CeremonyCommand, CeremonyNextArgs, CeremonyStatusArgs, CeremonyVerifyArgs,
};
pub use keys_decrypt_args::{
    DecryptionPurpose, GroupAnswerArgs, GroupAskArgs, GroupOpenArgs, GroupTrustArgs, QuorumArgs,
};
pub use keys_group_args::{
    GroupCommand, GroupCurve, GroupEnrollArgs, GroupPlanArgs, GroupRequestArgs, GroupSignArgs,
    GroupStepArgs, GroupVerifyArgs,
};
pub use keys_hsm_args::{
    HsmCheckArgs, HsmCommand, HsmGenerateArgs, HsmInitArgs, HsmKeysArgs, HsmListArgs, HsmPatience,
    HsmSignArgs, HsmUnwrapArgs, HsmWrapArgs,
};
pub use keys_qr_args::{QrCommand, QrReceiveArgs, QrSendArgs};
pub use keys_sheet_args::{
    SheetCommand, SheetFormat, SheetPaper, SheetPrintArgs, SheetScanArgs, SheetVerifyArgs,
    SheetWords,
};
pub use kit_args::{KitCheckArgs, KitCommand, KitMakeArgs};
pub use margin_args::{MarginCommand, MarginExplainArgs, MarginSimulateArgs};
pub use network_args::{
    NetworkBackupArgs, NetworkCheckArgs, NetworkCommand, NetworkDiffArgs, NetworkProtectArgs,
    NetworkRestoreArgs, NetworkVersionsArgs,
};
pub use place::Place;
pub use postgres_args::{PostgresCommand, PostgresRunArgs, PostgresStatusArgs};
pub use recipients_args::{
    RecipientsAddArgs, RecipientsCommand, RecipientsListArgs, RecipientsRemoveArgs,
    RecipientsRewrapArgs, RevokeWriterArgs,
};
pub use root_args::{
    OutsideRootArgs, RootAcceptArgs, RootCommand, RootRequestArgs, RootShowArgs, RootSignArgs,
};
pub use site_args::{
    SiteAddKeyArgs, SiteApproversArgs, SiteCommand, SiteServeArgs, SitesArgs, SitesCommand,
    SitesPinArgs,
};
pub use slashing_args::{SlashingCommand, SlashingMergeArgs, SlashingRestoreArgs};
pub use time::{format_time_ns, parse_time_ns};
pub use vault_args::{
    AuditArgs, KeepArgs, PruneCommand, PruneExecuteArgs, PruneKeyArgs, PruneListArgs,
    PrunePlanArgs, PruneProposeArgs, PruneSayArgs, VaultCommand,
};

use crate::output;
use crate::report::{Exit, Report};

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    // Errors are told in the form the caller asked for, also when the rest cannot be parsed.
    let json = std::env::args_os().any(|argument| argument == "--json");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error, json).into(),
    };
    report_panics();
    let outcome = std::panic::catch_unwind(|| dispatch::run(cli.command));
    match outcome {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(report)) => {
            report.print(json);
            report.exit().into()
        }
        Err(_) => Exit::Failed.into(),
    }
}

/// The definition, for completions and manual pages.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Help and version go to stdout and succeed; everything else is a mistake in what was typed.
fn usage(error: &clap::Error, json: bool) -> Exit {
    if !error.use_stderr() {
        // A closed pipe is the reader's choice.
        let _ = error.print();
        return Exit::Ok;
    }
    if json {
        let text = error.render().to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let what = lines.next().unwrap_or_default().trim_start_matches("error: ");
        let more = lines.filter(|line| !line.starts_with("For more information"));
        let report = Report::new(Exit::Usage, what).safe("nothing was started");
        more.fold(report, Report::detail).next("evenkeel help").print(true);
    } else {
        let _ = error.print();
    }
    Exit::Usage
}

/// A panic is a mistake in this program: it is told as one, without breaking a closed terminal.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let what = panic
            .payload()
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.payload().downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let report = Report::new(Exit::Failed, format!("a mistake in this program: {what}"))
            .at(place)
            .safe("everything acknowledged is on disk; the next start recovers by itself")
            .next("please report it with these lines and the command you typed");
        output::note(&report.to_string());
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            output::note(&std::backtrace::Backtrace::force_capture().to_string());
        }
    }));
}
