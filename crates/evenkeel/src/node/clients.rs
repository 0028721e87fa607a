//! The demonstration's clients: one thread moves prices, a few send orders and wait for answers.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenkeel_recovery::{Ack, Clock as _, Refused, Request};
use evenkeel_types::{Command, InstrumentId, Origin, SessionId, Ticks};

use super::clock::SystemClock;
use super::gateway::{Gateway, Operator};
use super::observed::lock;
use super::stop::Stop;
use crate::demo::{Crowd, MarketPlan, PriceModel, QuoteBoard};
use crate::report::{Report, Result};

/// Client threads of the demonstration.
const CROWDS: usize = 4;
/// How often a client thread sends.
const BEAT: Duration = Duration::from_millis(10);
/// How often marks move.
const MARK_BEAT: Duration = Duration::from_millis(500);
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
#[derive(Debug, Clone)]
pub(crate) struct ClientContext {
    pub(crate) gateway: Gateway,
    pub(crate) clock: SystemClock,
    pub(crate) stop: Stop,
    pub(crate) ack_log: Option<AckLog>,
    /// A new one each term, so that sequences start afresh.
    pub(crate) session: SessionId,
}

impl ClientContext {
    /// Sends requests until each is acknowledged; `None` once the daemon ends.
    fn send(&self, requests: Vec<Request>) -> Option<Vec<(Origin, Ack)>> {
        let mut acked = Vec::with_capacity(requests.len());
        let mut waiting = requests;
        while !waiting.is_empty() {
            let answers = self.gateway.submit(waiting.clone())?;
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

/// Moves prices and marks instruments whose mark changed.
fn run_market(context: &ClientContext, mut prices: PriceModel, board: &QuoteBoard) {
    let operator = Operator::new(context.gateway.clone(), context.session);
    let mut shown: Vec<(InstrumentId, Ticks)> = Vec::new();
    let mut last = Instant::now();
    loop {
        let now = Instant::now();
        let elapsed_ns = u64::try_from((now - last).as_nanos()).unwrap_or(0);
        last = now;
        prices.step(elapsed_ns);
        let marks = prices.marks();
        board.publish(&marks);
        let changed = marks.iter().filter(|mark| !shown.contains(mark));
        let requests = changed
            .map(|(instrument, mark)| {
                operator.request(Command::SetMark { instrument: *instrument, mark: *mark })
            })
            .collect();
        shown = marks;
        if context.send(requests).is_none() || context.stop.sleep(MARK_BEAT) {
            return;
        }
    }
}

/// Trades for one crowd at about `commands_per_second`.
fn run_crowd(
    context: &ClientContext,
    mut crowd: Crowd,
    board: &QuoteBoard,
    commands_per_second: f64,
) {
    let mut credit = 0.0;
    let mut last = Instant::now();
    loop {
        let now = Instant::now();
        // A stall is not made up for by a burst.
        credit = (credit + (now - last).as_secs_f64() * commands_per_second)
            .min(commands_per_second / 4.0 + 1.0);
        last = now;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, ≥ 0")]
        let budget = credit as usize;
        let batch = crowd.next_batch(context.clock.wall_ns(), board, budget);
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let sent = batch.len() as f64;
        credit -= sent;
        let requests =
            batch.into_iter().map(|(origin, command)| Request { origin, command }).collect();
        let Some(acked) = context.send(requests) else {
            return;
        };
        for (origin, ack) in acked {
            crowd.on_ack(&origin, &ack.events);
        }
        if context.stop.sleep(BEAT) {
            return;
        }
    }
}

/// Starts the market and its crowds; they end with the stop flag or the primary.
pub(crate) fn start(
    context: &ClientContext,
    plan: &MarketPlan,
    prices: PriceModel,
    seed: u64,
    commands_per_second: u32,
) -> Vec<std::thread::JoinHandle<()>> {
    let board = QuoteBoard::new(plan);
    let mut threads = Vec::new();
    let crowd_size = plan.accounts.len().div_ceil(CROWDS).max(1);
    #[expect(clippy::cast_precision_loss, reason = "four crowds")]
    let rate = f64::from(commands_per_second) / CROWDS as f64;
    for first in (0..plan.accounts.len()).step_by(crowd_size) {
        let range = first..(first + crowd_size).min(plan.accounts.len());
        let crowd_seed = seed ^ context.session.0.rotate_left(32) ^ first as u64;
        let crowd = Crowd::new(plan, crowd_seed, range, context.session);
        let (context, board) = (context.clone(), board.clone());
        threads.push(std::thread::spawn(move || {
            run_crowd(&context, crowd, &board, rate);
        }));
    }
    let context = context.clone();
    threads.push(std::thread::spawn(move || {
        run_market(&context, prices, &board);
    }));
    threads
}
