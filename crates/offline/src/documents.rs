//! The documents of `--json`: the whole program's definitions.

#[path = "../../evenkeel/src/documents/keys.rs"]
mod keys;
#[path = "../../evenkeel/src/documents/keys_group.rs"]
mod keys_group;
#[path = "../../evenkeel/src/documents/keys_sheet.rs"]
mod keys_sheet;
#[allow(dead_code, reason = "the whole program tells progress too")]
#[path = "../../evenkeel/src/documents/lines.rs"]
mod lines;

pub use keys::{
    KeyAccountDocument, KeyAddressDocument, KeyCardDocument, KeyFingerprintDocument,
    KeyGroupDocument, KeyScheme, KeySetDocument, ShareDrillDocument, ShareDrillState,
    ShareDrillStatusDocument, ShareDrillsDocument, Slip39CardDocument, Slip39GroupDocument,
    Slip39GroupUseDocument, Slip39RecoveryDocument, Slip39SplitDocument,
};
pub use keys_group::{GroupDocument, GroupHolderDocument, GroupState};
pub use keys_sheet::{
    QrFilmDocument, QrReceiveDocument, QrSendDocument, SheetCardDocument, SheetDocument,
    SheetPayloadDocument, SheetPrintDocument, SheetScanDocument, SheetSymbolDocument,
};
pub use lines::ErrorDocument;
