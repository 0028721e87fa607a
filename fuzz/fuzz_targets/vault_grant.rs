//! Strict decoding of deletion plans and of approvers' words, and of the names they lie under.
#![no_main]

use evenkeel_types::Canonical;
use evenkeel_vault::{DeletionPlan, SignedAudit, Statement, parse_grant_key};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // One value, one byte form: whatever decodes must encode to exactly what it came from.
    if let Ok(plan) = DeletionPlan::from_bytes(bytes) {
        assert_eq!(plan.to_bytes(), bytes);
        assert!(plan.entries.iter().all(|entry| plan.names(&entry.object)));
    }
    if let Ok(statement) = Statement::from_bytes(bytes) {
        assert_eq!(statement.to_bytes(), bytes);
        let _ = statement.is_genuine();
    }
    if let Ok(report) = SignedAudit::from_bytes(bytes) {
        assert_eq!(report.to_bytes(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = parse_grant_key("state", text);
    }
});
