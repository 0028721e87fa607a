//! `evenkeel demo clients`: trades with a venue on other machines; and the keys of such clients.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_recovery::Clock as _;
use evenkeel_types::codec::Canonical as _;
use evenkeel_types::{SessionId, Timestamp};

use super::client_line::{self, Line};
use super::client_tls::{self, ClientCredentials};
use super::clients::{self, AckLog, ClientContext};
use super::clock::SystemClock;
use super::market::{OpenMarket, REMOTE_SESSIONS};
use super::meter::Meter;
use super::stop::Stop;
use crate::cli::{ClientsKeyArgs, DemoClientsArgs};
use crate::demo::{MarketPlan, PriceModel, QuoteBoard};
use crate::report::{Exit, Report, Result};
use crate::{output, signals};

/// How often prices move.
const BEAT: Duration = Duration::from_millis(100);
/// How often a line says how it goes.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// How often the hosts are asked for the market while none is the primary.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Runs `clients key`.
pub(crate) fn key(args: &ClientsKeyArgs) -> Result<Exit> {
    let fingerprint = client_tls::make_key(&args.to, &args.name)?;
    output::result("[[clients.gateways]]")?;
    output::result(&format!("name = {:?}", args.name))?;
    output::result(&format!("certificate_sha256 = \"{fingerprint}\""))?;
    output::note("\nAdd this to the configuration of every host, and start each again.");
    output::note(&format!("Copy ca.pem of a host's host/link to {}.", args.to.display()));
    Ok(Exit::Ok)
}

/// Runs `demo clients`.
pub(crate) fn run(args: &DemoClientsArgs) -> Result<Exit> {
    let credentials = ClientCredentials::read(&args.credentials)?;
    let ack_log = args.ack_log.as_deref().map(AckLog::open).transpose()?;
    let stop = Stop::default();
    let asked = stop.clone();
    signals::on_stop(move |why| {
        output::note(&format!("\n{why}: ending"));
        asked.set();
    })?;
    let deadline = args.exit_after.map(|after| Instant::now() + Duration::from_secs(after));
    let Some(market) = await_market(args, &credentials, &stop)? else {
        return Ok(Exit::Ok);
    };
    let (clock, session) = (SystemClock::new(), session()?);
    let (plan, prices) = market.reopen(session.0, Timestamp(clock.wall_ns()));
    let meter = Arc::new(Meter::default());
    let (at, kept) = (args.at.clone(), Arc::clone(&meter));
    let line = Line::remote("demonstration", at, credentials, stop.clone(), kept);
    let context = ClientContext { way: Box::new(line), clock, stop, ack_log, session };
    trade(args, &context, &plan, prices, &meter, deadline);
    Ok(Exit::Ok)
}

fn trade(
    args: &DemoClientsArgs,
    context: &ClientContext,
    plan: &MarketPlan,
    mut prices: PriceModel,
    meter: &Meter,
    deadline: Option<Instant>,
) {
    let board = QuoteBoard::new(plan);
    board.publish(&prices.marks());
    let pace = (context.session.0, args.rate);
    let threads = clients::start_crowds(context, plan, &board, pace);
    let (mut next_line, mut term) = (Instant::now() + REPORT_EVERY, 0);
    while !context.stop.sleep(BEAT) {
        prices.step(u64::try_from(BEAT.as_nanos()).unwrap_or(0));
        board.publish(&prices.marks());
        if let Some(found) = meter.primary()
            && found.term != term
        {
            term = found.term;
            let at = args.at.get(found.at).map_or("an address that a host named", String::as_str);
            output::note(&format!("the primary of term {term} is at {at}"));
        }
        if Instant::now() >= next_line {
            let waits = meter.waits_since(next_line.checked_sub(REPORT_EVERY).unwrap_or(next_line));
            let (count, waited) = (meter.acknowledgements(), waits.client.as_secs_f64());
            output::note(&format!("{count} acknowledged; the longest wait {waited:.3} s"));
            next_line = Instant::now() + REPORT_EVERY;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            context.stop.set();
        }
    }
    for thread in threads {
        // A panic of it has been reported by the hook.
        let _ = thread.join();
    }
    output::note(&format!("{} acknowledged", meter.acknowledgements()));
}

/// Asks until a host is the primary, and says why none is, once for each reason.
fn await_market(
    args: &DemoClientsArgs,
    credentials: &ClientCredentials,
    stop: &Stop,
) -> Result<Option<OpenMarket>> {
    let mut told = std::collections::BTreeSet::new();
    let mut tell = |address: &str, error: &std::io::Error| {
        let what = format!("{address}: {error}");
        if told.insert(what.clone()) {
            output::note(&what);
        }
    };
    loop {
        if let Some(bytes) = client_line::market(&args.at, credentials, &mut tell) {
            let market = OpenMarket::from_bytes(&bytes).map_err(|error| {
                Report::new(Exit::Failed, format!("the venue's market cannot be read: {error}"))
                    .safe("nothing was traded")
                    .next("run the same version of this program on both machines")
            })?;
            return Ok(Some(market));
        }
        if stop.sleep(ASK_EVERY) {
            return Ok(None);
        }
    }
}

/// A session that nobody has had, beyond those of the venue's own clients.
fn session() -> Result<SessionId> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        Report::new(Exit::Failed, format!("the system gives no random numbers: {error}"))
            .safe("nothing was traded")
    })?;
    Ok(SessionId(u64::from_le_bytes(bytes) | REMOTE_SESSIONS))
}
