//! What is going to be made, agreed on before anything is drawn.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::HOLDERS_MAX;
use super::fault::Refusal;
use super::holder::Enrolment;
use super::record::Record;
use super::suite::Curve;
use super::wire::{Armor, Malformed, Reader, Writer};
use crate::random::Random;

const LABEL: &[u8] = b"evenkeel group plan 1";
const TEXT_BYTES_MAX: usize = 100;

/// One holder of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The place of its share on the polynomial, from 1; kept from generation to generation.
    pub number: u16,
    /// The holder's name.
    pub name: String,
    /// Where the share is kept.
    pub place: String,
    /// Public key of its messages.
    pub key: [u8; 32],
}

impl Holder {
    fn of(number: u16, enrolment: &Enrolment) -> Self {
        let Enrolment { name, place, key, .. } = enrolment.clone();
        Self { number, name, place, key }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u16(self.number).bytes(self.name.as_bytes()).bytes(self.place.as_bytes());
        writer.fixed(&self.key);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (number, name) = (reader.u16()?, reader.text()?);
        Ok(Self { number, name, place: reader.text()?, key: reader.array()? })
    }
}

/// What a change changes; a refresh changes nothing but the shares.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Numbers of those who hold no share afterwards.
    pub remove: BTreeSet<u16>,
    /// Numbers of those who cannot deal: they lost their share, or cannot be reached.
    pub absent: BTreeSet<u16>,
    /// Who comes in addition.
    pub add: Vec<Enrolment>,
    /// Who lost the key as well and enrolled anew, under the old number.
    pub enrolled_anew: BTreeMap<u16, Enrolment>,
    /// How many are needed from now on, if that changes.
    pub threshold: Option<u16>,
}

/// A plan: everybody's messages belong to exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What the signatures are good for.
    pub curve: Curve,
    /// The generation that is made, from 1.
    pub generation: u32,
    /// How many holders are needed to sign.
    pub threshold: u16,
    /// Who gets a share.
    pub holders: Vec<Holder>,
    /// Who deals: all at a founding, a quorum of the last generation at a change.
    pub dealers: Vec<Holder>,
    /// The record that is changed.
    pub previous: Option<[u8; 32]>,
    salt: [u8; 32],
}

impl Plan {
    /// Title of its file.
    pub const ARMOR: Armor = Armor("EVENKEEL-GROUP-PLAN-1");

    /// A plan for a new key; holders are numbered in the order given, from 1.
    ///
    /// # Errors
    /// [`Refusal::Numbers`], [`Refusal::Holder`] and [`Refusal::Random`].
    pub fn found(
        curve: Curve,
        threshold: u16,
        holders: &[Enrolment],
        random: &mut dyn Random,
    ) -> Result<Self, Refusal> {
        let holders: Vec<_> =
            (1..).zip(holders).map(|(number, it)| Holder::of(number, it)).collect();
        let mut salt = [0; 32];
        random.fill(&mut salt)?;
        let dealers = holders.clone();
        let plan = Self { curve, generation: 1, threshold, holders, dealers, previous: None, salt };
        plan.check().map(|()| plan)
    }

    /// A plan for the next generation of a key.
    ///
    /// # Errors
    /// As [`Plan::found`], and [`Refusal::Dealers`].
    pub fn change(
        record: &Record,
        change: &Change,
        random: &mut dyn Random,
    ) -> Result<Self, Refusal> {
        let able = |holder: &&Holder| {
            !change.absent.contains(&holder.number)
                && !change.enrolled_anew.contains_key(&holder.number)
        };
        // Whoever leaves need not help, and may not want to: they deal only if they must.
        let (mut dealers, leaving): (Vec<Holder>, Vec<Holder>) = record
            .holders
            .iter()
            .filter(able)
            .cloned()
            .partition(|holder| !change.remove.contains(&holder.number));
        let needed = usize::from(record.threshold);
        dealers.extend(leaving.into_iter().take(needed.saturating_sub(dealers.len())));
        if dealers.len() < needed {
            return Err(Refusal::Dealers { there: dealers.len(), needed: record.threshold });
        }
        dealers.sort_by_key(|holder| holder.number);

        let stay = record.holders.iter().filter(|it| !change.remove.contains(&it.number));
        let mut holders: Vec<Holder> = stay
            .map(|holder| match change.enrolled_anew.get(&holder.number) {
                Some(enrolment) => Holder::of(holder.number, enrolment),
                None => holder.clone(),
            })
            .collect();
        let last = record.holders.iter().map(|holder| holder.number).max().unwrap_or(0);
        let next = last.max(record.numbers_given);
        holders.extend((next + 1..).zip(&change.add).map(|(number, it)| Holder::of(number, it)));
        let mut salt = [0; 32];
        random.fill(&mut salt)?;
        let plan = Self {
            curve: record.curve,
            generation: record.generation + 1,
            threshold: change.threshold.unwrap_or(record.threshold),
            holders,
            dealers,
            previous: Some(record.hash()),
            salt,
        };
        plan.check().map(|()| plan)
    }

    fn check(&self) -> Result<(), Refusal> {
        let count = self.holders.len();
        let enough = self.threshold >= 2 && usize::from(self.threshold) <= count;
        if !enough || count > HOLDERS_MAX || self.dealers.len() > HOLDERS_MAX {
            return Err(Refusal::Numbers { threshold: self.threshold, holders: count });
        }
        for list in [&self.holders, &self.dealers] {
            let mut numbers = BTreeSet::new();
            let mut keys = BTreeSet::new();
            for holder in list {
                let texts = [&holder.name, &holder.place];
                let named = texts.iter().all(|it| (1..=TEXT_BYTES_MAX).contains(&it.len()));
                let in_order = numbers.last().is_none_or(|last| *last < holder.number);
                let fresh = numbers.insert(holder.number) && keys.insert(holder.key);
                if holder.number == 0 || !named || !in_order || !fresh {
                    return Err(Refusal::Holder(holder.number));
                }
            }
        }
        // One number, one key: else a message would have two who could have signed it.
        let keys = self.members();
        let other = self.holders.iter().find(|it| keys.get(&it.number) != Some(&it.key));
        other.map_or(Ok(()), |holder| Err(Refusal::Holder(holder.number)))
    }

    /// Everybody who takes part, with their keys.
    #[must_use]
    pub fn members(&self) -> BTreeMap<u16, [u8; 32]> {
        let all = self.holders.iter().chain(&self.dealers);
        all.map(|holder| (holder.number, holder.key)).collect()
    }

    /// Somebody who takes part, by number.
    #[must_use]
    pub fn member(&self, number: u16) -> Option<&Holder> {
        self.holders.iter().chain(&self.dealers).find(|holder| holder.number == number)
    }

    /// The number of a public key.
    #[must_use]
    pub fn number_of(&self, key: &[u8; 32]) -> Option<u16> {
        self.members().into_iter().find(|(_, it)| it == key).map(|(number, _)| number)
    }

    /// The numbers of those who deal.
    #[must_use]
    pub fn dealer_numbers(&self) -> Vec<u16> {
        self.dealers.iter().map(|holder| holder.number).collect()
    }

    /// The numbers of those who get shares.
    #[must_use]
    pub fn holder_numbers(&self) -> Vec<u16> {
        self.holders.iter().map(|holder| holder.number).collect()
    }

    /// What names this plan: SHA-256 of its bytes.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::of(LABEL);
        writer.u8(self.curve.code()).u32(self.generation).u16(self.threshold);
        for list in [&self.holders, &self.dealers] {
            writer.count(list.len());
            list.iter().for_each(|holder| holder.write(&mut writer));
        }
        match &self.previous {
            Some(hash) => writer.u8(1).fixed(hash),
            None => writer.u8(0),
        };
        writer.fixed(&self.salt).done()
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Refusal`] as for a new plan, and [`Refusal::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut reader = Reader::of(bytes, LABEL, "the plan")?;
        let curve = Curve::of_code(reader.u8()?).ok_or_else(|| reader.fail())?;
        let (generation, threshold) = (reader.u32()?, reader.u16()?);
        let mut lists = [Vec::new(), Vec::new()];
        for list in &mut lists {
            for _ in 0..reader.count()? {
                list.push(Holder::read(&mut reader)?);
            }
        }
        let previous = match reader.u8()? {
            0 => None,
            1 => Some(reader.array()?),
            _ => return Err(reader.fail().into()),
        };
        let salt = reader.array()?;
        reader.end()?;
        let [holders, dealers] = lists;
        let plan = Self { curve, generation, threshold, holders, dealers, previous, salt };
        let founding = generation == 1 && plan.holders == plan.dealers;
        if generation == 0 || founding == plan.previous.is_some() {
            return Err(Malformed("the plan").into());
        }
        plan.check().map(|()| plan)
    }
}
