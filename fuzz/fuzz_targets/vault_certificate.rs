//! Strict decoding of a writer's certificate, and of what travels to a root for its signature.
#![no_main]

use evenkeel_types::Canonical;
use evenkeel_vault::{Certificate, RootRequest, RootWord};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = Certificate::from_bytes(bytes) {
        // One value, one byte form: whatever decodes must encode to exactly what it came from.
        assert_eq!(value.to_bytes(), bytes);
    }
    if let Ok(request) = RootRequest::from_bytes(bytes) {
        assert_eq!(request.to_bytes(), bytes);
    }
    if let Some(word) = RootWord::of_message(bytes) {
        assert_eq!(word.message(), bytes);
        assert!(!word.words().is_empty());
    }
});
