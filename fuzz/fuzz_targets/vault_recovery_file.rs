//! The recovery file and the keys and layouts in configurations: any text is refused or understood.
#![no_main]

use evenkeel_vault::{Identity, Lineage, Recipient, RecoveryIdentity, RootPublicKey};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = Identity::parse(text);
    let _ = RootPublicKey::parse(text);
    let _ = Lineage::parse(text);
    if let Ok(recipient) = Recipient::parse(text) {
        assert_eq!(recipient.to_string(), text.trim());
    }
    if let Ok(recovery) = RecoveryIdentity::parse(text) {
        let again = RecoveryIdentity::parse(&recovery.to_text()).expect("its own text is read");
        assert_eq!(again.recipient(), recovery.recipient());
        assert!(again.root_public() == recovery.root_public());
    }
});
