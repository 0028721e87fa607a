//! Signing in two rounds (RFC 9591, section 5), each message bound to the request and through it to
//! one generation of the group's key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use frost_core::keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare};
use frost_core::round1::{NonceCommitment, SigningCommitments, SigningNonces};
use frost_core::round2::SignatureShare;
use frost_core::{CheaterDetection, Error, Identifier, SigningPackage, VerifyingKey};
use frost_ed25519::rand_core::{self, CryptoRng, RngCore};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::fault::{Doubt, Fault, Misdeed, Refusal};
use super::holder::HolderKey;
use super::message::{Kind, Message, Table, differing};
use super::record::{KeyShare, Record, Sealed, TEST};
use super::suite::{Curve, SCALAR_BYTES, Suite, identifier};
use super::wire::{Armor, Malformed, Reader, Writer};
use crate::random::Random;

const REQUEST: &[u8] = b"evenkeel group request 1";
const WHAT: &str = "the request";

/// What is to be signed, by which generation, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Hash of the record whose shares sign.
    pub record: [u8; 32],
    /// Its generation.
    pub generation: u32,
    /// Numbers of those who sign, in order.
    pub signers: Vec<u16>,
    /// The very bytes that are signed.
    pub message: Vec<u8>,
    salt: [u8; 32],
}

impl Request {
    /// Title of its file.
    pub const ARMOR: Armor = Armor("EVENKEEL-GROUP-REQUEST-1");

    /// Asks holders of a record that is in force to sign a message.
    ///
    /// # Errors
    /// [`Refusal::Signers`], [`Refusal::Other`] for a message that is kept for tests,
    /// [`Refusal::SignsNothing`] for a recipient's key, and [`Refusal::Random`].
    pub fn new(
        sealed: &Sealed,
        message: &[u8],
        signers: &BTreeSet<u16>,
        random: &mut dyn Random,
    ) -> Result<Self, Refusal> {
        if message.starts_with(TEST) {
            return Err(Refusal::Other("message"));
        }
        refuse_recipient(sealed.record())?;
        Self::of(sealed.record(), message.to_vec(), signers, random)
    }

    /// Asks holders of a record that is not in force yet for the signature that puts it in force.
    ///
    /// # Errors
    /// [`Refusal::Signers`] and [`Refusal::Random`].
    pub fn test(
        record: &Record,
        signers: &BTreeSet<u16>,
        random: &mut dyn Random,
    ) -> Result<Self, Refusal> {
        Self::of(record, record.test_message(), signers, random)
    }

    fn of(
        record: &Record,
        message: Vec<u8>,
        signers: &BTreeSet<u16>,
        random: &mut dyn Random,
    ) -> Result<Self, Refusal> {
        let mut salt = [0; 32];
        random.fill(&mut salt)?;
        let signers = signers.iter().copied().collect();
        let (generation, hash) = (record.generation, record.hash());
        let request = Self { record: hash, generation, signers, message, salt };
        request.check(record).map(|()| request)
    }

    /// Whether the signers can sign for this very record.
    fn check(&self, record: &Record) -> Result<(), Refusal> {
        if self.record != record.hash() || self.generation != record.generation {
            return Err(Refusal::Other("request"));
        }
        let all: BTreeSet<u16> = self.signers.iter().copied().collect();
        let known = all.iter().all(|number| record.verifying_share(*number).is_some());
        let enough = all.len() >= usize::from(record.threshold);
        if known && enough && all.iter().eq(&self.signers) {
            return Ok(());
        }
        Err(Refusal::Signers { there: all.len(), needed: record.threshold })
    }

    /// What names this request: SHA-256 of its bytes.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::of(REQUEST);
        writer.fixed(&self.record).u32(self.generation).count(self.signers.len());
        for number in &self.signers {
            writer.u16(*number);
        }
        writer.bytes(&self.message).fixed(&self.salt).done()
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::of(bytes, REQUEST, WHAT)?;
        let (record, generation) = (reader.array()?, reader.u32()?);
        let mut signers = Vec::new();
        for _ in 0..reader.count()? {
            signers.push(reader.u16()?);
        }
        let (message, salt) = (reader.bytes()?.to_vec(), reader.array()?);
        reader.end()?;
        Ok(Self { record, generation, signers, message, salt })
    }

    /// The messages that belong to this request, of those that are there.
    #[must_use]
    pub fn table(&self, record: &Record, messages: impl IntoIterator<Item = Message>) -> Table {
        Table::collect(&self.id(), self.generation, &record.members(), messages)
    }

    /// Who has not sent a commitment, or a share of the signature, yet.
    #[must_use]
    pub fn missing(&self, kind: Kind, table: &Table) -> Vec<u16> {
        table.missing(kind, self.signers.iter().copied())
    }
}

/// One holder's part in one signing. It holds the nonces, in this process's memory alone: it cannot
/// be written down, copied or used twice. If it is dropped the signing is begun anew.
pub struct Session<'a, C: Suite> {
    request: &'a Request,
    record: &'a Record,
    // Boxed, as all secrets that callers can move: a move leaves a copy behind.
    package: Box<KeyPackage<C>>,
    nonces: Box<SigningNonces<C>>,
    number: u16,
    key: &'a HolderKey,
}

impl<'a, C: Suite> Session<'a, C> {
    /// Begins to sign a message for a record that is in force; lays commitments on the table.
    ///
    /// # Errors
    /// [`Refusal::Other`] if the share is of another generation than the record, or the request;
    /// [`Refusal::SignsNothing`]; [`Refusal::Signers`], [`Refusal::NotAHolder`],
    /// [`Refusal::Random`].
    pub fn begin(
        request: &'a Request,
        sealed: &'a Sealed,
        share: &KeyShare,
        key: &'a HolderKey,
        random: &mut dyn Random,
    ) -> Result<(Self, Message), Refusal> {
        // Else the old shares could put a record in force whose own shares never signed.
        if request.message.starts_with(TEST) {
            return Err(Refusal::NotInForce);
        }
        refuse_recipient(sealed.record())?;
        Self::start(request, sealed.record(), share, key, random)
    }

    /// Begins to sign the test message of a record that is not in force yet, and nothing else.
    ///
    /// # Errors
    /// As [`Session::begin`], and [`Refusal::NotInForce`] for any other message.
    pub fn begin_test(
        request: &'a Request,
        record: &'a Record,
        share: &KeyShare,
        key: &'a HolderKey,
        random: &mut dyn Random,
    ) -> Result<(Self, Message), Refusal> {
        if request.message != record.test_message() {
            return Err(Refusal::NotInForce);
        }
        Self::start(request, record, share, key, random)
    }

    fn start(
        request: &'a Request,
        record: &'a Record,
        share: &KeyShare,
        key: &'a HolderKey,
        random: &mut dyn Random,
    ) -> Result<(Self, Message), Refusal> {
        if record.curve != C::CURVE {
            return Err(Refusal::Other("record"));
        }
        request.check(record)?;
        share.check(record)?;
        let number = share.number;
        let mine = record.members().get(&number) == Some(&key.public());
        if !mine || !request.signers.contains(&number) {
            return Err(Refusal::NotAHolder);
        }
        let package = Box::new(package::<C>(record, share).ok_or(Refusal::Calculation)?);
        let mut drawn = Drawn::of(random)?;
        let (nonces, commitments) = frost_core::round1::commit(package.signing_share(), &mut drawn);
        let nonces = Box::new(nonces);
        if drawn.short {
            return Err(Refusal::Calculation);
        }
        let body = [commitments.hiding().serialize(), commitments.binding().serialize()]
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Refusal::Calculation)?
            .concat();
        let head = (Kind::Commitment, request.id(), request.generation);
        let message = Message::new(head, number, body, key);
        Ok((Self { request, record, package, nonces, number, key }, message))
    }

    /// This holder's share of the signature. The nonces are gone afterwards, whatever comes of it.
    ///
    /// # Errors
    /// [`Refusal::TooEarly`] while commitments are missing; [`Refusal::Interrupted`] if the table
    /// has a commitment of this holder by another process; [`Fault::Culprit`].
    pub fn sign(self, table: &Table) -> Result<Message, Fault> {
        let list = Commitments::<C>::read(self.request, self.record, table)?;
        let own = identifier::<C>(self.number).ok_or(Refusal::Calculation)?;
        if list.by_place.get(&own) != Some(self.nonces.commitments()) {
            return Err(Refusal::Interrupted.into());
        }
        let package = SigningPackage::new(list.by_place, &self.request.message);
        let share = frost_core::round2::sign(&package, &self.nonces, &self.package)
            .map_err(|_| Refusal::Calculation)?;
        let mut writer = Writer::default();
        let body = writer.fixed(&list.seen).fixed(&share.serialize()).done();
        let head = (Kind::SignatureShare, self.request.id(), self.request.generation);
        Ok(Message::new(head, self.number, body, self.key))
    }
}

impl<C: Suite> fmt::Debug for Session<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session(holder {}, nonces withheld)", self.number)
    }
}

/// A recipient's shares sign their own test and nothing else.
fn refuse_recipient(record: &Record) -> Result<(), Refusal> {
    if record.curve == Curve::Recipient { Err(Refusal::SignsNothing) } else { Ok(()) }
}

/// The signature, from everybody's shares of it.
///
/// # Errors
/// [`Refusal::TooEarly`] while shares are missing; [`Fault`] naming who gave a wrong one.
pub fn aggregate<C: Suite>(
    request: &Request,
    record: &Record,
    table: &Table,
) -> Result<Vec<u8>, Fault> {
    request.check(record)?;
    let list = Commitments::<C>::read(request, record, table)?;
    let mut shares = BTreeMap::new();
    for number in &request.signers {
        let message = table.get(Kind::SignatureShare, *number).ok_or(Refusal::TooEarly)?;
        let form = || Fault::culprit(*number, Misdeed::Form(Kind::SignatureShare));
        let seen_bytes = message.body.len().saturating_sub(SCALAR_BYTES);
        let (seen, share) = message.body.split_at_checked(seen_bytes).ok_or_else(form)?;
        list.compare(seen, *number)?;
        let share = SignatureShare::<C>::deserialize(share).map_err(|_| form())?;
        shares.insert(identifier::<C>(*number).ok_or(Refusal::Calculation)?, share);
    }
    let package = SigningPackage::new(list.by_place, &request.message);
    let public = public_package::<C>(record).ok_or(Refusal::Calculation)?;
    let made =
        frost_core::aggregate_custom(&package, &shares, &public, CheaterDetection::AllCheaters);
    let signature = match made {
        Ok(signature) => signature.serialize().map_err(|_| Refusal::Calculation)?,
        Err(Error::InvalidSignatureShare { culprits }) => {
            let named = request
                .signers
                .iter()
                .find(|number| identifier::<C>(**number).is_some_and(|it| culprits.contains(&it)));
            let holder = *named.ok_or(Refusal::Calculation)?;
            return Err(Fault::culprit(holder, Misdeed::SignatureShare));
        }
        Err(_) => return Err(Refusal::Calculation.into()),
    };
    record.verify(&request.message, &signature)?;
    Ok(signature)
}

/// Everybody's commitments to nonces.
struct Commitments<C: Suite> {
    by_place: BTreeMap<Identifier<C>, SigningCommitments<C>>,
    /// Number and hash of each, in order, as this table has them.
    seen: Vec<u8>,
}

impl<C: Suite> Commitments<C> {
    fn read(request: &Request, record: &Record, table: &Table) -> Result<Self, Fault> {
        request.check(record)?;
        table.check()?;
        table.check_generations(&request.signers)?;
        let mut by_place = BTreeMap::new();
        let mut writer = Writer::default();
        for number in &request.signers {
            let message = table.get(Kind::Commitment, *number).ok_or(Refusal::TooEarly)?;
            let form = || Fault::culprit(*number, Misdeed::Form(Kind::Commitment));
            let (hiding, binding) =
                message.body.split_at_checked(C::POINT_BYTES).ok_or_else(form)?;
            let hiding = NonceCommitment::deserialize(hiding).map_err(|_| form())?;
            let binding = NonceCommitment::deserialize(binding).map_err(|_| form())?;
            let place = identifier::<C>(*number).ok_or(Refusal::Calculation)?;
            by_place.insert(place, SigningCommitments::new(hiding, binding));
            writer.u16(*number).fixed(&Sha256::digest(message.to_bytes()));
        }
        Ok(Self { by_place, seen: writer.done() })
    }

    /// Whether another signer saw the same commitments.
    fn compare(&self, theirs: &[u8], signer: u16) -> Result<(), Fault> {
        match differing(&self.seen, theirs) {
            Ok(None) => Ok(()),
            Ok(Some(a)) if a == signer => {
                Err(Fault::culprit(a, Misdeed::TwoMessages(Kind::Commitment)))
            }
            Ok(Some(a)) => Err(Fault::CannotTell { a, b: signer, doubt: Doubt::OtherCommitment }),
            Err(()) => Err(Fault::culprit(signer, Misdeed::Form(Kind::SignatureShare))),
        }
    }
}

fn package<C: Suite>(record: &Record, share: &KeyShare) -> Option<KeyPackage<C>> {
    let known = record.verifying_share(share.number)?;
    Some(KeyPackage::new(
        identifier::<C>(share.number)?,
        SigningShare::deserialize(share.secret.as_slice()).ok()?,
        VerifyingShare::deserialize(known).ok()?,
        VerifyingKey::deserialize(&record.group_key).ok()?,
        record.threshold,
    ))
}

fn public_package<C: Suite>(record: &Record) -> Option<PublicKeyPackage<C>> {
    let mut shares = BTreeMap::new();
    for (number, share) in &record.verifying_shares {
        shares.insert(identifier::<C>(*number)?, VerifyingShare::deserialize(share).ok()?);
    }
    let key = VerifyingKey::deserialize(&record.group_key).ok()?;
    Some(PublicKeyPackage::new(shares, key, Some(record.threshold)))
}

/// As many random bytes as two nonces take, drawn beforehand so that a failure is seen.
struct Drawn {
    bytes: Zeroizing<[u8; 64]>,
    taken: usize,
    short: bool,
}

impl Drawn {
    fn of(random: &mut dyn Random) -> Result<Self, Refusal> {
        let mut bytes = Zeroizing::new([0; 64]);
        random.fill(bytes.as_mut_slice())?;
        Ok(Self { bytes, taken: 0, short: false })
    }
}

impl CryptoRng for Drawn {}

impl RngCore for Drawn {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, into: &mut [u8]) {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        match rest.split_at_checked(into.len()) {
            Some((bytes, _)) => {
                into.copy_from_slice(bytes);
                self.taken += bytes.len();
            }
            None => self.short = true,
        }
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(into);
        Ok(())
    }
}
