//! Sheets and films: any bytes of a symbol are refused or understood, and come back the same.
#![no_main]

use evenkeel_sheets::sheet::{Gathering, Payload, Scheme, Typed};
use evenkeel_sheets::stream::{Frame, Receiving};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match Payload::read(bytes) {
        Ok(Payload::Card(card)) => {
            assert_eq!(card.payload().as_deref().map(|again| again.as_slice()), Ok(bytes));
        }
        Ok(Payload::Part(part)) => {
            assert_eq!(part.payload().as_slice(), bytes);
            let mut gathering = Gathering::default();
            assert!(gathering.add(&part));
            let _ = gathering.finish();
        }
        Err(_) => {}
    }
    if let Some(frame) = Frame::read(bytes) {
        assert_eq!(frame.payload().as_slice(), bytes);
        let mut receiving = Receiving::default();
        receiving.add(&frame);
        receiving.messages().for_each(|incoming| drop(incoming.finish()));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Typed::of(text, Scheme::Slip39).words(Scheme::Slip39, 1);
        let _ = Typed::of(text, Scheme::Bip39).words(Scheme::Bip39, 1);
    }
});
