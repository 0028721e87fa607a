//! The demonstration's crowds against the real engine.

use evenkeel::demo::{Crowd, MarketPlan, PriceModel, QuoteBoard, plan};
use evenkeel_types::{
    AccountId, ClientSequence, Command, Entry, Event, InstrumentKind, Origin, OutcomeKind,
    RejectCode, SessionId, Side, Term, Timestamp,
};
use evenkeel_venue::Engine;
use std::collections::{BTreeMap, BTreeSet};

/// 2026-11-21T01:37:54Z.
const START: Timestamp = Timestamp(1_795_225_074_000_000_000);
const CROWDS: usize = 4;
const ACCOUNTS: u32 = 300;
/// Every client thread sends so many commands in so much simulated time: 2,000 a second in all.
const BATCH: usize = 5;
const ROUND_NS: u64 = 10_000_000;
/// Rounds between two moves of the prices, and between two rounds of marks in the journal.
const ROUNDS_PER_STEP: u64 = 25;
const ROUNDS_PER_MARK: u64 = 100;

/// A venue with its crowds, in simulated time.
struct Market {
    engine: Engine,
    plan: MarketPlan,
    model: PriceModel,
    board: QuoteBoard,
    crowds: Vec<Crowd>,
    operator_sequence: u64,
    term: u64,
    round: u64,
    /// Answers on their way back: a crowd hears them before its next batch but one.
    answers: Vec<(usize, Origin, Vec<Event>)>,
    commands: u64,
    kinds: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<RejectCode, u64>,
    /// Seconds in which something traded, and their number of trades.
    trades: BTreeMap<u64, u64>,
    open_orders: Vec<usize>,
}

impl Market {
    fn founded(seed: u64) -> Self {
        let plan = plan(seed, ACCOUNTS, START);
        let model = PriceModel::new(&plan, seed);
        let board = QuoteBoard::new(&plan);
        let mut market = Self {
            engine: Engine::new(),
            crowds: Vec::new(),
            operator_sequence: 0,
            term: 0,
            round: 0,
            answers: Vec::new(),
            commands: 0,
            kinds: BTreeMap::new(),
            refusals: BTreeMap::new(),
            trades: BTreeMap::new(),
            open_orders: Vec::new(),
            model,
            board,
            plan,
        };
        for command in market.plan.founding_commands([7; 16], [9; 32]) {
            market.operate(&command);
        }
        market.begin_term(seed);
        market
    }

    fn begin_term(&mut self, seed: u64) {
        self.term += 1;
        self.operate(&Command::Resume { term: Term(self.term) });
        let size = ACCOUNTS as usize / CROWDS;
        let session = SessionId(self.term);
        let crowd = |number: usize| {
            Crowd::new(&self.plan, seed, number * size..(number + 1) * size, session)
        };
        self.crowds = (0..CROWDS).map(crowd).collect();
        self.answers.clear();
        self.mark();
    }

    fn now(&self) -> Timestamp {
        Timestamp(START.0 + self.round * ROUND_NS)
    }

    fn apply(&mut self, origin: Origin, command: Command) -> Vec<Event> {
        let mut events = Vec::new();
        let time = self.now();
        self.engine.apply(&Entry { time, origin, command }, &mut events);
        let trades = events.iter().filter(|event| matches!(event, Event::Traded { .. })).count();
        if trades > 0 {
            *self.trades.entry(self.round * ROUND_NS / 1_000_000_000).or_default() += trades as u64;
        }
        events
    }

    fn operate(&mut self, command: &Command) {
        self.operator_sequence += 1;
        let origin = Origin {
            account: AccountId::OPERATOR,
            session: SessionId(1),
            sequence: ClientSequence(self.operator_sequence),
        };
        let events = self.apply(origin, command.clone());
        let refusal = refusal(&events);
        assert_eq!(refusal, None, "{command:?}");
    }

    fn mark(&mut self) {
        self.board.publish(&self.model.marks());
        for (instrument, mark) in self.model.marks() {
            self.operate(&Command::SetMark { instrument, mark });
        }
    }

    fn play(&mut self, commands: u64) {
        let end = self.commands + commands;
        while self.commands < end {
            self.play_round();
        }
    }

    fn play_round(&mut self) {
        self.round += 1;
        if self.round.is_multiple_of(ROUNDS_PER_STEP) {
            self.model.step(ROUNDS_PER_STEP * ROUND_NS);
            self.board.publish(&self.model.marks());
        }
        if self.round.is_multiple_of(ROUNDS_PER_MARK) {
            self.mark();
            self.open_orders.push(self.engine.open_order_count());
        }
        let mut sent = Vec::new();
        for (number, crowd) in self.crowds.iter_mut().enumerate() {
            let batch = crowd.next_batch(START.0 + self.round * ROUND_NS, &self.board, BATCH);
            sent.extend(batch.into_iter().map(|(origin, command)| (number, origin, command)));
        }
        for (crowd, origin, events) in std::mem::take(&mut self.answers) {
            self.crowds[crowd].on_ack(&origin, &events);
        }
        for (crowd, origin, command) in sent {
            self.commands += 1;
            *self.kinds.entry(kind(&command)).or_default() += 1;
            let events = self.apply(origin, command);
            if let Some(code) = refusal(&events) {
                // A gambler bets until its stake is used up.
                let mut gamblers = self.plan.accounts.iter().filter(|it| it.is_gambler);
                if gamblers.all(|it| it.id != origin.account) {
                    *self.refusals.entry(code).or_default() += 1;
                }
            }
            self.answers.push((crowd, origin, events));
        }
    }

    fn refused(&self) -> u64 {
        self.refusals.values().sum()
    }
}

fn kind(command: &Command) -> &'static str {
    match command {
        Command::Place { order }
            if order.time_in_force == evenkeel_types::TimeInForce::GoodTillCancel =>
        {
            "place"
        }
        Command::Place { .. } => "take",
        Command::Amend { .. } => "amend",
        Command::Cancel { .. } => "cancel",
        _ => "other",
    }
}

fn refusal(events: &[Event]) -> Option<RejectCode> {
    match events.last() {
        Some(Event::Completed { outcome }) => match outcome.kind {
            OutcomeKind::Rejected { code } => Some(code),
            OutcomeKind::Done | OutcomeKind::Order { .. } => None,
        },
        other => panic!("the outcome comes last, not {other:?}"),
    }
}

fn assert_no_book_is_crossed(engine: &Engine) {
    for instrument in engine.instruments() {
        let book = engine.book(instrument.id).expect("listed");
        if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
            assert!(bid < ask, "{}: {bid:?} {ask:?}", instrument.symbol);
        }
    }
}

#[test]
fn two_hundred_thousand_commands_make_a_lively_and_orderly_market() {
    let mut market = Market::founded(7);
    market.play(20_000);
    market.open_orders.clear();
    let (before, taken, refused) = (market.commands, market.kinds.clone(), market.refused());
    while market.commands < 200_000 {
        market.play(10_000);
        assert_no_book_is_crossed(&market.engine);
    }
    let total = market.commands - before;
    let share = |name: &str| {
        100.0 * (market.kinds[name] - taken.get(name).copied().unwrap_or(0)) as f64 / total as f64
    };
    let refused = 100.0 * (market.refused() - refused) as f64 / total as f64;
    let [low, high] = [market.open_orders.iter().min(), market.open_orders.iter().max()];
    println!(
        "amend {:.1} %, cancel {:.1} %, place {:.1} %, take {:.1} %, refused {refused:.2} % {:?}",
        share("amend"),
        share("cancel"),
        share("place"),
        share("take"),
        market.refusals,
    );
    println!("open orders {low:?} to {high:?}, stress {:.2}", market.model.stress());
    println!("trades {}", market.trades.values().sum::<u64>());
    assert!(refused < 3.0, "{refused} % refused: {:?}", market.refusals);
    assert_eq!(market.refusals.get(&RejectCode::InsufficientBalance), None);
    assert!(market.open_orders.iter().all(|count| (4_000..12_000).contains(count)));
    assert!((40.0..65.0).contains(&share("amend")));
    assert!((15.0..30.0).contains(&share("cancel")));
    assert!((15.0..30.0).contains(&share("place")));
    assert!((3.0..6.0).contains(&share("take")));
    let seconds = market.round * ROUND_NS / 1_000_000_000;
    let quiet: Vec<_> = (10..seconds).filter(|at| !market.trades.contains_key(at)).collect();
    assert!(quiet.is_empty(), "nothing traded in seconds {quiet:?}");
    assert_options_are_quoted_on_both_sides(&market);
}

fn assert_options_are_quoted_on_both_sides(market: &Market) {
    let (mut quoted, mut listed) = (0, 0);
    for instrument in market.engine.instruments() {
        let book = market.engine.book(instrument.id).expect("listed");
        let is_two_sided = book.best(Side::Buy).is_some() && book.best(Side::Sell).is_some();
        if matches!(instrument.kind, InstrumentKind::Option { .. }) {
            listed += 1;
            quoted += usize::from(is_two_sided);
        } else {
            assert!(is_two_sided, "{}", instrument.symbol);
        }
    }
    assert!(quoted * 100 >= listed * 95, "{quoted} of {listed}");
}

#[test]
fn what_the_crowds_believe_open_is_what_the_engine_holds() {
    let mut market = Market::founded(3);
    market.play(60_000);
    // Let the last answers arrive, and every order that somebody else's taker closed be tried.
    for (crowd, origin, events) in std::mem::take(&mut market.answers) {
        market.crowds[crowd].on_ack(&origin, &events);
    }
    let believed: usize = market.crowds.iter().map(Crowd::open_orders).sum();
    let held = market.engine.open_order_count();
    assert!(believed >= held, "{believed} believed, {held} held: an order nobody tends");
    assert!(believed - held < held / 20, "{believed} believed, {held} held");
    assert!(market.crowds.iter().all(|crowd| crowd.in_flight() == 0));
}

#[test]
fn the_same_seed_gives_the_same_venue_and_another_seed_another() {
    let root = |seed| {
        let mut market = Market::founded(seed);
        market.play(20_000);
        (market.engine.state_root(), market.engine.output_digest())
    };
    assert_eq!(root(7), root(7));
    assert_ne!(root(7), root(8));
}

#[test]
fn after_a_restart_new_sessions_begin_with_empty_hands_and_trade_on() {
    let mut market = Market::founded(5);
    market.play(30_000);
    // What the node does before new crowds begin: end the old term's sessions in their names.
    let sessions: BTreeMap<_, _> = market
        .engine
        .sessions()
        .filter(|view| view.connected && view.account != AccountId::OPERATOR)
        .map(|view| ((view.account, view.session), u64::MAX))
        .collect();
    assert_eq!(sessions.len(), ACCOUNTS as usize);
    for ((account, session), sequence) in sessions {
        let origin = Origin { account, session, sequence: ClientSequence(sequence) };
        let events = market.apply(origin, Command::Disconnect);
        assert_eq!(refusal(&events), None);
    }
    assert_eq!(market.engine.open_order_count(), 0);
    market.begin_term(5);
    let refused = market.refused();
    market.play(30_000);
    assert!(market.engine.open_order_count() > 4_000);
    assert!(market.refused() - refused < 900, "{:?}", market.refusals);
}

#[test]
fn a_venue_that_takes_only_cancels_quiets_the_crowds_until_it_opens() {
    use evenkeel_types::Mode;
    let mut market = Market::founded(9);
    market.play(30_000);
    market.operate(&Command::SetMode { mode: Mode::CancelOnly, cause: 1 });
    let refused = market.refused();
    for _ in 0..500 {
        market.play_round();
    }
    let attempts = market.refused() - refused;
    assert!(attempts > 0 && attempts < 400, "{attempts}");
    market.operate(&Command::SetMode { mode: Mode::Normal, cause: 2 });
    let trades = market.trades.values().sum::<u64>();
    market.play(10_000);
    assert!(market.trades.values().sum::<u64>() > trades);
}

#[test]
fn orders_carry_labels_that_name_their_slot() {
    let mut market = Market::founded(2);
    market.play(10_000);
    let mut labels = BTreeSet::new();
    for instrument in market.engine.instruments() {
        let book = market.engine.book(instrument.id).expect("listed");
        for side in [Side::Buy, Side::Sell] {
            for order in book.orders(side) {
                // Slots are numbered per crowd, and each holds one order.
                let crowd =
                    order.account.0.saturating_sub(1) / (u64::from(ACCOUNTS) / CROWDS as u64);
                assert!(labels.insert((crowd, order.label)), "{order:?}");
            }
        }
    }
    assert!(labels.len() > 1_000);
}
