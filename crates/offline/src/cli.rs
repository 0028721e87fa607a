//! What can be typed: the whole program's definitions.

#[path = "../../evenkeel/src/cli/keys_args.rs"]
mod keys_args;
#[path = "../../evenkeel/src/cli/keys_ceremony_args.rs"]
mod keys_ceremony_args;
#[path = "../../evenkeel/src/cli/keys_group_args.rs"]
mod keys_group_args;
#[path = "../../evenkeel/src/cli/keys_qr_args.rs"]
mod keys_qr_args;
#[path = "../../evenkeel/src/cli/keys_sheet_args.rs"]
mod keys_sheet_args;
#[path = "../../evenkeel/src/cli/time.rs"]
mod time;

pub use keys_args::*;
pub use keys_ceremony_args::*;
pub use keys_group_args::*;
pub use keys_qr_args::*;
pub use keys_sheet_args::*;
pub use time::{format_time_ns, parse_time_ns};
