//! What everybody shows before anything is dealt, and the packets that are dealt then.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::fault::{Fault, Misdeed};
use super::message::{Kind, Message};
use super::plan::Plan;
use super::record::Record;
use super::seal::{self, BoxKey};
use super::suite::{SCALAR_BYTES, Suite, lagrange, point};
use super::vss::{Commitment, Polynomial, Proof};
use super::wire::{Malformed, Reader, Writer};

const OPENING: &[u8] = b"opening 1";
const DEAL: &[u8] = b"deal 1";
const WHAT: &str = "the opening";
/// A share and the tag of AES-256-GCM.
const PACKET_BYTES: usize = SCALAR_BYTES + 16;

/// A dealer's commitments and proof, and the keys for what a receiver is to be sent.
pub(super) struct Opening<C: Suite> {
    pub(super) dealer: Option<(Commitment<C>, Proof<C>)>,
    pub(super) boxes: BTreeMap<u16, [u8; 32]>,
}

impl<C: Suite> Opening<C> {
    pub(super) fn write(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::of(OPENING);
        match &self.dealer {
            Some((commitment, proof)) => {
                writer.u8(1);
                commitment.write(&mut writer)?;
                proof.write(&mut writer)?;
            }
            None => {
                writer.u8(0);
            }
        }
        writer.count(self.boxes.len());
        for (dealer, key) in &self.boxes {
            writer.u16(*dealer).fixed(key);
        }
        Some(writer.done())
    }

    fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::of(body, OPENING, WHAT)?;
        let dealer = match reader.u8()? {
            0 => None,
            1 => Some((Commitment::read(&mut reader)?, Proof::read(&mut reader)?)),
            _ => return Err(reader.fail()),
        };
        let mut boxes = BTreeMap::new();
        for _ in 0..reader.count()? {
            boxes.insert(reader.u16()?, reader.array()?);
        }
        reader.end()?;
        Ok(Self { dealer, boxes })
    }

    /// Reads and checks what a holder signed: the parts its role asks for, the proof, and that a
    /// dealer of a change deals its recorded share.
    ///
    /// # Errors
    /// [`Fault::Culprit`].
    pub(super) fn check(
        message: &Message,
        plan: &Plan,
        session: &[u8; 32],
        previous: Option<&Record>,
    ) -> Result<Self, Fault> {
        let wrong = |misdeed| Fault::culprit(message.from, misdeed);
        let form = || wrong(Misdeed::Form(Kind::Opening));
        let opening = Self::read(&message.body).map_err(|_| form())?;
        let dealers = plan.dealer_numbers();
        let receives = plan.holder_numbers().contains(&message.from);
        let expected = if receives { dealers.clone() } else { Vec::new() };
        let keys_fit = opening.boxes.keys().copied().eq(expected);
        if !keys_fit || !opening.boxes.values().all(seal::usable) {
            return Err(form());
        }
        if opening.dealer.is_some() != dealers.contains(&message.from) {
            return Err(form());
        }
        let Some((commitment, proof)) = &opening.dealer else {
            return Ok(opening);
        };
        if commitment.len() != usize::from(plan.threshold) {
            return Err(form());
        }
        let constant = commitment.constant().ok_or_else(form)?;
        if !proof.holds(&constant, session) {
            return Err(wrong(Misdeed::Proof));
        }
        if let Some(record) = previous {
            let share = record.verifying_share(message.from).and_then(point::<C>);
            let factor = lagrange::<C>(message.from, &dealers);
            let pinned = share.zip(factor).map(|(share, factor)| share * factor);
            if pinned != Some(constant) {
                return Err(wrong(Misdeed::Constant));
            }
        }
        Ok(opening)
    }
}

/// One packet of a deal.
pub(super) struct Packet {
    from: [u8; 32],
    sealed: Vec<u8>,
}

/// What a packet belongs to; sealed into it.
pub(super) fn context(session: &[u8; 32], transcript: &[u8; 32], dealer: u16, to: u16) -> Vec<u8> {
    let mut writer = Writer::of(b"evenkeel group packet 1");
    writer.fixed(session).fixed(transcript).u16(dealer).u16(to).done()
}

/// A dealer's packets to all who receive.
pub(super) fn deal<C: Suite>(
    polynomial: &Polynomial<C>,
    seed: &[u8; 32],
    (session, transcript): (&[u8; 32], &[u8; 32]),
    dealer: u16,
    keys: &BTreeMap<u16, [u8; 32]>,
) -> Option<Vec<u8>> {
    let mut writer = Writer::of(DEAL);
    writer.count(keys.len());
    for (to, key) in keys {
        let share = polynomial.at(*to)?;
        let own = seal::drawn(seed, session, b"dealer", *to)?;
        let context = context(session, transcript, dealer, *to);
        let sealed = seal::seal(&own, key, &context, share.as_slice())?;
        writer.u16(*to).fixed(&seal::public(&own)?).fixed(&sealed);
    }
    Some(writer.done())
}

/// The packets of a deal, by receiver.
pub(super) fn packets(body: &[u8]) -> Result<BTreeMap<u16, Packet>, Malformed> {
    let mut reader = Reader::of(body, DEAL, "the deal")?;
    let mut packets = BTreeMap::new();
    for _ in 0..reader.count()? {
        let to = reader.u16()?;
        let from = reader.array()?;
        packets.insert(to, Packet { from, sealed: reader.take(PACKET_BYTES)?.to_vec() });
    }
    reader.end()?;
    Ok(packets)
}

/// The share in a packet; `None` if it does not open or is not on the polynomial.
pub(super) fn open<C: Suite>(
    packet: &Packet,
    key: &BoxKey,
    context: &[u8],
    to: u16,
    commitment: &Commitment<C>,
) -> Option<Zeroizing<Vec<u8>>> {
    let share = seal::open(key, &packet.from, context, &packet.sealed)?;
    commitment.holds(to, &share).then_some(share)
}
