//! Strict decoding of deletion plans, actions, policies and approvers' words, and of the names
//! they lie under.
#![no_main]

use evenkeel_types::Canonical;
use evenkeel_vault::{
    Action, ApprovalBundle, ApprovalPolicy, DeletionPlan, Execution, Matter, PlanId, SignedAudit,
    Statement, parse_grant_key,
};

const APPROVER: evenkeel_vault::Approver = evenkeel_vault::Approver::Wallet([1; 20]);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // One value, one byte form: whatever decodes must encode to exactly what it came from.
    if let Ok(plan) = DeletionPlan::from_bytes(bytes) {
        assert_eq!(plan.to_bytes(), bytes);
        assert!(plan.entries.iter().all(|entry| plan.names(&entry.object)));
    }
    if let Ok(statement) = Statement::from_bytes(bytes) {
        assert_eq!(statement.to_bytes(), bytes);
        let _ = statement.is_genuine(&Matter::deletion("state", PlanId(statement.about)));
    }
    if let Ok(action) = Action::from_bytes(bytes) {
        assert_eq!(action.to_bytes(), bytes);
        // One line of the signed text each, whatever the values say.
        let text = action.matter().text(evenkeel_vault::Word::Approve, 0, &APPROVER);
        assert_eq!(text.lines().count(), 12 + action.details.len());
    }
    if let Ok(line) = Execution::from_bytes(bytes) {
        assert_eq!(line.to_bytes(), bytes);
    }
    if let Ok(policy) = ApprovalPolicy::from_bytes(bytes) {
        assert_eq!(policy.to_bytes(), bytes);
    }
    if let Ok(bundle) = ApprovalBundle::from_bytes(bytes) {
        assert_eq!(bundle.to_bytes(), bytes);
    }
    if let Ok(report) = SignedAudit::from_bytes(bytes) {
        assert_eq!(report.to_bytes(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = parse_grant_key("state", text);
    }
});
