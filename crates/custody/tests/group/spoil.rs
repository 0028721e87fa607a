//! One holder who does wrong in some way, and whether the others find out who it was.

use std::collections::BTreeSet;

use evenkeel_custody::group::sign::{Request, Session, aggregate};
use evenkeel_custody::group::{Change, Fault, Kind, Message, Plan, Refusal, Sealed, Seed, Suite};
use frost_core::{Field, Group};

use crate::forge;
use crate::support::Seeded;
use crate::world::{End, Person, enrolments, honest, people, run, seeds, switch};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    Share,
    Packet,
    Proof,
    Constant,
    Replay,
    Generation,
    Silence,
    TwoMessages,
    Agreement,
    Complaint,
    Acknowledgement,
    Garbage,
    SignatureShare,
    SigningGeneration,
    SigningSilence,
    SigningReplay,
    TwoCommitments,
    CommitmentList,
}

pub const ALL: [Wrong; 18] = [
    Wrong::Share,
    Wrong::Packet,
    Wrong::Proof,
    Wrong::Constant,
    Wrong::Replay,
    Wrong::Generation,
    Wrong::Silence,
    Wrong::TwoMessages,
    Wrong::Agreement,
    Wrong::Complaint,
    Wrong::Acknowledgement,
    Wrong::Garbage,
    Wrong::SignatureShare,
    Wrong::SigningGeneration,
    Wrong::SigningSilence,
    Wrong::SigningReplay,
    Wrong::TwoCommitments,
    Wrong::CommitmentList,
];

const KINDS: [Kind; 4] = [Kind::Opening, Kind::Agreement, Kind::Deal, Kind::Acknowledgement];

/// What came of many trials.
#[derive(Debug, Default)]
pub struct Tally {
    pub named: u32,
    pub silent: u32,
    pub cannot_tell: u32,
    pub harmless: u32,
    pub failures: Vec<String>,
}

/// Holders of a key, and the messages by which it was founded.
pub struct Desk {
    people: Vec<Person>,
    sealed: Sealed,
    earlier: Vec<Message>,
    threshold: u16,
}

impl Desk {
    pub fn new<C: Suite>(count: usize, threshold: u16, random: &mut Seeded) -> Self {
        let mut people = people(count, random);
        let plan = Plan::found(C::CURVE, threshold, &enrolments(&people), random).unwrap();
        let mut earlier = Vec::new();
        let drawn = seeds(&plan, random);
        let views: Vec<&Person> = people.iter().collect();
        let mut keep = |message: Message, table: &[Message]| {
            earlier.push(message.clone());
            honest(message, table)
        };
        run::<C>(&plan, None, &views, &drawn, &mut keep);
        let plan = Plan::found(C::CURVE, threshold, &enrolments(&people), random).unwrap();
        let mut everybody: Vec<&mut Person> = people.iter_mut().collect();
        let sealed = switch::<C>(&plan, None, &mut everybody, random);
        Self { people, sealed, earlier, threshold }
    }

    fn any(&self, random: &mut Seeded) -> u16 {
        u16::from(random.between(1, u8::try_from(self.people.len()).unwrap()))
    }

    fn other(&self, than: u16, random: &mut Seeded) -> u16 {
        loop {
            let number = self.any(random);
            if number != than {
                return number;
            }
        }
    }

    /// One trial, counted.
    pub fn try_one<C: Suite>(&self, wrong: Wrong, random: &mut Seeded, tally: &mut Tally) {
        let culprit = self.any(random);
        if wrong >= Wrong::SignatureShare {
            return self.try_signing::<C>(wrong, culprit, random, tally);
        }
        let changes = wrong == Wrong::Constant || random.between(0, 1) == 1;
        let plan = if changes {
            Plan::change(self.sealed.record(), &Change::default(), random).unwrap()
        } else {
            Plan::found(C::CURVE, self.threshold, &enrolments(&self.people), random).unwrap()
        };
        let drawn = seeds(&plan, random);
        let mut spoiler = Spoiler {
            desk: self,
            wrong,
            culprit,
            at: KINDS[usize::from(random.between(0, 3))],
            other: self.other(culprit, random),
            seed: drawn[&culprit].clone(),
            salt: random.bytes(32),
        };
        let views: Vec<&Person> = self.people.iter().collect();
        let previous = changes.then_some(&self.sealed);
        let mut spoil = |message: Message, table: &[Message]| spoiler.spoil::<C>(message, table);
        let end = run::<C>(&plan, previous, &views, &drawn, &mut spoil);
        let said = format!("{wrong:?} by {culprit} of {}: {end:?}", self.people.len());
        match end {
            End::Ready(_) if wrong == Wrong::Garbage => tally.harmless += 1,
            End::Silent(_, missing)
                if missing == [culprit] && matches!(wrong, Wrong::Silence | Wrong::Replay) =>
            {
                tally.silent += 1;
            }
            End::Fault { seen_by, fault } if seen_by > 0 => {
                tally.judge(&fault, culprit, wrong, said);
            }
            _ => tally.failures.push(said),
        }
    }

    fn try_signing<C: Suite>(
        &self,
        wrong: Wrong,
        culprit: u16,
        random: &mut Seeded,
        tally: &mut Tally,
    ) {
        let mut numbers = BTreeSet::from([culprit]);
        while numbers.len() < usize::from(self.threshold) {
            numbers.insert(self.any(random));
        }
        let text = random.bytes(20);
        let record = self.sealed.record();
        let request = Request::new(&self.sealed, &text, &numbers, random).unwrap();
        let before = Request::new(&self.sealed, &text, &numbers, random).unwrap();
        let bad = &self.people[usize::from(culprit) - 1];
        let mut messages = Vec::new();
        let mut sessions = Vec::new();
        for number in &numbers {
            let person = &self.people[usize::from(*number) - 1];
            let share = person.share.as_ref().unwrap();
            let begin = |request, random: &mut Seeded| {
                Session::<C>::begin(request, &self.sealed, share, &person.key, random)
            };
            let (session, message) = begin(&request, random).unwrap();
            sessions.push(session);
            let own = *number == culprit;
            match wrong {
                Wrong::SigningSilence if own => {}
                Wrong::SigningReplay if own => {
                    messages.push(begin(&before, random).unwrap().1);
                }
                Wrong::SigningGeneration if own => {
                    messages.push(forge::with_generation(&message, 7, &bad.key));
                }
                Wrong::TwoCommitments if own => {
                    messages.extend([message, begin(&request, random).unwrap().1]);
                }
                _ => messages.push(message),
            }
        }
        let table = request.table(record, messages.iter().cloned());
        let silent = request.missing(Kind::Commitment, &table);
        for session in sessions {
            let Ok(message) = session.sign(&table) else { continue };
            let spoilt = message.from == culprit;
            let mut body = forge::body(&message);
            match wrong {
                Wrong::SignatureShare if spoilt => {
                    let at = body.len() - 32;
                    body[at..].copy_from_slice(&small_scalar(random));
                    messages.push(forge::with_body(&message, &body, &bad.key));
                }
                Wrong::CommitmentList if spoilt => {
                    body[2 + 5] ^= 1;
                    messages.push(forge::with_body(&message, &body, &bad.key));
                }
                _ => messages.push(message),
            }
        }
        let made = aggregate::<C>(&request, record, &request.table(record, messages));
        let said = format!("{wrong:?} by {culprit}: {made:?}, missing {silent:?}");
        match made {
            Err(Fault::Refused(Refusal::TooEarly)) if silent == [culprit] => tally.silent += 1,
            Err(fault) => tally.judge(&fault, culprit, wrong, said),
            Ok(_) => tally.failures.push(said),
        }
    }
}

impl Tally {
    fn judge(&mut self, fault: &Fault, culprit: u16, wrong: Wrong, said: String) {
        match fault {
            Fault::Culprit { holder, .. } if *holder == culprit && wrong != Wrong::Garbage => {
                self.named += 1;
            }
            Fault::CannotTell { a, b, .. } if [*a, *b].contains(&culprit) => {
                self.cannot_tell += 1;
            }
            _ => self.failures.push(said),
        }
    }
}

struct Spoiler<'a> {
    desk: &'a Desk,
    wrong: Wrong,
    culprit: u16,
    at: Kind,
    other: u16,
    seed: Seed,
    salt: Vec<u8>,
}

impl Spoiler<'_> {
    fn spoil<C: Suite>(&mut self, message: Message, table: &[Message]) -> Vec<Message> {
        if message.from != self.culprit {
            return vec![message];
        }
        let key = &self.desk.people[usize::from(self.culprit) - 1].key;
        let kind = message.kind;
        let mut body = forge::body(&message);
        let small: [u8; 32] = small_scalar(&mut Seeded::new(u64::from(self.salt[0])));
        match self.wrong {
            Wrong::Share if kind == Kind::Deal => {
                vec![forge::deal_with(&message, self.other, &small, table, key)]
            }
            Wrong::Packet if kind == Kind::Deal => {
                let mut packets = body[b"deal 1".len() + 2..].chunks_mut(2 + 32 + 48);
                let packet = packets.find(|it| it[..2] == self.other.to_be_bytes()).unwrap();
                packet[2 + 32 + usize::from(self.salt[0] % 48)] ^= 1;
                vec![forge::with_body(&message, &body, key)]
            }
            Wrong::Proof if kind == Kind::Opening => {
                let at = self.proof_at::<C>() + C::POINT_BYTES;
                body[at..at + 32].copy_from_slice(&small);
                vec![forge::with_body(&message, &body, key)]
            }
            Wrong::Constant if kind == Kind::Opening => {
                self.other_constant::<C>(&message.session, &mut body);
                vec![forge::with_body(&message, &body, key)]
            }
            Wrong::Replay if kind == self.at => {
                let same = |it: &&Message| it.kind == kind && it.from == self.culprit;
                vec![self.desk.earlier.iter().find(same).unwrap().clone()]
            }
            Wrong::Generation if kind == self.at => {
                vec![forge::with_generation(&message, message.generation - 1, key)]
            }
            Wrong::Silence if kind == self.at => vec![],
            Wrong::TwoMessages if kind == self.at => {
                let last = body.len() - 1;
                body[last] ^= 1;
                let second = forge::with_body(&message, &body, key);
                vec![message, second]
            }
            Wrong::Agreement if kind == Kind::Agreement => {
                let entry = (usize::from(self.other) - 1) * 34 + 2;
                body[entry] ^= 1;
                vec![forge::with_body(&message, &body, key)]
            }
            Wrong::Complaint if kind == Kind::Acknowledgement => {
                let theirs = |it: &&Message| it.kind == Kind::Deal && it.from == self.other;
                let deal = table.iter().find(theirs).unwrap();
                vec![message, forge::complaint(deal, self.culprit, &self.seed, key)]
            }
            Wrong::Acknowledgement if kind == Kind::Acknowledgement => {
                let at = body.len() - 32;
                body[at..].copy_from_slice(&small);
                vec![forge::with_body(&message, &body, key)]
            }
            Wrong::Garbage => {
                let mut random = Seeded::new(u64::from(self.salt[1]));
                let stranger = crate::world::person("stranger", &mut random);
                let forged = forge::with_body(&message, b"anything", &stranger.key);
                let (session, generation) = (&message.session, message.generation);
                let own = forge::message(kind, session, generation, 99, &self.salt, &stranger.key);
                vec![forged, own, message]
            }
            _ => vec![message],
        }
    }

    /// Where a dealer's proof begins: after the label, a flag, a count and the commitments.
    fn proof_at<C: Suite>(&self) -> usize {
        b"opening 1".len() + 1 + 2 + usize::from(self.desk.threshold) * C::POINT_BYTES
    }

    /// Commits to a constant of its own, and proves to know it.
    fn other_constant<C: Suite>(&self, session: &[u8; 32], body: &mut [u8]) {
        let point = |it: &_| <C::Group as Group>::serialize(it).unwrap().as_ref().to_vec();
        let constant = C::HDKG(&self.salt).unwrap();
        let nonce = C::HDKG(&self.salt[1..]).unwrap();
        let public = point(&(<C::Group as Group>::generator() * constant));
        let hidden = point(&(<C::Group as Group>::generator() * nonce));
        let asked = [b"evenkeel group proof 1".as_slice(), session, &public, &hidden].concat();
        let response = nonce + constant * C::HDKG(&asked).unwrap();
        let response = <<C::Group as Group>::Field as Field>::serialize(&response);
        let at = b"opening 1".len() + 1 + 2;
        body[at..at + C::POINT_BYTES].copy_from_slice(&public);
        let at = self.proof_at::<C>();
        let proof = [hidden.as_slice(), response.as_ref()].concat();
        body[at..at + proof.len()].copy_from_slice(&proof);
    }
}

/// A scalar that is canonical on both curves.
fn small_scalar(random: &mut Seeded) -> [u8; 32] {
    let mut scalar = [0; 32];
    scalar[8..24].copy_from_slice(&random.bytes(16));
    scalar
}
