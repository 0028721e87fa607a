//! The judge, whatever it is given; texts; policies; bundles.

use evenkeel_custody::wallet::personal_hash;
use k256::ecdsa::SigningKey as WalletKey;
use proptest::prelude::*;

use super::*;
use crate::random::OsRandom;
use evenkeel_types::Canonical;

const HOUR: u64 = 3_600_000_000_000;
/// 2026-11-22 07:30:00 UTC.
const NOW: u64 = 1_795_332_600_000_000_000;

struct Wallet(WalletKey);

impl Wallet {
    fn new(seed: u8) -> Self {
        Self(WalletKey::from_slice(&[seed; 32]).unwrap())
    }

    fn sign(&self, text: &str) -> [u8; 65] {
        let (signature, id) = self.0.sign_prehash_recoverable(&personal_hash(text.as_bytes()));
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + id.to_byte();
        bytes
    }

    fn approver(&self) -> Approver {
        let text = "who";
        let found =
            evenkeel_custody::wallet::signer(&personal_hash(text.as_bytes()), &self.sign(text));
        Approver::Wallet(found.unwrap().0)
    }

    fn say(&self, word: Word, matter: &Matter, time_ns: u64) -> Statement {
        let text = matter.text(word, time_ns, &self.approver());
        let signed = self.sign(&text);
        Statement::signed_elsewhere(word, matter, time_ns, self.approver(), &signed).unwrap()
    }
}

fn keys() -> [ApproverKey; 2] {
    [1, 2].map(|seed| ApproverKey::from_bytes(&[seed; 32]))
}

fn rule() -> ApprovalRule {
    let [ada, bob] = keys().map(|key| key.approver());
    ApprovalRule::new(&[ada, bob, Wallet::new(3).approver()], 2, HOUR).unwrap()
}

fn export(why: &str) -> Action {
    let details =
        vec![Detail::new("to", "/srv/r at drill.example"), Detail::new("point", "newest")];
    let times = (NOW, NOW + 24 * HOUR);
    Action::new((Kind::Export, "state"), details, why, times, &mut OsRandom).unwrap()
}

fn at_once(said: &[&Statement]) -> Vec<(Statement, u64)> {
    said.iter().map(|one| ((*one).clone(), 0)).collect()
}

#[test]
fn a_wallet_signs_a_text_that_says_everything() {
    let action = export("the disk of host a died");
    let wallet = Wallet::new(3);
    let text = action.matter().text(Word::Approve, NOW, &wallet.approver());
    let expected = format!(
        "Evenkeel approval, version 1\n\nI APPROVE this: it may be carried out once its delay is \
         over.\n\nkind: export\ndomain: state\npoint: newest\nto: /srv/r at drill.example\nwhy: \
         the disk of host a died\nproposed-at: 2026-11-22T07:30:00Z\nlapses-at: \
         2026-11-23T07:30:00Z\naction: {}\nsigned-at: 2026-11-22T07:30:00Z\nsigned-by: {}\n",
        action.id(),
        wallet.approver()
    );
    assert_eq!(text, expected);
    assert!(wallet.approver().to_string().starts_with("0x"));
}

#[test]
fn a_key_and_a_wallet_make_an_action_valid_after_the_delay_until_it_lapses() {
    let (rule, action) = (rule(), export("why"));
    let matter = action.matter();
    let key = keys()[0].say(Word::Approve, &matter, NOW + HOUR);
    let wallet = Wallet::new(3).say(Word::Approve, &matter, NOW + 2 * HOUR);
    let judge = |said: &[&Statement], at| action.standing(&rule, &at_once(said), at);
    assert_eq!(judge(&[&key], NOW), Standing::Waiting { approvals: 1, needed: 2 });
    let from_ns = NOW + 3 * HOUR;
    assert_eq!(judge(&[&wallet, &key], from_ns - 1), Standing::Delayed { from_ns });
    assert_eq!(judge(&[&key, &wallet, &key], from_ns), Standing::Valid { from_ns });
    let at_ns = NOW + 24 * HOUR;
    assert_eq!(judge(&[&key, &wallet], at_ns - 1), Standing::Valid { from_ns });
    assert_eq!(judge(&[&key, &wallet], at_ns), Standing::Lapsed { at_ns });
    // Approved so late that the delay ends after it.
    let late = Wallet::new(3).say(Word::Approve, &matter, at_ns - HOUR);
    assert_eq!(judge(&[&key, &late], NOW), Standing::Lapsed { at_ns });
    let objects = Wallet::new(3).say(Word::Cancel, &matter, NOW);
    let by = Wallet::new(3).approver();
    assert_eq!(judge(&[&key, &wallet, &objects], from_ns), Standing::Cancelled { by });
}

#[test]
fn a_wallet_approves_a_deletion_plan_beside_a_key() {
    let (rule, matter) = (rule(), Matter::deletion("state", crate::PlanId([7; 32])));
    let said = [
        keys()[1].say(Word::Approve, &matter, NOW),
        Wallet::new(3).say(Word::Approve, &matter, NOW),
    ];
    let [key, wallet] = &said;
    let from_ns = NOW + HOUR;
    assert_eq!(rule.judge(&matter, &at_once(&[key, wallet]), from_ns), Standing::Valid { from_ns });
    let elsewhere = Matter::deletion("network", crate::PlanId([7; 32]));
    assert!(!wallet.is_genuine(&elsewhere), "a text names its domain");
    assert!(matter.prefix().starts_with("grants/state/0707"));
    for one in &said {
        assert_eq!(Statement::from_bytes(&one.to_bytes()).as_ref(), Ok(one));
    }
}

#[test]
fn a_key_signs_the_text_elsewhere_and_only_the_exact_one() {
    use ed25519_dalek::Signer as _;
    let matter = export("why").matter();
    let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let approver = Approver::Key(key.verifying_key().to_bytes());
    let text = matter.text(Word::Approve, NOW, &approver);
    let signature = key.sign(text.as_bytes()).to_bytes();
    let elsewhere =
        |word, time| Statement::signed_elsewhere(word, &matter, time, approver, &signature);
    assert_eq!(elsewhere(Word::Approve, NOW).unwrap(), keys()[0].say(Word::Approve, &matter, NOW));
    assert!(elsewhere(Word::Cancel, NOW).is_err());
    assert!(elsewhere(Word::Approve, NOW + 1_000_000_000).is_err());
    assert!(elsewhere(Word::Approve, NOW + 1).is_err(), "no whole second");
}

#[test]
fn a_malleable_twin_of_a_wallets_signature_is_no_second_approval() {
    let matter = export("why").matter();
    let wallet = Wallet::new(3);
    let mut signed = wallet.sign(&matter.text(Word::Approve, NOW, &wallet.approver()));
    let low = k256::ecdsa::Signature::from_slice(&signed[..64]).unwrap();
    let (r, s) = low.split_scalars();
    let high = k256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
    signed[..64].copy_from_slice(&high.to_bytes());
    signed[64] = 27 + (28 - signed[64]);
    let twin = Statement::signed_elsewhere(Word::Approve, &matter, NOW, wallet.approver(), &signed);
    assert!(twin.is_err());
}

#[test]
fn every_changed_byte_of_an_action_or_a_word_shows() {
    let action = export("why");
    let bytes = action.to_bytes();
    assert_eq!(Action::from_bytes(&bytes).as_ref(), Ok(&action));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Action::from_bytes(&changed).map(|one| one.id()) != Ok(action.id()), "{at}");
    }
    let matter = action.matter();
    for said in
        [keys()[0].say(Word::Approve, &matter, NOW), Wallet::new(3).say(Word::Cancel, &matter, NOW)]
    {
        let bytes = said.to_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 2;
            let read = Statement::from_bytes(&changed);
            assert!(!read.is_ok_and(|one| one.is_genuine(&matter)), "{at}");
        }
    }
}

#[test]
fn words_that_nobody_sees_are_shown_and_lines_stay_lines() {
    let sly = Detail::new("to", " /srv\nkind: drill\u{202e}\u{200b} ");
    assert_eq!(sly.value, "/srv\\u{a}kind: drill\\u{202e}\\u{200b}");
    let long = Detail::new("to", &"ä".repeat(600));
    assert!(long.value.len() <= 512 && long.value.ends_with('…'));
    let make = |details| {
        Action::new((Kind::Export, "state"), details, "w", (NOW, NOW + HOUR), &mut OsRandom)
    };
    for wrong in [
        vec![],
        vec![Detail::new("to", "a"), Detail::new("to", "b")],
        vec![Detail::new("why", "a")],
        vec![Detail::new("To", "a")],
        vec![Detail { name: "to".to_owned(), value: "a\nb".to_owned() }],
    ] {
        assert!(make(wrong.clone()).is_err(), "{wrong:?}");
    }
    let deletion = (Kind::Deletion, "state");
    let one = vec![Detail::new("to", "a")];
    assert!(Action::new(deletion, one, "w", (NOW, NOW + HOUR), &mut OsRandom).is_err());
}

#[test]
fn times_are_written_as_calendars_have_them() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_164_800, "2024-02-29T00:00:00Z"),
        (4_107_542_399, "2100-02-28T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(utc(seconds * 1_000_000_000), text);
    }
}

#[test]
fn approvers_are_keys_or_wallets_and_nothing_else() {
    let key = keys()[0].approver();
    assert_eq!(Approver::parse(&key.to_string()).unwrap(), key);
    let wallet = Wallet::new(3).approver();
    assert_eq!(Approver::parse(&wallet.to_string()).unwrap(), wallet);
    assert_eq!(Approver::parse(&wallet.to_string().to_lowercase()).unwrap(), wallet);
    for wrong in ["", "0x12", &"0".repeat(64), &format!("{}0", wallet), &"g".repeat(64)] {
        assert!(Approver::parse(wrong).is_err(), "{wrong}");
    }
    assert!(ApprovalRule::new(&[Approver::Wallet([0; 20])], 1, 1).is_err());
    assert!(ApprovalRule::new(&[key, key], 1, 1).is_err());
    let one = ApprovalRule::new(&[key], 1, 0).unwrap();
    assert!(KindRule::new(Kind::Export, one, HOUR).is_err(), "no delay");
    let one = ApprovalRule::new(&[key], 1, HOUR).unwrap();
    assert!(KindRule::new(Kind::Export, one.clone(), HOUR).is_err(), "lapses before");
    assert!(KindRule::new(Kind::Deletion, one, 2 * HOUR).is_err());
}

/// What proptest makes statements of: who, which word, when, received when, and what is wrong.
fn said(matter: &Matter, other: &Matter, one: (u8, bool, u64, u64, u8)) -> (Statement, u64) {
    let (who, approve, time, received, wrong) = one;
    let word = if approve { Word::Approve } else { Word::Cancel };
    let about = if wrong == 1 { other } else { matter };
    let time = NOW + time * 60_000_000_000;
    let received = if received == 0 { 0 } else { NOW + received * 60_000_000_000 };
    let seed = if wrong == 2 { 90 + who } else { who + 1 };
    let statement = match who {
        2 => Wallet::new(seed).say(word, about, time),
        _ => ApproverKey::from_bytes(&[seed; 32]).say(word, about, time),
    };
    let mut bytes = statement.to_bytes();
    if wrong == 3 {
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
    }
    (Statement::from_bytes(&bytes).unwrap(), received)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Against the rule said in another way: for each approver the earliest genuine approval, and
    /// any genuine objection ends it.
    #[test]
    fn the_judge_counts_what_is_genuine_in_any_order(
        all in proptest::collection::vec(
            (0_u8..3, proptest::bool::weighted(0.9), 0_u64..90, 0_u64..90, 0_u8..6), 0..8),
        seed in any::<u64>(),
        now in 0_u64..240,
    ) {
        let (action, another) = (export("why"), export("why"));
        let (matter, other) = (action.matter(), another.matter());
        let statements: Vec<_> = all.iter().map(|one| said(&matter, &other, *one)).collect();
        let now_ns = NOW + now * 60_000_000_000;
        let rule = rule();
        let verdict = rule.judge(&matter, &statements, now_ns);
        let genuine = || all.iter().filter(|one| !matches!(one.4, 1..=3));
        let mut times: Vec<u64> = (0..3)
            .filter_map(|who| {
                let mine = genuine().filter(|one| one.0 == who && one.1);
                mine.map(|one| NOW + one.2.max(one.3) * 60_000_000_000).min()
            })
            .collect();
        times.sort_unstable();
        let expected = if genuine().any(|one| !one.1) {
            None
        } else {
            Some(times.get(1).map(|last| last + HOUR))
        };
        match (verdict, expected) {
            (Standing::Cancelled { .. }, None) => {}
            (Standing::Waiting { approvals, needed: 2 }, Some(None)) => {
                prop_assert_eq!(approvals, times.len());
            }
            (Standing::Delayed { from_ns }, Some(Some(from))) => {
                prop_assert!(from_ns == from && now_ns < from);
            }
            (Standing::Valid { from_ns }, Some(Some(from))) => {
                prop_assert!(from_ns == from && now_ns >= from);
            }
            (verdict, expected) => prop_assert!(false, "{verdict:?} but {expected:?}"),
        }
        // In any order.
        let mut shuffled = statements.clone();
        let mut state = seed;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        prop_assert_eq!(rule.judge(&matter, &shuffled, now_ns), verdict);
        // Said of another action, nothing of it counts.
        let replayed = rule.judge(&other, &at_once(
            &statements.iter().zip(&all).filter(|(_, one)| one.4 != 1).map(|((it, _), _)| it)
                .collect::<Vec<_>>(),
        ), now_ns);
        prop_assert_eq!(replayed, Standing::Waiting { approvals: 0, needed: 2 });
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for magic in [b"EVKQ\x01", b"EVKG\x02", b"EVKL\x01", b"EVKU\x01", b"EVKB\x01"] {
            let mut framed = magic.to_vec();
            framed.extend(&bytes);
            let _ = Action::from_bytes(&framed);
            let _ = Statement::from_bytes(&framed);
            let _ = Execution::from_bytes(&framed);
            let _ = ApprovalPolicy::from_bytes(&framed);
            let _ = ApprovalBundle::from_bytes(&framed);
        }
    }
}
