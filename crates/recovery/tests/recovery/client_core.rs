//! The client's core against a venue that loses connections, answers late or twice, has a full disk
//! now and then, and moves to another host.

use std::collections::{BTreeMap, VecDeque};

use evenkeel_recovery::client::{Answer, Client, NotSubmitted, Output, Plan, ToClient, ToVenue};
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::{Ack, Refused, Request};
use evenkeel_types::codec::Canonical;
use evenkeel_types::merkle::leaf_hash;
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, Entry, Event, Money, Origin,
    SessionId, Symbol, Timestamp,
};
use evenkeel_venue::{Engine, WINDOW};
use proptest::prelude::*;

use crate::support::market::{Random, USD};

const HOLDER: AccountId = AccountId(1);
const MS: u64 = 1_000_000;

fn origin(session: u64, sequence: u64) -> Origin {
    let (session, sequence) = (SessionId(session), ClientSequence(sequence));
    Origin { account: AccountId::OPERATOR, session, sequence }
}

/// Each command pays in one unit, so that the balance counts how often one took effect.
fn pay_in(session: u64, sequence: u64) -> Request {
    let command = Command::Deposit { account: HOLDER, currency: USD, amount: Money(1) };
    Request { origin: origin(session, sequence), command }
}

/// One connection as the network sees it.
#[derive(Default)]
struct Wire {
    host: usize,
    open: bool,
    to_venue: VecDeque<ToVenue>,
    to_client: VecDeque<ToClient>,
}

/// The venue's hosts with one journal between them.
struct Venue {
    engine: Engine,
    primary: usize,
    term: u64,
    wires: BTreeMap<u64, Wire>,
    random: Random,
    is_calm: bool,
}

/// Hosts 0 to 2.
const HOSTS: usize = 3;

impl Venue {
    fn new(seed: u64) -> Self {
        let mut venue = Self {
            engine: Engine::new(),
            primary: 0,
            term: 1,
            wires: BTreeMap::new(),
            random: Random(seed),
            is_calm: false,
        };
        let currency = Currency { id: USD, code: Symbol::new("USD").unwrap(), scale: 2 };
        let opening = [
            Command::Found { venue: [1; 16], salt: [2; 32] },
            Command::DefineCurrency { currency },
            Command::OpenAccount { account: HOLDER, collateral: Collateral::Checked },
        ];
        for (command, sequence) in opening.into_iter().zip(1..) {
            venue.apply(Request { origin: origin(9, sequence), command });
        }
        venue
    }

    fn apply(&mut self, Request { origin, command }: Request) -> Ack {
        let entry = Entry { time: Timestamp(self.engine.next_position().0), origin, command };
        let position = self.engine.next_position();
        let mut events = Vec::new();
        self.engine.apply(&entry, &mut events);
        Ack { position, entry_hash: leaf_hash(&entry.to_bytes()), events }
    }

    fn chance(&mut self, count: u64) -> bool {
        !self.is_calm && self.random.one_in(count)
    }

    /// A host takes one message of a connection.
    fn serve(&mut self, connection: u64) {
        let (primary, term) = (self.primary, self.term);
        let Some(wire) = self.wires.get_mut(&connection).filter(|wire| wire.open) else { return };
        let Some(message) = wire.to_venue.pop_front() else { return };
        if wire.host != primary {
            let knows = !self.is_calm && self.random.one_in(2);
            let primary_at = if knows { address(primary) } else { String::new() };
            wire.to_client.push_back(ToClient::NotPrimary { term, primary_at: primary_at.into() });
            return;
        }
        let answer = match message {
            ToVenue::Hello { version, .. } => ToClient::Welcome { version, term },
            ToVenue::Market => return,
            ToVenue::Request { request } if self.chance(12) => {
                let (origin, refused) = (request.origin, Refused::DiskFull);
                ToClient::Refused { origin, refused }
            }
            ToVenue::Request { request } => {
                let origin = request.origin;
                ToClient::Acked { origin, ack: Box::new(self.apply(*request)) }
            }
        };
        let twice = self.chance(6);
        let wire = self.wires.get_mut(&connection).unwrap();
        if twice {
            wire.to_client.push_back(answer.clone());
        }
        wire.to_client.push_back(answer);
    }
}

fn address(host: usize) -> String {
    format!("host-{host}")
}

/// The client, the venue and a bad network.
struct World {
    venue: Venue,
    client: Client,
    now_ns: u64,
    submitted: Vec<Origin>,
    answers: Vec<(Origin, Answer)>,
    /// What was sent for each origin.
    sent: BTreeMap<(u64, u64), Request>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut plan = Plan::new("a desk", (0..HOSTS).map(address).collect());
        (plan.patience_ns, plan.retry_ns) = (50 * MS, 5 * MS);
        Self {
            venue: Venue::new(seed),
            client: Client::new(plan),
            now_ns: 0,
            submitted: Vec::new(),
            answers: Vec::new(),
            sent: BTreeMap::new(),
        }
    }

    fn submit(&mut self, session: u64, sequence: u64) {
        let request = pay_in(session, sequence);
        self.submitted.push(request.origin);
        self.client.submit(self.now_ns, request).unwrap();
    }

    fn act(&mut self) {
        for output in self.client.outputs(self.now_ns) {
            match output {
                Output::Connect { address, connection } => self.connect(&address, connection),
                Output::Send(message) => self.send(message),
                Output::Answered { origin, answer } => self.answers.push((origin, answer)),
            }
        }
    }

    fn connect(&mut self, address: &str, connection: u64) {
        // The network delivers what is under way on the old one, or not.
        let drops_old = self.venue.chance(2) || self.venue.is_calm;
        if let Some((_, old)) = self.venue.wires.iter_mut().next_back()
            && drops_old
        {
            old.open = false;
        }
        if self.venue.chance(5) {
            return self.client.on_lost(self.now_ns, connection);
        }
        let host = address.strip_prefix("host-").unwrap().parse().unwrap();
        self.venue.wires.insert(connection, Wire { host, open: true, ..Wire::default() });
        self.client.on_connected(self.now_ns, connection);
    }

    fn send(&mut self, message: ToVenue) {
        if let ToVenue::Request { request } = &message {
            let key = (request.origin.session.0, request.origin.sequence.0);
            let first = self.sent.entry(key).or_insert_with(|| (**request).clone());
            assert_eq!(first, &**request, "a repetition is the same command");
        }
        if let Some((_, wire)) = self.venue.wires.iter_mut().next_back() {
            wire.to_venue.push_back(message);
        }
    }

    fn hear(&mut self, connection: u64) {
        let Some(wire) = self.venue.wires.get_mut(&connection) else { return };
        if let Some(message) = wire.to_client.pop_front() {
            self.client.on_message(self.now_ns, connection, message);
        }
    }

    /// One thing happens.
    fn step(&mut self) {
        self.now_ns += self.venue.random.below(3 * MS);
        let connections: Vec<u64> = self.venue.wires.keys().copied().collect();
        for connection in connections {
            for _ in 0..self.venue.random.below(9) {
                self.venue.serve(connection);
            }
            for _ in 0..self.venue.random.below(9) {
                self.hear(connection);
            }
            if self.venue.chance(25) {
                self.cut(connection);
            }
        }
        if self.venue.chance(30) {
            self.venue.primary = self.venue.random.pick(&[0, 1, 2]);
            self.venue.term += 1;
        }
        self.act();
    }

    /// The connection breaks: what the host had in hand is lost, what is under way to the client
    /// may still come.
    fn cut(&mut self, connection: u64) {
        let wire = self.venue.wires.get_mut(&connection).unwrap();
        wire.open = false;
        wire.to_venue.clear();
        if self.venue.random.one_in(2) {
            wire.to_client.clear();
        }
        self.client.on_lost(self.now_ns, connection);
    }

    /// The network heals.
    fn calm_down(&mut self) {
        self.venue.is_calm = true;
        for _ in 0..20_000 {
            if self.client.pending() == 0 {
                return;
            }
            self.step();
        }
        panic!("{} commands never got an answer", self.client.pending());
    }

    fn check(&self) {
        let answered: Vec<Origin> = self.answers.iter().map(|(origin, _)| *origin).collect();
        assert_eq!(answered, self.submitted, "each is answered once, in order");
        let acked = self.answers.iter().filter(|(_, answer)| matches!(answer, Answer::Acked(_)));
        let balance = self.venue.engine.net_deposits(USD);
        assert_eq!(balance, Some(Money(acked.count() as i128)), "each took effect once");
        for (origin, answer) in &self.answers {
            if let Answer::Acked(ack) = answer {
                let last = ack.events.last();
                let is_known =
                    matches!(last, Some(Event::Completed { .. } | Event::Repeated { .. }));
                assert!(is_known, "{origin:?}: {last:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_missing_nothing_twice_and_answers_stand_in_order(
        seed in any::<u64>(),
        commands in prop::collection::vec((1..4u64, 1..3u64), 1..400),
    ) {
        let mut world = World::new(seed);
        let mut sequences: BTreeMap<u64, u64> = BTreeMap::new();
        for (session, skip) in commands {
            let sequence = sequences.entry(session).or_default();
            *sequence += skip;
            let sequence = *sequence;
            world.submit(session, sequence);
            if world.venue.random.one_in(8) {
                world.step();
            }
        }
        for _ in 0..100 {
            world.step();
        }
        world.calm_down();
        world.check();
    }
}

/// A client that talks to host 0, and what it sent so far.
fn opened(commands: u64) -> (Client, Vec<Request>) {
    let mut client = Client::new(Plan::new("a desk", vec![address(0), address(1)]));
    for sequence in 1..=commands {
        client.submit(0, pay_in(1, sequence)).unwrap();
    }
    let connect = Output::Connect { address: address(0), connection: 1 };
    assert_eq!(client.outputs(0), [connect]);
    client.on_connected(0, 1);
    assert_eq!(client.outputs(0).len(), 1, "nothing is sent before the welcome");
    client.on_message(0, 1, ToClient::Welcome { version: ProtocolVersion, term: 3 });
    let sent = requests(client.outputs(0));
    (client, sent)
}

fn requests(outputs: Vec<Output>) -> Vec<Request> {
    let request = |output| match output {
        Output::Send(ToVenue::Request { request }) => Some(*request),
        _ => None,
    };
    outputs.into_iter().filter_map(request).collect()
}

#[test]
fn no_more_of_a_session_is_under_way_than_the_venue_remembers() {
    let (mut client, sent) = opened(WINDOW as u64 + 10);
    assert_eq!(sent.len(), WINDOW);
    let ack = Ack { position: evenkeel_types::Position(3), entry_hash: [0; 32], events: vec![] };
    // The second is answered; the first is not, so nothing moves.
    let acked =
        |request: &Request| ToClient::Acked { origin: request.origin, ack: Box::new(ack.clone()) };
    client.on_message(1, 1, acked(&sent[1]));
    assert_eq!(client.outputs(1), []);
    client.on_message(2, 1, acked(&sent[0]));
    let outputs = client.outputs(2);
    assert!(matches!(outputs[..2], [Output::Answered { .. }, Output::Answered { .. }]));
    let next: Vec<u64> =
        requests(outputs).iter().map(|request| request.origin.sequence.0).collect();
    assert_eq!(next, [WINDOW as u64 + 1, WINDOW as u64 + 2]);
}

#[test]
fn a_silent_primary_is_left_and_what_it_had_is_sent_to_the_next() {
    let (mut client, sent) = opened(2);
    let patience_ns = client.wakes_at_ns().unwrap();
    assert_eq!(client.outputs(patience_ns - 1), []);
    let outputs = client.outputs(patience_ns);
    assert_eq!(outputs, [Output::Connect { address: address(1), connection: 2 }]);
    client.on_connected(patience_ns, 2);
    client.on_message(patience_ns, 2, ToClient::Welcome { version: ProtocolVersion, term: 4 });
    assert_eq!(requests(client.outputs(patience_ns)), sent);
}

#[test]
fn a_primary_of_an_older_term_is_left_at_once() {
    let (mut client, _) = opened(1);
    client.on_lost(5, 1);
    assert_eq!(client.outputs(5), [Output::Connect { address: address(1), connection: 2 }]);
    client.on_connected(5, 2);
    client.on_message(5, 2, ToClient::Welcome { version: ProtocolVersion, term: 2 });
    assert!(!client.is_open());
    assert_eq!(client.term(), 3);
    let outputs = client.outputs(5);
    assert!(requests(outputs).is_empty(), "nothing is sent to it");
}

#[test]
fn a_refusal_counts_only_if_no_earlier_attempt_can_have_been_taken() {
    let (mut client, sent) = opened(1);
    let refused = ToClient::Refused { origin: sent[0].origin, refused: Refused::DiskFull };
    client.on_message(1, 1, refused.clone());
    let answer = Answer::Refused(Refused::DiskFull);
    assert_eq!(client.outputs(1), [Output::Answered { origin: sent[0].origin, answer }]);

    let (mut client, sent) = opened(1);
    client.on_lost(1, 1);
    client.outputs(1);
    client.on_connected(1, 2);
    client.on_message(1, 2, ToClient::Welcome { version: ProtocolVersion, term: 3 });
    assert_eq!(requests(client.outputs(1)), sent);
    client.on_message(2, 2, refused);
    assert_eq!(client.outputs(2), [], "it may have been applied by the first attempt");
    let again_ns = client.wakes_at_ns().unwrap();
    assert_eq!(requests(client.outputs(again_ns)), sent);
}

#[test]
fn a_sequence_is_never_given_to_two_commands() {
    let mut client = Client::new(Plan::new("a desk", vec![address(0)]));
    client.submit(0, pay_in(1, 5)).unwrap();
    let (sequence, last) = (ClientSequence(5), ClientSequence(5));
    let refused = Err(NotSubmitted::NotAscending { sequence, last });
    assert_eq!(client.submit(0, pay_in(1, 5)), refused);
    client.submit(0, pay_in(2, 5)).unwrap();
}

#[test]
fn after_a_round_in_vain_it_waits_before_the_next() {
    let mut client = Client::new(Plan::new("a desk", vec![address(0), address(1)]));
    client.submit(0, pay_in(1, 1)).unwrap();
    for (connection, host) in [(1, 0), (2, 1)] {
        let connect = Output::Connect { address: address(host), connection };
        assert_eq!(client.outputs(7), [connect]);
        client.on_lost(7, connection);
    }
    assert_eq!(client.outputs(7), []);
    let until_ns = client.wakes_at_ns().unwrap();
    assert_eq!(until_ns, 7 + Plan::new("", vec![]).retry_ns);
    assert_eq!(client.outputs(until_ns).len(), 1);
}
