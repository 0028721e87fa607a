//! The group's secret is never anywhere: founding, signing, decrypting, refresh, repair and
//! removal among holders in processes of their own, each stopped after every step and its whole
//! writable memory searched for the secret in every form it could have. What to look for is known
//! from an earlier run with the same randomness, in other processes, whose shares were revealed.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

#[path = "../group/age_files.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod age_files;
mod holder;
mod memory;
#[path = "../slip39/support.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use evenkeel_custody::group::decrypt::FileKey;
use evenkeel_custody::group::{
    Change, Curve, Ed25519, Enrolment, Plan, Recipient, Sealed, Secp256k1, Suite,
};
use frost_core::keys::{KeyPackage, SigningShare, VerifyingShare, reconstruct};
use frost_core::{Identifier, VerifyingKey};

use holder::{VARIABLE, hex, live, unhex};
use memory::{Needles, forms};
use support::Seeded;

/// The process that asks for decryptions; no holder has this number.
const TARGET: u16 = 9;
const PLAIN: &[u8] = b"the key of a period";

#[test]
fn a_holder_in_a_process_of_its_own() {
    live();
}

struct Process {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Process {
    fn start(curve: Curve, name: &str, seed: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["a_holder_in_a_process_of_its_own", "--exact", "--nocapture"])
            .env(VARIABLE, format!("{curve} {name} {seed}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Self { child, to, from }
    }

    fn ask(&mut self, line: &str) -> (String, String) {
        writeln!(self.to, "{line}").unwrap();
        for line in self.from.by_ref().lines() {
            if let Some(said) = line.unwrap().strip_prefix('>') {
                let (word, bytes) = said.split_once(' ').unwrap();
                return (word.to_owned(), bytes.to_owned());
            }
        }
        panic!("a holder ended");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everybody, and what is looked for in their memory.
struct World {
    curve: Curve,
    processes: BTreeMap<u16, Process>,
    random: Seeded,
    needles: Option<Needles>,
    stops: usize,
}

impl World {
    fn new(curve: Curve, needles: Option<Needles>) -> Self {
        let mut processes = BTreeMap::new();
        for number in [1, 2, 3, TARGET] {
            let process = Process::start(curve, &format!("h{number}"), 100 + u64::from(number));
            processes.insert(number, process);
        }
        Self { curve, processes, random: Seeded::new(7), needles, stops: 0 }
    }

    /// One step of one process; then all are stopped and searched.
    fn ask(&mut self, number: u16, line: &str) -> (String, String) {
        let said = self.processes.get_mut(&number).unwrap().ask(line);
        if self.needles.is_some() {
            let found = self.look();
            assert!(found.is_empty(), "after `{:.20}` of {number}: {found:?}", line);
        }
        said
    }

    fn look(&mut self) -> Vec<(u16, &'static str)> {
        self.stops += 1;
        let needles = self.needles.as_ref().unwrap();
        let mut found = Vec::new();
        for (number, process) in &self.processes {
            process.signal("-STOP");
            let forms = needles.in_memory_of(process.child.id());
            found.extend(forms.into_iter().map(|form| (*number, form)));
            process.signal("-CONT");
        }
        found
    }

    fn enrolment(&mut self, number: u16) -> Enrolment {
        Enrolment::from_bytes(&unhex(&self.ask(number, "enrol").1)).unwrap()
    }

    /// Runs a plan to its end, has the new shares sign their test, and switches.
    fn ceremony(&mut self, plan: &Plan) -> Sealed {
        let members: Vec<u16> = plan.members().into_keys().collect();
        for number in &members {
            self.ask(*number, &format!("plan {}", hex(&plan.to_bytes())));
        }
        let mut table: Vec<String> = Vec::new();
        loop {
            let before = table.len();
            let mut ready = 0;
            for number in &members {
                let (word, bytes) = self.ask(*number, &format!("step {}", table.join(" ")));
                match word.as_str() {
                    "send" => table.push(bytes),
                    "ready" => ready += 1,
                    _ => {}
                }
            }
            if ready == members.len() {
                break;
            }
            assert!(table.len() > before, "nobody goes on");
        }
        let signers: Vec<u16> = plan.holder_numbers().into_iter().take(2).collect();
        let sealed = self.sign("ask-test", &signers);
        for number in &members {
            self.ask(*number, &format!("adopt {sealed}"));
        }
        Sealed::from_bytes(&unhex(&sealed)).unwrap()
    }

    /// Both rounds of a signing by these; what they made.
    fn sign(&mut self, ask: &str, signers: &[u16]) -> String {
        let list: Vec<String> = signers.iter().map(ToString::to_string).collect();
        let request = self.ask(signers[0], &format!("{ask} {}", list.join(" "))).1;
        let mut table = Vec::new();
        for number in signers {
            table.push(self.ask(*number, &format!("sign {request}")).1);
        }
        let commitments = table.join(" ");
        for number in signers {
            table.push(self.ask(*number, &commitments).1);
        }
        let all = table.join(" ");
        let made: BTreeSet<String> =
            signers.iter().map(|number| self.ask(*number, &all).1).collect();
        assert_eq!(made.len(), 1, "all make the same");
        made.into_iter().next().unwrap()
    }

    /// What the key is for: a signature, or a file of `age` opened.
    fn use_it(&mut self, sealed: &Sealed, by: &[u16]) {
        if self.curve != Curve::Recipient {
            let signature = unhex(&self.sign("ask", by));
            sealed.record().verify(b"no assembly", &signature).unwrap();
            return;
        }
        let file = age_files::encrypt(&[&sealed.record().recipient().unwrap()], PLAIN);
        let stanza = age_files::stanzas(&file)[0];
        let wanted = hex(&[stanza.share.as_slice(), &stanza.body].concat());
        let sealed = hex(&sealed.to_bytes());
        let request = self.ask(TARGET, &format!("want {sealed} {wanted}")).1;
        let parts: Vec<String> =
            by.iter().map(|number| self.ask(*number, &format!("answer {request}")).1).collect();
        let key = unhex(&self.ask(TARGET, &format!("open {}", parts.join(" "))).1);
        let key = FileKey::new(key.try_into().unwrap());
        assert_eq!(age_files::decrypt(&file, &BTreeMap::from([(stanza, key)])), PLAIN);
    }

    fn change(&mut self, before: &Sealed, change: &Change) -> Sealed {
        let plan = Plan::change(before.record(), change, &mut self.random).unwrap();
        self.ceremony(&plan)
    }

    fn found(&mut self) -> Sealed {
        let enrolments: Vec<Enrolment> = [1, 2, 3].map(|it| self.enrolment(it)).to_vec();
        let plan = Plan::found(self.curve, 2, &enrolments, &mut self.random).unwrap();
        self.ceremony(&plan)
    }

    /// Founding, use, refresh, use, repair, use, removal, use.
    fn story(&mut self) {
        let first = self.found();
        self.use_it(&first, &[1, 2]);
        let second = self.change(&first, &Change::default());
        self.use_it(&second, &[2, 3]);
        // Holder 2 lost everything, and comes back under the old number in a new process.
        self.processes.insert(2, Process::start(self.curve, "h2", 222));
        let enrolled_anew = BTreeMap::from([(2, self.enrolment(2))]);
        self.ask(2, &format!("know {}", hex(&second.to_bytes())));
        let third = self.change(&second, &Change { enrolled_anew, ..Change::default() });
        self.use_it(&third, &[1, 2]);
        let remove = BTreeSet::from([3]);
        let fourth = self.change(&third, &Change { remove, ..Change::default() });
        self.use_it(&fourth, &[1, 2]);
        assert_eq!(fourth.record().group_key, first.record().group_key);
    }
}

/// The group's secret, big-endian, of the shares of two holders of an earlier run.
fn secret<C: Suite>() -> Vec<u8> {
    let mut world = World::new(C::CURVE, None);
    let sealed = world.found();
    let record = sealed.record();
    let key = VerifyingKey::<C>::deserialize(&record.group_key).unwrap();
    let packages: Vec<KeyPackage<C>> = [1_u16, 2]
        .into_iter()
        .map(|number| {
            let share = unhex(&world.ask(number, "reveal").1);
            let share = SigningShare::<C>::deserialize(&share).unwrap();
            let id = Identifier::<C>::try_from(number).unwrap();
            KeyPackage::new(id, share, VerifyingShare::from(share), key, 2)
        })
        .collect();
    let secret = reconstruct(&packages).unwrap();
    assert_eq!(VerifyingKey::from(&secret), key, "it is the secret of this group");
    let mut bytes = secret.serialize();
    if C::CURVE != Curve::Secp256k1 {
        bytes.reverse();
    }
    bytes
}

fn nowhere<C: Suite>() -> usize {
    let big = secret::<C>();
    let mut world = World::new(C::CURVE, Some(Needles::of(&big)));
    world.story();
    // The control: what is planted is found, in each form.
    for (name, form) in forms(&big) {
        let masked: Vec<u8> = form.iter().map(|byte| byte ^ holder::MASK).collect();
        let process = world.processes.get_mut(&1).unwrap();
        process.ask(&format!("plant {}", hex(&masked)));
        let found = world.look();
        assert!(found.contains(&(1, name)), "{name} was planted: {found:?}");
        assert!(found.iter().all(|(number, _)| *number == 1));
    }
    world.stops
}

#[test]
fn the_secret_of_a_key_on_ed25519_is_in_no_process_at_any_step() {
    println!("{} stops of 4 processes", nowhere::<Ed25519>());
}

#[test]
fn the_secret_of_a_key_on_secp256k1_is_in_no_process_at_any_step() {
    println!("{} stops of 4 processes", nowhere::<Secp256k1>());
}

#[test]
fn the_secret_of_a_recipient_is_in_no_process_at_any_step() {
    println!("{} stops of 4 processes", nowhere::<Recipient>());
}
