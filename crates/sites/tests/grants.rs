//! Our server deletes what m of n approvers allowed, after the delay, each object once, and
//! nothing else.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::collections::BTreeMap;

use common::Desk;
use evenkeel_custody::wallet::{personal_hash, signer};
use evenkeel_sites::ObjectJanitor;
use evenkeel_types::Canonical;
use evenkeel_vault::{
    Action, ActionKind, ApprovalRule, Approver, ApproverKey, DeletionPlan, Detail, Janitor, Matter,
    OsRandom, PlanEntry, PlanId, Site, SiteErrorKind, Statement, Word,
};

const HOUR: u64 = 3_600_000_000_000;

fn approvers() -> [ApproverKey; 3] {
    [1, 2, 3].map(|seed| ApproverKey::from_bytes(&[seed; 32]))
}

fn about(plan: PlanId) -> Matter {
    Matter::deletion("state", plan)
}

fn desk(delay_ns: u64) -> Desk {
    let keys = approvers().map(|key| key.approver());
    let rule = ApprovalRule::new(&keys, 2, delay_ns).unwrap();
    Desk::with(|options| options.deletion = BTreeMap::from([("vault-a".to_owned(), rule)]))
}

fn key(number: u64) -> String {
    format!("state/{}/records/{number:016x}", "0a".repeat(16))
}

/// Three records, and a plan that names the first two.
fn proposed(desk: &Desk) -> PlanId {
    let site = desk.site(true);
    for number in 1..=3 {
        site.put(&key(number), format!("record {number}").as_bytes()).unwrap();
    }
    let entry = |number| PlanEntry { object: key(number), length_bytes: 8, hash: Some([7; 32]) };
    let entries = vec![entry(1), entry(2)];
    let plan = DeletionPlan::new("state", 1, entries, &mut OsRandom).unwrap();
    site.put(&plan.id().plan_key("state"), &plan.to_bytes()).unwrap();
    plan.id()
}

fn say(desk: &Desk, word: Word, plan: PlanId, approver: usize, time_ns: u64) {
    let said = approvers()[approver].say(word, &about(plan), time_ns);
    desk.site(true).put(&said.key(&about(plan)), &said.to_bytes()).unwrap();
}

fn janitor(desk: &Desk) -> ObjectJanitor {
    ObjectJanitor::s3("site", &desk.writer_settings()).unwrap()
}

fn refused(desk: &Desk, number: u64, why: &str) {
    let error = janitor(desk).delete(&key(number)).unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Denied, "{error}");
    assert!(error.detail.contains(why), "{error}");
    assert!(desk.site(true).get(&key(number)).is_ok(), "it is still there");
    let told = desk.refusals();
    let told = told.last().unwrap();
    assert!(told.operation == "DeleteObject" && told.object == key(number), "{told:?}");
}

#[test]
fn an_object_goes_by_a_grant_alone_after_the_delay_and_once() {
    let mut desk = desk(0);
    let plan = proposed(&desk);
    refused(&desk, 1, "no grant");
    say(&desk, Word::Approve, plan, 0, 1);
    refused(&desk, 1, "no grant");
    say(&desk, Word::Approve, plan, 2, 1);
    refused(&desk, 3, "no grant");
    janitor(&desk).delete(&key(1)).unwrap();
    let gone = desk.site(true).get(&key(1)).unwrap_err();
    assert_eq!(gone.kind, SiteErrorKind::NotFound);
    janitor(&desk).delete(&key(1)).unwrap();
    // Put back, it is another object: the grant was for the one that went; also after a restart.
    desk.site(true).put(&key(1), b"record 1").unwrap();
    refused(&desk, 1, "used for this object before");
    desk.restart();
    refused(&desk, 1, "used for this object before");
    janitor(&desk).delete(&key(2)).unwrap();
    let left: Vec<_> = desk.site(true).list("state/").unwrap();
    assert_eq!(left.len(), 2);
}

#[test]
fn approvals_that_are_dated_back_do_not_shorten_the_delay() {
    let desk = desk(HOUR);
    let plan = proposed(&desk);
    say(&desk, Word::Approve, plan, 0, 0);
    say(&desk, Word::Approve, plan, 1, 0);
    refused(&desk, 1, "delay is not over");
}

#[test]
fn an_objection_holds_whoever_approved() {
    let desk = desk(0);
    let plan = proposed(&desk);
    for approver in 0..3 {
        say(&desk, Word::Approve, plan, approver, 1);
    }
    say(&desk, Word::Cancel, plan, 1, 1);
    refused(&desk, 1, "no grant");
}

#[test]
fn forged_plans_strangers_words_and_other_keys_delete_nothing() {
    let desk = desk(0);
    let plan = proposed(&desk);
    say(&desk, Word::Approve, plan, 0, 1);
    // A stranger, in an approver's place.
    let stranger = ApproverKey::from_bytes(&[9; 32]).say(Word::Approve, &about(plan), 1);
    let name = approvers()[1].say(Word::Approve, &about(plan), 1).key(&about(plan));
    desk.site(true).put(&name, &stranger.to_bytes()).unwrap();
    refused(&desk, 1, "no grant");
    // A plan under a name that is not its hash.
    let entry = PlanEntry { object: key(3), length_bytes: 8, hash: Some([7; 32]) };
    let other = DeletionPlan::new("state", 1, vec![entry], &mut OsRandom).unwrap();
    let false_id = PlanId([4; 32]);
    desk.site(true).put(&false_id.plan_key("state"), &other.to_bytes()).unwrap();
    for approver in 0..3 {
        say(&desk, Word::Approve, false_id, approver, 1);
    }
    refused(&desk, 3, "no grant");
    // The grants themselves, and what the server notes, are nobody's to delete.
    let plan_key = plan.plan_key("state");
    assert!(janitor(&desk).delete(&plan_key).is_err());
    assert!(janitor(&desk).delete(".grants/x").is_err());
    let reader = desk.settings("vault-a", &desk.credential("reader", common::SECRET));
    let error = ObjectJanitor::s3("site", &reader).unwrap().delete(&key(1)).unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Denied);
    // A bucket without approvers.
    let other = desk.settings("vault-b", &desk.credential("other", common::SECRET));
    let error = ObjectJanitor::s3("site", &other).unwrap().delete(&key(1)).unwrap_err();
    assert!(error.detail.contains("append-only"), "{error}");
}

/// A wallet of Ethereum.
fn wallet_says(word: Word, matter: &Matter, time_ns: u64) -> Statement {
    let key = k256::ecdsa::SigningKey::from_slice(&[0x42; 32]).unwrap();
    let sign = |text: &str| {
        let (signature, id) = key.sign_prehash_recoverable(&personal_hash(text.as_bytes()));
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = id.to_byte();
        bytes
    };
    let address = signer(&personal_hash(b"who"), &sign("who")).unwrap();
    let approver = Approver::Wallet(address.0);
    let signature = sign(&matter.text(word, time_ns, &approver));
    Statement::signed_elsewhere(word, matter, time_ns, approver, &signature).unwrap()
}

#[test]
fn a_wallet_allows_a_deletion_beside_a_key_and_a_thief_takes_no_word_away() {
    let wallet = wallet_says(Word::Approve, &about(PlanId([1; 32])), 0).approver;
    let desk = Desk::with(|options| {
        let rule = ApprovalRule::new(&[approvers()[0].approver(), wallet], 2, 0).unwrap();
        options.deletion = BTreeMap::from([("vault-a".to_owned(), rule)]);
    });
    let plan = proposed(&desk);
    say(&desk, Word::Approve, plan, 0, 1);
    let said = wallet_says(Word::Approve, &about(plan), 0);
    refused(&desk, 1, "no grant");
    desk.site(true).put(&said.key(&about(plan)), &said.to_bytes()).unwrap();
    janitor(&desk).delete(&key(1)).unwrap();
    // Words and actions lie there for good: nobody writes over them, and no plan names them.
    let details = vec![Detail::new("to", "/srv/r")];
    let times = (0, HOUR);
    let of = (ActionKind::Export, "state");
    let action = Action::new(of, details, "why", times, &mut OsRandom).unwrap();
    let cancel = approvers()[0].say(Word::Cancel, &action.matter(), 0);
    let place = cancel.key(&action.matter());
    desk.site(true).put(&place, &cancel.to_bytes()).unwrap();
    assert!(desk.site(true).put(&place, b"nothing").is_err());
    assert!(janitor(&desk).delete(&place).is_err());
    assert_eq!(desk.site(true).get(&place).unwrap(), cancel.to_bytes());
    let entry = PlanEntry { object: place, length_bytes: 8, hash: Some([7; 32]) };
    assert!(DeletionPlan::new("state", 1, vec![entry], &mut OsRandom).is_err());
}
