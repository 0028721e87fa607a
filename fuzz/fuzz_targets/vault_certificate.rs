//! Strict decoding of a writer's certificate.
#![no_main]

use evenkeel_types::Canonical;
use evenkeel_vault::Certificate;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = Certificate::from_bytes(bytes) {
        // One value, one byte form: whatever decodes must encode to exactly what it came from.
        assert_eq!(value.to_bytes(), bytes);
    }
});
