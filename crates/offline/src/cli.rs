//! What can be typed: the whole program's definitions.

#[path = "../../evenkeel/src/cli/keys_args.rs"]
mod keys_args;
#[path = "../../evenkeel/src/cli/keys_group_args.rs"]
mod keys_group_args;
#[path = "../../evenkeel/src/cli/keys_qr_args.rs"]
mod keys_qr_args;
#[path = "../../evenkeel/src/cli/keys_sheet_args.rs"]
mod keys_sheet_args;
#[path = "../../evenkeel/src/cli/time.rs"]
mod time;

pub use keys_args::{
    DrillCheckArgs, DrillCommand, DrillProveArgs, DrillStatusArgs, KeysCommand,
    KeysFingerprintArgs, KeysGenerateArgs, Slip39Command, Slip39RecoverArgs, Slip39SplitArgs,
};
pub use keys_group_args::{
    GroupCommand, GroupCurve, GroupEnrollArgs, GroupPlanArgs, GroupRequestArgs, GroupSignArgs,
    GroupStepArgs, GroupVerifyArgs,
};
pub use keys_qr_args::{QrCommand, QrReceiveArgs, QrSendArgs};
pub use keys_sheet_args::{
    SheetCommand, SheetFormat, SheetPaper, SheetPrintArgs, SheetScanArgs, SheetVerifyArgs,
    SheetWords,
};
pub use time::{format_time_ns, parse_time_ns};
