//! Both ends of the link over a network that is cut, and the standby's mirror of the journal.

use std::sync::Arc;

use evenkeel_journal::{Base, Batch, FileLog, Reader};
use evenkeel_recovery::detector::{Rhythm, Suspicion};
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::link::{
    DigestAt, Heard, Held, Hello, LinkFrame, LinkPlan, LocalPast, Notice, PrimaryEnd, Range,
    StandbyEnd, ToPrimary, ToStandby, Wrong,
};
use evenkeel_recovery::{Checkpoint, RecoveryError, Standby};
use evenkeel_types::Timestamp;
use proptest::prelude::*;

use crate::support::market::Random;
use crate::support::{Host, IDENTITY, SMALL};

const RHYTHM: Rhythm = Rhythm { beat_every_ns: 100, beats_missed: 6 };
const PLAN: LinkPlan = LinkPlan { window_bytes: 600, burst_bytes: 200, rhythm: RHYTHM };

fn past(host: &Host) -> LocalPast {
    LocalPast {
        disk: Arc::clone(&host.disk),
        dir: host.dir.clone(),
        lineage: IDENTITY.lineage,
        base: Base::genesis(),
        watermark: host.primary.log().watermark(),
    }
}

fn primary_end(host: &Host, now_ns: u64) -> PrimaryEnd {
    PrimaryEnd::new(Box::new(past(host)), PLAN, host.primary.log().term(), now_ns)
}

fn standby_end(standby: &Standby, now_ns: u64) -> StandbyEnd {
    StandbyEnd::new(standby, IDENTITY.lineage, "host two", 0, RHYTHM, now_ns)
}

fn started() -> Standby {
    Standby::start(&Checkpoint::genesis()).unwrap()
}

fn no_mirror(_: &Batch) -> evenkeel_recovery::Result<()> {
    Ok(())
}

/// A primary, a standby that mirrors, and a network between them.
struct Pair {
    host: Host,
    standby: Standby,
    mirror: FileLog,
    _folder: tempfile::TempDir,
    ends: Option<(PrimaryEnd, StandbyEnd)>,
    now_ns: u64,
    notices: Vec<Notice>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let host = Host::founded(seed);
        let folder = tempfile::tempdir().unwrap();
        let (disk, dir) = (Arc::clone(&host.disk), folder.path().join("mirror"));
        let mut mirror = FileLog::create(disk, &dir, IDENTITY, Base::genesis(), SMALL).unwrap();
        mirror.confirm_end(&[]).unwrap();
        Self {
            host,
            standby: started(),
            mirror,
            _folder: folder,
            ends: None,
            now_ns: 0,
            notices: Vec::new(),
        }
    }

    fn connect(&mut self) {
        let ends = (primary_end(&self.host, self.now_ns), standby_end(&self.standby, self.now_ns));
        self.ends = Some(ends);
    }

    /// Carries what there is, in both directions; returns how many messages that were. With `cut`,
    /// the connection breaks behind so many messages.
    fn carry(&mut self, cut: Option<usize>) -> usize {
        let Self { host, standby, mirror, ends, now_ns, notices, .. } = self;
        let Some((primary, other)) = ends else { return 0 };
        let mut carried = 0;
        let mut is_cut = || {
            carried += 1;
            cut.is_some_and(|cut| carried > cut)
        };
        for digest in host.primary.take_digests() {
            primary.digest(digest);
        }
        let mut broken = false;
        for message in primary.outputs(*now_ns, Timestamp(host.time)).unwrap() {
            broken = broken || is_cut();
            if !broken {
                let mut keep = |batch: &Batch| {
                    mirror.mirror(batch, "the primary").map(|_| ()).map_err(Into::into)
                };
                notices.extend(other.hear(*now_ns, message, standby, &mut keep).unwrap());
            }
        }
        for message in other.outputs(standby) {
            broken = broken || is_cut();
            if !broken && let Some(Heard::Holds(held)) = primary.hear(message).unwrap() {
                assert!(mirror.next() >= held.position, "told to be held before it was");
            }
        }
        if broken {
            self.ends = None;
        }
        carried
    }

    fn settle(&mut self) {
        for _ in 0..20_000 {
            self.now_ns += 1;
            let moved = self.carry(None);
            let standing = self.ends.as_ref().and_then(|(primary, _)| primary.standing());
            let holds = standing.map_or(0, |standing| standing.holds_next);
            if moved == 0 && holds == self.host.position() {
                return;
            }
        }
        panic!("the standby stands at {} of {}", self.standby.position(), self.host.position());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn however_often_the_connection_breaks_the_standby_comes_to_hold_everything(
        seed in 0..10_000u64,
    ) {
        let mut random = Random(seed);
        let mut pair = Pair::new(seed);
        for _ in 0..150 {
            pair.now_ns += random.below(60);
            if pair.ends.is_none() && random.one_in(2) {
                pair.connect();
            }
            if random.one_in(2) {
                let entries = 1 + random.below(12);
                pair.host.trade(entries);
            }
            let cut = random.one_in(5).then(|| usize::try_from(random.below(9)).unwrap());
            pair.carry(cut);
        }
        pair.connect();
        pair.settle();
        let log = pair.host.primary.log();
        prop_assert_eq!(pair.standby.position(), log.next());
        prop_assert_eq!(pair.standby.chain(), log.chain());
        prop_assert_eq!((pair.mirror.next(), pair.mirror.chain()), (log.next(), log.chain()));
        let (here, there) = (pair.standby.engine(), pair.host.primary.engine());
        prop_assert_eq!(here.state_root(), there.state_root());
        prop_assert_eq!(pair.standby.divergence(), None);
    }
}

#[test]
fn no_more_than_the_window_is_under_way_and_beats_come_all_the_same() {
    let mut host = Host::founded(90);
    host.trade(400);
    let mut primary = primary_end(&host, 0);
    let hello = standby_end(&started(), 0).outputs(&mut started()).remove(0);
    assert_eq!(primary.hear(hello).unwrap(), Some(Heard::Joined));
    let (mut bytes, mut largest, mut beats, mut last) = (0, 0, 0, 0);
    for now_ns in (0..1_000).step_by(50) {
        for message in primary.outputs(now_ns, Timestamp(host.time)).unwrap() {
            match message {
                ToStandby::Frame(frame) => {
                    bytes += frame.entry_bytes();
                    largest = largest.max(frame.entry_bytes());
                    last = frame.0.next();
                }
                ToStandby::Beat(beat) => {
                    beats += 1;
                    assert_eq!(beat.durable_next, host.position());
                }
                _ => {}
            }
        }
    }
    assert!(bytes >= PLAN.window_bytes.min(largest), "{bytes}");
    assert!(bytes < PLAN.window_bytes + largest, "{bytes}");
    assert_eq!(beats, 10);
    assert_eq!(primary.standing().unwrap().sent_next, last);
    // What it confirms makes room.
    primary.hear(ToPrimary::Holds(Held { position: last, chain: [0; 32] })).unwrap();
    let more = primary.outputs(1_000, Timestamp(host.time)).unwrap();
    assert!(more.iter().any(|message| matches!(message, ToStandby::Frame(_))));
    assert_eq!(primary.standing().unwrap().holds_next, last);
    assert_eq!(primary.standing().unwrap().lag_entries, host.position() - last);
}

/// What a primary says to a standby that it does not serve.
fn refusal(host: &Host, change: impl FnOnce(&mut Hello)) -> String {
    let (position, chain) = (host.position(), host.primary.log().chain());
    let (version, lineage, name) = (ProtocolVersion, IDENTITY.lineage, "two".into());
    let mut hello = Hello { version, lineage, position, chain, name };
    change(&mut hello);
    let mut primary = primary_end(host, 0);
    assert_eq!(primary.hear(ToPrimary::Hello(hello)).unwrap(), Some(Heard::Refused));
    let outputs = primary.outputs(0, Timestamp(0)).unwrap();
    assert!(primary.is_over());
    let [ToStandby::Refused(refusal)] = &outputs[..] else { panic!("{outputs:?}") };
    refusal.why.0.clone()
}

#[test]
fn a_standby_of_another_history_is_told_why_it_is_refused() {
    let mut host = Host::founded(91);
    host.trade(30);
    let lineage = refusal(&host, |hello| hello.lineage = [1; 16]);
    assert!(lineage.contains("another lineage"), "{lineage}");
    let chain = refusal(&host, |hello| hello.chain = [1; 32]);
    assert!(chain.contains("another history"), "{chain}");
    let ahead = refusal(&host, |hello| hello.position += 1);
    assert!(ahead.contains("lost entries or has written alone"), "{ahead}");
    // Inside the founding's frame.
    let inside = refusal(&host, |hello| hello.position = 2);
    assert!(inside.contains("no frame of this journal ends at position 2"), "{inside}");
}

#[test]
fn where_frames_end_the_chain_is_found_and_nowhere_else() {
    use evenkeel_recovery::link::Past;
    let mut host = Host::founded(92);
    host.trade(60);
    let (history, past) = (host.history(), past(&host));
    assert_eq!(past.chain_at(0).unwrap(), Some([0; 32]));
    for position in 1..=history.end() {
        assert_eq!(past.chain_at(position).unwrap(), history.chain_at(position), "{position}");
    }
}

#[test]
fn messages_out_of_place_close_the_connection() {
    let host = Host::founded(93);
    let held = Held { position: 3, chain: [0; 32] };
    let error = primary_end(&host, 0).hear(ToPrimary::Holds(held)).unwrap_err();
    assert!(matches!(error, RecoveryError::Link(_)), "{error}");
    let (mut pair, mut standby) = (Pair::new(94), started());
    pair.connect();
    let (mut primary, mut end) = pair.ends.take().unwrap();
    let hello = end.outputs(&mut standby).remove(0);
    primary.hear(hello.clone()).unwrap();
    assert!(primary.hear(hello).is_err(), "a second greeting");
    assert!(primary.hear(ToPrimary::Holds(held)).is_err(), "it was never sent");
    let messages = primary.outputs(0, Timestamp(0)).unwrap();
    let frame = messages.iter().find(|message| matches!(message, ToStandby::Frame(_))).unwrap();
    let early = end.hear(0, frame.clone(), &mut standby, &mut no_mirror);
    assert!(early.is_err(), "before the welcome");
    end.hear(0, messages[0].clone(), &mut standby, &mut no_mirror).unwrap();
    let mut skipped = frame.clone();
    if let ToStandby::Frame(LinkFrame(batch)) = &mut skipped {
        batch.first += 1;
    }
    let error = end.hear(0, skipped, &mut standby, &mut no_mirror).unwrap_err();
    assert!(error.to_string().contains("a frame at 1 where 0 is due"), "{error}");
    assert_eq!(standby.position(), 0);
}

#[test]
fn a_primary_of_an_older_term_is_not_followed() {
    let host = Host::founded(95);
    let mut primary = primary_end(&host, 0);
    let mut standby = started();
    let mut end = StandbyEnd::new(&standby, IDENTITY.lineage, "two", 9, RHYTHM, 0);
    primary.hear(end.outputs(&mut standby).remove(0)).unwrap();
    let welcome = primary.outputs(0, Timestamp(0)).unwrap().remove(0);
    let error = end.hear(0, welcome, &mut standby, &mut no_mirror).unwrap_err();
    assert!(error.to_string().contains("term 1, which term 9 has replaced"), "{error}");
}

#[test]
fn a_hand_over_is_the_last_word_and_comes_behind_every_frame() {
    let mut pair = Pair::new(96);
    pair.host.trade(200);
    pair.connect();
    pair.carry(None);
    let end = pair.host.position();
    let log = pair.host.primary.log();
    let (chain, term) = (log.chain(), log.term());
    let over = evenkeel_recovery::link::HandOver { position: end, chain, term };
    pair.ends.as_mut().unwrap().0.hand_over(over);
    for _ in 0..2_000 {
        pair.carry(None);
    }
    let last = pair.notices.last().cloned();
    assert_eq!(last, Some(Notice::HandOver(over)));
    assert_eq!(pair.standby.position(), end);
    assert!(pair.ends.as_ref().unwrap().0.is_over());
}

#[test]
fn frames_of_the_past_are_fetched_while_the_stream_goes_on() {
    let mut pair = Pair::new(97);
    pair.host.trade(200);
    pair.connect();
    pair.settle();
    let frames = pair.host.history().frames;
    let range = Range { from: frames[3].first, to: frames[20].next() };
    pair.ends.as_mut().unwrap().1.fetch(range);
    pair.host.trade(20);
    pair.settle();
    let fetched: Vec<Batch> = pair
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Fetched(batch) => Some(batch.clone()),
            _ => None,
        })
        .collect();
    let expected: Vec<Batch> =
        Reader::external(Arc::clone(&pair.host.disk), &pair.host.dir, range.from)
            .unwrap()
            .take(18)
            .map(Result::unwrap)
            .collect();
    assert_eq!(fetched, expected);
    let end = Range { from: range.to, to: range.to };
    assert_eq!(pair.notices.last(), Some(&Notice::FetchEnd(end)));
    assert_eq!(pair.standby.position(), pair.host.position());
}

#[test]
fn a_divergence_is_noticed_once_and_the_verdict_reaches_the_primary() {
    let mut pair = Pair::new(98);
    pair.host.trade(100);
    pair.connect();
    pair.settle();
    let position = pair.host.position();
    // As a primary would say whose memory has changed.
    pair.ends.as_mut().unwrap().0.digest(DigestAt { position, digest: [7; 32] });
    pair.carry(None);
    assert_eq!(pair.notices.last(), Some(&Notice::Diverged));
    let from = pair.standby.arbitrates_from();
    let disk = Arc::clone(&pair.host.disk);
    let mut reader = Reader::external(disk, pair.mirror.dir(), from).unwrap();
    pair.standby.arbitrate(&mut reader).unwrap();
    let (primary, end) = pair.ends.as_mut().unwrap();
    for _ in 0..2 {
        end.diverged(&pair.standby);
    }
    let told: Vec<ToPrimary> = end.outputs(&mut pair.standby);
    let [message @ ToPrimary::Diverged(diverged)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((diverged.position, diverged.wrong), (position, Wrong::Primary));
    assert_eq!(primary.hear(message.clone()).unwrap(), Some(Heard::Diverged(*diverged)));
    assert_eq!(primary.standing().unwrap().diverged, Some(*diverged));
    // It goes on applying what is durable.
    pair.host.trade(10);
    pair.settle();
    assert_eq!(pair.standby.promotable(), Ok(()));
}

#[test]
fn silence_and_the_end_of_a_connection_are_suspected() {
    let mut pair = Pair::new(99);
    pair.connect();
    pair.settle();
    let heard_ns = pair.now_ns;
    let (_, end) = pair.ends.as_mut().unwrap();
    let mut now_ns = heard_ns;
    while end.look(now_ns).is_none() {
        now_ns = end.looks_at_ns();
    }
    assert!((599..=700).contains(&(now_ns - heard_ns)), "{}", now_ns - heard_ns);
    pair.carry(None);
    let (_, end) = pair.ends.as_mut().unwrap();
    end.ended();
    assert_eq!(end.look(now_ns), Some(Suspicion::Ended));
}
