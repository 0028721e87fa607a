//! Cards: any text is refused or understood, and any cards together give a secret or a reason.
#![no_main]

use evenkeel_custody::slip39::{Share, recover};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut cards = Vec::new();
    for line in text.lines() {
        if let Ok(card) = Share::parse(line) {
            assert_eq!(Share::parse(&card.mnemonic()).as_ref(), Ok(&card));
            // A high exponent would only be slow.
            if card.set.iteration_exponent == 0 {
                cards.push(card);
            }
        }
    }
    let _ = recover(&cards, b"");
});
