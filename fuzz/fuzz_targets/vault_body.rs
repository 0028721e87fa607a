//! What a manifest record says behind its seal: strict decoding.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_vault::behind_seals::read_body(bytes));
