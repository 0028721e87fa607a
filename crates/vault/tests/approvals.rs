//! Actions, words and policies at sites, some of which lie: what counts of them, and what does not.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::memory::Memory;
use common::{Desk, SeededRandom};
use evenkeel_types::Canonical;
use evenkeel_vault::{
    Action, ActionAtSites, ActionId, ActionKind, ApprovalPolicy, ApprovalRule, Approvals,
    ApproverKey, Detail, Execution, Identity, KindRule, OsRandom, Phase, Recipient,
    RecoveryIdentity, RootHand, Site, Standing, Statement, Word, WriterKey, publish_action,
    publish_execution, publish_word, read_approvals,
};

const DOMAIN: &str = "state";
const HOUR: u64 = 3_600_000_000_000;
/// 2026-11-22 07:30:00 UTC.
const NOW: u64 = 1_795_332_600_000_000_000;

fn approvers() -> [ApproverKey; 3] {
    [1, 2, 3].map(|seed| ApproverKey::from_bytes(&[seed; 32]))
}

fn rule(kind: ActionKind, needed: usize, delay_hours: u64) -> KindRule {
    let all = approvers().map(|key| key.approver());
    let rule = ApprovalRule::new(&all, needed, delay_hours * HOUR).unwrap();
    KindRule::new(kind, rule, 100 * HOUR).unwrap()
}

/// Five sites in memory.
struct House {
    desk: Desk,
    memories: Vec<Arc<Memory>>,
}

impl House {
    fn new() -> Self {
        let memories = (0..5).map(|at| Arc::new(Memory::new(at))).collect();
        Self { desk: Desk::new(), memories }
    }

    fn sites(&self) -> Vec<Arc<dyn Site>> {
        self.memories.iter().map(|one| Arc::clone(one) as Arc<dyn Site>).collect()
    }

    fn read(&self) -> Approvals {
        read_approvals(&self.sites(), DOMAIN, &self.desk.recovery.root_public())
    }

    fn policy(&self, counter: u64, rules: Vec<KindRule>, all: &[Recipient]) -> ApprovalPolicy {
        ApprovalPolicy::new(DOMAIN, (counter, NOW + counter * HOUR), rules, all).unwrap()
    }

    fn publish(&self, policy: ApprovalPolicy, change: Option<ActionId>) {
        let mut policy = policy;
        policy.change = change;
        let signed = RootHand::Here(&self.desk.recovery).sign(policy).unwrap().unwrap();
        signed.publish(&self.sites(), self.desk.layout).unwrap();
    }

    fn propose(&self, kind: ActionKind, details: Vec<Detail>) -> Action {
        let mut random = OsRandom;
        let times = (NOW, NOW + 90 * HOUR);
        let action = Action::new((kind, DOMAIN), details, "why", times, &mut random).unwrap();
        publish_action(&self.sites(), self.desk.layout, &action).unwrap();
        action
    }

    fn say(&self, action: &Action, who: usize, word: Word) {
        let said = approvers()[who].say(word, &action.matter(), NOW);
        publish_word(&self.sites(), self.desk.layout, &action.matter(), &said).unwrap();
    }

    fn log(&self, action: &Action, phase: Phase, time_ns: u64) {
        let key = WriterKey::from_bytes(&[7; 32]);
        let line =
            Execution::sign(&key, (phase, action.id()), time_ns, ("a host", "done")).unwrap();
        publish_execution(&self.sites(), self.desk.layout, action, &line).unwrap();
    }

    /// The same object at every site, as whoever has the writer's credentials puts it.
    fn put(&self, key: &str, bytes: &[u8]) {
        self.sites().iter().for_each(|site| site.put(key, bytes).unwrap());
    }
}

fn find(found: &Approvals, action: &Action) -> ActionAtSites {
    found.actions.iter().find(|one| one.id == action.id()).unwrap().clone()
}

#[test]
fn a_policy_that_is_less_counts_only_by_an_action_that_the_one_before_allowed() {
    let house = House::new();
    let export = |needed, delay| vec![rule(ActionKind::Export, needed, delay)];
    house.publish(house.policy(1, export(2, 24), &[]), None);
    // More of it needs the root alone.
    house.publish(house.policy(2, export(3, 24), &[]), None);
    assert_eq!(house.read().policy.unwrap().counter, 2);
    for (counter, less, why) in [
        (3, export(2, 24), "2 approvals instead of 3"),
        (4, export(3, 1), "a delay of 3600 s"),
        (5, vec![rule(ActionKind::Promotion, 3, 24)], "export: no rule"),
    ] {
        house.publish(house.policy(counter, less, &[]), None);
        let found = house.read();
        assert_eq!(found.policy.unwrap().counter, 2);
        assert!(found.refused.last().unwrap().1.contains(why), "{:?}", found.refused);
    }
    let next = house.policy(30, export(1, 24), &[]);
    let action = house.propose(ActionKind::Policy, next.details());
    let other = house.propose(ActionKind::Policy, house.policy(30, export(2, 2), &[]).details());
    for who in 0..3 {
        house.say(&action, who, Word::Approve);
        house.say(&other, who, Word::Approve);
    }
    // Another action's approval is none for these terms.
    house.publish(next.clone(), Some(other.id()));
    assert_eq!(house.read().policy.unwrap().counter, 2);
    house.publish(next, Some(action.id()));
    assert_eq!(house.read().policy.unwrap().counter, 30);
    // And an objection takes it back.
    house.say(&action, 1, Word::Cancel);
    assert_eq!(house.read().policy.unwrap().counter, 2);
}

#[test]
fn policies_of_other_roots_and_domains_and_changed_ones_do_not_count() {
    let house = House::new();
    let rules = || vec![rule(ActionKind::Export, 2, 24)];
    let stranger = RecoveryIdentity::generate(DOMAIN, &mut SeededRandom::new(9)).unwrap();
    let foreign = RootHand::Here(&stranger).sign(house.policy(1, rules(), &[])).unwrap();
    foreign.unwrap().publish(&house.sites(), house.desk.layout).unwrap();
    let elsewhere = ApprovalPolicy::new("network", (1, NOW), rules(), &[]).unwrap();
    let mut hand = RootHand::Here(&house.desk.recovery);
    assert!(hand.sign(elsewhere).is_err());
    let own = hand.sign(house.policy(2, rules(), &[])).unwrap().unwrap().policy().unwrap().clone();
    let bytes = own.to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let root = house.desk.recovery.root_public();
        let counts = ApprovalPolicy::from_bytes(&changed).is_ok_and(|one| one.is_signed_by(&root));
        assert!(!counts, "{at}");
    }
    assert!(house.read().policy.is_none());
    assert_eq!(ApprovalPolicy::from_bytes(&bytes).unwrap(), own);
}

#[test]
fn recipients_follow_what_was_approved_and_carried_out_in_time() {
    let house = House::new();
    let all: Vec<Recipient> = (0..4).map(|_| Identity::generate().recipient()).collect();
    let named = |at: usize| all[at].to_string();
    let set =
        |numbers: &[usize]| -> BTreeSet<String> { numbers.iter().map(|at| named(*at)).collect() };
    house.publish(house.policy(1, vec![rule(ActionKind::Recipients, 2, 24)], &all[..2]), None);
    assert_eq!(house.read().recipients().unwrap(), set(&[0, 1]));
    let add = house.propose(ActionKind::Recipients, vec![Detail::new("add", &named(2))]);
    house.say(&add, 0, Word::Approve);
    house.log(&add, Phase::Executed, NOW + 30 * HOUR);
    assert_eq!(house.read().recipients().unwrap(), set(&[0, 1]), "one of two");
    house.say(&add, 2, Word::Approve);
    assert_eq!(house.read().recipients().unwrap(), set(&[0, 1, 2]));
    // Carried out before its delay was over, after it lapsed, or only begun: nothing of it counts.
    for (phase, hours) in [(Phase::Executed, 2), (Phase::Executed, 95), (Phase::Begun, 30)] {
        let details =
            vec![Detail::new("add", &named(3)), Detail::new("label", &format!("{hours}"))];
        let early = house.propose(ActionKind::Recipients, details);
        house.say(&early, 0, Word::Approve);
        house.say(&early, 1, Word::Approve);
        house.log(&early, phase, NOW + hours * HOUR);
        assert_eq!(house.read().recipients().unwrap(), set(&[0, 1, 2]), "{phase:?} {hours}");
    }
    let remove = house.propose(ActionKind::Recipients, vec![Detail::new("remove", &named(0))]);
    house.say(&remove, 0, Word::Approve);
    house.say(&remove, 1, Word::Approve);
    house.log(&remove, Phase::Executed, NOW + 30 * HOUR);
    assert_eq!(house.read().recipients().unwrap(), set(&[1, 2]));
    // What the approved list is by now may be published; what nobody approved may not.
    let rules = || vec![rule(ActionKind::Recipients, 2, 24)];
    house.publish(house.policy(40, rules(), &[all[1].clone(), all[2].clone()]), None);
    assert_eq!(house.read().policy.unwrap().counter, 40);
    house.publish(house.policy(41, rules(), &all), None);
    let found = house.read();
    assert_eq!((found.policy.unwrap().counter, found.refused.len()), (40, 1));
}

#[test]
fn sites_that_lie_add_nothing_and_one_that_is_right_suffices() {
    let house = House::new();
    house.publish(house.policy(1, vec![rule(ActionKind::Export, 2, 24)], &[]), None);
    let action = house.propose(ActionKind::Export, vec![Detail::new("to", "/srv/r")]);
    let prefix = action.matter().prefix();
    // In the names of approvers: words of strangers, garbage, and words about something else.
    let other = house.propose(ActionKind::Export, vec![Detail::new("to", "/srv/elsewhere")]);
    let said = approvers()[1].say(Word::Approve, &other.matter(), NOW);
    house.put(&format!("{prefix}approve-{}", approvers()[1].approver().digits()), &said.to_bytes());
    house.put(&format!("{prefix}approve-{}", "00".repeat(32)), b"EVKG\x02");
    let stranger = ApproverKey::from_bytes(&[9; 32]);
    for word in [Word::Approve, Word::Cancel] {
        let said: Statement = stranger.say(word, &action.matter(), NOW);
        house.put(&said.key(&action.matter()), &said.to_bytes());
    }
    // Another action under this one's name, at the first two sites.
    let id = action.id().to_string();
    for memory in &house.memories[..2] {
        let key = format!("actions/{DOMAIN}/{id}/action");
        memory.objects.lock().unwrap().insert(key, other.to_bytes());
    }
    house.say(&action, 0, Word::Approve);
    let found = house.read();
    let at_sites = find(&found, &action);
    assert_eq!(at_sites.action(), &action);
    let waiting = Standing::Waiting { approvals: 1, needed: 2 };
    assert_eq!(found.standing(&at_sites, NOW + 50 * HOUR), Some(waiting));
    // A line of the log that somebody forged uses nothing up.
    house.log(&action, Phase::Executed, NOW);
    house.say(&action, 2, Word::Approve);
    let found = house.read();
    let at_sites = find(&found, &action);
    assert!(at_sites.executed().is_some());
    let from_ns = NOW + 24 * HOUR;
    assert_eq!(found.standing(&at_sites, from_ns), Some(Standing::Valid { from_ns }));
    assert_eq!(found.answered, 5);
}
