//! A founding or a change, as one holder sees it: what lies on the table decides the next step.
//!
//! Nothing is remembered between steps but a seed. All that a holder draws for one plan is derived
//! from it, so the same step gives the same message, after a crash too.

use std::collections::BTreeMap;
use std::fmt;

use frost_core::Group;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::complaint;
use super::fault::{Doubt, Fault, Misdeed, Refusal};
use super::holder::HolderKey;
use super::message::{Kind, Message, Table, differing};
use super::opening::{Opening, context, deal, open, packets};
use super::plan::Plan;
use super::record::{KeyShare, Record, Sealed};
use super::seal;
use super::suite::{Element, SecretScalar, Suite, lagrange, point_bytes, scalar, scalar_bytes};
use super::vss::{Polynomial, Proof};
use super::wire::{Armor, Malformed, Reader, Writer};
use crate::random::{Random, RandomError};

const SEED: &[u8] = b"evenkeel group ceremony seed 1";

/// What a holder draws for one plan. It is destroyed when the ceremony ends, however it ends: with
/// it and the messages the dealt shares can be made again.
#[derive(Clone)]
pub struct Seed {
    plan: [u8; 32],
    seed: Box<Zeroizing<[u8; 32]>>,
}

impl Seed {
    /// Title of its file.
    pub const ARMOR: Armor = Armor("EVENKEEL-GROUP-CEREMONY-SEED-1");

    /// A new one, for this plan alone.
    ///
    /// # Errors
    /// [`RandomError`].
    pub fn generate(plan: &Plan, random: &mut dyn Random) -> Result<Self, RandomError> {
        let mut seed = Box::new(Zeroizing::new([0; 32]));
        random.fill(seed.as_mut_slice())?;
        Ok(Self { plan: plan.id(), seed })
    }

    /// Its bytes, to be kept until the ceremony ends.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::of(SEED);
        Zeroizing::new(writer.fixed(&self.plan).fixed(self.seed.as_slice()).done())
    }

    /// From the bytes that were kept.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::of(bytes, SEED, "the ceremony's seed")?;
        let (plan, seed) = (reader.array()?, Box::new(Zeroizing::new(reader.array()?)));
        reader.end()?;
        Ok(Self { plan, seed })
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(32 bytes)")
    }
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// Lay this on the table, then look again.
    Send(Message),
    /// Others have to do something first.
    Wait {
        /// What is waited for.
        kind: Kind,
        /// From whom.
        missing: Vec<u16>,
    },
    /// Everybody has acknowledged: the test signature is next.
    Ready(Pending),
}

/// A record that is not in force yet, and the share of it, if this holder gets one.
#[derive(Debug)]
pub struct Pending {
    /// The record.
    pub record: Record,
    /// The new share. It signs the test message and nothing else until the record is in force.
    pub share: Option<KeyShare>,
}

/// One holder's part in one plan.
pub struct Ceremony<'a, C: Suite> {
    plan: &'a Plan,
    session: [u8; 32],
    me: u16,
    key: &'a HolderKey,
    seed: &'a [u8; 32],
    previous: Option<&'a Record>,
    polynomial: Option<Polynomial<C>>,
}

type Openings<C> = BTreeMap<u16, Opening<C>>;

impl<'a, C: Suite> Ceremony<'a, C> {
    /// Takes part in a plan.
    ///
    /// # Errors
    /// [`Refusal::NotAHolder`]; [`Refusal::Other`] if seed, record or share are not those the plan
    /// goes on from; [`Refusal::Dealers`] if the plan's dealers are no quorum of the record.
    pub fn new(
        plan: &'a Plan,
        previous: Option<&'a Sealed>,
        key: &'a HolderKey,
        seed: &'a Seed,
        share: Option<&KeyShare>,
    ) -> Result<Self, Refusal> {
        let session = plan.id();
        if plan.curve != C::CURVE || seed.plan != session {
            return Err(Refusal::Other("plan"));
        }
        let me = plan.number_of(&key.public()).ok_or(Refusal::NotAHolder)?;
        let previous = previous.map(Sealed::record);
        check_previous(plan, previous)?;
        let dealers = plan.dealer_numbers();
        let polynomial = if dealers.contains(&me) {
            let constant = match previous {
                Some(record) => {
                    let share = share.ok_or(Refusal::Other("share"))?;
                    share.check(record)?;
                    Some(weighted::<C>(share, &dealers).ok_or(Refusal::Calculation)?)
                }
                None => None,
            };
            let drawn = Polynomial::drawn(constant.as_ref(), plan.threshold, &seed.seed, &session);
            Some(drawn.ok_or(Refusal::Calculation)?)
        } else {
            None
        };
        Ok(Self { plan, session, me, key, seed: &seed.seed, previous, polynomial })
    }

    /// The messages that belong to the plan, of those that are there.
    #[must_use]
    pub fn table(plan: &Plan, messages: impl IntoIterator<Item = Message>) -> Table {
        Table::collect(&plan.id(), plan.generation, &plan.members(), messages)
    }

    /// The next step.
    ///
    /// # Errors
    /// [`Fault`]: the ceremony ends, nothing was switched, and what was in force stays so.
    pub fn next(&self, table: &Table) -> Result<Step, Fault> {
        table.check()?;
        let everybody: Vec<u16> = self.plan.members().into_keys().collect();
        table.check_generations(&everybody)?;
        if let Some(step) = self.own(table, Kind::Opening, || self.opening())? {
            return Ok(step);
        }
        if let Some(step) = wait(table, Kind::Opening, &everybody) {
            return Ok(step);
        }
        let mut openings = Openings::<C>::new();
        for message in table.all(Kind::Opening) {
            let opening = Opening::check(message, self.plan, &self.session, self.previous)?;
            openings.insert(message.from, opening);
        }
        let seen = seen(table);
        if let Some(step) = self.own(table, Kind::Agreement, || Some(seen.clone()))? {
            return Ok(step);
        }
        if let Some(step) = wait(table, Kind::Agreement, &everybody) {
            return Ok(step);
        }
        self.compare(table, &seen)?;
        let transcript: [u8; 32] = Sha256::digest(&seen).into();
        self.deals(table, &openings, &transcript)
    }

    fn deals(
        &self,
        table: &Table,
        openings: &Openings<C>,
        transcript: &[u8; 32],
    ) -> Result<Step, Fault> {
        if let Some(polynomial) = &self.polynomial {
            let keys = openings
                .iter()
                .filter_map(|(to, opening)| Some((*to, *opening.boxes.get(&self.me)?)))
                .collect();
            let at = (&self.session, transcript);
            let made = || deal(polynomial, self.seed, at, self.me, &keys);
            if let Some(step) = self.own(table, Kind::Deal, made)? {
                return Ok(step);
            }
        }
        if let Some(complaint) = table.all(Kind::Complaint).next() {
            return Err(complaint::judge::<C>(
                complaint,
                self.plan,
                (&self.session, transcript),
                |number| {
                    let message = table.get(Kind::Opening, number)?;
                    Opening::check(message, self.plan, &self.session, self.previous).ok()
                },
                |number| table.get(Kind::Deal, number).cloned(),
            ));
        }
        if let Some(step) = wait(table, Kind::Deal, &self.plan.dealer_numbers()) {
            return Ok(step);
        }
        let record = self.record(openings, transcript).ok_or(Refusal::Calculation)?;
        let share = if self.plan.holder_numbers().contains(&self.me) {
            match self.collect(table, openings, transcript)? {
                Ok(secret) => Some(self.share(&record, secret)?),
                Err(complaint) => return Ok(Step::Send(complaint)),
            }
        } else {
            None
        };
        self.acknowledge(table, record, share)
    }

    fn acknowledge(
        &self,
        table: &Table,
        record: Record,
        share: Option<KeyShare>,
    ) -> Result<Step, Fault> {
        let hash = record.hash();
        if let Some(share) = &share {
            let made = || {
                let mut writer = Writer::of(&hash);
                Proof::<C>::make(&share.secret, self.seed, &hash)?.write(&mut writer)?;
                Some(writer.done())
            };
            if let Some(step) = self.own(table, Kind::Acknowledgement, made)? {
                return Ok(step);
            }
        }
        let receivers = self.plan.holder_numbers();
        for message in table.all(Kind::Acknowledgement) {
            let proof = Reader::of(&message.body, &hash, "the acknowledgement").and_then(|it| {
                let mut reader = it;
                let proof = Proof::<C>::read(&mut reader)?;
                reader.end().map(|()| proof)
            });
            let known = record.verifying_share(message.from).and_then(super::suite::point::<C>);
            let holds = matches!((proof, known), (Ok(it), Some(known)) if it.holds(&known, &hash));
            if !holds {
                return Err(Fault::culprit(message.from, Misdeed::Acknowledgement));
            }
        }
        if let Some(step) = wait(table, Kind::Acknowledgement, &receivers) {
            return Ok(step);
        }
        Ok(Step::Ready(Pending { record, share }))
    }

    /// This holder's message of a kind: to be sent, if it is not on the table. Another one there
    /// means that the seed was lost.
    fn own(
        &self,
        table: &Table,
        kind: Kind,
        body: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<Option<Step>, Fault> {
        let body = body().ok_or(Refusal::Calculation)?;
        let head = (kind, self.session, self.plan.generation);
        let message = Message::new(head, self.me, body, self.key);
        match table.get(kind, self.me) {
            None => Ok(Some(Step::Send(message))),
            Some(there) if *there == message => Ok(None),
            Some(_) => Err(Refusal::LostState.into()),
        }
    }

    fn opening(&self) -> Option<Vec<u8>> {
        let dealer = match &self.polynomial {
            Some(polynomial) => {
                let proof = Proof::make(polynomial.constant()?, self.seed, &self.session)?;
                Some((polynomial.commitment()?, proof))
            }
            None => None,
        };
        let mut boxes = BTreeMap::new();
        if self.plan.holder_numbers().contains(&self.me) {
            for dealer in self.plan.dealer_numbers() {
                boxes.insert(dealer, seal::public(&self.box_key(dealer)?)?);
            }
        }
        Opening { dealer, boxes }.write()
    }

    fn box_key(&self, dealer: u16) -> Option<seal::BoxKey> {
        seal::drawn(self.seed, &self.session, b"receiver", dealer)
    }

    /// Whether all saw the same openings, before anything is dealt.
    fn compare(&self, table: &Table, seen: &[u8]) -> Result<(), Fault> {
        for message in table.all(Kind::Agreement) {
            let from = message.from;
            match differing(seen, &message.body) {
                Ok(None) => {}
                // Nobody sees another opening of its own by mistake.
                Ok(Some(a)) if a == from => {
                    return Err(Fault::culprit(a, Misdeed::TwoMessages(Kind::Opening)));
                }
                Ok(Some(a)) => {
                    return Err(Fault::CannotTell { a, b: from, doubt: Doubt::OtherOpening });
                }
                Err(()) => return Err(Fault::culprit(from, Misdeed::Form(Kind::Agreement))),
            }
        }
        Ok(())
    }

    /// The sum of what was dealt to this holder, or a complaint.
    fn collect(
        &self,
        table: &Table,
        openings: &Openings<C>,
        transcript: &[u8; 32],
    ) -> Result<Result<SecretScalar, Message>, Fault> {
        let mut sum = None;
        for dealer in self.plan.dealer_numbers() {
            let failed = Fault::Refused(Refusal::Calculation);
            let message = table.get(Kind::Deal, dealer).ok_or(Refusal::TooEarly)?;
            let key = self.box_key(dealer).ok_or(failed)?;
            let commitment = openings.get(&dealer).and_then(|it| it.dealer.as_ref());
            let packets = packets(&message.body).ok();
            let packet = packets.as_ref().and_then(|packets| packets.get(&self.me));
            let context = context(&self.session, transcript, dealer, self.me);
            let share = commitment.zip(packet).and_then(|((commitment, _), packet)| {
                open::<C>(packet, &key, &context, self.me, commitment)
            });
            let Some(share) = share.and_then(|it| scalar::<C>(&it)) else {
                let head = (Kind::Complaint, self.session, self.plan.generation);
                let body = complaint::write(message, &key);
                return Ok(Err(Message::new(head, self.me, body, self.key)));
            };
            sum = Some(sum.map_or(share, |sum| sum + share));
        }
        let sum = sum.ok_or(Refusal::Calculation)?;
        Ok(Ok(scalar_bytes::<C>(&sum)))
    }

    /// The record that follows from the openings; the same for everybody.
    fn record(&self, openings: &Openings<C>, transcript: &[u8; 32]) -> Option<Record> {
        let commitments: Vec<_> = openings
            .values()
            .filter_map(|opening| opening.dealer.as_ref().map(|(commitment, _)| commitment))
            .collect();
        let zero = <C::Group as Group>::identity();
        let mut group: Element<C> = zero;
        for commitment in &commitments {
            group = group + commitment.constant()?;
        }
        let group_key = point_bytes::<C>(&group)?;
        // The dealers' constants are pinned to their shares, so their sum is the group's key.
        if self.previous.is_some_and(|record| record.group_key != group_key) {
            return None;
        }
        let mut verifying_shares = BTreeMap::new();
        for number in self.plan.holder_numbers() {
            let mut share = zero;
            for commitment in &commitments {
                share = share + commitment.at(number)?;
            }
            verifying_shares.insert(number, point_bytes::<C>(&share)?);
        }
        let before = self.previous.map_or(0, |record| record.numbers_given);
        let last = self.plan.holder_numbers().into_iter().max()?;
        Some(Record {
            curve: C::CURVE,
            generation: self.plan.generation,
            threshold: self.plan.threshold,
            group_key,
            holders: self.plan.holders.clone(),
            verifying_shares,
            numbers_given: before.max(last),
            plan: self.session,
            transcript: *transcript,
            previous: self.plan.previous,
        })
    }

    fn share(&self, record: &Record, secret: SecretScalar) -> Result<KeyShare, Refusal> {
        let share = KeyShare {
            curve: C::CURVE,
            record: record.hash(),
            generation: record.generation,
            number: self.me,
            secret: Box::new(secret),
        };
        share.check(record).map(|()| share)
    }
}

fn wait(table: &Table, kind: Kind, of: &[u16]) -> Option<Step> {
    let missing = table.missing(kind, of.iter().copied());
    (!missing.is_empty()).then_some(Step::Wait { kind, missing })
}

/// The openings as this table has them: number and hash of each, in order.
fn seen(table: &Table) -> Vec<u8> {
    let mut writer = Writer::default();
    for message in table.all(Kind::Opening) {
        writer.u16(message.from).fixed(&Sha256::digest(message.to_bytes()));
    }
    writer.done()
}

/// The share times its Lagrange coefficient among the dealers: they add up to the group's secret,
/// which nobody adds up.
fn weighted<C: Suite>(share: &KeyShare, dealers: &[u16]) -> Option<SecretScalar> {
    let secret = scalar::<C>(share.secret.as_slice())?;
    Some(scalar_bytes::<C>(&(secret * lagrange::<C>(share.number, dealers)?)))
}

fn check_previous(plan: &Plan, previous: Option<&Record>) -> Result<(), Refusal> {
    let Some(record) = previous else {
        let founding = plan.previous.is_none();
        return if founding { Ok(()) } else { Err(Refusal::Other("record")) };
    };
    let follows = plan.previous == Some(record.hash())
        && record.generation.checked_add(1) == Some(plan.generation)
        && record.curve == plan.curve;
    if !follows {
        return Err(Refusal::Other("record"));
    }
    let known = plan.dealers.iter().filter(|dealer| record.holders.contains(dealer)).count();
    if known != plan.dealers.len() || known < usize::from(record.threshold) {
        return Err(Refusal::Dealers { there: known, needed: record.threshold });
    }
    Ok(())
}
