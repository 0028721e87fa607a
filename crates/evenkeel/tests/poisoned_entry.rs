//! An order at which the engine panics: the primary dies, its standby finds out that it would die
//! there too, passes over it, and goes on; its instrument is halted and nothing else.

#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use common::Rig;
use common::audit::lost_acks;
use common::daemon::{Daemon, live_status};
use evenkeel_journal::{Reader, RealDisk};
use evenkeel_recovery::client::{ToClient, ToVenue};
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::{Request, Unframer, write_message};
use evenkeel_types::{
    AccountId, Canonical as _, ClientSequence, Command, Entry, Event, InstrumentId, InstrumentKind,
    Lots, NewOrder, Origin, OutcomeKind, RejectCode, SessionId, Side, Ticks, TimeInForce,
};

const LABEL: u64 = 77_777_777;

fn rig() -> Rig {
    let rig = Rig::new()
        .with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0")
        .with("EVENKEEL_TEST_POISON_LABEL", &LABEL.to_string());
    rig.ok("init --home h --dashboard off");
    rig
}

fn keeper(rig: &Rig) -> Daemon {
    let mut command = rig.command("up --home h --dashboard off --ack-log");
    let mut keeper = Daemon::spawn(rig, command.arg(rig.beside("ack")));
    keeper.until_acked(rig, 500);
    keeper
}

/// Instruments that never expire.
fn perpetuals(rig: &Rig) -> Vec<InstrumentId> {
    let reader = Reader::external(Arc::new(RealDisk), &rig.journal(), 0).unwrap();
    let records = reader.flat_map(|batch| batch.unwrap().records).take(2_000);
    let named =
        records.filter_map(|record| match Entry::from_bytes(&record.entry).unwrap().command {
            Command::DefineInstrument { instrument } => Some(instrument),
            _ => None,
        });
    named.filter(|it| it.kind == InstrumentKind::Perpetual).map(|it| it.id).collect()
}

fn order(instrument: InstrumentId, sequence: u64, label: u64) -> Request {
    let (account, session) = (AccountId(1), SessionId(1 << 40));
    Request {
        origin: Origin { account, session, sequence: ClientSequence(sequence) },
        command: Command::Place {
            order: NewOrder {
                instrument,
                side: Side::Buy,
                price: Some(Ticks(1)),
                lots: Lots(1),
                time_in_force: TimeInForce::GoodTillCancel,
                post_only: true,
                label,
            },
        },
    }
}

/// Sends a request to whoever is the primary; what it answers, if it lives to do so.
fn send(rig: &Rig, request: &Request) -> Option<Option<Vec<Event>>> {
    let doors = ["clients-a.sock", "clients-b.sock"].map(|name| rig.path("h/host").join(name));
    let stream = doors.iter().find_map(|door| is_primary(door))?;
    let (mut stream, mut unframer) = stream;
    let mut bytes = Vec::new();
    let request = Box::new(request.clone());
    write_message(&ToVenue::Request { request }, &mut bytes).unwrap();
    stream.write_all(&bytes).ok()?;
    Some(match hear(&mut stream, &mut unframer) {
        Some(ToClient::Acked { ack, .. }) => Some(ack.events),
        _ => None,
    })
}

fn is_primary(door: &std::path::Path) -> Option<(UnixStream, Unframer)> {
    let mut stream = UnixStream::connect(door).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut bytes = Vec::new();
    let hello = ToVenue::Hello { version: ProtocolVersion, name: "a test".to_owned().into() };
    write_message(&hello, &mut bytes).unwrap();
    stream.write_all(&bytes).ok()?;
    let mut unframer = Unframer::new();
    let welcome = hear(&mut stream, &mut unframer)?;
    matches!(welcome, ToClient::Welcome { .. }).then_some((stream, unframer))
}

fn hear(stream: &mut UnixStream, unframer: &mut Unframer) -> Option<ToClient> {
    loop {
        if let Some(message) = unframer.next_message().unwrap() {
            return Some(message);
        }
        let mut buffer = [0; 4_096];
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        unframer.feed(&buffer[..count]);
    }
}

/// The outcome of a request that is answered, whoever is the primary by then.
fn outcome(keeper: &mut Daemon, rig: &Rig, request: &Request) -> OutcomeKind {
    let events = keeper.until("an answer", || send(rig, request).flatten());
    match events.last().unwrap() {
        Event::Completed { outcome } => outcome.kind,
        Event::Repeated { original } => original.kind,
        other => panic!("{other:?}"),
    }
}

fn refused(code: RejectCode) -> OutcomeKind {
    OutcomeKind::Rejected { code }
}

#[test]
fn a_poisoned_order_costs_its_instrument_and_nothing_else() {
    let rig = rig();
    let mut keeper = keeper(&rig);
    keeper.until_followed(&rig, 1);
    let [instrument, other, ..] = perpetuals(&rig)[..] else { panic!("two perpetuals") };
    let poisoned = order(instrument, 1, LABEL);
    assert_eq!(send(&rig, &poisoned), Some(None), "the primary died before it could answer");
    let failover = keeper.until("the failover to be measured", || {
        let status = live_status(&rig)?;
        let last = &status["last_failover"];
        (last["term"].as_u64()? >= 2).then(|| last.clone())
    });
    assert_eq!(failover["acknowledged_lost"], 0, "{failover}");
    assert_eq!(failover["applied_twice"], 0, "{failover}");
    let alarm = keeper.until_condition(&rig, "entry_passed_over");
    let message = alarm["message"].as_str().unwrap();
    assert!(message.contains("a test's poison") && message.contains("is halted"), "{alarm}");
    let said = keeper.said();
    assert!(said.contains("a second process tries it"), "{said}");
    assert!(said.contains("it panics there as well"), "{said}");
    keeper.until_acked(&rig, 500);
    keeper.until_followed(&rig, 2);
    assert_eq!(outcome(&mut keeper, &rig, &poisoned), refused(RejectCode::Skipped));
    // Behind a resume the venue opens step by step, and says so first.
    keeper.until("the venue to reopen", || (live_status(&rig)?["mode"] == "normal").then_some(()));
    let again = order(instrument, 2, 1);
    assert_eq!(outcome(&mut keeper, &rig, &again), refused(RejectCode::Halted));
    let elsewhere = outcome(&mut keeper, &rig, &order(other, 3, 1));
    assert_ne!(elsewhere, refused(RejectCode::Halted));
    keeper.end();
    assert!(lost_acks(&rig, &rig.acks()).is_empty());
    everybody_agrees(&rig);
    // A restart of the whole, with the entry as poisonous as ever.
    let mut keeper = self::keeper(&rig);
    keeper.until_followed(&rig, 3);
    assert_eq!(outcome(&mut keeper, &rig, &poisoned), refused(RejectCode::Skipped));
    keeper.end();
    assert!(lost_acks(&rig, &rig.acks()).is_empty());
    everybody_agrees(&rig);
}

/// This host, its sites and a drill give one state, in which one entry is passed over.
fn everybody_agrees(rig: &Rig) {
    let here = rig.json("journal replay --home h --json");
    assert_eq!(here["passed_over"].as_array().unwrap().len(), 1, "{here}");
    let _ = std::fs::remove_dir_all(rig.path("new"));
    rig.ok("restore --config h/evenkeel.toml --identity h/recovery-identity.txt --to new");
    let there = rig.json("journal replay --home new --json");
    assert_eq!(there["state_root"], here["state_root"], "{here} {there}");
    assert_eq!(there["output_digest"], here["output_digest"]);
    let key = "--identity h/recovery-identity.txt";
    let drill = rig.run(&format!("drill --home h --level D4 {key} --json"));
    assert_eq!(drill.json()["result"], "ok", "{drill:?}");
    assert_eq!(drill.json()["state_root"], here["state_root"], "{drill:?}");
    rig.ok("journal verify --home h");
}
