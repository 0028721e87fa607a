//! The demonstration's clients: one thread moves prices, a few send orders and wait for answers.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenkeel_recovery::{Ack, Clock as _, Refused, Request};
use evenkeel_types::{Command, InstrumentId, InstrumentKind, Origin, SessionId, Ticks, Timestamp};

use super::clock::SystemClock;
use super::gateway::{Numbering, Way};
use super::observed::lock;
use super::stop::Stop;
use crate::demo::plan::STAKE;
use crate::demo::{Crowd, MarketPlan, PriceModel, QuoteBoard, Sources, series};
use crate::report::{Report, Result};

/// Client threads of the demonstration.
const CROWDS: usize = 4;
/// How often a client thread sends.
const BEAT: Duration = Duration::from_millis(10);
/// How often prices move.
const MARK_BEAT: Duration = Duration::from_millis(500);
/// How often gamblers get another stake.
const STAKES_EVERY: Duration = Duration::from_secs(120);
/// Accounts that trade the short-dated series, and how much.
const SERIES_ACCOUNTS: usize = 30;
const SERIES_COMMANDS_PER_SECOND: f64 = 50.0;
/// How long a client waits before it repeats what a full disk refused.
const RETRY: Duration = Duration::from_millis(200);

/// Appends `position entry_hash` for every acknowledgement, after it has arrived.
#[derive(Debug, Clone)]
pub(crate) struct AckLog(Arc<Mutex<File>>);

impl AckLog {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file =
            file.map_err(|error| Report::io("open the acknowledgement log", path, &error))?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    fn note(&self, acks: &[Result<Ack, Refused>]) -> std::io::Result<()> {
        let mut lines = String::new();
        for ack in acks.iter().flatten() {
            let hash = crate::keyfile::hex(&ack.entry_hash);
            lines.push_str(&format!("{} {hash}\n", ack.position));
        }
        lock(&self.0).write_all(lines.as_bytes())
    }
}

/// What every client thread needs.
pub(crate) struct ClientContext {
    pub(crate) way: Box<dyn Way>,
    pub(crate) clock: SystemClock,
    pub(crate) stop: Stop,
    pub(crate) ack_log: Option<AckLog>,
    /// A new one each term, so that sequences start afresh.
    pub(crate) session: SessionId,
}

impl Clone for ClientContext {
    fn clone(&self) -> Self {
        let Self { way, clock, stop, ack_log, session } = self;
        let ack_log = ack_log.clone();
        Self { way: way.another(), clock: *clock, stop: stop.clone(), ack_log, session: *session }
    }
}

impl ClientContext {
    /// Sends requests until each is acknowledged; `None` once the daemon ends.
    fn send(&mut self, requests: Vec<Request>) -> Option<Vec<(Origin, Ack)>> {
        let mut acked = Vec::with_capacity(requests.len());
        let mut waiting = requests;
        while !waiting.is_empty() {
            let answers = self.way.submit(waiting.clone())?;
            if let Some(log) = &self.ack_log {
                // A log that cannot be written must not stop the market it watches.
                let _ = log.note(&answers);
            }
            let mut refused = Vec::new();
            for (request, answer) in waiting.into_iter().zip(answers) {
                match answer {
                    Ok(ack) => acked.push((request.origin, ack)),
                    Err(Refused::DiskFull) => refused.push(request),
                }
            }
            waiting = refused;
            if !waiting.is_empty() && self.stop.sleep(RETRY) {
                return None;
            }
        }
        Some(acked)
    }
}

/// What moves the market: prices, sources, and what is listed.
struct MarketDesk {
    operator: Numbering,
    prices: PriceModel,
    sources: Sources,
    plan: MarketPlan,
    /// Boards of the long-dated market and of the series that live.
    boards: Vec<QuoteBoard>,
    /// Marks of what has no underlying's price: spot.
    shown: Vec<(InstrumentId, Ticks)>,
    next_id: InstrumentId,
    /// Expiry of the latest series.
    series: Timestamp,
    /// When gamblers get another stake.
    next_stakes: Instant,
    announce: Sender<(MarketPlan, QuoteBoard)>,
}

impl MarketDesk {
    /// Lets prices move and tells the venue: readings of the sources, marks of spot.
    fn beat(&mut self, now: Timestamp, elapsed_ns: u64) -> Vec<Request> {
        self.prices.step(elapsed_ns);
        let marks = self.prices.marks();
        self.boards.iter().for_each(|board| board.publish(&marks));
        let mut commands = self.list_series(now);
        commands.extend(self.sources.readings(&self.prices, now, &self.prices.expiries()));
        let spot = |id: InstrumentId| {
            let listed = self.plan.instruments.iter().find(|listed| listed.id == id);
            listed.is_some_and(|listed| listed.kind == InstrumentKind::Spot)
        };
        let marks: Vec<_> = marks.into_iter().filter(|(id, _)| spot(*id)).collect();
        let changed = marks.iter().filter(|mark| !self.shown.contains(mark));
        commands.extend(changed.map(|&(instrument, mark)| Command::SetMark { instrument, mark }));
        self.shown = marks;
        commands.extend(self.stakes());
        commands.into_iter().map(|command| self.operator.request(command)).collect()
    }

    /// Lists the next series of short-dated options when it is time.
    fn list_series(&mut self, now: Timestamp) -> Vec<Command> {
        let expiry = series::next_expiry(now);
        if expiry <= self.series {
            return Vec::new();
        }
        self.series = expiry;
        self.prices.delist_before(now);
        let instruments = series::series(&self.prices, expiry, self.next_id);
        self.next_id.0 += u32::try_from(instruments.len()).unwrap_or(0);
        self.prices.list(&instruments);
        let plan = self.plan.for_series(instruments.clone(), SERIES_ACCOUNTS);
        let board = QuoteBoard::new(&plan);
        self.boards.truncate(1);
        self.boards.push(board.clone());
        // Without its traders a series is listed all the same.
        let _ = self.announce.send((plan, board));
        let define = |instrument| Command::DefineInstrument { instrument };
        instruments.into_iter().map(define).collect()
    }

    /// Another stake for each gambler, now and then.
    fn stakes(&mut self) -> Vec<Command> {
        if Instant::now() < self.next_stakes {
            return Vec::new();
        }
        self.next_stakes = Instant::now() + STAKES_EVERY;
        let (currency, amount) = STAKE;
        let gamblers = self.plan.accounts.iter().filter(|account| account.is_gambler);
        gamblers.map(|it| Command::Deposit { account: it.id, currency, amount }).collect()
    }

    fn run(mut self, context: &mut ClientContext) {
        let mut last = Instant::now();
        loop {
            let now = Instant::now();
            let elapsed_ns = u64::try_from((now - last).as_nanos()).unwrap_or(0);
            last = now;
            let requests = self.beat(Timestamp(context.clock.wall_ns()), elapsed_ns);
            if context.send(requests).is_none() || context.stop.sleep(MARK_BEAT) {
                return;
            }
        }
    }
}

/// Trades each series as it is announced, until the next one.
fn run_series(
    context: &mut ClientContext,
    announced: &Receiver<(MarketPlan, QuoteBoard)>,
    seed: u64,
    session: SessionId,
) {
    let mut earlier: Option<Crowd> = None;
    let mut next = announced.recv().ok();
    while let Some((plan, board)) = next.take() {
        let mut crowd = Crowd::new(&plan, seed, 0..plan.accounts.len(), session);
        if let Some(earlier) = &earlier {
            crowd.take_over(earlier);
        }
        let mut pace = Pace::new(SERIES_COMMANDS_PER_SECOND);
        while next.is_none() {
            if !pace.round(context, &mut crowd, &board) {
                return;
            }
            next = announced.try_recv().ok();
        }
        earlier = Some(crowd);
    }
}

/// Sends a crowd's commands at about a rate.
struct Pace {
    commands_per_second: f64,
    credit: f64,
    last: Instant,
}

impl Pace {
    fn new(commands_per_second: f64) -> Self {
        Self { commands_per_second, credit: 0.0, last: Instant::now() }
    }

    /// One beat; false once the daemon ends.
    fn round(
        &mut self,
        context: &mut ClientContext,
        crowd: &mut Crowd,
        board: &QuoteBoard,
    ) -> bool {
        let now = Instant::now();
        // A stall is not made up for by a burst.
        self.credit = (self.credit + (now - self.last).as_secs_f64() * self.commands_per_second)
            .min(self.commands_per_second / 4.0 + 1.0);
        self.last = now;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, ≥ 0")]
        let budget = self.credit as usize;
        let batch = crowd.next_batch(context.clock.wall_ns(), board, budget);
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let sent = batch.len() as f64;
        self.credit -= sent;
        let requests =
            batch.into_iter().map(|(origin, command)| Request { origin, command }).collect();
        let Some(acked) = context.send(requests) else {
            return false;
        };
        for (origin, ack) in acked {
            crowd.on_ack(&origin, &ack.events);
        }
        !context.stop.sleep(BEAT)
    }
}

/// Starts those who send orders and wait for answers.
pub(crate) fn start_crowds(
    context: &ClientContext,
    plan: &MarketPlan,
    board: &QuoteBoard,
    (seed, commands_per_second): (u64, u32),
) -> Vec<std::thread::JoinHandle<()>> {
    let mut threads = Vec::new();
    let crowd_size = plan.accounts.len().div_ceil(CROWDS).max(1);
    #[expect(clippy::cast_precision_loss, reason = "four crowds")]
    let rate = f64::from(commands_per_second) / CROWDS as f64;
    for first in (0..plan.accounts.len()).step_by(crowd_size) {
        let range = first..(first + crowd_size).min(plan.accounts.len());
        let crowd_seed = seed ^ context.session.0.rotate_left(32) ^ first as u64;
        let mut crowd = Crowd::new(plan, crowd_seed, range, context.session);
        let (mut context, board) = (context.clone(), board.clone());
        threads.push(std::thread::spawn(move || {
            let mut pace = Pace::new(rate);
            while pace.round(&mut context, &mut crowd, &board) {}
        }));
    }
    threads
}

/// Starts the market and its crowds; they end with the stop flag or the primary.
pub(crate) fn start(
    context: &ClientContext,
    plan: &MarketPlan,
    prices: PriceModel,
    (seed, commands_per_second): (u64, u32),
    series_session: SessionId,
) -> Vec<std::thread::JoinHandle<()>> {
    let board = QuoteBoard::new(plan);
    let mut threads = start_crowds(context, plan, &board, (seed, commands_per_second));
    let (announce, announced) = channel();
    let desk = MarketDesk {
        operator: Numbering::new(context.session),
        sources: Sources::new(seed ^ context.session.0),
        boards: vec![board],
        shown: Vec::new(),
        next_id: InstrumentId(
            plan.instruments.iter().map(|listed| listed.id.0 + 1).max().unwrap_or(1),
        ),
        series: prices.expiries()[0]
            .first()
            .copied()
            .filter(|first| *first < series::next_expiry(prices.now()))
            .unwrap_or_default(),
        next_stakes: Instant::now() + STAKES_EVERY,
        plan: plan.clone(),
        prices,
        announce,
    };
    let mut series_context = context.clone();
    threads.push(std::thread::spawn(move || {
        run_series(&mut series_context, &announced, seed, series_session);
    }));
    let mut context = context.clone();
    threads.push(std::thread::spawn(move || desk.run(&mut context)));
    threads
}
