//! A deployment in virtual time: one queue of events, one thread, no clock.

use std::collections::BTreeMap;

use evenkeel_journal::fault_disk::FaultDisk;
use evenkeel_recovery::client::{Answer, Client, Output, Plan as ClientPlan, ToClient, ToVenue};
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::{Ack, Refused};
use evenkeel_types::{ClientSequence, Origin};

use crate::bugs::Bug;
use crate::coverage::{Coverage, Path};
use crate::host::Host;
use crate::market;
use crate::net::{Arrival, Message, Net, Party};
use crate::oracle::Oracle;
use crate::plan::{CLIENTS, Fault, Micros, Mode, PACE, Plan, Step, When};
use crate::process::{Process, State};
use crate::random::Random;
use crate::sites::Sites;
use crate::workload::Trader;

/// Time between two looks of a process at itself.
pub(crate) const TICK: Micros = 2_500;
/// After this long without a fault, everything has to be well again.
const PATIENCE: Micros = 4_000_000;
/// Sequences that the mistake of new ones for old commands takes.
const ANEW: u64 = 1 << 40;

/// Answers that leave once the disk is done.
type Answers = Vec<(u64, Origin, Result<Ack, Refused>)>;

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    Client(usize),
    Arrives(Arrival),
    Commit { slot: usize, life: u64 },
    Answers { slot: usize, life: u64, answers: Answers },
    Tick { slot: usize, life: u64 },
    Start { slot: usize, life: u64 },
    Strike(usize),
    Lift { fault: Fault, dice: u64 },
    Blackout { host: usize, dice: u64 },
    Swap { host: usize, since: Micros, disk: Box<(u64, FaultDisk)> },
}

/// A client and what carries its messages.
#[derive(Debug)]
pub(crate) struct Desk {
    core: Client,
    trader: Trader,
    submitted: u64,
    /// The core's number of its connection, and the net's.
    line: (u64, u64),
    /// Sequences sent so far, for the mistake of new ones.
    sent: BTreeMap<ClientSequence, u64>,
    renamed: BTreeMap<ClientSequence, ClientSequence>,
}

/// See the module.
#[derive(Debug)]
pub struct World {
    pub(crate) plan: Plan,
    pub(crate) bug: Option<Bug>,
    pub(crate) now: Micros,
    queue: BTreeMap<(Micros, u64), Event>,
    queued: u64,
    pub(crate) random: Random,
    pub(crate) net: Net,
    pub(crate) hosts: Vec<Host>,
    pub(crate) processes: [Process; 2],
    desks: Vec<Desk>,
    pub(crate) sites: Sites,
    pub(crate) oracle: Oracle,
    /// Who is primary, in the eyes of the operator of two hosts.
    pub(crate) authority: usize,
    /// The term of every life of a process that was primary.
    pub(crate) terms: BTreeMap<(usize, u64), u64>,
    /// How often a request has come to a primary.
    asked: BTreeMap<Origin, u64>,
    /// Starts that found a damaged journal.
    pub(crate) mends: u64,
    /// When entries were last said to be lost: a new history began then.
    pub(crate) gave_up_at: Micros,
    pub(crate) broken: Option<String>,
    /// Faults that struck, and ways of recovery that were counted for them.
    pub(crate) recent: Vec<(Fault, Micros, Vec<Path>)>,
    pub(crate) coverage: Coverage,
    steps: BTreeMap<String, u64>,
    last_fault: Micros,
    /// What happened, for people; kept if asked for.
    pub(crate) story: Option<Vec<String>>,
}

impl World {
    /// A deployment before its first event.
    #[must_use]
    pub fn new(plan: Plan, bug: Option<Bug>, tells: bool) -> Self {
        let hosts = if plan.mode == Mode::Pair { 1 } else { 2 };
        let addresses = || vec!["0".to_owned(), "1".to_owned()];
        let desks = (0..CLIENTS).map(|index| Desk {
            core: Client::new(ClientPlan {
                pending_max: 24,
                retry_ns: 2_000_000,
                patience_ns: 40_000_000,
                ..ClientPlan::new(&format!("client {index}"), addresses())
            }),
            trader: Trader::new(index, plan.seed),
            submitted: 0,
            line: (0, 0),
            sent: BTreeMap::new(),
            renamed: BTreeMap::new(),
        });
        Self {
            bug,
            now: 0,
            queue: BTreeMap::new(),
            queued: 0,
            random: Random::new(plan.seed ^ 0x5eed),
            net: Net::default(),
            hosts: (0..hosts).map(|_| Host::new(plan.segment_bytes, bug)).collect(),
            processes: <[Process; 2]>::default(),
            desks: desks.collect(),
            sites: Sites::default(),
            oracle: Oracle::default(),
            authority: 0,
            asked: BTreeMap::new(),
            mends: 0,
            gave_up_at: 0,
            terms: BTreeMap::new(),
            broken: None,
            recent: Vec::new(),
            coverage: Coverage::default(),
            steps: BTreeMap::new(),
            last_fault: 0,
            story: tells.then(Vec::new),
            plan,
        }
    }

    /// Plays until every command is answered and everybody is in step, or something is broken.
    pub fn play(&mut self) {
        self.begin();
        let planned = self.plan.faults.clone();
        for (index, planned) in planned.iter().enumerate() {
            if let When::At(at) = planned.when {
                self.last_fault = self.last_fault.max(at + planned.lasts);
                self.push(at, Event::Strike(index));
            }
        }
        let span = self.plan.commands / CLIENTS * PACE;
        let deadline = self.last_fault.max(span) + PATIENCE;
        while self.broken.is_none() {
            let Some(((at, _), event)) = self.queue.pop_first() else { break };
            if at > deadline {
                let what = self.standstill();
                self.breaks(what);
                break;
            }
            self.now = at;
            let looks = matches!(event, Event::Tick { .. });
            self.handle(event);
            if looks && self.is_done() {
                break;
            }
        }
        for (fault, _, ways) in &self.recent {
            if ways.is_empty() {
                self.coverage.unharmed(*fault);
            }
        }
    }

    fn begin(&mut self) {
        self.push(0, Event::Start { slot: 0, life: 0 });
        self.push(400, Event::Start { slot: 1, life: 0 });
        for client in 0..self.desks.len() {
            let at = 1_000 + self.random.below(PACE);
            self.push(at, Event::Client(client));
        }
    }

    fn standstill(&self) -> String {
        let pending: usize = self.desks.iter().map(|desk| desk.core.pending()).sum();
        let roles: Vec<&str> = self
            .processes
            .iter()
            .map(|one| match one.state {
                State::Down => "down",
                State::Serving(_) => "primary",
                State::Standing(_) => "standby",
            })
            .collect();
        format!(
            "no end: {} commands were never sent, {pending} never answered, processes {roles:?}",
            self.commands_left()
        )
    }

    fn commands_left(&self) -> u64 {
        let sent: u64 = self.desks.iter().map(|desk| desk.submitted).sum();
        self.plan.commands.saturating_sub(sent)
    }

    fn is_done(&self) -> bool {
        self.commands_left() == 0
            && self.desks.iter().all(|desk| desk.core.pending() == 0)
            && self.now > self.last_fault
            && self.is_in_step()
    }

    pub(crate) fn push(&mut self, at: Micros, event: Event) {
        self.queued += 1;
        self.queue.insert((at, self.queued), event);
    }

    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>9} us  {}", self.now, what()));
        }
    }

    pub(crate) fn breaks(&mut self, what: String) {
        self.tell(|| format!("BROKEN: {what}"));
        self.broken.get_or_insert(what);
    }

    /// A way of recovery was taken: it counts for every fault of the last moments.
    pub(crate) fn took(&mut self, way: Path) {
        self.tell(|| format!("way back: {way:?}"));
        let since = self.now.saturating_sub(150_000);
        for (fault, at, ways) in &mut self.recent {
            if *at >= since && !ways.contains(&way) {
                ways.push(way);
                self.coverage.hit(*fault, way);
            }
        }
    }

    /// A step of recovery begins: faults that wait for it strike.
    pub(crate) fn steps(&mut self, step: Step) {
        let count = self.steps.entry(format!("{step:?}")).or_default();
        let this = *count;
        *count += 1;
        if self.now < 300 {
            return;
        }
        let waiting: Vec<usize> = (0..self.plan.faults.len())
            .filter(|index| self.plan.faults[*index].when == When::Before(step, this))
            .collect();
        let span = self.plan.commands / CLIENTS * PACE;
        if self.now > span {
            return;
        }
        for index in waiting {
            let lasts = self.plan.faults[index].lasts;
            self.last_fault = self.last_fault.max(self.now + lasts);
            self.push(self.now, Event::Strike(index));
        }
    }

    fn handle(&mut self, event: Event) {
        if let Some(slot) = slot_of(&event)
            && self.processes[slot].paused_until > self.now
        {
            return self.push(self.processes[slot].paused_until, event);
        }
        match event {
            Event::Client(client) => {
                if self.plan.on_margin {
                    let price = market::price(self.plan.seed, self.now);
                    self.desks[client].trader.speculates(price);
                }
                let burst = 1 + self.random.below(2 * self.plan.burst - 1);
                (0..burst).for_each(|_| self.trade(client));
                self.pump(client);
                if self.desks[client].core.pending() > 0 || self.commands_left() > 0 {
                    self.push(self.now + PACE * self.plan.burst, Event::Client(client));
                }
            }
            Event::Arrives(arrival) => self.arrives(arrival),
            Event::Commit { slot, life } if self.processes[slot].life == life => self.commit(slot),
            Event::Answers { slot, life, answers } if self.processes[slot].life == life => {
                self.answer(slot, answers);
            }
            Event::Tick { slot, life } if self.processes[slot].life == life => {
                self.push(self.now + TICK, Event::Tick { slot, life });
                self.tick(slot);
            }
            Event::Start { slot, life } if self.processes[slot].life == life => self.start(slot),
            Event::Strike(index) => self.strike(index),
            Event::Lift { fault, dice } => self.lift(fault, dice),
            Event::Blackout { host, dice } => self.blackout(host, dice),
            Event::Swap { host, since, disk } => self.swap(host, since, *disk),
            Event::Commit { .. }
            | Event::Answers { .. }
            | Event::Tick { .. }
            | Event::Start { .. } => {}
        }
    }

    fn trade(&mut self, client: usize) {
        let now_ns = self.now * 1_000;
        let left = self.commands_left();
        let desk = &mut self.desks[client];
        if left == 0 || desk.core.pending() >= 20 {
            return;
        }
        let request = desk.trader.next(desk.submitted);
        desk.submitted += 1;
        if let Err(error) = desk.core.submit(now_ns, request) {
            self.breaks(format!("client {client}: {error}"));
        }
    }

    /// Does what a client's core asks for.
    fn pump(&mut self, client: usize) {
        for output in self.desks[client].core.outputs(self.now * 1_000) {
            match output {
                Output::Connect { address, connection } => {
                    self.connect(client, usize::from(address == "1"), connection);
                }
                Output::Send(message) => {
                    let line = self.desks[client].line.1;
                    let message = self.renamed(client, message);
                    self.send(line, Party::Client(client), Message::ToVenue(Box::new(message)));
                }
                Output::Answered { origin, answer } => self.answered(client, origin, answer),
            }
        }
    }

    fn connect(&mut self, client: usize, slot: usize, connection: u64) {
        let there = Party::Process(slot, self.processes[slot].life);
        let line = self.net.connect(Party::Client(client), there);
        self.desks[client].line = (connection, line);
        if self.processes[slot].is_up() {
            // The other side of the handshake; it does not arrive if the way is cut.
            self.send(line, there, Message::Opened);
        } else {
            let arrivals = self.net.end(self.now, line);
            self.send_all(arrivals);
        }
    }

    /// The mistake of sending a command again as a new one.
    fn renamed(&mut self, client: usize, message: ToVenue) -> ToVenue {
        let ToVenue::Request { mut request } = message else { return message };
        if self.bug == Some(Bug::RetryWithoutSequence) {
            let desk = &mut self.desks[client];
            let sequence = request.origin.sequence;
            let times = desk.sent.entry(sequence).or_default();
            *times += 1;
            if *times > 1 {
                request.origin.sequence = ClientSequence(ANEW * *times + sequence.0);
                desk.renamed.insert(request.origin.sequence, sequence);
            }
        }
        ToVenue::Request { request }
    }

    fn answered(&mut self, client: usize, origin: Origin, answer: Answer) {
        match answer {
            Answer::Acked(ack) => self.desks[client].trader.observe(&ack.events),
            Answer::Refused(Refused::DiskFull) => {
                self.took(Path::Full);
                if self.asked.get(&origin) == Some(&1) {
                    self.oracle.refused(origin);
                }
            }
        }
    }

    fn client_hears(&mut self, client: usize, connection: u64, message: Message) {
        let now_ns = self.now * 1_000;
        let desk = &mut self.desks[client];
        let known = if desk.line.1 == connection { desk.line.0 } else { 0 };
        match message {
            Message::Opened => desk.core.on_connected(now_ns, known),
            Message::Ended => desk.core.on_lost(now_ns, known),
            Message::ToClient(mut message) => {
                if let ToClient::Acked { origin, .. } | ToClient::Refused { origin, .. } =
                    message.as_mut()
                    && let Some(original) = desk.renamed.get(&origin.sequence)
                {
                    origin.sequence = *original;
                }
                if known != 0
                    && let ToClient::Acked { ack, .. } = message.as_ref()
                    && let Err(what) = self.told(connection, (**ack).clone())
                {
                    return self.breaks(what);
                }
                let desk = &mut self.desks[client];
                desk.core.on_message(now_ns, known, *message);
            }
            _ => {}
        }
        self.pump(client);
    }

    /// A client is told that something is done, whenever its core passes that on.
    fn told(&mut self, connection: u64, ack: Ack) -> Result<(), String> {
        if let Some(Party::Process(slot, life)) = self.net.far(connection)
            && let Some(term) = self.terms.get(&(slot, life))
        {
            if self.oracle.is_of_the_past(*term, ack.position.0) {
                return Ok(());
            }
            self.oracle.speaks(*term, (slot, life))?;
        }
        self.oracle.acked(ack)
    }

    fn arrives(&mut self, arrival: Arrival) {
        let Arrival { connection, to, message, .. } = arrival;
        match to {
            Party::Client(client) => self.client_hears(client, connection, message),
            Party::Process(slot, life) if self.processes[slot].life == life => {
                self.process_hears(slot, connection, message);
            }
            Party::Process(..) => {}
        }
    }

    fn process_hears(&mut self, slot: usize, connection: u64, message: Message) {
        match message {
            Message::ToVenue(message) => self.venue_hears(slot, connection, *message),
            Message::ToPrimary(message) => self.primary_hears(slot, connection, *message),
            Message::ToStandby(message) => self.standby_hears(slot, connection, *message),
            Message::Ended => self.link_ended(slot, connection),
            Message::Opened | Message::ToClient(_) => {}
        }
    }

    fn venue_hears(&mut self, slot: usize, connection: u64, message: ToVenue) {
        let here = Party::Process(slot, self.processes[slot].life);
        let term = self.processes[slot].term;
        let life = self.processes[slot].life;
        let State::Serving(serving) = &mut self.processes[slot].state else {
            let primary_at = (1 - slot).to_string().as_str().into();
            let message = ToClient::NotPrimary { term, primary_at };
            return self.send(connection, here, Message::ToClient(Box::new(message)));
        };
        match message {
            ToVenue::Hello { .. } => {
                let term = serving.primary.log().term();
                let message = ToClient::Welcome { version: ProtocolVersion, term };
                self.send(connection, here, Message::ToClient(Box::new(message)));
            }
            ToVenue::Market => {}
            ToVenue::Request { request } => {
                let times = self.asked.entry(request.origin).or_default();
                *times += 1;
                if *times > 1 {
                    // A copy that was on its way for long comes when there is room again.
                    self.oracle.not_refused(&request.origin);
                }
                serving.queue.push((connection, *request));
                if !serving.commits {
                    serving.commits = true;
                    let at = (self.now + 150).max(serving.busy_until);
                    self.push(at, Event::Commit { slot, life });
                }
            }
        }
    }

    fn commit(&mut self, slot: usize) {
        let host = self.host_of(slot);
        let (moment, sync) = (self.hosts[host].moment(self.now), self.hosts[host].sync);
        let life = self.processes[slot].life;
        let State::Serving(serving) = &mut self.processes[slot].state else { return };
        serving.commits = false;
        let queue = std::mem::take(&mut serving.queue);
        let now = serving.clock.now(&moment);
        let (lines, requests): (Vec<u64>, Vec<_>) = queue.into_iter().unzip();
        let origins: Vec<Origin> = requests.iter().map(|one| one.origin).collect();
        match serving.primary.commit(now, requests) {
            Ok(answers) => {
                serving.busy_until = self.now + sync;
                let answers: Answers = lines
                    .into_iter()
                    .zip(origins)
                    .zip(answers)
                    .map(|((line, origin), answer)| (line, origin, answer))
                    .collect();
                self.push(self.now + sync, Event::Answers { slot, life, answers });
                self.feed(slot);
            }
            Err(error) => self.fails(slot, &error.to_string()),
        }
    }

    fn answer(&mut self, slot: usize, answers: Answers) {
        let here = Party::Process(slot, self.processes[slot].life);
        for (line, origin, answer) in answers {
            let message = match answer {
                Ok(ack) => ToClient::Acked { origin, ack: Box::new(ack) },
                Err(refused) => ToClient::Refused { origin, refused },
            };
            self.send(line, here, Message::ToClient(Box::new(message)));
        }
    }

    pub(crate) fn send(&mut self, line: u64, from: Party, message: Message) {
        let arrivals = self.net.send(self.now, &mut self.random, line, from, message);
        self.send_all(arrivals);
    }

    pub(crate) fn send_all(&mut self, arrivals: Vec<Arrival>) {
        for arrival in arrivals {
            self.push(arrival.at, Event::Arrives(arrival));
        }
    }

    /// The host on which a process lives.
    #[must_use]
    pub(crate) fn host_of(&self, slot: usize) -> usize {
        if self.plan.mode == Mode::Pair { 0 } else { slot }
    }
}

/// The process for which an event is, if it can wait for a process that stands still.
fn slot_of(event: &Event) -> Option<usize> {
    match event {
        Event::Commit { slot, .. } | Event::Answers { slot, .. } | Event::Tick { slot, .. } => {
            Some(*slot)
        }
        Event::Arrives(Arrival { to: Party::Process(slot, _), .. }) => Some(*slot),
        _ => None,
    }
}
