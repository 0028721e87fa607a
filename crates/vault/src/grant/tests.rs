//! Plans, words and how a plan stands.

use super::*;
use crate::approval::{ApprovalRule, Approver, ApproverKey, Standing, Statement, Word};
use crate::layout::Lineage;
use crate::random::OsRandom;
use proptest::prelude::*;

const HOUR: u64 = 3_600_000_000_000;

fn entry(name: ObjectName) -> PlanEntry {
    PlanEntry { object: name.key("state"), length_bytes: 7, hash: Some([1; 32]) }
}

fn plan() -> DeletionPlan {
    let lineage = Lineage([5; 16]);
    let entries =
        vec![entry(ObjectName::Shard(lineage, [2; 32], 1)), entry(ObjectName::Record(lineage, 9))];
    DeletionPlan::new("state", 1, entries, &mut OsRandom).unwrap()
}

fn keys() -> [ApproverKey; 3] {
    [1, 2, 3].map(|seed| ApproverKey::from_bytes(&[seed; 32]))
}

fn about(id: PlanId) -> Matter {
    Matter::deletion("state", id)
}

fn rule() -> ApprovalRule {
    ApprovalRule::new(&keys().map(|key| key.approver()), 2, 24 * HOUR).unwrap()
}

fn now(statements: Vec<Statement>) -> Vec<(Statement, u64)> {
    statements.into_iter().map(|statement| (statement, 0)).collect()
}

#[test]
fn two_of_three_approvals_and_the_delay_make_a_plan_valid() {
    let (rule, keys, id) = (rule(), keys(), plan().id());
    let first = keys[0].say(Word::Approve, &about(id), 10 * HOUR);
    let second = keys[2].say(Word::Approve, &about(id), 20 * HOUR);
    let judge = |said: &[&Statement], at| {
        rule.judge(&about(id), &now(said.iter().map(|one| (*one).clone()).collect()), at)
    };
    assert_eq!(judge(&[], 0), Standing::Waiting { approvals: 0, needed: 2 });
    // The same approver twice is one approver.
    let again = keys[0].say(Word::Approve, &about(id), 11 * HOUR);
    assert_eq!(judge(&[&first, &again], 0), Standing::Waiting { approvals: 1, needed: 2 });
    let from_ns = 44 * HOUR;
    assert_eq!(judge(&[&first, &second], from_ns - 1), Standing::Delayed { from_ns });
    assert_eq!(judge(&[&second, &first], from_ns), Standing::Valid { from_ns });
    let objection = keys[1].say(Word::Cancel, &about(id), 43 * HOUR);
    let by = keys[1].approver();
    assert_eq!(judge(&[&first, &second, &objection], from_ns), Standing::Cancelled { by });
}

#[test]
fn an_approval_that_is_dated_back_counts_from_when_it_was_received() {
    let (rule, keys, id) = (rule(), keys(), plan().id());
    let said = [
        (keys[0].say(Word::Approve, &about(id), 0), 5 * HOUR),
        (keys[1].say(Word::Approve, &about(id), 0), 9 * HOUR),
    ];
    assert_eq!(rule.judge(&about(id), &said, 32 * HOUR), Standing::Delayed { from_ns: 33 * HOUR });
}

#[test]
fn words_of_strangers_of_other_plans_and_changed_ones_do_not_count() {
    let (rule, keys, id) = (rule(), keys(), plan().id());
    let right = keys[0].say(Word::Approve, &about(id), 1);
    let stranger = ApproverKey::from_bytes(&[9; 32]).say(Word::Approve, &about(id), 1);
    let other = keys[1].say(Word::Approve, &plan().matter(), 1);
    let mut changed = keys[1].say(Word::Cancel, &about(id), 1);
    changed.word = Word::Approve;
    let mut moved = keys[1].say(Word::Approve, &about(id), 1);
    moved.time_ns = 0;
    let said = now(vec![right, stranger, other, changed, moved]);
    let waiting = Standing::Waiting { approvals: 1, needed: 2 };
    assert_eq!(rule.judge(&about(id), &said, u64::MAX), waiting);
    let cancels = now(vec![ApproverKey::from_bytes(&[9; 32]).say(Word::Cancel, &about(id), 1)]);
    assert!(!matches!(rule.judge(&about(id), &cancels, 0), Standing::Cancelled { .. }));
}

#[test]
fn plans_and_words_read_back_and_every_changed_byte_shows() {
    let plan = plan();
    let bytes = plan.to_bytes();
    assert_eq!(DeletionPlan::from_bytes(&bytes), Ok(plan.clone()));
    let word = keys()[0].say(Word::Approve, &plan.matter(), 5);
    let signed = word.to_bytes();
    assert_eq!(Statement::from_bytes(&signed), Ok(word));
    for at in 0..signed.len() {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        assert!(
            !Statement::from_bytes(&changed).is_ok_and(|one| one.is_genuine(&plan.matter())),
            "{at}"
        );
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(DeletionPlan::from_bytes(&changed).map(|one| one.id()) != Ok(plan.id()));
    }
}

#[test]
fn certificates_other_domains_and_objects_without_a_hash_cannot_be_named() {
    let lineage = Lineage([5; 16]);
    let record = entry(ObjectName::Record(lineage, 9));
    let cases = [
        vec![],
        vec![entry(ObjectName::Certificate(lineage))],
        vec![PlanEntry { object: ObjectName::Record(lineage, 9).key("keys"), ..record.clone() }],
        vec![PlanEntry { object: "probe/1".to_owned(), ..record.clone() }],
        vec![PlanEntry { hash: None, ..record.clone() }],
        vec![record.clone(), record],
    ];
    for entries in cases {
        assert!(
            DeletionPlan::new("state", 0, entries.clone(), &mut OsRandom).is_err(),
            "{entries:?}"
        );
    }
}

#[test]
fn rules_that_nobody_or_everybody_could_meet_are_refused() {
    let keys = keys().map(|key| key.approver());
    assert!(ApprovalRule::new(&keys, 0, 0).is_err());
    assert!(ApprovalRule::new(&keys, 4, 0).is_err());
    assert!(ApprovalRule::new(&[keys[0], keys[0]], 1, 0).is_err());
    assert!(ApprovalRule::new(&[Approver::Key([0; 32])], 1, 0).is_err());
}

#[test]
fn names_of_grants_read_back() {
    let id = plan().id();
    let word = keys()[0].say(Word::Cancel, &about(id), 1);
    let of = |key: &str| parse_grant_key("state", key).map(|(plan, what)| (plan, what.to_owned()));
    assert_eq!(of(&id.plan_key("state")), Some((id, "plan".to_owned())));
    assert_eq!(of(&id.executed_key("state")), Some((id, "executed".to_owned())));
    assert!(of(&word.key(&about(id))).is_some_and(|(_, what)| what.starts_with("cancel-")));
    assert_eq!(of("grants/state/xyz/plan"), None);
    assert_eq!(of(&id.plan_key("keys")), None);
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for magic in [b"EVKD\x01", b"EVKG\x01"] {
            let mut framed = magic.to_vec();
            framed.extend(&bytes);
            let _ = DeletionPlan::from_bytes(&framed);
            let _ = Statement::from_bytes(&framed);
        }
    }
}
