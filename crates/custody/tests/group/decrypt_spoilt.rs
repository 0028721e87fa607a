//! Holders who answer wrongly are named, and done without where others suffice.

use evenkeel_custody::group::decrypt::{Request, TargetKey};
use evenkeel_custody::group::{Change, Kind, Message, Misdeed, Plan, Recipient, Sealed};
use proptest::prelude::*;

use crate::age_files;
use crate::decrypt::{answers, ask, opened, recipient, text};
use crate::forge;
use crate::forge_parts;
use crate::support::Seeded;
use crate::world::{Person, switch};

const PLAIN: &[u8] = b"the key of a period";

struct Asked {
    all: Vec<Person>,
    sealed: Sealed,
    file: Vec<u8>,
    target: TargetKey,
    request: Request,
    messages: Vec<Message>,
}

/// Two of three holders are needed, for two stanzas of which one is theirs.
fn asked(random: &mut Seeded) -> Asked {
    let (all, sealed) = recipient(2, 3, random);
    let other = age::x25519::Identity::generate().to_public().to_string();
    let file = age_files::encrypt(&[&text(&sealed), &other], PLAIN);
    let target = TargetKey::generate(random).unwrap();
    let request = ask(&sealed, &age_files::stanzas(&file), &target, random).unwrap();
    let messages = answers(&request, &sealed, &all.iter().collect::<Vec<_>>(), random);
    Asked { all, sealed, file, target, request, messages }
}

impl Asked {
    /// With another answer of the holder at `at`: who is named, whether it opens all the same, and
    /// that without the third it does not.
    fn spoilt(&self, at: usize, wrong: Message) -> Misdeed {
        let mut messages = self.messages.clone();
        messages[at] = wrong;
        let (heard, keys) = opened(&self.request, &self.sealed, &self.target, &messages).unwrap();
        let keys = keys.expect("the other two suffice");
        assert_eq!(age_files::decrypt(&self.file, &keys.keys), PLAIN);
        let number = u16::try_from(at + 1).unwrap();
        assert!(!keys.quorum.contains(&number));
        let spare = (at + 1) % 3;
        messages.remove(spare);
        let (alone, none) = opened(&self.request, &self.sealed, &self.target, &messages).unwrap();
        assert!(none.is_none());
        assert_eq!(alone.missing, [u16::try_from(spare + 1).unwrap()]);
        assert_eq!((alone.good.len(), &alone.wrong), (1, &heard.wrong));
        let [(named, misdeed)] = heard.wrong[..] else { panic!("{:?}", heard.wrong) };
        assert_eq!(named, number);
        misdeed
    }
}

#[test]
fn who_answers_wrongly_is_named_and_the_others_open() {
    let random = &mut Seeded::new(21);
    let it = asked(random);
    let (message, key) = (&it.messages[1], &it.all[1].key);
    let honest = forge_parts::parts(message, &it.target);
    assert_eq!(honest.len(), 2 * 96);
    let with = |parts: &[u8]| forge_parts::with_parts(message, parts, &it.target, key);
    let (unchanged, _) =
        opened(&it.request, &it.sealed, &it.target, &[with(&honest), it.messages[0].clone()])
            .unwrap();
    assert_eq!(unchanged.wrong, []);

    // Another holder's parts, the two stanzas' parts exchanged, and no points at all.
    let others = forge_parts::parts(&it.messages[0], &it.target);
    assert_eq!(it.spoilt(1, with(&others)), Misdeed::Partial);
    let exchanged = [&honest[96..], &honest[..96]].concat();
    assert_eq!(it.spoilt(1, with(&exchanged)), Misdeed::Partial);
    assert_eq!(it.spoilt(1, with(&[0xff; 192])), Misdeed::Partial);
    let identity = [&[1], &[0; 31][..], &honest[32..]].concat();
    assert_eq!(it.spoilt(1, with(&identity)), Misdeed::Partial);
    // Too short, too long, not sealed for the target.
    let form = Misdeed::Form(Kind::Partial);
    assert_eq!(it.spoilt(1, with(&honest[..191])), form);
    assert_eq!(it.spoilt(1, with(&[&honest[..], &[0]].concat())), form);
    let thief = TargetKey::generate(random).unwrap();
    assert_eq!(it.spoilt(1, forge_parts::with_parts(message, &honest, &thief, key)), form);
    assert_eq!(it.spoilt(1, forge::with_body(message, b"partial 1", key)), form);
    let stale = forge::with_generation(message, 7, key);
    assert_eq!(it.spoilt(1, stale), Misdeed::Generation(7));
}

#[test]
fn old_parts_fail_by_name_after_a_refresh() {
    let random = &mut Seeded::new(22);
    let Asked { mut all, sealed, file, target, request, messages } = asked(random);
    let before = opened(&request, &sealed, &target, &messages[..2]).unwrap();
    assert!(before.1.is_some());
    let plan = Plan::change(sealed.record(), &Change::default(), random).unwrap();
    let mut everybody: Vec<&mut Person> = all.iter_mut().collect();
    let second = switch::<Recipient>(&plan, Some(&sealed), &mut everybody, random);
    // To the new request the old answers are left over.
    let new = ask(&second, &age_files::stanzas(&file), &target, random).unwrap();
    let (heard, none) = opened(&new, &second, &target, &messages).unwrap();
    assert!(none.is_none());
    assert_eq!((heard.missing, heard.wrong), (vec![1, 2, 3], vec![]));
    // Who puts the old parts under the new request is named, with or without the old generation.
    let fresh = answers(&new, &second, &all.iter().collect::<Vec<_>>(), random);
    let old = forge_parts::parts(&messages[1], &target);
    let forged = forge_parts::with_parts(&fresh[1], &old, &target, &all[1].key);
    let (heard, opened_by) =
        opened(&new, &second, &target, &[fresh[0].clone(), forged, fresh[2].clone()]).unwrap();
    assert_eq!(heard.wrong, [(2, Misdeed::Partial)]);
    assert_eq!(opened_by.unwrap().quorum, [1, 3]);
    let stale = forge::with_generation(&fresh[1], 1, &all[1].key);
    let (heard, _) = opened(&new, &second, &target, &[fresh[0].clone(), stale]).unwrap();
    assert_eq!((heard.wrong, heard.missing), (vec![(2, Misdeed::Generation(1))], vec![3]));
}

#[test]
fn five_hundred_random_malicious_answers_are_named() {
    let it = asked(&mut Seeded::new(23));
    let honest: Vec<Vec<u8>> =
        it.messages.iter().map(|message| forge_parts::parts(message, &it.target)).collect();
    let change = (0..3_usize, 0..192_usize, 1..=255_u8, any::<[u8; 32]>(), 0..4_u8);
    let config = ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&change, |(at, byte, mask, noise, how)| {
            let mut parts = honest[at].clone();
            match how {
                // A single byte; a random field; a random whole; one field of the other stanza.
                0 => parts[byte] ^= mask,
                1 => parts[byte / 32 * 32..][..32].copy_from_slice(&noise),
                2 => {
                    for (part, noise) in parts.iter_mut().zip(noise.iter().cycle()) {
                        *part ^= noise ^ mask;
                    }
                }
                _ => {
                    let (from, to) = (byte / 32 * 32, (byte / 32 * 32 + 96) % 192);
                    parts.copy_within(from..from + 32, to);
                }
            }
            prop_assume!(parts != honest[at]);
            let key = &it.all[at].key;
            let wrong = forge_parts::with_parts(&it.messages[at], &parts, &it.target, key);
            prop_assert_eq!(it.spoilt(at, wrong), Misdeed::Partial);
            Ok(())
        })
        .unwrap();
}
