//! What happens in a history, as a function of its seed: the deployment, how much is traded, and
//! which faults strike when.

use crate::random::Random;

/// Virtual time in microseconds since the beginning of a history.
pub type Micros = u64;

/// Commands that a history has at least.
pub const COMMANDS_MIN: u64 = 2_000;
/// Faults that a history has at least.
pub const FAULTS_MIN: u64 = 3;

/// How the venue is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Primary and standby on one host, over one journal.
    Pair,
    /// Two hosts; the standby keeps its own copy of the journal.
    Mirror,
    /// Three hosts over one replicated store.
    Trio,
}

impl Mode {
    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pair => "one host",
            Self::Mirror => "two hosts",
            Self::Trio => "three hosts",
        }
    }
}

/// Something that goes wrong, or that an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The power of a host goes; of unsynced writes any part survives, at any operation.
    PowerLoss,
    /// The power goes, and nothing that was not synced survives.
    LostWrites,
    /// A sync fails; any part may be durable.
    SyncError,
    /// A write goes to another offset.
    Misdirected,
    /// A bit changes at rest.
    BitFlip,
    /// Syncs are claimed and not done, then the power goes: the tail vanishes whole.
    VanishedTail,
    /// The disk is full for a while.
    Full,
    /// The disk is slow for a while.
    SlowDisk,
    /// A host comes back with the disk of some time ago.
    OldDisk,
    /// A process is killed.
    Kill,
    /// Every process is killed.
    KillAll,
    /// A process stands still, and does not know.
    Pause,
    /// A host's clock jumps, forwards or back.
    ClockJump,
    /// A bit of the standby's memory changes.
    MemoryFlip,
    /// Messages are lost for a while; their connections break.
    Drop,
    /// Messages are late for a while.
    Delay,
    /// Messages come twice for a while.
    Duplicate,
    /// Messages overtake one another for a while.
    Reorder,
    /// Nobody reaches one of the processes for a while.
    Partition,
    /// One of the processes hears everything and is not heard.
    OneWay,
    /// A site does not answer for a while.
    SiteDown,
    /// A site gives back something else.
    SiteLies,
    /// A site loses everything.
    SiteLost,
    /// The power goes while a frame is being written: some of its sectors are there.
    TornWrite,
    /// The disk claims a write or a sync, and does nothing.
    LostWrite,
    /// Every message takes long for a while.
    SlowLink,
    /// The operator hands the primary's duty over.
    Failover,
    /// The operator lets the journal be scrubbed, and mended if needed.
    Scrub,
    /// The journal's folder is lost whole and restored from copies.
    Restore,
    /// Commits to the shared store stay without an answer; done, not done, or done later.
    StoreUnknown,
    /// A host does not reach the shared store for a while.
    StoreCut,
    /// The shared store has no majority for a while.
    StoreDown,
    /// The shared store has no room for a while.
    StoreFull,
}

impl Fault {
    /// Those of one and two hosts. New ones stand last: [`Plan::of`] draws from the first
    /// [`Fault::DRAWN`], so that seeds that found something keep their histories.
    pub const ALL: [Self; 29] = [
        Self::PowerLoss,
        Self::LostWrites,
        Self::SyncError,
        Self::Misdirected,
        Self::BitFlip,
        Self::VanishedTail,
        Self::Full,
        Self::SlowDisk,
        Self::OldDisk,
        Self::Kill,
        Self::KillAll,
        Self::Pause,
        Self::ClockJump,
        Self::MemoryFlip,
        Self::Drop,
        Self::Delay,
        Self::Duplicate,
        Self::Reorder,
        Self::Partition,
        Self::OneWay,
        Self::SiteDown,
        Self::SiteLies,
        Self::SiteLost,
        Self::Failover,
        Self::Scrub,
        Self::Restore,
        Self::TornWrite,
        Self::LostWrite,
        Self::SlowLink,
    ];

    /// As many of them are drawn without an aim.
    pub const DRAWN: usize = 26;

    /// Those that end a process in any case: what follows is never nothing.
    #[must_use]
    pub fn ends_a_process(self) -> bool {
        matches!(
            self,
            Self::PowerLoss
                | Self::LostWrites
                | Self::VanishedTail
                | Self::OldDisk
                | Self::Kill
                | Self::KillAll
                | Self::TornWrite
                | Self::Restore
        )
    }

    /// Those that only a shared store has.
    #[must_use]
    pub fn is_of_store(self) -> bool {
        matches!(self, Self::StoreUnknown | Self::StoreCut | Self::StoreDown | Self::StoreFull)
    }

    /// Those of three hosts over one store that are drawn without an aim.
    pub const OF_TRIO: [Self; 12] = [
        Self::PowerLoss,
        Self::LostWrites,
        Self::Kill,
        Self::KillAll,
        Self::Pause,
        Self::Partition,
        Self::Restore,
        Self::StoreUnknown,
        Self::StoreUnknown,
        Self::StoreCut,
        Self::StoreDown,
        Self::StoreFull,
    ];

    /// All of three hosts over one store, its own twice.
    pub const ALL_OF_TRIO: [Self; 20] = [
        Self::PowerLoss,
        Self::LostWrites,
        Self::Kill,
        Self::KillAll,
        Self::Pause,
        Self::Partition,
        Self::Restore,
        Self::StoreUnknown,
        Self::StoreCut,
        Self::StoreDown,
        Self::StoreFull,
        Self::StoreUnknown,
        Self::StoreCut,
        Self::StoreDown,
        Self::StoreFull,
        Self::TornWrite,
        Self::SyncError,
        Self::BitFlip,
        Self::OldDisk,
        Self::ClockJump,
    ];
}

/// A step of recovery during which a second fault is worth most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A journal is being opened.
    Open,
    /// A standby is taking over.
    TakeOver,
    /// A journal is being mended.
    Mend,
    /// Segments are being given up.
    Trim,
}

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At a time.
    At(Micros),
    /// Just before a step is taken for this time, counted from 0.
    Before(Step, u64),
}

/// A fault, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// When.
    pub when: When,
    /// What.
    pub fault: Fault,
    /// Which process, host or site it concerns, and whatever else it leaves open.
    pub dice: u64,
    /// How long it lasts, if it lasts.
    pub lasts: Micros,
}

/// A history before it is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its seed.
    pub seed: u64,
    /// The deployment.
    pub mode: Mode,
    /// Commands that the clients send.
    pub commands: u64,
    /// Commands that a client sends at a time, on average.
    pub burst: u64,
    /// Size of a journal segment in bytes.
    pub segment_bytes: u64,
    /// Clients trade on margin, and a price falls.
    pub on_margin: bool,
    /// What goes wrong.
    pub faults: Vec<Planned>,
}

/// A bit of a seed: it is of three hosts.
pub const TRIO: u64 = 1 << 62;
/// A bit of a seed: its history is aimed at one way of recovery (see [`crate::aim`]).
pub const AIMED: u64 = 1 << 61;

/// Time between two commands of a client.
pub const PACE: Micros = 900;
/// Clients.
pub const CLIENTS: u64 = 4;

impl Plan {
    /// The history of a seed of one or two hosts; with [`TRIO`] in it, of three; with [`AIMED`]
    /// in it, one that is aimed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        if seed & AIMED != 0 {
            return crate::aim::plan(seed);
        }
        if seed & TRIO != 0 {
            return Self::of_trio(seed);
        }
        let mut random = Random::new(seed);
        let mode = if random.one_in(3) { Mode::Mirror } else { Mode::Pair };
        let commands = COMMANDS_MIN + random.below(200);
        let span = commands / CLIENTS * PACE;
        let count = FAULTS_MIN + random.below(5);
        let mut faults: Vec<Planned> = Vec::new();
        for _ in 0..count {
            let fault = random.pick(&Fault::ALL[..Fault::DRAWN]);
            let step = random.pick(&[Step::Open, Step::TakeOver, Step::Mend, Step::Trim]);
            let when = if random.one_in(4) {
                When::Before(step, random.below(3))
            } else {
                When::At(random.between(span / 50, span * 9 / 10))
            };
            let lasts = random.between(500, 60_000);
            let dice = random.draw();
            faults.push(Planned { when, fault, dice, lasts });
            // Damage is worth most if it is met at the next start, with nothing shipped since.
            let meets = [Fault::BitFlip, Fault::Misdirected, Fault::SyncError].contains(&fault);
            if let (true, When::At(at)) = (meets && random.one_in(2), when) {
                let after = random.pick(&[Fault::KillAll, Fault::KillAll, Fault::LostWrites]);
                let fault = if fault == Fault::SyncError { Fault::LostWrites } else { after };
                let when = When::At(at + random.below(2_000));
                faults.push(Planned { when, fault, dice: random.draw(), lasts: 0 });
            }
        }
        // What makes rare paths common: something to recover from soon after the first fault.
        if let When::At(at) = faults[0].when {
            let fault = random.pick(&[Fault::Kill, Fault::KillAll, Fault::PowerLoss]);
            let when = When::At(at + random.below(30_000));
            faults.push(Planned { when, fault, dice: random.draw(), lasts: 0 });
        }
        faults.sort_by_key(|one| match one.when {
            When::At(at) => (0, at),
            When::Before(_, count) => (1, count),
        });
        let segment_bytes = random.pick(&[16, 32, 64]) << 10;
        let burst = random.pick(&[1, 4, 8, 8]);
        Self { seed, mode, commands, burst, segment_bytes, on_margin: false, faults }
    }

    fn of_trio(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let commands = COMMANDS_MIN + random.below(200);
        let span = commands / CLIENTS * PACE;
        let mut faults: Vec<Planned> = Vec::new();
        for _ in 0..FAULTS_MIN + random.below(5) {
            let fault = random.pick(&Fault::OF_TRIO);
            let at = random.between(span / 50, span * 9 / 10);
            let lasts = random.between(500, 60_000);
            faults.push(Planned { when: When::At(at), fault, dice: random.draw(), lasts });
        }
        faults.sort_by_key(|one| match one.when {
            When::At(at) | When::Before(_, at) => at,
        });
        let segment_bytes = random.pick(&[32, 64]) << 10;
        let burst = random.pick(&[2, 4, 8]);
        Self { seed, mode: Mode::Trio, commands, burst, segment_bytes, on_margin: false, faults }
    }
}
