//! The demonstration's bot: a process that keeps an order history in SQLite and logs in JSON, as
//! bots do. It knows nothing of being protected.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_recovery::Clock as _;
use rusqlite::Connection;

use super::super::clock::SystemClock;
use super::super::stop::Stop;
use crate::cli::DemoBotArgs;
use crate::report::{Exit, Report, Result};
use crate::signals;

const TABLES: &str = "
    PRAGMA journal_mode=WAL;
    PRAGMA synchronous=NORMAL;
    CREATE TABLE IF NOT EXISTS orders(seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL,
        instrument TEXT NOT NULL, side TEXT NOT NULL, price INTEGER NOT NULL,
        quantity INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS book(one INTEGER PRIMARY KEY, orders INTEGER, position INTEGER,
        checksum INTEGER);
    INSERT OR IGNORE INTO book VALUES(1, 0, 0, 0);";
/// How long another program's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Orders for each line of the log.
const ORDERS_PER_LINE: u64 = 20;
/// Orders for each file of the log.
const ORDERS_PER_FILE: u64 = 20_000;
const INSTRUMENTS: [&str; 4] =
    ["BTC-27MAR26-100000-C", "BTC-27MAR26-90000-P", "ETH-27MAR26-4000-C", "BTC-PERPETUAL"];

/// Runs until asked to stop, or killed.
pub(crate) fn run(args: &DemoBotArgs) -> Result<Exit> {
    let stop = Stop::default();
    let asked = stop.clone();
    signals::on_stop(move |_| asked.set())?;
    // Who started it and is killed has no use for it any more.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let logs = args.folder.join("logs");
    std::fs::create_dir_all(&logs).map_err(|error| Report::io("make the folder", &logs, &error))?;
    let mut bot = Bot::open(&args.folder).map_err(|error| failed(&args.folder, &error))?;
    let mut note = args.note.as_deref().map(append).transpose()?;
    let clock = SystemClock::new();
    let (begun, first) = (Instant::now(), bot.next);
    while !stop.is_set() {
        let due = Duration::from_secs(1) / args.rate.max(1);
        let due = due * u32::try_from(bot.next - first).unwrap_or(u32::MAX);
        // Sleeping before each would be slower than asked for.
        if begun.elapsed() + Duration::from_millis(2) < due {
            if stop.sleep(due.saturating_sub(begun.elapsed()).min(Duration::from_secs(1))) {
                break;
            }
            continue;
        }
        let (seq, before_ns) = (bot.next, clock.wall_ns());
        bot.trade(before_ns).map_err(|error| failed(&args.folder, &error))?;
        if let Some(file) = &mut note {
            let line = format!("{seq} {before_ns} {}\n", clock.wall_ns());
            file.write_all(line.as_bytes())
                .map_err(|error| Report::io("write", Path::new("the note"), &error))?;
        }
        if seq.is_multiple_of(ORDERS_PER_LINE) {
            log(&logs, seq, before_ns)?;
        }
    }
    Ok(Exit::Ok)
}

fn failed(folder: &Path, error: &rusqlite::Error) -> Report {
    Report::new(Exit::Failed, format!("the bot's order history: {error}"))
        .at(folder.display().to_string())
}

fn append(path: &Path) -> Result<File> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.map_err(|error| Report::io("write", path, &error))
}

fn log(folder: &Path, seq: u64, at_ns: u64) -> Result<()> {
    let path = folder.join(format!("bot-{:04}.jsonl", seq / ORDERS_PER_FILE));
    let line = serde_json::json!({"at_ns": at_ns, "event": "orders", "up_to": seq});
    writeln!(append(&path)?, "{line}").map_err(|error| Report::io("write", &path, &error))
}

struct Bot {
    connection: Connection,
    /// The first order that is not there yet.
    next: u64,
}

impl Bot {
    fn open(folder: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(folder.join("orders.sqlite"))?;
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch(TABLES)?;
        let orders: i64 = connection.query_row("SELECT orders FROM book", [], |row| row.get(0))?;
        Ok(Self { connection, next: u64::try_from(orders).unwrap_or(0) + 1 })
    }

    /// One order, and the book as it is behind it: one transaction.
    fn trade(&mut self, at_ns: u64) -> rusqlite::Result<()> {
        let seq = self.next;
        let dice = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let pick = |shift: u32, sides: u64| i64::try_from((dice >> shift) % sides).unwrap_or(0);
        let number = i64::try_from(seq).unwrap_or(i64::MAX);
        let quantity = 1 + pick(24, 50);
        let (side, signed) = if pick(40, 2) == 0 { ("buy", quantity) } else { ("sell", -quantity) };
        let instrument = INSTRUMENTS[usize::try_from(pick(48, 4)).unwrap_or(0)];
        let transaction = self.connection.transaction()?;
        transaction.prepare_cached("INSERT INTO orders VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
            (
                number,
                i64::try_from(at_ns).unwrap_or(i64::MAX),
                instrument,
                side,
                50_000 + pick(8, 10_000),
                quantity,
            ),
        )?;
        transaction
            .prepare_cached(
                "UPDATE book SET orders = ?1, position = position + ?2, checksum = checksum + ?1",
            )?
            .execute((number, signed))?;
        transaction.commit()?;
        self.next += 1;
        Ok(())
    }
}
