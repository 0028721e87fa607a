//! A holder as a process of its own, which stops with everything in memory at each step.

use std::io::{BufRead, Write};
use std::path::Path;

use evenkeel_custody::group::decrypt::{Request as Question, TargetKey, answer, open};
use evenkeel_custody::group::sign::{Request, Session, aggregate};
use evenkeel_custody::group::{
    Ceremony, Curve, Ed25519, HolderKey, KeyShare, Message, Pending, Plan, Recipient, Sealed,
    Secp256k1, Seed, Step, Suite,
};
use zeroize::Zeroize;

use crate::decrypt::{NOW_S, vouched};
use crate::no_assembly::Os;

/// Names the folder of the holder, in its process alone.
pub const CHILD: &str = "EVENKEEL_TEST_HOLDER";
pub const CURVE: &str = "EVENKEEL_TEST_CURVE";
/// What is to be planted comes masked: else the order itself would be found.
const MASK: u8 = 0x5a;

pub fn main(folder: &Path) {
    match std::env::var(CURVE).unwrap().as_str() {
        "ed25519" => serve::<Ed25519>(folder),
        "secp256k1" => serve::<Secp256k1>(folder),
        _ => serve::<Recipient>(folder),
    }
}

/// Says where it is and waits to be told to go on.
fn pause(at: &str) -> String {
    let mut out = std::io::stdout();
    writeln!(out, "\n@ {at}").unwrap();
    out.flush().unwrap();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    if line.is_empty() {
        std::process::exit(0);
    }
    line.trim().to_owned()
}

fn serve<C: Suite>(own: &Path) {
    loop {
        let order = pause("idle");
        let (what, rest) = order.split_once(' ').unwrap_or((&order, ""));
        let table = Path::new(rest);
        match what {
            "ceremony" => ceremony::<C>(own, table),
            "sign" => sign::<C>(own, table),
            "answer" => answered(own, table),
            "open" => opened(own, table),
            "load" => {
                let share = share(own);
                pause("loaded");
                drop(share);
            }
            "plant" => planted(rest),
            _ => std::process::exit(0),
        }
    }
}

/// The order that has these bytes put into memory.
pub fn plant(bytes: &[u8]) -> String {
    let masked: String = bytes.iter().map(|byte| format!("{:02x}", byte ^ MASK)).collect();
    format!("plant {masked}")
}

fn planted(masked: &str) {
    let digits = (0..masked.len()).step_by(2);
    let byte = |at: usize| u8::from_str_radix(&masked[at..at + 2], 16).unwrap() ^ MASK;
    let mut bytes: Vec<u8> = digits.map(byte).collect();
    std::hint::black_box(&bytes);
    pause("planted");
    bytes.zeroize();
}

fn key(own: &Path) -> HolderKey {
    HolderKey::from_bytes(&std::fs::read(own.join("key")).unwrap()).unwrap()
}

fn share(own: &Path) -> Option<KeyShare> {
    let bytes = std::fs::read(own.join("share")).ok()?;
    Some(KeyShare::from_bytes(&bytes).unwrap())
}

fn sealed(file: &Path) -> Option<Sealed> {
    Some(Sealed::from_bytes(&std::fs::read(file).ok()?).unwrap())
}

fn messages(table: &Path) -> Vec<Message> {
    let entries = std::fs::read_dir(table).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension() == Some("message".as_ref()));
    files.map(|path| Message::from_bytes(&std::fs::read(path).unwrap()).unwrap()).collect()
}

/// Whole or not at all.
fn lay(table: &Path, name: &str, bytes: &[u8]) {
    let beside = table.join(format!(".{name}.{}", std::process::id()));
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(beside, table.join(name)).unwrap();
}

fn lay_message(table: &Path, message: &Message) {
    let name = format!("{}-{}.message", message.kind, message.from);
    lay(table, &name, &message.to_bytes());
}

fn ceremony<C: Suite>(own: &Path, table: &Path) {
    let plan = Plan::from_bytes(&std::fs::read(table.join("plan")).unwrap()).unwrap();
    let previous = sealed(&table.join("previous"));
    let key = key(own);
    let kept = std::fs::read(own.join("seed")).ok();
    let seed = match kept.and_then(|bytes| Seed::from_bytes(&bytes).ok()) {
        Some(seed) => seed,
        None => Seed::generate(&plan, &mut Os).unwrap(),
    };
    let share = share(own);
    let part = Ceremony::<C>::new(&plan, previous.as_ref(), &key, &seed, share.as_ref()).unwrap();
    let pending = loop {
        let on_table = Ceremony::<C>::table(&plan, messages(table));
        match part.next(&on_table).unwrap() {
            Step::Send(message) => {
                lay_message(table, &message);
                pause(message.kind.word());
            }
            Step::Wait { .. } => {
                pause("waiting");
            }
            Step::Ready(pending) => break pending,
        }
    };
    pause("ready");
    test::<C>(table, &pending, &key);
    while !table.join("sealed").exists() {
        pause("waiting for the record");
    }
    let new = sealed(&table.join("sealed")).unwrap();
    match &pending.share {
        Some(share) => {
            lay(own, "share", &share.to_bytes());
            lay(own, "record", &new.to_bytes());
        }
        None => std::fs::remove_file(own.join("share")).unwrap(),
    }
    let _ = std::fs::remove_file(own.join("seed"));
    pause("switched");
}

/// The test signature, by the first of the new holders.
fn test<C: Suite>(table: &Path, pending: &Pending, key: &HolderKey) {
    let record = &pending.record;
    let signers = record.holders.iter().take(usize::from(record.threshold));
    let signers: Vec<u16> = signers.map(|holder| holder.number).collect();
    let Some(share) = pending.share.as_ref().filter(|share| signers.contains(&share.number)) else {
        return;
    };
    if share.number == signers[0] {
        let all = signers.iter().copied().collect();
        lay(table, "request", &Request::test(record, &all, &mut Os).unwrap().to_bytes());
    }
    while !table.join("request").exists() {
        pause("waiting for the request");
    }
    let request = Request::from_bytes(&std::fs::read(table.join("request")).unwrap()).unwrap();
    let (session, message) =
        Session::<C>::begin_test(&request, record, share, key, &mut Os).unwrap();
    let signature = finish(table, &request, record, session, &message);
    if share.number == signers[0] {
        let new = Sealed::new(record.clone(), signature).unwrap();
        lay(table, "sealed", &new.to_bytes());
    }
}

fn finish<C: Suite>(
    table: &Path,
    request: &Request,
    record: &evenkeel_custody::group::Record,
    session: Session<'_, C>,
    message: &Message,
) -> Vec<u8> {
    use evenkeel_custody::group::Kind;
    lay_message(table, message);
    pause("committed");
    let wait = |kind: Kind| loop {
        let all = request.table(record, messages(table));
        if request.missing(kind, &all).is_empty() {
            return all;
        }
        pause("waiting for signers");
    };
    let commitments = wait(Kind::Commitment);
    let signed = session.sign(&commitments).unwrap();
    lay_message(table, &signed);
    pause("signed");
    let shares = wait(Kind::SignatureShare);
    let signature = aggregate::<C>(request, record, &shares).unwrap();
    pause("aggregated");
    signature
}

fn sign<C: Suite>(own: &Path, table: &Path) {
    let (key, share) = (key(own), share(own).unwrap());
    let new = sealed(&own.join("record")).unwrap();
    let request = Request::from_bytes(&std::fs::read(table.join("request")).unwrap()).unwrap();
    let (session, message) = Session::<C>::begin(&request, &new, &share, &key, &mut Os).unwrap();
    let signature = finish(table, &request, new.record(), session, &message);
    lay(table, "signature", &signature);
}

fn question(table: &Path) -> Question {
    Question::from_bytes(&std::fs::read(table.join("question")).unwrap()).unwrap()
}

fn answered(own: &Path, table: &Path) {
    let (key, share, question) = (key(own), share(own).unwrap(), question(table));
    let record = sealed(&own.join("record")).unwrap();
    assert_eq!(record.record().curve, Curve::Recipient);
    let stanzas = vouched(&question.stanzas);
    pause("asked");
    let message = answer(&question, &record, (&share, &key), &stanzas, NOW_S, &mut Os).unwrap();
    lay_message(table, &message);
    pause("answered");
}

fn opened(own: &Path, table: &Path) {
    let target = TargetKey::from_bytes(&std::fs::read(own.join("target")).unwrap()).unwrap();
    let (question, record) = (question(table), sealed(&table.join("previous")).unwrap());
    let on_table = question.table(record.record(), messages(table));
    pause("asking");
    let (_, opened) = open(&question, &record, &target, &on_table).unwrap();
    let opened = opened.unwrap();
    pause("opened");
    lay(table, "file-key", opened.keys.values().next().unwrap().as_slice());
}
