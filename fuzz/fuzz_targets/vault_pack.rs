//! Packs: any bytes, also behind a seal that opens, are refused or read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_vault::behind_seals::read_pack(bytes));
