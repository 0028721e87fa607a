//! Whoever has `age1…` encrypts, a quorum decrypts, and nothing else is decrypted.

use std::collections::BTreeSet;

use evenkeel_custody::group::decrypt::{
    EXPIRY_S_MAX, Heard, Opened, Purpose, Request, Stanza, TargetKey, answer, open,
};
use evenkeel_custody::group::sign::Request as SignRequest;
use evenkeel_custody::group::{
    Change, Curve, Ed25519, Message, Misdeed, Plan, Recipient, Refusal, Sealed,
};

use crate::age_files;
use crate::story::founded;
use crate::support::Seeded;
use crate::world::{Person, enrolments, honest, people, person, sign, switch};

pub const NOW_S: u64 = 1_800_000_000;
const PLAIN: &[u8] = b"the key of a period";

/// A recipient of `count` holders, `threshold` of whom are needed.
pub fn recipient(threshold: u16, count: usize, random: &mut Seeded) -> (Vec<Person>, Sealed) {
    let mut all = people(count, random);
    let plan = Plan::found(Curve::Recipient, threshold, &enrolments(&all), random).unwrap();
    let mut everybody: Vec<&mut Person> = all.iter_mut().collect();
    let sealed = switch::<Recipient>(&plan, None, &mut everybody, random);
    (all, sealed)
}

pub fn text(sealed: &Sealed) -> String {
    sealed.record().recipient().unwrap()
}

/// What the holders look up in signed objects; here, all there is.
pub fn vouched(stanzas: &[Stanza]) -> BTreeSet<Stanza> {
    stanzas.iter().copied().collect()
}

pub fn ask(
    sealed: &Sealed,
    stanzas: &[Stanza],
    target: &TargetKey,
    random: &mut Seeded,
) -> Result<Request, Refusal> {
    let until = (b"evidence".to_vec(), NOW_S + 3600);
    Request::new(sealed, (Purpose::Drill, "Ada's drill host"), target, stanzas, until, random)
}

pub fn answers(
    request: &Request,
    sealed: &Sealed,
    people: &[&Person],
    random: &mut Seeded,
) -> Vec<Message> {
    let vouched = vouched(&request.stanzas);
    let one = |person: &&Person| {
        let own = (person.share.as_ref().unwrap(), &person.key);
        answer(request, sealed, own, &vouched, NOW_S, random).unwrap()
    };
    people.iter().map(one).collect()
}

pub fn opened(
    request: &Request,
    sealed: &Sealed,
    target: &TargetKey,
    messages: &[Message],
) -> Result<(Heard, Option<Opened>), Refusal> {
    let table = request.table(sealed.record(), messages.iter().cloned());
    open(request, sealed, target, &table)
}

/// Every quorum gives the same file key, and `age` opens the file with it.
fn every_quorum_opens(sealed: &Sealed, people: &[&Person], random: &mut Seeded) -> usize {
    let file = age_files::encrypt(&[&text(sealed)], PLAIN);
    let target = TargetKey::generate(random).unwrap();
    let request = ask(sealed, &age_files::stanzas(&file), &target, random).unwrap();
    let all = answers(&request, sealed, people, random);
    let threshold = usize::from(sealed.record().threshold);
    let mut file_keys = BTreeSet::new();
    let mut quorums = 0;
    for chosen in 0_u32..1 << all.len() {
        let some: Vec<Message> =
            (0..all.len()).filter(|at| chosen >> at & 1 == 1).map(|at| all[at].clone()).collect();
        let (heard, opened) = opened(&request, sealed, &target, &some).unwrap();
        assert_eq!(heard.good.len(), some.len());
        assert_eq!(heard.missing.len(), all.len() - some.len());
        match opened {
            None => assert!(some.len() < threshold),
            Some(opened) => {
                quorums += 1;
                assert_eq!(opened.quorum, heard.good[..threshold]);
                assert_eq!(age_files::decrypt(&file, &opened.keys), PLAIN);
                file_keys.insert(opened.keys.values().next().unwrap().to_vec());
            }
        }
    }
    assert_eq!(file_keys.len(), 1, "one file key, whoever opens");
    quorums
}

#[test]
fn stock_age_encrypts_and_every_quorum_opens() {
    for (threshold, count, quorums) in [(2, 3, 4), (3, 5, 16), (2, 2, 1)] {
        let random = &mut Seeded::new(u64::from(threshold) * 100 + count as u64);
        let (all, sealed) = recipient(threshold, count, random);
        let all: Vec<&Person> = all.iter().collect();
        assert_eq!(every_quorum_opens(&sealed, &all, random), quorums);
    }
}

#[test]
fn the_program_age_of_the_distribution_encrypts_and_two_of_three_open() {
    let random = &mut Seeded::new(10);
    let (all, sealed) = recipient(2, 3, random);
    let folder = tempfile::tempdir().unwrap();
    let (plain, sealed_file) = (folder.path().join("plain"), folder.path().join("file.age"));
    std::fs::write(&plain, PLAIN).unwrap();
    let made = std::process::Command::new("age")
        .args(["-r", &text(&sealed), "-o"])
        .args([&sealed_file, &plain])
        .output()
        .expect("age is there: cargo xtask setup");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = std::fs::read(&sealed_file).unwrap();
    let target = TargetKey::generate(random).unwrap();
    let request = ask(&sealed, &age_files::stanzas(&file), &target, random).unwrap();
    let messages = answers(&request, &sealed, &[&all[2], &all[1]], random);
    let (_, opened) = opened(&request, &sealed, &target, &messages).unwrap();
    assert_eq!(age_files::decrypt(&file, &opened.unwrap().keys), PLAIN);
}

#[test]
fn one_request_is_for_many_stanzas_and_opens_those_that_are_for_the_group() {
    let random = &mut Seeded::new(11);
    let (all, sealed) = recipient(2, 3, random);
    let other = age::x25519::Identity::generate().to_public().to_string();
    let files: Vec<Vec<u8>> =
        (0..40_u8).map(|n| age_files::encrypt(&[&other, &text(&sealed)], &[n])).collect();
    let stanzas: Vec<Stanza> = files.iter().flat_map(|file| age_files::stanzas(file)).collect();
    assert_eq!(stanzas.len(), 80);
    let target = TargetKey::generate(random).unwrap();
    let request = ask(&sealed, &stanzas, &target, random).unwrap();
    let request = Request::from_bytes(&request.to_bytes()).unwrap();
    let messages = answers(&request, &sealed, &[&all[0], &all[2]], random);
    let (_, opened) = opened(&request, &sealed, &target, &messages).unwrap();
    let opened = opened.unwrap();
    assert_eq!((opened.keys.len(), opened.quorum), (40, vec![1, 3]));
    for (n, file) in files.iter().enumerate() {
        assert_eq!(age_files::decrypt(file, &opened.keys), [u8::try_from(n).unwrap()]);
    }
    // Somebody else's file, and nothing more, is not ours.
    let theirs = age_files::stanzas(&age_files::encrypt(&[&other], PLAIN));
    let request = ask(&sealed, &theirs, &target, random).unwrap();
    let messages = answers(&request, &sealed, &[&all[0], &all[1]], random);
    let none = super::decrypt::opened(&request, &sealed, &target, &messages).unwrap_err();
    assert_eq!(none, Refusal::NotForUs);
}

#[test]
fn what_is_in_nothing_signed_is_not_decrypted_nor_what_is_late_or_for_another_generation() {
    let random = &mut Seeded::new(12);
    let (mut all, first) = recipient(2, 3, random);
    let stanzas = age_files::stanzas(&age_files::encrypt(&[&text(&first)], PLAIN));
    let target = TargetKey::generate(random).unwrap();
    let request = ask(&first, &stanzas, &target, random).unwrap();
    let of = |at: usize| (all[at].share.clone().unwrap(), &all[at].key);
    let (share, key) = of(0);
    let good = vouched(&stanzas);
    let mut say = |request: &Request, sealed: &Sealed, vouched: &BTreeSet<Stanza>, now_s| {
        answer(request, sealed, (&share, key), vouched, now_s, random).map(|_| ())
    };
    assert_eq!(say(&request, &first, &good, NOW_S), Ok(()));
    assert_eq!(say(&request, &first, &BTreeSet::new(), NOW_S), Err(Refusal::NotVouched(1)));
    let same_share = Stanza { body: [7; 32], ..stanzas[0] };
    assert_eq!(say(&request, &first, &vouched(&[same_share]), NOW_S), Err(Refusal::NotVouched(1)));
    assert_eq!(say(&request, &first, &good, request.expires_s), Err(Refusal::Expired));
    let early = request.expires_s - EXPIRY_S_MAX - 1;
    assert_eq!(say(&request, &first, &good, early), Err(Refusal::Expired));
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = request.clone();
        change(&mut request);
        request
    };
    let other = with(&|it| it.generation = 2);
    assert_eq!(say(&other, &first, &good, NOW_S), Err(Refusal::Other("request")));
    let nobody = with(&|it| it.requester.clear());
    assert_eq!(say(&nobody, &first, &good, NOW_S), Err(Refusal::Stanzas(1)));
    let small = with(&|it| it.target = [0; 32]);
    assert_eq!(say(&small, &first, &good, NOW_S), Err(Refusal::Other("target")));
    // A share that no sender makes, put into an object that is signed all the same.
    let bad = Stanza { share: [0; 32], ..stanzas[0] };
    let twisted = with(&|it| it.stanzas = vec![bad]);
    assert_eq!(say(&twisted, &first, &vouched(&[bad]), NOW_S), Err(Refusal::BadStanza(1)));

    let old = all[1].share.clone().unwrap();
    let plan = Plan::change(first.record(), &Change::default(), random).unwrap();
    let mut everybody: Vec<&mut Person> = all.iter_mut().collect();
    let second = switch::<Recipient>(&plan, Some(&first), &mut everybody, random);
    let own = (&old, &all[1].key);
    let stale = answer(&request, &second, own, &good, NOW_S, random).unwrap_err();
    assert_eq!(stale, Refusal::Other("request"));
    let request = ask(&second, &stanzas, &target, random).unwrap();
    let stale = answer(&request, &second, own, &good, NOW_S, random).unwrap_err();
    assert_eq!(stale, Refusal::Other("share"), "an old share");
}

#[test]
fn a_recipient_signs_nothing_and_a_signing_key_decrypts_nothing() {
    let random = &mut Seeded::new(13);
    let (all, sealed) = recipient(2, 3, random);
    let numbers = BTreeSet::from([1, 2]);
    let refused = SignRequest::new(&sealed, b"a grant", &numbers, random).unwrap_err();
    assert_eq!(refused, Refusal::SignsNothing);
    let pair = [&all[0], &all[1]];
    let refused = sign::<Recipient>(&sealed, b"m", &pair, random, &mut honest).unwrap_err();
    assert_eq!(refused, Refusal::SignsNothing.into());
    // The one signature it makes is no Ed25519 signature.
    let bytes = sealed.to_bytes();
    let signature = ed25519_dalek::Signature::from_slice(&bytes[bytes.len() - 64..]).unwrap();
    let key: [u8; 32] = sealed.record().group_key.clone().try_into().unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
    let message = sealed.record().test_message();
    sealed.record().verify(&message, &signature.to_bytes()).unwrap();
    assert!(key.verify_strict(&message, &signature).is_err());

    let (signers, signing) = founded::<Ed25519>(random);
    assert_eq!(signing.record().recipient(), None);
    let stanzas = age_files::stanzas(&age_files::encrypt(&[&text(&sealed)], PLAIN));
    let target = TargetKey::generate(random).unwrap();
    let refused = Refusal::DecryptsNothing(Curve::Ed25519);
    assert_eq!(ask(&signing, &stanzas, &target, random).unwrap_err(), refused);
    let mut request = ask(&sealed, &stanzas, &target, random).unwrap();
    (request.record, request.generation) = (signing.record().hash(), 1);
    let own = (signers[0].share.as_ref().unwrap(), &signers[0].key);
    let error = answer(&request, &signing, own, &vouched(&stanzas), NOW_S, random).unwrap_err();
    assert_eq!(error, refused);
}

#[test]
fn the_recipient_outlives_refresh_repair_removal_and_addition() {
    let random = &mut Seeded::new(14);
    let (mut all, first) = recipient(2, 3, random);
    let name = text(&first);
    let file = age_files::encrypt(&[&name], PLAIN);
    let step = |sealed: &Sealed, change: &Change, all: &mut Vec<Person>, random: &mut Seeded| {
        let plan = Plan::change(sealed.record(), change, random).unwrap();
        let mut everybody: Vec<&mut Person> = all.iter_mut().collect();
        let next = switch::<Recipient>(&plan, Some(sealed), &mut everybody, random);
        all.retain(|person| person.share.is_some());
        let people: Vec<&Person> = all.iter().collect();
        every_quorum_opens(&next, &people, random);
        assert_eq!(text(&next), name, "the same recipient");
        next
    };
    let refreshed = step(&first, &Change::default(), &mut all, random);
    let anew = person("holder-2 again", random);
    let change =
        Change { enrolled_anew: [(2, anew.enrolment.clone())].into(), ..Change::default() };
    all[1] = anew;
    let repaired = step(&refreshed, &change, &mut all, random);
    let zoe = person("zoe", random);
    let change = Change { add: vec![zoe.enrolment.clone()], ..Change::default() };
    all.push(zoe);
    let grown = step(&repaired, &change, &mut all, random);
    let leave = Change { remove: [1].into(), ..Change::default() };
    let last = step(&grown, &leave, &mut all, random);
    assert_eq!(last.record().members().into_keys().collect::<Vec<_>>(), [2, 3, 4]);
    // What was encrypted before all of that opens as before.
    let target = TargetKey::generate(random).unwrap();
    let request = ask(&last, &age_files::stanzas(&file), &target, random).unwrap();
    let messages = answers(&request, &last, &[&all[0], &all[2]], random);
    let (_, opened) = opened(&request, &last, &target, &messages).unwrap();
    assert_eq!(age_files::decrypt(&file, &opened.unwrap().keys), PLAIN);
}

#[test]
fn an_answer_is_for_its_request_and_its_target_alone() {
    let random = &mut Seeded::new(15);
    let (all, sealed) = recipient(2, 3, random);
    let stanzas = age_files::stanzas(&age_files::encrypt(&[&text(&sealed)], PLAIN));
    let target = TargetKey::generate(random).unwrap();
    let request = ask(&sealed, &stanzas, &target, random).unwrap();
    let messages = answers(&request, &sealed, &[&all[0], &all[1]], random);
    let thief = TargetKey::generate(random).unwrap();
    let error = opened(&request, &sealed, &thief, &messages).unwrap_err();
    assert_eq!(error, Refusal::Other("target's key"));
    // The same question for the thief's key: the answers belong to another session, and to another
    // key if that is forged too.
    let stolen = ask(&sealed, &stanzas, &thief, random).unwrap();
    let (heard, none) = opened(&stolen, &sealed, &thief, &messages).unwrap();
    assert!(none.is_none());
    assert_eq!(heard.missing, [1, 2, 3]);
    let moved = |message: &Message, by: &Person| {
        let body = crate::forge::body(message);
        crate::forge::message(message.kind, &stolen.id(), 1, message.from, &body, &by.key)
    };
    let moved = [moved(&messages[0], &all[0]), moved(&messages[1], &all[1])];
    let (heard, none) = opened(&stolen, &sealed, &thief, &moved).unwrap();
    assert!(none.is_none());
    let form = Misdeed::Form(evenkeel_custody::group::Kind::Partial);
    assert_eq!(heard.wrong, [(1, form), (2, form)]);
}
