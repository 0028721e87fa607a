//! What stays on the heap after a secret was used and dropped: nothing. The process looks through
//! its own memory; a secret that was planted is found, so the search would find one that was left.
//!
//! Stacks and registers are not looked at: what calculations leave there is overwritten by what
//! comes next, at a time that nobody decides (SECURITY.md).
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod scan;
#[path = "../slip39/support.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod support;
#[path = "../group/world.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod world;

use evenkeel_custody::bip32::{ExtendedPrivate, Path};
use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::fingerprint::Fingerprint;
use evenkeel_custody::group::{Ed25519, HolderKey, KeyShare, Plan, Record, Secp256k1, Suite};
use evenkeel_custody::slip39::{Policy, Share, SplitOptions, recover, split};
use evenkeel_custody::{Random as _, Secret, drill};
use zeroize::Zeroizing;

use scan::{Needle, Search};
use support::Seeded;
use world::{Person, enrolments, honest, people, sign, switch};

fn drawn(seed: u64) -> Zeroizing<Vec<u8>> {
    let mut secret = Zeroizing::new(vec![0; 32]);
    Seeded::new(seed).fill(&mut secret).unwrap();
    secret
}

#[test]
fn a_secret_that_was_planted_is_found_dropped_or_alive() {
    let secret = drawn(1);
    let alive: Vec<u8> = secret.to_vec();
    let dropped: Vec<u8> = drawn(2).to_vec();
    let needles = [Needle::new("alive", &secret), Needle::new("dropped", &dropped)];
    let search = Search::new();
    drop(secret);
    drop(dropped);
    assert_eq!(search.found(&needles), ["alive", "dropped"]);
    drop(Zeroizing::new(alive));
}

/// Splits, deals, recovers and drills; the needles are the secret, a card's words and its drill.
fn a_split() -> Vec<Needle> {
    let secret = drawn(3);
    let passphrase = Zeroizing::new(b"a passphrase long enough".to_vec());
    let policy = Policy::parse("2of3,2of2", 2).unwrap();
    let options = SplitOptions { iteration_exponent: 0, ..SplitOptions::default() };
    let mut random = Seeded::new(4);
    let cards = split(&policy, &secret, &passphrase, options, &mut random).unwrap();
    let words = cards[0][0].mnemonic();
    // The first four words say which card it is, and are no secret.
    let value: Vec<&str> = words.split(' ').skip(4).collect();
    let value = Zeroizing::new(value.join(" "));
    let needles = vec![
        Needle::new("secret", &secret),
        Needle::new("words", value.as_bytes()),
        Needle::new("passphrase", &passphrase),
    ];
    let typed: Vec<Share> = [&cards[0][0], &cards[0][2], &cards[1][0], &cards[1][1]]
        .map(|card| Share::parse(&card.mnemonic()).unwrap())
        .to_vec();
    let back = recover(&typed, &passphrase).unwrap();
    assert_eq!(back.secret.reveal(), secret.as_slice());
    let wrong = recover(&typed, b"another passphrase").unwrap();
    assert_ne!(wrong.secret.reveal(), secret.as_slice());
    drill::answer(&typed[0], &[7; 32]).unwrap();
    needles
}

#[test]
fn nothing_of_a_split_and_its_recovery_stays_on_the_heap() {
    let search = Search::new();
    assert_eq!(search.found(&a_split()), Vec::<&str>::new());
}

fn a_wallet() -> Vec<Needle> {
    let entropy = drawn(5);
    let mnemonic = Mnemonic::from_entropy(Secret::new(entropy.to_vec())).unwrap();
    let sentence = mnemonic.sentence();
    let typed = Mnemonic::parse(&sentence).unwrap();
    let seed = typed.seed("");
    let fingerprint = Fingerprint::of_seed(seed.reveal()).unwrap();
    assert!(!fingerprint.accounts.is_empty());
    let master = ExtendedPrivate::master(seed.reveal()).unwrap();
    let path: Path = "m/44'/60'/0'/0/0".parse().unwrap();
    let key = master.derive(&path).unwrap().to_text();
    vec![
        Needle::new("entropy", &entropy),
        Needle::new("sentence", sentence.as_bytes()),
        Needle::new("seed", seed.reveal()),
        Needle::new("key", &key.as_bytes()[32..]),
    ]
}

#[test]
fn nothing_of_a_wallet_stays_on_the_heap() {
    let search = Search::new();
    assert_eq!(search.found(&a_wallet()), Vec::<&str>::new());
}

/// Everything a holder does with a share: founding, signing, a refresh, keeping and reading it.
fn a_group<C: Suite>(seed: u64, names: [&'static str; 4]) -> Vec<Needle> {
    let mut random = Seeded::new(seed);
    let mut all = people(3, &mut random);
    let mut needles = Vec::new();
    let mut of_share = |name: &'static str, person: &Person| {
        let bytes = person.share.as_ref().unwrap().to_bytes();
        let scalar = &bytes[bytes.len() - 32..];
        let other_end: Zeroizing<Vec<u8>> = Zeroizing::new(scalar.iter().rev().copied().collect());
        needles.extend([Needle::new(name, scalar), Needle::new(name, &other_end)]);
    };
    let plan = Plan::found(C::CURVE, 2, &enrolments(&all), &mut random).unwrap();
    let mut holders: Vec<&mut Person> = all.iter_mut().collect();
    let sealed = switch::<C>(&plan, None, &mut holders, &mut random);
    of_share(names[0], &all[0]);
    of_share(names[1], &all[1]);
    let signers: Vec<&Person> = all.iter().take(2).collect();
    sign::<C>(&sealed, b"message", &signers, &mut random, &mut honest).unwrap();
    let plan = Plan::change(sealed.record(), &Default::default(), &mut random).unwrap();
    let mut holders: Vec<&mut Person> = all.iter_mut().collect();
    let second = switch::<C>(&plan, Some(&sealed), &mut holders, &mut random);
    of_share(names[2], &all[0]);
    kept_and_read(second.record(), &all[0]);
    let key = all[0].key.to_bytes();
    needles.push(Needle::new(names[3], &key[key.len() - 32..]));
    needles
}

fn kept_and_read(record: &Record, person: &Person) {
    let share = KeyShare::from_bytes(&person.share.as_ref().unwrap().to_bytes()).unwrap();
    share.check(record).unwrap();
    let key = HolderKey::from_bytes(&person.key.to_bytes()).unwrap();
    assert_eq!(key.public(), person.key.public());
}

#[test]
fn nothing_of_a_share_of_a_groups_key_stays_on_the_heap() {
    let search = Search::new();
    let mut needles = a_group::<Ed25519>(6, ["first", "other's", "refreshed", "holder's key"]);
    needles.extend(a_group::<Secp256k1>(7, ["k: first", "k: other's", "k: refreshed", "k: key"]));
    assert_eq!(search.found(&needles), Vec::<&str>::new());
}
