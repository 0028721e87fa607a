//! The documents of `--json`: the whole program's definitions.

#[path = "../../evenkeel/src/documents/keys.rs"]
mod keys;
#[path = "../../evenkeel/src/documents/keys_ceremony.rs"]
mod keys_ceremony;
#[path = "../../evenkeel/src/documents/keys_group.rs"]
mod keys_group;
#[path = "../../evenkeel/src/documents/keys_sheet.rs"]
mod keys_sheet;
#[allow(dead_code, reason = "the whole program tells progress too")]
#[path = "../../evenkeel/src/documents/lines.rs"]
mod lines;

pub use keys::*;
pub use keys_ceremony::*;
pub use keys_group::*;
pub use keys_sheet::*;
pub use lines::ErrorDocument;
