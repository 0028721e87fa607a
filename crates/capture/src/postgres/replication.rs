//! The commands of a physical replication connection, and the log as it comes.

use std::time::{Duration, Instant};

use super::connection::{Connection, Login, Message, Purpose, Row};
use super::error::{Error, Result};
use super::lsn::{Lsn, Switch, Timeline, parse_history};

/// The oldest version whose commands these are.
const MAJOR_VERSION_MIN: u32 = 15;
/// Between 1970 and 2000, in microseconds: PostgreSQL counts from the latter.
const EPOCH_US: u64 = 946_684_800_000_000;
/// A server that says nothing for this long is given up, though it is asked for a sign of life all
/// the while: its host may be gone without a word.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// What a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Names the cluster; the same on primary and standbys.
    pub identifier: u64,
    /// The timeline it writes, or replays.
    pub timeline: Timeline,
    /// Up to here its log is on its disk.
    pub flushed: Lsn,
    /// Size of a segment file.
    pub segment_bytes: u64,
    /// Its version, as it shows it.
    pub version: String,
}

/// A slot as the server has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// From here on the server keeps its log; none if it was never used or was invalidated.
    pub restart: Option<Lsn>,
    /// The timeline of that.
    pub timeline: Option<Timeline>,
}

/// Microseconds since 2000, as the server sends times, in nanoseconds since 1970.
#[must_use]
pub fn time_ns(microseconds: i64) -> u64 {
    let since_1970 = EPOCH_US.saturating_add_signed(microseconds);
    since_1970.saturating_mul(1000)
}

fn time_us(ns: u64) -> i64 {
    i64::try_from(ns / 1000).unwrap_or(i64::MAX).saturating_sub_unsigned(EPOCH_US)
}

/// A connection for replication.
#[derive(Debug)]
pub struct Replication {
    connection: Connection,
}

impl Replication {
    /// Connects, and looks whether this server can be captured at all.
    ///
    /// # Errors
    /// [`Error::Version`], [`Error::WalLevel`], and what [`Connection::open`] says.
    pub fn open(login: &Login) -> Result<Self> {
        let mut connection = Connection::open(login, Purpose::Replication)?;
        if connection.major_version() < MAJOR_VERSION_MIN {
            let (server, found) = (connection.server().to_owned(), connection.version().to_owned());
            return Err(Error::Version { server, found });
        }
        let level = one(&mut connection, "SHOW wal_level")?;
        if level == "minimal" {
            let server = connection.server().to_owned();
            return Err(Error::WalLevel { server, found: level });
        }
        Ok(Self { connection })
    }

    /// Whom we speak with.
    #[must_use]
    pub fn server(&self) -> &str {
        self.connection.server()
    }

    /// The connection, for other commands.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Who answers.
    ///
    /// # Errors
    /// What the server says.
    pub fn identify(&mut self) -> Result<System> {
        let rows = self.connection.query("IDENTIFY_SYSTEM")?;
        let size = one(&mut self.connection, "SHOW wal_segment_size")?;
        let text = |at: usize| rows.first().and_then(|row| row.get(at)?.clone());
        let found = || {
            Some(System {
                identifier: text(0)?.parse().ok()?,
                timeline: text(1)?.parse().ok()?,
                flushed: text(2)?.parse().ok()?,
                segment_bytes: bytes(&size)?,
                version: self.connection.version().to_owned(),
            })
        };
        found().ok_or_else(|| self.connection.protocol("it does not say who it is"))
    }

    /// The value of a setting.
    ///
    /// # Errors
    /// What the server says.
    pub fn show(&mut self, setting: &str) -> Result<String> {
        one(&mut self.connection, &format!("SHOW {setting}"))
    }

    /// Our slot, if there is one.
    ///
    /// # Errors
    /// What the server says.
    pub fn slot(&mut self, name: &str) -> Result<Option<Slot>> {
        let rows = self.connection.query(&format!("READ_REPLICATION_SLOT {}", quoted(name)))?;
        let row = rows.first().filter(|row| row.first().is_some_and(Option::is_some));
        let number = |row: &Row, at: usize| row.get(at)?.clone();
        Ok(row.map(|row| Slot {
            restart: number(row, 1).and_then(|text| text.parse().ok()),
            timeline: number(row, 2).and_then(|text| text.parse().ok()),
        }))
    }

    /// Makes our slot; from now on the server keeps its log for us.
    ///
    /// # Errors
    /// What the server says.
    pub fn create_slot(&mut self, name: &str) -> Result<()> {
        let command = format!("CREATE_REPLICATION_SLOT {} PHYSICAL RESERVE_WAL", quoted(name));
        self.connection.query(&command).map(drop)
    }

    /// Removes a slot.
    ///
    /// # Errors
    /// What the server says.
    pub fn drop_slot(&mut self, name: &str) -> Result<()> {
        self.connection.query(&format!("DROP_REPLICATION_SLOT {}", quoted(name))).map(drop)
    }

    /// The history file of a timeline: its bytes, and what they say.
    ///
    /// # Errors
    /// What the server says.
    pub fn timeline_history(&mut self, timeline: Timeline) -> Result<(Vec<u8>, Vec<Switch>)> {
        let rows = self.connection.query(&format!("TIMELINE_HISTORY {timeline}"))?;
        let text = rows.first().and_then(|row| row.get(1)?.clone()).unwrap_or_default();
        let switches = parse_history(&text).map_err(|why| self.connection.protocol(&why))?;
        Ok((text.into_bytes(), switches))
    }

    /// Begins to stream the log of a timeline, with our slot.
    ///
    /// # Errors
    /// [`Error::Removed`] if the server does not have it any more.
    pub fn start(mut self, slot: &str, from: Lsn, timeline: Timeline) -> Result<WalStream> {
        let command =
            format!("START_REPLICATION SLOT {} PHYSICAL {from} TIMELINE {timeline}", quoted(slot));
        self.connection.begin_query(&command)?;
        loop {
            let message = self.connection.expect().map_err(|error| is_removed(error, from))?;
            // `W` begins a stream; `T` a row about a timeline that ends exactly here.
            if matches!(message.tag, b'W' | b'T') {
                let connection = self.connection;
                let heard = Instant::now();
                return Ok(WalStream { connection, heard, next: None });
            }
        }
    }
}

/// What comes on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A piece of the log.
    Wal {
        /// Where it begins.
        start: Lsn,
        /// The end of the server's log when it was sent.
        end: Lsn,
        /// When it was sent, by the server's clock: nanoseconds since 1970 UTC.
        time_ns: u64,
        /// The bytes.
        data: Vec<u8>,
    },
    /// The server lives.
    Alive {
        /// The end of its log.
        end: Lsn,
        /// Its clock: nanoseconds since 1970 UTC.
        time_ns: u64,
        /// It wants to hear from us.
        reply: bool,
    },
    /// The timeline ended; the connection is of no use any more.
    Ended {
        /// The next timeline, and where it begins.
        next: Option<(Timeline, Lsn)>,
    },
    /// Nothing came within a moment.
    Quiet,
}

/// The log as it comes.
#[derive(Debug)]
pub struct WalStream {
    connection: Connection,
    heard: Instant,
    next: Option<(Timeline, Lsn)>,
}

impl WalStream {
    /// Whom we speak with.
    #[must_use]
    pub fn server(&self) -> &str {
        self.connection.server()
    }

    /// What comes next; waits a moment at most.
    ///
    /// # Errors
    /// [`Error::Unreachable`] also if the server was silent too long; [`Error::Removed`].
    pub fn next_event(&mut self) -> Result<Event> {
        let message = self.connection.next_in_time();
        self.take(message)
    }

    /// What came already; [`Event::Quiet`] if there is nothing.
    ///
    /// # Errors
    /// As [`WalStream::next_event`].
    pub fn event_at_hand(&mut self) -> Result<Event> {
        let message = self.connection.next_at_hand();
        self.take(message)
    }

    fn take(&mut self, message: Result<Option<Message>>) -> Result<Event> {
        let message = message.map_err(|error| is_removed(error, Lsn::default()))?;
        let Some(message) = message else {
            return self.nothing();
        };
        self.heard = Instant::now();
        match message.tag {
            b'd' => self.piece(message),
            b'c' => {
                self.connection.send(b'c', &[])?;
                Ok(Event::Quiet)
            }
            b'D' => {
                let row = self.connection.row(&message.body)?;
                let text = |at: usize| row.get(at).cloned().flatten();
                let timeline = text(0).and_then(|text| text.parse().ok());
                let begin = text(1).and_then(|text| text.parse().ok());
                self.next = timeline.zip(begin);
                Ok(Event::Quiet)
            }
            b'Z' => Ok(Event::Ended { next: self.next }),
            _ => Ok(Event::Quiet),
        }
    }

    fn nothing(&mut self) -> Result<Event> {
        let silent = self.heard.elapsed();
        if silent > SILENCE_MAX {
            return Err(Error::Unreachable {
                server: self.server().to_owned(),
                detail: format!("it was silent for {} s", silent.as_secs()),
            });
        }
        Ok(Event::Quiet)
    }

    fn piece(&self, message: Message) -> Result<Event> {
        let broken = || self.connection.protocol("a piece of the log is shorter than it says");
        let (kind, rest) = message.body.split_first().ok_or_else(broken)?;
        let number = |at: usize| {
            let bytes = rest.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u64::from_be_bytes).ok_or_else(broken)
        };
        match kind {
            b'w' => {
                let (start, end, sent) = (Lsn(number(0)?), Lsn(number(8)?), number(16)?);
                let time_ns = time_ns(sent.cast_signed());
                let mut data = message.body;
                data.drain(..25);
                Ok(Event::Wal { start, end, time_ns, data })
            }
            b'k' => {
                let time_ns = time_ns(number(8)?.cast_signed());
                let reply = rest.get(16) == Some(&1);
                Ok(Event::Alive { end: Lsn(number(0)?), time_ns, reply })
            }
            _ => Ok(Event::Quiet),
        }
    }

    /// Tells the server how far we are. What is given as flushed lets commits that wait for us go
    /// on, so it has to be durable by whatever was promised.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub fn tell(&mut self, written: Lsn, flushed: Lsn, now_ns: u64, ask: bool) -> Result<()> {
        let mut body = vec![b'r'];
        for lsn in [written, flushed, flushed] {
            body.extend_from_slice(&lsn.0.to_be_bytes());
        }
        body.extend_from_slice(&time_us(now_ns).to_be_bytes());
        body.push(u8::from(ask));
        self.connection.send(b'd', &body)
    }
}

/// The server says it in words only, with the code of a file that is not there, or of a slot that
/// was invalidated.
fn is_removed(error: Error, lsn: Lsn) -> Error {
    match error {
        Error::Server { server, code, message }
            if code == "58P01" && message.contains("has already been removed")
                || code == "55000" && message.contains("can no longer get changes") =>
        {
            Error::Removed { server, lsn }
        }
        other => other,
    }
}

fn one(connection: &mut Connection, query: &str) -> Result<String> {
    let rows = connection.query(query)?;
    let value = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    value.ok_or_else(|| connection.protocol("it gives no answer to SHOW"))
}

/// A size as PostgreSQL shows it, such as `16MB`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match &text[digits.len()..] {
        "B" | "" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return None,
    };
    let size = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    (size.is_power_of_two() && (1 << 20..=1 << 30).contains(&size)).then_some(size)
}

/// A name in a command of replication.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_server_are_nanoseconds_since_1970() {
        assert_eq!(time_ns(0), 946_684_800_000_000_000);
        assert_eq!(time_ns(time_us(1_700_000_000_123_456_000)), 1_700_000_000_123_456_000);
    }

    #[test]
    fn a_segment_size_that_cannot_be_is_not_believed() {
        assert_eq!(bytes("16MB"), Some(16 << 20));
        assert_eq!(bytes("1GB"), Some(1 << 30));
        for wrong in ["0", "3MB", "2GB", "16TB", "x", "512kB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_cannot_end_its_own_quotes() {
        assert_eq!(quoted("a\"; DROP"), "\"a\"\"; DROP\"");
    }
}
