//! Connections between processes and clients, and what happens to messages on their way.

use std::collections::BTreeMap;

use evenkeel_recovery::client::{ToClient, ToVenue};
use evenkeel_recovery::link::{ToPrimary, ToStandby};

use crate::plan::Micros;
use crate::random::Random;

/// What a slow link adds to a message's way.
pub const SLOW: Micros = 6_000;

/// Who can be at an end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// A client.
    Client(usize),
    /// A process of the venue, in one of its lives.
    Process(usize, u64),
}

/// What comes out of a connection.
#[derive(Debug, Clone)]
pub enum Message {
    /// It is open.
    Opened,
    /// It has ended.
    Ended,
    /// From a client.
    ToVenue(Box<ToVenue>),
    /// To a client.
    ToClient(Box<ToClient>),
    /// From a standby.
    ToPrimary(Box<ToPrimary>),
    /// To a standby.
    ToStandby(Box<ToStandby>),
}

/// A message that will arrive.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When.
    pub at: Micros,
    /// On which connection.
    pub connection: u64,
    /// To whom.
    pub to: Party,
    /// What.
    pub message: Message,
}

#[derive(Debug)]
struct Connection {
    ends: [Party; 2],
    last_arrival: [Micros; 2],
    broken: bool,
    /// Something was lost on it: it breaks at the next message that gets through.
    has_hole: bool,
}

/// What the network does to messages now; each until a time.
#[derive(Debug, Default, Clone)]
pub struct Weather {
    /// Messages are lost.
    pub drops: Micros,
    /// Messages are late.
    pub delays: Micros,
    /// Messages come twice.
    pub duplicates: Micros,
    /// Messages overtake one another.
    pub reorders: Micros,
    /// Every message takes [`SLOW`] longer.
    pub slow: Micros,
    /// Nobody reaches a process, or hears it.
    pub isolated: [Micros; 2],
    /// A process is not heard.
    pub mute: [Micros; 2],
}

/// All connections.
#[derive(Debug, Default)]
pub struct Net {
    connections: BTreeMap<u64, Connection>,
    next: u64,
    /// What it does to messages.
    pub weather: Weather,
}

impl Net {
    /// Opens a connection.
    pub fn connect(&mut self, from: Party, to: Party) -> u64 {
        self.next += 1;
        let connection =
            Connection { ends: [from, to], last_arrival: [0; 2], broken: false, has_hole: false };
        self.connections.insert(self.next, connection);
        self.next
    }

    /// The end of a connection that did not open it.
    #[must_use]
    pub fn far(&self, connection: u64) -> Option<Party> {
        self.connections.get(&connection).map(|line| line.ends[1])
    }

    fn is_cut(&self, now: Micros, from: Party, to: Party) -> bool {
        let isolated = |party: Party| match party {
            Party::Process(slot, _) => self.weather.isolated[slot] > now,
            _ => false,
        };
        let mute = matches!(from, Party::Process(slot, _) if self.weather.mute[slot] > now);
        isolated(from) || isolated(to) || mute
    }

    /// Sends a message from one end of a connection to the other.
    pub fn send(
        &mut self,
        now: Micros,
        random: &mut Random,
        connection: u64,
        from: Party,
        message: Message,
    ) -> Vec<Arrival> {
        let Some(line) = self.connections.get(&connection) else { return Vec::new() };
        let side = usize::from(line.ends[0] != from);
        let to = line.ends[1 - side];
        let cut = self.is_cut(now, from, to);
        let weather = self.weather.clone();
        let Some(line) = self.connections.get_mut(&connection) else { return Vec::new() };
        let latency = 40 + random.below(120);
        if line.broken {
            let message = Message::Ended;
            return vec![Arrival { at: now + latency, connection, to: from, message }];
        }
        if cut {
            line.has_hole = true;
            return Vec::new();
        }
        if line.has_hole || (weather.drops > now && random.one_in(25)) {
            return self.end(now, connection);
        }
        let late = if weather.delays > now { random.below(4_000) } else { 0 };
        let slow = if weather.slow > now { SLOW } else { 0 };
        let mut at = now + latency + late + slow;
        if weather.reorders <= now {
            at = at.max(line.last_arrival[side] + 1);
        }
        line.last_arrival[side] = line.last_arrival[side].max(at);
        let arrival = Arrival { at, connection, to, message };
        if weather.duplicates > now && random.one_in(4) {
            let again = Arrival { at: at + random.below(500), ..arrival.clone() };
            return vec![arrival, again];
        }
        vec![arrival]
    }

    /// Ends a connection; both ends hear of it behind what is under way.
    pub fn end(&mut self, now: Micros, connection: u64) -> Vec<Arrival> {
        let Some(line) = self.connections.get_mut(&connection) else { return Vec::new() };
        if std::mem::replace(&mut line.broken, true) {
            return Vec::new();
        }
        let ended = |side: usize| {
            let (at, message) = ((now + 60).max(line.last_arrival[1 - side] + 1), Message::Ended);
            Arrival { at, connection, to: line.ends[side], message }
        };
        vec![ended(0), ended(1)]
    }

    /// Ends every connection of a party.
    pub fn end_all(&mut self, now: Micros, party: Party) -> Vec<Arrival> {
        let open = |line: &Connection| !line.broken && line.ends.contains(&party);
        let ids: Vec<u64> =
            self.connections.iter().filter(|(_, line)| open(line)).map(|(id, _)| *id).collect();
        ids.into_iter().flat_map(|id| self.end(now, id)).collect()
    }
}
