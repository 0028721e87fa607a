//! What holders do in the life of a key, from its founding on.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_custody::group::sign::{Request, Session, aggregate};
use evenkeel_custody::group::{
    Ceremony, Change, Curve, Ed25519, Fault, KeyShare, Kind, Misdeed, Plan, Refusal, Sealed,
    Secp256k1, Seed, Step, Suite,
};

use crate::support::Seeded;
use crate::world::{End, Person, enrolments, honest, people, person, run, seeds, sign, switch};

/// A key of three holders, two of whom are needed.
pub fn founded<C: Suite>(random: &mut Seeded) -> (Vec<Person>, Sealed) {
    let mut all = people(3, random);
    let plan = Plan::found(C::CURVE, 2, &enrolments(&all), random).unwrap();
    let mut everybody: Vec<&mut Person> = all.iter_mut().collect();
    let sealed = switch::<C>(&plan, None, &mut everybody, random);
    (all, sealed)
}

fn every_pair_signs<C: Suite>(sealed: &Sealed, people: &[&Person], random: &mut Seeded) {
    for (index, one) in people.iter().enumerate() {
        for other in &people[index + 1..] {
            let signature =
                sign::<C>(sealed, b"a grant", &[*one, *other], random, &mut honest).unwrap();
            sealed.record().verify(b"a grant", &signature).unwrap();
            assert!(sealed.record().verify(b"another grant", &signature).is_err());
        }
    }
}

fn founded_keys_sign<C: Suite>() {
    let random = &mut Seeded::new(1);
    let (all, sealed) = founded::<C>(random);
    every_pair_signs::<C>(&sealed, &all.iter().collect::<Vec<_>>(), random);
    let read = Sealed::from_bytes(&sealed.to_bytes()).unwrap();
    assert_eq!(read, sealed);
    for person in &all {
        let share = KeyShare::from_bytes(&person.share.as_ref().unwrap().to_bytes()).unwrap();
        share.check(sealed.record()).unwrap();
    }
}

#[test]
fn a_founded_key_is_signed_with_by_any_quorum_on_either_curve() {
    founded_keys_sign::<Ed25519>();
    founded_keys_sign::<Secp256k1>();
}

#[test]
fn an_ed25519_group_signs_as_any_single_key_would() {
    let random = &mut Seeded::new(2);
    let (all, sealed) = founded::<Ed25519>(random);
    let signature =
        sign::<Ed25519>(&sealed, b"m", &[&all[0], &all[2]], random, &mut honest).unwrap();
    let key: [u8; 32] = sealed.record().group_key.clone().try_into().unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    key.verify_strict(b"m", &signature).unwrap();
}

fn a_whole_life<C: Suite>() {
    let random = &mut Seeded::new(3);
    let (mut all, first) = founded::<C>(random);
    let key = first.record().group_key.clone();

    // Refresh: the same holders, new shares.
    let old: Vec<KeyShare> = all.iter().map(|it| it.share.clone().unwrap()).collect();
    let plan = Plan::change(first.record(), &Change::default(), random).unwrap();
    let mut everybody: Vec<&mut Person> = all.iter_mut().collect();
    let second = switch::<C>(&plan, Some(&first), &mut everybody, random);
    every_pair_signs::<C>(&second, &all.iter().collect::<Vec<_>>(), random);
    for share in &old {
        assert_eq!(share.check(second.record()), Err(Refusal::Other("share")));
    }

    // Repair: holder 2 lost key and share, and comes back with a new key under the old number.
    let anew = person("holder-2 again", random);
    let enrolled_anew = BTreeMap::from([(2, anew.enrolment.clone())]);
    all[1] = anew;
    let change = Change { enrolled_anew, ..Change::default() };
    let plan = Plan::change(second.record(), &change, random).unwrap();
    assert_eq!(plan.dealer_numbers(), [1, 3]);
    let mut everybody: Vec<&mut Person> = all.iter_mut().collect();
    let third = switch::<C>(&plan, Some(&second), &mut everybody, random);
    every_pair_signs::<C>(&third, &all.iter().collect::<Vec<_>>(), random);

    // Addition, and removal: holder 1 leaves, two come, three are needed from now on.
    all.push(person("holder-4", random));
    all.push(person("holder-5", random));
    let change = Change {
        remove: BTreeSet::from([1]),
        add: enrolments(&all[3..]),
        threshold: Some(3),
        ..Change::default()
    };
    let plan = Plan::change(third.record(), &change, random).unwrap();
    assert_eq!((plan.dealer_numbers(), plan.holder_numbers()), (vec![2, 3], vec![2, 3, 4, 5]));
    let mut everybody: Vec<&mut Person> = all.iter_mut().skip(1).collect();
    let fourth = switch::<C>(&plan, Some(&third), &mut everybody, random);
    let signers: Vec<&Person> = vec![&all[1], &all[3], &all[4]];
    let signature = sign::<C>(&fourth, b"m", &signers, random, &mut honest).unwrap();
    fourth.record().verify(b"m", &signature).unwrap();
    assert_eq!(fourth.record().group_key, key, "the key is the same all the time");
    assert_eq!(fourth.record().generation, 4);
    first.record().verify(b"m", &signature).unwrap();
    let two = sign::<C>(&fourth, b"m", &signers[..2], random, &mut honest);
    assert_eq!(two, Err(Fault::Refused(Refusal::Signers { there: 2, needed: 3 })));
}

#[test]
fn a_key_outlives_refresh_repair_removal_and_addition_of_holders_on_either_curve() {
    a_whole_life::<Ed25519>();
    a_whole_life::<Secp256k1>();
}

#[test]
fn too_few_holders_left_cannot_change_a_key_and_are_told_how_many_there_are() {
    let random = &mut Seeded::new(4);
    let (_, sealed) = founded::<Ed25519>(random);
    let change = Change { absent: BTreeSet::from([1, 3]), ..Change::default() };
    let refused = Plan::change(sealed.record(), &change, random);
    assert_eq!(refused, Err(Refusal::Dealers { there: 1, needed: 2 }));
}

#[test]
fn a_number_is_never_given_to_a_second_person() {
    let random = &mut Seeded::new(5);
    let (mut all, sealed) = founded::<Ed25519>(random);
    let change = Change { remove: BTreeSet::from([3]), ..Change::default() };
    let plan = Plan::change(sealed.record(), &change, random).unwrap();
    let mut staying: Vec<&mut Person> = all.iter_mut().take(2).collect();
    let second = switch::<Ed25519>(&plan, Some(&sealed), &mut staying, random);
    let newcomer = person("holder-4", random);
    let change = Change { add: vec![newcomer.enrolment], ..Change::default() };
    let plan = Plan::change(second.record(), &change, random).unwrap();
    assert_eq!(plan.holder_numbers(), [1, 2, 4]);
}

#[test]
fn what_was_interrupted_goes_on_from_the_seed_with_the_same_messages() {
    let random = &mut Seeded::new(6);
    let all = people(3, random);
    let plan = Plan::found(Curve::Ed25519, 2, &enrolments(&all), random).unwrap();
    let seed = Seed::generate(&plan, random).unwrap();
    let first = |seed: &Seed| {
        let ceremony = Ceremony::<Ed25519>::new(&plan, None, &all[0].key, seed, None).unwrap();
        let Step::Send(message) = ceremony.next(&Ceremony::<Ed25519>::table(&plan, [])).unwrap()
        else {
            panic!("an opening comes first");
        };
        message
    };
    let kept = Seed::from_bytes(&seed.to_bytes()).unwrap();
    let opening = first(&seed);
    assert_eq!(first(&kept), opening);
    let other = Seed::generate(&plan, random).unwrap();
    assert_ne!(first(&other), opening);
    let ceremony = Ceremony::<Ed25519>::new(&plan, None, &all[0].key, &other, None).unwrap();
    let lost = ceremony.next(&Ceremony::<Ed25519>::table(&plan, [opening])).unwrap_err();
    assert_eq!(lost, Fault::Refused(Refusal::LostState));
}

#[test]
fn nobody_switches_before_all_have_acknowledged_and_the_new_shares_have_signed() {
    let random = &mut Seeded::new(7);
    let (all, sealed) = founded::<Ed25519>(random);
    let plan = Plan::change(sealed.record(), &Change::default(), random).unwrap();
    let views: Vec<&Person> = all.iter().collect();
    let drawn = seeds(&plan, random);
    let mut silent = |message: evenkeel_custody::group::Message, _: &[_]| {
        if message.kind == Kind::Acknowledgement && message.from == 2 {
            vec![]
        } else {
            vec![message]
        }
    };
    let end = run::<Ed25519>(&plan, Some(&sealed), &views, &drawn, &mut silent);
    assert!(matches!(&end, End::Silent(Kind::Acknowledgement, who) if *who == [2]), "{end:?}");
    // What is in force signs on as if nothing had happened.
    every_pair_signs::<Ed25519>(&sealed, &views, random);

    let End::Ready(ready) = run::<Ed25519>(&plan, Some(&sealed), &views, &drawn, &mut honest)
    else {
        panic!("the same plan goes on");
    };
    let record = ready[&1].record.clone();
    let share = ready[&1].share.as_ref().unwrap();
    let unsigned = Sealed::new(record.clone(), vec![0; 64]);
    assert_eq!(unsigned, Err(Refusal::NotInForce));
    let numbers = BTreeSet::from([1, 2]);
    let request = Request::test(&record, &numbers, random).unwrap();
    // The new share signs the test and nothing else; the old one no test of another record.
    Session::<Ed25519>::begin_test(&request, &record, share, &all[0].key, random).unwrap();
    let grant = Request::new(&sealed, b"a grant", &numbers, random).unwrap();
    let early = Session::<Ed25519>::begin_test(&grant, &record, share, &all[0].key, random);
    assert_eq!(early.unwrap_err(), Refusal::NotInForce);
    let old = all[0].share.as_ref().unwrap();
    let old = Session::<Ed25519>::begin(&request, &sealed, old, &all[0].key, random);
    assert_eq!(old.unwrap_err(), Refusal::NotInForce);
}

#[test]
fn nonces_are_used_once_and_a_signing_that_another_process_began_is_refused() {
    let random = &mut Seeded::new(8);
    let (all, sealed) = founded::<Ed25519>(random);
    let request = Request::new(&sealed, b"m", &BTreeSet::from([1, 2]), random).unwrap();
    let begin = |index: usize, random: &mut Seeded| {
        let share = all[index].share.as_ref().unwrap();
        Session::<Ed25519>::begin(&request, &sealed, share, &all[index].key, random).unwrap()
    };
    let (_, of_a_process_that_died) = begin(0, random);
    let (session, _) = begin(0, random);
    let (_, other) = begin(1, random);
    let messages = [of_a_process_that_died, other];
    let table = request.table(sealed.record(), messages);
    // `sign` takes the session: a second use does not compile.
    assert_eq!(session.sign(&table).unwrap_err(), Fault::Refused(Refusal::Interrupted));
}

#[test]
fn a_holder_whose_share_is_of_an_older_generation_is_named_and_nobody_else_is_blamed() {
    let random = &mut Seeded::new(9);
    let (mut all, first) = founded::<Ed25519>(random);
    let stale = all[1].share.clone().unwrap();
    let plan = Plan::change(first.record(), &Change::default(), random).unwrap();
    let mut everybody: Vec<&mut Person> = all.iter_mut().collect();
    let second = switch::<Ed25519>(&plan, Some(&first), &mut everybody, random);
    let request = Request::new(&second, b"m", &BTreeSet::from([1, 2]), random).unwrap();

    // Its own program refuses.
    let own = Session::<Ed25519>::begin(&request, &second, &stale, &all[1].key, random);
    assert_eq!(own.unwrap_err(), Refusal::Other("share"));
    // One that does not is named by the others, from what it signed.
    let share = all[0].share.as_ref().unwrap();
    let (_, good) =
        Session::<Ed25519>::begin(&request, &second, share, &all[0].key, random).unwrap();
    let (_, other) = Session::<Ed25519>::begin(
        &request,
        &second,
        all[1].share.as_ref().unwrap(),
        &all[1].key,
        random,
    )
    .unwrap();
    let forged = crate::forge::with_generation(&other, 1, &all[1].key);
    let table = request.table(second.record(), [good, forged]);
    let named = aggregate::<Ed25519>(&request, second.record(), &table).unwrap_err();
    assert_eq!(named, Fault::Culprit { holder: 2, misdeed: Misdeed::Generation(1) });
}
