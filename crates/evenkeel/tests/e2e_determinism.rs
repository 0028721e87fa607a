//! The same journal gives the same roots and digests: twice, with a restore in the middle, and
//! across versions of the program.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "what only tests call is a test as well"
)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use common::Rig;
use common::audit::{Figures, hex, replay, text};
use common::daemon::Daemon;
use common::random::Random;
use evenkeel::demo::{Crowd, PriceModel, QuoteBoard, plan};
use evenkeel_journal::{Reader, RealDisk};
use evenkeel_types::codec;
use evenkeel_types::merkle::{Frontier, leaf_hash};
use evenkeel_types::{
    AccountId, Canonical as _, ClientSequence, Command, Entry, Event, Origin, SessionId, Term,
    Timestamp,
};
use evenkeel_venue::Engine;

#[test]
fn a_demonstration_replays_to_the_same_figures_twice_and_through_a_restore() {
    let rig = Rig::new().with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1");
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_points(&rig, 2);
    daemon.until_acked(&rig, 1_000);
    daemon.end();
    let first = replay(&rig.journal(), &BTreeSet::new());
    let again = std::thread::scope(|scope| {
        // Beside another replay, on another thread: nothing shared can leak in.
        let beside = scope.spawn(|| replay(&rig.journal(), &BTreeSet::new()));
        let here = replay(&rig.journal(), &BTreeSet::new());
        assert_eq!(beside.join().unwrap().end, here.end);
        here
    });
    assert_eq!(first.end, again.end);

    // Restored from a snapshot in the middle, the rest applied on top.
    let middle = first.next() / 2;
    assert_eq!(through_a_snapshot(&rig.journal(), middle), first.end);

    // And by the product: the promoted restore of a middle point replays to the same prefix.
    let points = rig.ok("points --home h --json").json();
    let position = points["points"][0]["position"].as_u64().unwrap();
    let restored = rig
        .ok(&format!(
            "restore --config h/evenkeel.toml --identity h/recovery-identity.txt --to new \
             --at-position {} --json",
            position + 1
        ))
        .json();
    let wanted = BTreeSet::from([position + 1]);
    let there = &replay(&rig.journal(), &wanted).at[&(position + 1)];
    assert_eq!(text(&restored["state_root"]), there.state_root);
    let copy = replay(&rig.path("new/host/journal"), &BTreeSet::new());
    assert_eq!(&copy.end, there);
}

/// Replays with the engine thrown away and read back from its snapshot at a position.
fn through_a_snapshot(dir: &Path, position: u64) -> Figures {
    let mut engine = Engine::new();
    let mut tree = Frontier::new();
    let mut events = Vec::new();
    let mut reader = Reader::external(Arc::new(RealDisk), dir, 0).expect("the journal opens");
    while let Some(batch) = reader.next_batch().expect("the journal reads") {
        for record in batch.records {
            if record.position == position {
                engine = Engine::from_snapshot(&engine.snapshot()).expect("its own snapshot");
            }
            tree.push(leaf_hash(&record.entry));
            events.clear();
            engine.apply(&Entry::from_bytes(&record.entry).expect("an entry"), &mut events);
        }
    }
    Figures {
        state_root: hex(&engine.state_root()),
        journal_root: hex(&tree.root()),
        output_digest: hex(&engine.output_digest()),
    }
}

/// 2026-11-21T00:00:00Z.
const START: Timestamp = Timestamp(1_795_219_200_000_000_000);
const SEED: u64 = 7;
const ACCOUNTS: u32 = 60;
const ROUNDS: u64 = 300;
const ROUND_NS: u64 = 50_000_000;

/// The demonstration's founding and its crowd in simulated time.
struct Golden {
    engine: Engine,
    tree: Frontier,
    now: Timestamp,
    entries: codec::Writer,
}

impl Golden {
    fn new() -> Self {
        Self {
            engine: Engine::new(),
            tree: Frontier::new(),
            now: START,
            entries: codec::Writer::new(),
        }
    }

    fn apply(&mut self, entry: &Entry) -> Vec<Event> {
        let mut events = Vec::new();
        let bytes = entry.to_bytes();
        self.tree.push(leaf_hash(&bytes));
        self.entries.bytes(&bytes);
        self.engine.apply(entry, &mut events);
        events
    }

    fn command(&mut self, origin: Origin, command: Command) -> Vec<Event> {
        let time = self.now;
        self.apply(&Entry { time, origin, command })
    }

    fn figures(&self) -> String {
        let engine = &self.engine;
        format!(
            "entries {}\nstate_root {}\njournal_root {}\noutput_digest {}\n",
            engine.next_position().0,
            hex(&engine.state_root()),
            hex(&self.tree.root()),
            hex(&engine.output_digest()),
        )
    }

    fn operator(&mut self, session: u64, sequence: u64, command: Command) {
        let origin = Origin {
            account: AccountId::OPERATOR,
            session: SessionId(session),
            sequence: ClientSequence(sequence),
        };
        self.command(origin, command);
    }
}

fn golden() -> Golden {
    let market = plan(SEED, ACCOUNTS, START);
    let mut prices = PriceModel::new(&market, SEED);
    let board = QuoteBoard::new(&market);
    let mut run = Golden::new();
    let commands = market.founding_commands([7; 16], [9; 32]);
    for (command, sequence) in commands.into_iter().zip(1..) {
        run.operator(1, sequence, command);
    }
    run.operator(0, 1, Command::Resume { term: Term(1) });
    let session = SessionId(8);
    let mut crowd = Crowd::new(&market, SEED, 0..market.accounts.len(), session);
    let mut random = Random::new(SEED);
    let mut marks = 0;
    for round in 0..ROUNDS {
        run.now = Timestamp(START.0 + round * ROUND_NS);
        if round.is_multiple_of(10) {
            prices.step(10 * ROUND_NS);
            board.publish(&prices.marks());
            for (instrument, mark) in prices.marks() {
                marks += 1;
                run.operator(2, marks, Command::SetMark { instrument, mark });
            }
        }
        let budget = 5 + random.index(10);
        for (origin, command) in crowd.next_batch(run.now.0, &board, budget) {
            let events = run.command(origin, command);
            crowd.on_ack(&origin, &events);
        }
    }
    run
}

/// Entries of the fixture, each behind its length, compressed.
const ENTRIES: &str = "tests/fixtures/golden_demo.entries.zst";
const FIGURES: &str = "tests/fixtures/golden_demo.txt";

/// A change here means that an old journal no longer replays to what it was: engine rules change by
/// an entry in the journal, never by a new binary.
///
/// The entries are kept as bytes, since the demonstration's prices are made with floating point:
/// what makes them may change, what they lead to may not. `EVENKEEL_GOLDEN=write` makes them anew.
#[test]
fn the_golden_history_still_has_its_golden_roots() {
    let file = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let is_write = std::env::var("EVENKEEL_GOLDEN").is_ok_and(|text| text == "write");
    if is_write {
        let made = golden();
        let packed = zstd::encode_all(made.entries.as_bytes(), 19).unwrap();
        std::fs::write(file(ENTRIES), packed).unwrap();
        std::fs::write(file(FIGURES), made.figures()).unwrap();
    }
    let packed = std::fs::read(file(ENTRIES)).unwrap();
    let bytes = zstd::decode_all(packed.as_slice()).unwrap();
    let mut reader = codec::Reader::new(&bytes);
    let mut replayed = Golden::new();
    while reader.remaining() > 0 {
        let entry = reader.bytes(Entry::MAX_BYTES).unwrap();
        replayed.apply(&Entry::from_bytes(entry).unwrap());
    }
    let golden = std::fs::read_to_string(file(FIGURES)).unwrap();
    assert_eq!(replayed.figures(), golden);
    assert!(replayed.engine.open_order_count() > 100);
}
