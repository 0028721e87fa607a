//! Holders who lay messages on a table, one of whom may have another lay them.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_custody::group::sign::{Request, Session, aggregate};
use evenkeel_custody::group::{
    Ceremony, Enrolment, Fault, HolderKey, KeyShare, Kind, Message, Pending, Plan, Record, Sealed,
    Seed, Step, Suite,
};

use crate::support::Seeded;

pub struct Person {
    pub key: HolderKey,
    pub enrolment: Enrolment,
    pub share: Option<KeyShare>,
}

pub fn person(name: &str, random: &mut Seeded) -> Person {
    let key = HolderKey::generate(random).unwrap();
    let enrolment = key.enrol(name, &format!("the safe of {name}"));
    Person { key, enrolment, share: None }
}

pub fn people(count: usize, random: &mut Seeded) -> Vec<Person> {
    (1..=count).map(|number| person(&format!("holder-{number}"), random)).collect()
}

pub fn enrolments(people: &[Person]) -> Vec<Enrolment> {
    people.iter().map(|person| person.enrolment.clone()).collect()
}

/// How a ceremony ended.
#[derive(Debug)]
pub enum End {
    Ready(BTreeMap<u16, Pending>),
    Fault { seen_by: u16, fault: Fault },
    Silent(Kind, Vec<u16>),
}

/// What becomes of a message between its sender and the table.
pub type Spoiler<'a> = dyn FnMut(Message, &[Message]) -> Vec<Message> + 'a;

pub fn honest(message: Message, _table: &[Message]) -> Vec<Message> {
    vec![message]
}

/// Runs a plan to its end. `people` are found by their keys; whoever is not of the plan does
/// nothing.
pub fn run<C: Suite>(
    plan: &Plan,
    previous: Option<&Sealed>,
    people: &[&Person],
    seeds: &BTreeMap<u16, Seed>,
    spoiler: &mut Spoiler<'_>,
) -> End {
    let members: BTreeMap<u16, &Person> = people
        .iter()
        .filter_map(|person| Some((plan.number_of(&person.key.public())?, *person)))
        .collect();
    let mut on_table: Vec<Message> = Vec::new();
    // Whoever's message was changed or dropped does not lay it down again.
    let mut sent = BTreeSet::new();
    loop {
        let mut moved = false;
        let mut ready = BTreeMap::new();
        let mut waits = None;
        for (number, person) in &members {
            let share = person.share.as_ref();
            let ceremony =
                Ceremony::<C>::new(plan, previous, &person.key, &seeds[number], share).unwrap();
            let table = Ceremony::<C>::table(plan, on_table.iter().cloned());
            match ceremony.next(&table) {
                Ok(Step::Send(message)) if sent.insert((message.kind, *number)) => {
                    let laid = spoiler(message, &on_table);
                    moved = true;
                    on_table.extend(laid);
                }
                Ok(Step::Send(message)) => waits = Some((message.kind, vec![*number])),
                Ok(Step::Wait { kind, missing }) => waits = Some((kind, missing)),
                Ok(Step::Ready(pending)) => {
                    ready.insert(*number, pending);
                }
                // A spoiler is no witness: it may say anything.
                Err(Fault::Refused(_)) => {}
                Err(fault) => return End::Fault { seen_by: *number, fault },
            }
        }
        if ready.len() == members.len() {
            return End::Ready(ready);
        }
        if !moved {
            let (kind, missing) = waits.unwrap();
            return End::Silent(kind, missing);
        }
    }
}

pub fn seeds(plan: &Plan, random: &mut Seeded) -> BTreeMap<u16, Seed> {
    plan.members().into_keys().map(|it| (it, Seed::generate(plan, random).unwrap())).collect()
}

/// Runs a plan among honest people, has the test message signed, and gives everybody their shares.
pub fn switch<C: Suite>(
    plan: &Plan,
    previous: Option<&Sealed>,
    people: &mut [&mut Person],
    random: &mut Seeded,
) -> Sealed {
    let drawn = seeds(plan, random);
    let views: Vec<&Person> = people.iter().map(|person| &**person).collect();
    let End::Ready(ready) = run::<C>(plan, previous, &views, &drawn, &mut honest) else {
        panic!("honest holders come to an end");
    };
    let record = ready.values().next().unwrap().record.clone();
    assert!(ready.values().all(|pending| pending.record == record));
    for person in people.iter_mut() {
        let number = plan.number_of(&person.key.public());
        person.share = number.and_then(|it| ready.get(&it)).and_then(|it| it.share.clone());
    }
    let signers: Vec<&Person> = people.iter().map(|person| &**person).collect();
    let numbers = record.holders.iter().take(usize::from(record.threshold));
    let numbers: BTreeSet<u16> = numbers.map(|holder| holder.number).collect();
    let request = Request::test(&record, &numbers, random).unwrap();
    let signature = sign_test::<C>(&request, &record, &signers, random);
    Sealed::new(record, signature).unwrap()
}

fn sign_test<C: Suite>(
    request: &Request,
    record: &Record,
    people: &[&Person],
    random: &mut Seeded,
) -> Vec<u8> {
    let mut sessions = Vec::new();
    let mut messages = Vec::new();
    for person in people {
        let Some(share) = &person.share else { continue };
        if !request.signers.contains(&share.number) {
            continue;
        }
        let (session, message) =
            Session::<C>::begin_test(request, record, share, &person.key, random).unwrap();
        sessions.push(session);
        messages.push(message);
    }
    let table = request.table(record, messages.iter().cloned());
    messages.extend(sessions.into_iter().map(|session| session.sign(&table).unwrap()));
    aggregate::<C>(request, record, &request.table(record, messages)).unwrap()
}

/// A signature by these, each of whose messages goes through the spoiler.
pub fn sign<C: Suite>(
    sealed: &Sealed,
    message: &[u8],
    people: &[&Person],
    random: &mut Seeded,
    spoiler: &mut Spoiler<'_>,
) -> Result<Vec<u8>, Fault> {
    let numbers = people.iter().map(|person| person.share.as_ref().unwrap().number).collect();
    let request = Request::new(sealed, message, &numbers, random)?;
    let record = sealed.record();
    let mut sessions = Vec::new();
    let mut messages = Vec::new();
    for person in people {
        let share = person.share.as_ref().unwrap();
        let (session, message) = Session::<C>::begin(&request, sealed, share, &person.key, random)?;
        messages.extend(spoiler(message, &[]));
        sessions.push(session);
    }
    let table = request.table(record, messages.iter().cloned());
    for session in sessions {
        match session.sign(&table) {
            Ok(message) => messages.extend(spoiler(message, &[])),
            // Whoever changed its own commitment cannot go on; the others can say who it was.
            Err(Fault::Refused(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    aggregate::<C>(&request, record, &request.table(record, messages))
}
