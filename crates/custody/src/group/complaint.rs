//! A complaint opens one packet to everybody, who then see whether dealer or complainer is wrong.

use zeroize::Zeroizing;

use super::fault::{Fault, Misdeed};
use super::message::{Kind, Message};
use super::opening::{Opening, context, open, packets};
use super::plan::Plan;
use super::seal::{self, BoxKey};
use super::suite::Suite;
use super::wire::{Malformed, Reader, Writer};

const LABEL: &[u8] = b"complaint 1";

/// The deal that is complained of, and the key that opens the complainer's packet in it.
pub(super) fn write(deal: &Message, key: &BoxKey) -> Vec<u8> {
    let mut writer = Writer::of(LABEL);
    writer.fixed(key.as_slice()).bytes(&deal.to_bytes()).done()
}

fn read(body: &[u8]) -> Result<(BoxKey, Message), Malformed> {
    let mut reader = Reader::of(body, LABEL, "the complaint")?;
    let key = Zeroizing::new(reader.array()?);
    let deal = Message::from_bytes(reader.bytes()?)?;
    reader.end()?;
    Ok((key, deal))
}

/// Who is wrong. `on_table` is the deal that everybody else has of the accused.
pub(super) fn judge<C: Suite>(
    complaint: &Message,
    plan: &Plan,
    (session, transcript): (&[u8; 32], &[u8; 32]),
    opening_of: impl Fn(u16) -> Option<Opening<C>>,
    on_table: impl Fn(u16) -> Option<Message>,
) -> Fault {
    let complainer = complaint.from;
    let form = Fault::culprit(complainer, Misdeed::Form(Kind::Complaint));
    let Ok((key, deal)) = read(&complaint.body) else {
        return form;
    };
    let dealer = deal.from;
    let about = (deal.session, deal.generation, deal.kind);
    let signer = plan.dealers.iter().find(|holder| holder.number == dealer);
    let genuine = signer.is_some_and(|holder| deal.is_signed_by(&holder.key));
    if about != (*session, plan.generation, Kind::Deal) || !genuine {
        return form;
    }
    if on_table(dealer).is_some_and(|other| other != deal) {
        return Fault::culprit(dealer, Misdeed::TwoMessages(Kind::Deal));
    }
    let published = opening_of(complainer).and_then(|it| it.boxes.get(&dealer).copied());
    if published.is_none() || seal::public(&key) != published {
        return form;
    }
    let commitment = opening_of(dealer).and_then(|opening| opening.dealer);
    let packets = packets(&deal.body).ok();
    let packet = packets.as_ref().and_then(|all| all.get(&complainer));
    let context = context(session, transcript, dealer, complainer);
    let good = commitment.zip(packet).is_some_and(|((commitment, _), packet)| {
        open::<C>(packet, &key, &context, complainer, &commitment).is_some()
    });
    if good {
        Fault::culprit(complainer, Misdeed::FalseComplaint(dealer))
    } else {
        Fault::culprit(dealer, Misdeed::WrongShare(complainer))
    }
}
