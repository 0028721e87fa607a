//! No process ever has a group's secret in its memory: founding, use, refresh, repair and removal
//! by processes of their own, each stopped at every step and in between, each searched.
//!
//! The searcher knows what to look for because it gave the founding's seeds: it forms the secret of
//! them in its own memory. The holders' processes are this program again, as `holder_process`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use evenkeel_custody::group::decrypt::{Purpose, Request as Question, TargetKey};
use evenkeel_custody::group::sign::Request;
use evenkeel_custody::group::{
    Change, Curve, Ed25519, HolderKey, KeyShare, Plan, Recipient, Sealed, Secp256k1, Seed, Suite,
};
use evenkeel_custody::{Random, RandomError};
use frost_core::{Field, Group, Identifier};

use crate::age_files;
use crate::holder_child::{self, CHILD};
use crate::memory::{Forms, Holder};
use crate::world::{End, Person, honest, person, run};

const PLAIN: &[u8] = b"the key of a period";

pub struct Os;

impl Random for Os {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomError> {
        getrandom::fill(bytes).map_err(|error| RandomError(error.to_string()))
    }
}

/// What a holder's process runs; by itself it does nothing.
#[test]
fn holder_process() {
    if let Some(folder) = std::env::var_os(CHILD) {
        holder_child::main(Path::new(&folder));
    }
}

/// Processes of holders, and what is looked for in them.
struct Story {
    folder: tempfile::TempDir,
    holders: BTreeMap<String, Holder>,
    forms: Forms,
    tables: usize,
    stops: u64,
    bytes: u64,
}

impl Story {
    fn new(forms: Forms) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, holders: BTreeMap::new(), forms, tables: 0, stops: 0, bytes: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&mut self, name: &str, key: Option<&HolderKey>, curve: Curve) {
        let own = self.path(name);
        std::fs::create_dir(&own).unwrap();
        if let Some(key) = key {
            std::fs::write(own.join("key"), key.to_bytes()).unwrap();
        }
        self.holders.insert(name.to_owned(), Holder::start(&own, curve));
    }

    fn table(&mut self) -> PathBuf {
        self.tables += 1;
        let table = self.path(&format!("table-{}", self.tables));
        std::fs::create_dir(&table).unwrap();
        table
    }

    /// These processes do one thing together, stopped and searched at each of its steps, and once
    /// somewhere within each, until all are idle again.
    fn together(&mut self, names: &[&str], order: &str) {
        for name in names {
            self.holders.get_mut(*name).unwrap().say(order);
        }
        let mut busy: Vec<&str> = names.to_vec();
        for _ in 0..64 {
            for name in &busy {
                let holder = self.holders.get_mut(*name).unwrap();
                let within = holder.search_within(&self.forms);
                let step = holder.step();
                assert_eq!(within.found, Vec::<String>::new(), "{name}, before {step}: {order}");
                self.bytes += within.bytes;
            }
            for (name, holder) in &mut self.holders {
                let seen = holder.search(&self.forms);
                let at = &holder.at;
                assert_eq!(seen.found, Vec::<String>::new(), "{name}, {at}: {order}");
                assert!(seen.heap && seen.stack, "{name}: heap and stack are searched");
                self.stops += 1;
                self.bytes += seen.bytes;
            }
            busy.retain(|name| self.holders[*name].at != "idle");
            if busy.is_empty() {
                return;
            }
            for name in &busy {
                self.holders.get_mut(*name).unwrap().say("go");
            }
        }
        panic!("{order} does not come to its end: {:?}", self.steps());
    }

    fn steps(&self) -> Vec<(&String, &String)> {
        self.holders.iter().map(|(name, holder)| (name, &holder.at)).collect()
    }

    /// A planned change, or the founding, by everybody whom it takes.
    fn ceremony(&mut self, plan: &Plan, previous: Option<&Sealed>, names: &[&str]) -> Sealed {
        let table = self.table();
        std::fs::write(table.join("plan"), plan.to_bytes()).unwrap();
        if let Some(sealed) = previous {
            std::fs::write(table.join("previous"), sealed.to_bytes()).unwrap();
        }
        self.together(names, &format!("ceremony {}", table.display()));
        Sealed::from_bytes(&std::fs::read(table.join("sealed")).unwrap()).unwrap()
    }

    fn share(&self, name: &str) -> KeyShare {
        KeyShare::from_bytes(&std::fs::read(self.path(name).join("share")).unwrap()).unwrap()
    }

    /// Signs or decrypts by these.
    fn used(&mut self, sealed: &Sealed, names: &[&str]) {
        match sealed.record().curve {
            Curve::Recipient => self.decrypted(sealed, names),
            Curve::Ed25519 | Curve::Secp256k1 => self.signed(sealed, names),
        }
    }

    fn signed(&mut self, sealed: &Sealed, names: &[&str]) {
        let table = self.table();
        let numbers = names.iter().map(|name| self.share(name).number).collect();
        let request = Request::new(sealed, b"a grant", &numbers, &mut Os).unwrap();
        std::fs::write(table.join("request"), request.to_bytes()).unwrap();
        self.together(names, &format!("sign {}", table.display()));
        let signature = std::fs::read(table.join("signature")).unwrap();
        sealed.record().verify(b"a grant", &signature).unwrap();
    }

    fn decrypted(&mut self, sealed: &Sealed, names: &[&str]) {
        let table = self.table();
        let recipient = sealed.record().recipient().unwrap();
        let file = age_files::encrypt(&[&recipient], PLAIN);
        let target = TargetKey::generate(&mut Os).unwrap();
        let stanzas = age_files::stanzas(&file);
        let until = (Vec::new(), crate::decrypt::NOW_S + 60);
        let asked = (Purpose::Drill, "a test");
        let question = Question::new(sealed, asked, &target, &stanzas, until, &mut Os).unwrap();
        std::fs::write(table.join("question"), question.to_bytes()).unwrap();
        std::fs::write(table.join("previous"), sealed.to_bytes()).unwrap();
        self.together(names, &format!("answer {}", table.display()));
        std::fs::write(self.path("target").join("target"), target.to_bytes()).unwrap();
        self.together(&["target"], &format!("open {}", table.display()));
        let key: [u8; 16] = std::fs::read(table.join("file-key")).unwrap().try_into().unwrap();
        let keys = [(stanzas[0], key.into())].into();
        assert_eq!(age_files::decrypt(&file, &keys), PLAIN);
    }

    /// In the very same processes.
    fn every_form_is_found_once_it_is_planted(&mut self) {
        let forms = self.forms.planted();
        for (name, holder) in &mut self.holders {
            for (form, bytes) in &forms {
                holder.say(&holder_child::plant(bytes));
                assert_eq!(holder.step(), "planted");
                let found = holder.search(&self.forms).found;
                assert!(
                    found.iter().any(|one| one.starts_with(form)),
                    "{name}: {form} in {found:?}"
                );
                holder.say("go");
                assert_eq!(holder.step(), "idle");
            }
            let after = holder.search(&self.forms).found;
            assert_eq!(after, Vec::<String>::new(), "{name}: what was planted was overwritten");
        }
    }
}

type Scalar<C> = <<<C as frost_core::Ciphersuite>::Group as Group>::Field as Field>::Scalar;

/// The group's secret, formed here and nowhere else; it is what the group's key says.
fn assembled<C: Suite>(shares: &[KeyShare], group_key: &[u8]) -> Vec<u8> {
    let read = |bytes: &[u8]| -> Scalar<C> {
        let encoded = bytes.try_into().ok().unwrap();
        <<C::Group as Group>::Field as Field>::deserialize(&encoded).unwrap()
    };
    let place =
        |share: &KeyShare| read(&Identifier::<C>::try_from(share.number).unwrap().serialize());
    let mut secret = <<C::Group as Group>::Field as Field>::zero();
    for share in shares {
        let bytes = share.to_bytes();
        let mut term = read(&bytes[bytes.len() - 32..]);
        for other in shares.iter().filter(|other| other.number != share.number) {
            let below = place(other) - place(share);
            let inverse = <<C::Group as Group>::Field as Field>::invert(&below).unwrap();
            term = term * place(other) * inverse;
        }
        secret = secret + term;
    }
    let key = <C::Group as Group>::generator() * secret;
    assert_eq!(<C::Group as Group>::serialize(&key).unwrap().as_ref(), group_key);
    <<C::Group as Group>::Field as Field>::serialize(&secret).as_ref().to_vec()
}

/// The founding as its processes will do it, in this process: the same seeds give the same shares.
fn foreseen<C: Suite>(plan: &Plan, people: &[Person], seeds: &BTreeMap<u16, Seed>) -> Vec<u8> {
    let views: Vec<&Person> = people.iter().collect();
    let End::Ready(ready) = run::<C>(plan, None, &views, seeds, &mut honest) else {
        panic!("honest holders come to an end");
    };
    let key = ready[&1].record.group_key.clone();
    let shares: Vec<KeyShare> = ready.into_values().filter_map(|it| it.share).take(2).collect();
    assembled::<C>(&shares, &key)
}

fn nobody_has_it<C: Suite>() {
    let names = ["ada", "bob", "cem"];
    let random = &mut crate::support::Seeded::new(u64::from(std::process::id()));
    let people: Vec<Person> = names.iter().map(|name| person(name, random)).collect();
    let enrolments: Vec<_> = people.iter().map(|person| person.enrolment.clone()).collect();
    let plan = Plan::found(C::CURVE, 2, &enrolments, &mut Os).unwrap();
    let seeds: BTreeMap<u16, Seed> =
        (1..=3).map(|number| (number, Seed::generate(&plan, &mut Os).unwrap())).collect();
    let secret = foreseen::<C>(&plan, &people, &seeds);
    let mut story = Story::new(Forms::of(&secret, C::CURVE));
    for (at, (name, person)) in names.iter().zip(&people).enumerate() {
        story.start(name, Some(&person.key), C::CURVE);
        let seed = &seeds[&u16::try_from(at + 1).unwrap()];
        std::fs::write(story.path(name).join("seed"), seed.to_bytes()).unwrap();
    }
    story.start("target", None, C::CURVE);

    let first = story.ceremony(&plan, None, &names);
    let shares = [story.share("ada"), story.share("cem")];
    assert_eq!(assembled::<C>(&shares, &first.record().group_key), secret, "what is looked for");
    // The search sees what is there: a holder who uses a share has it in memory.
    story.used(&first, &["ada", "cem"]);
    let share = story.share("ada").to_bytes();
    let own = Forms::of(&share[share.len() - 32..], C::CURVE);
    let holder = story.holders.get_mut("ada").unwrap();
    holder.say("load");
    holder.step();
    assert!(!holder.search(&own).found.is_empty(), "the own share is seen while it is loaded");
    holder.say("go");
    assert_eq!(holder.step(), "idle");

    let plan = Plan::change(first.record(), &Change::default(), &mut Os).unwrap();
    let second = story.ceremony(&plan, Some(&first), &names);
    story.used(&second, &["bob", "cem"]);

    // Bob lost everything and comes back as another process, with another key, under his number.
    let anew = person("bob again", random);
    story.start("bob-again", Some(&anew.key), C::CURVE);
    let enrolled_anew = [(2, anew.enrolment.clone())].into();
    let change = Change { enrolled_anew, ..Change::default() };
    let plan = Plan::change(second.record(), &change, &mut Os).unwrap();
    let third = story.ceremony(&plan, Some(&second), &["ada", "bob-again", "cem"]);
    story.used(&third, &["ada", "bob-again"]);

    // Ada leaves.
    let change = Change { remove: [1].into(), ..Change::default() };
    let plan = Plan::change(third.record(), &change, &mut Os).unwrap();
    let fourth = story.ceremony(&plan, Some(&third), &["bob-again", "cem"]);
    story.used(&fourth, &["bob-again", "cem"]);
    let shares = [story.share("bob-again"), story.share("cem")];
    assert_eq!(assembled::<C>(&shares, &fourth.record().group_key), secret, "the same key");
    println!(
        "{}: {} forms, {} stops at steps, {} MB searched, found nothing",
        C::CURVE,
        story.forms.count(),
        story.stops,
        story.bytes >> 20
    );
    story.every_form_is_found_once_it_is_planted();
}

#[test]
fn no_process_has_the_secret_of_an_ed25519_key_at_any_step() {
    nobody_has_it::<Ed25519>();
}

#[test]
fn no_process_has_the_secret_of_a_secp256k1_key_at_any_step() {
    nobody_has_it::<Secp256k1>();
}

#[test]
fn no_process_has_the_secret_of_a_recipient_at_any_step() {
    nobody_has_it::<Recipient>();
}
