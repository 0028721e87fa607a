//! One holder's answer to a request.

use std::collections::BTreeSet;

use curve25519_dalek::{EdwardsPoint, Scalar};
use zeroize::Zeroizing;

use super::super::fault::{Misdeed, Refusal};
use super::super::holder::HolderKey;
use super::super::message::{Kind, Message};
use super::super::recipient::{Recipient, lift};
use super::super::record::{KeyShare, Record, Sealed};
use super::super::seal;
use super::super::suite::{point, scalar};
use super::super::wire::{Malformed, Reader, Writer};
use super::TargetKey;
use super::proof::{Proof, Statement};
use super::request::{EXPIRY_S_MAX, Request, Stanza};
use crate::random::Random;

const LABEL: &[u8] = b"partial 1";

/// Answers a request with this holder's parts. `vouched` are the stanzas that the caller found in
/// what a trusted domain signed; `now_s` are seconds since 1970 UTC.
///
/// # Errors
/// [`Refusal::NotVouched`] and [`Refusal::BadStanza`] name a stanza by its place, from 1;
/// [`Refusal::Expired`]; [`Refusal::DecryptsNothing`]; [`Refusal::Other`] for a request or share of
/// another generation than the record in force; [`Refusal::NotAHolder`]; [`Refusal::Random`].
pub fn answer(
    request: &Request,
    sealed: &Sealed,
    (share, key): (&KeyShare, &HolderKey),
    vouched: &BTreeSet<Stanza>,
    now_s: u64,
    random: &mut dyn Random,
) -> Result<Message, Refusal> {
    let record = sealed.record();
    request.check(record)?;
    share.check(record)?;
    if now_s >= request.expires_s || request.expires_s - now_s > EXPIRY_S_MAX {
        return Err(Refusal::Expired);
    }
    if record.members().get(&share.number) != Some(&key.public()) {
        return Err(Refusal::NotAHolder);
    }
    if let Some(at) = request.stanzas.iter().position(|stanza| !vouched.contains(stanza)) {
        return Err(Refusal::NotVouched(at + 1));
    }
    let mut drawn = Zeroizing::new([0; 32]);
    random.fill(drawn.as_mut_slice())?;
    let parts = parts(request, record, share, &drawn).ok_or(Refusal::Calculation)?;
    let mut own = Zeroizing::new([0; 32]);
    random.fill(own.as_mut_slice())?;
    let context = context(&request.id(), share.number);
    let body = seal::public(&own).and_then(|public| {
        let sealed = seal::seal(&own, &request.target, &context, &parts)?;
        Some(Writer::of(LABEL).fixed(&public).bytes(&sealed).done())
    });
    let head = (Kind::Partial, request.id(), request.generation);
    Ok(Message::new(head, share.number, body.ok_or(Refusal::Calculation)?, key))
}

/// What a sealed answer belongs to.
fn context(id: &[u8; 32], from: u16) -> Vec<u8> {
    Writer::of(b"evenkeel group partial packet 1").fixed(id).u16(from).done()
}

/// For each stanza the part and its proof.
fn parts(
    request: &Request,
    record: &Record,
    share: &KeyShare,
    drawn: &[u8; 32],
) -> Option<Zeroizing<Vec<u8>>> {
    let secret = Zeroizing::new(scalar::<Recipient>(share.secret.as_slice())?);
    let public = record.verifying_share(share.number).and_then(point::<Recipient>)?;
    let id = request.id();
    let mut parts = Zeroizing::new(Vec::with_capacity(96 * request.stanzas.len()));
    for stanza in &request.stanzas {
        let lifted = lift(&stanza.share)?;
        let part = lifted * *secret;
        let by = (share.number, public);
        let statement = Statement::new(request, &id, by, (stanza, lifted), part);
        let proof = Proof::make(&secret, &statement, drawn)?;
        parts.extend_from_slice(part.compress().as_bytes());
        parts.extend_from_slice(proof.challenge.as_bytes());
        parts.extend_from_slice(proof.response.as_bytes());
    }
    Some(parts)
}

/// A holder's parts, one for each stanza, each shown to be made with its recorded share.
///
/// # Errors
/// What the holder did wrong; its signature is on it.
pub(super) fn read(
    message: &Message,
    request: &Request,
    record: &Record,
    target: &TargetKey,
) -> Result<Vec<EdwardsPoint>, Misdeed> {
    let from = message.from;
    let id = request.id();
    let opened = unseal(message, &context(&id, from), target);
    let opened = opened.map_err(|_| Misdeed::Form(Kind::Partial))?;
    let public = record.verifying_share(from).and_then(point::<Recipient>);
    let public = public.ok_or(Misdeed::Form(Kind::Partial))?;
    let mut reader = Reader::of(&opened, b"", "").map_err(|_| Misdeed::Form(Kind::Partial))?;
    let mut parts = Vec::with_capacity(request.stanzas.len());
    for stanza in &request.stanzas {
        let read = one(&mut reader).map_err(|_| Misdeed::Form(Kind::Partial))?;
        let (part, proof) = read.ok_or(Misdeed::Partial)?;
        let lifted = lift(&stanza.share).ok_or(Misdeed::Partial)?;
        let statement = Statement::new(request, &id, (from, public), (stanza, lifted), part);
        if !proof.holds(&statement) {
            return Err(Misdeed::Partial);
        }
        parts.push(part);
    }
    reader.end().map_err(|_| Misdeed::Form(Kind::Partial))?;
    Ok(parts)
}

fn unseal(
    message: &Message,
    context: &[u8],
    target: &TargetKey,
) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    let mut reader = Reader::of(&message.body, LABEL, "the partial")?;
    let (from, packet) = (reader.array()?, reader.bytes()?);
    let opened = seal::open(&target.0, &from, context, packet).ok_or_else(|| reader.fail())?;
    reader.end().map(|()| opened)
}

/// A part and its proof; `None` if they are no point and scalars of the group.
fn one(reader: &mut Reader<'_>) -> Result<Option<(EdwardsPoint, Proof)>, Malformed> {
    let part = point::<Recipient>(reader.take(32)?);
    let scalars: [[u8; 32]; 2] = [reader.array()?, reader.array()?];
    let [challenge, response] = scalars.map(|it| Scalar::from_canonical_bytes(it).into_option());
    let proof = challenge.zip(response).map(|(challenge, response)| Proof { challenge, response });
    Ok(part.zip(proof))
}
