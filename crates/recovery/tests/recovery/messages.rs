//! The link's and the client protocol's messages on a stream.

use evenkeel_journal::{Batch, Record};
use evenkeel_recovery::client::{Blob, ToClient, ToVenue};
use evenkeel_recovery::framing::{MESSAGE_BYTES_MAX, ProtocolVersion};
use evenkeel_recovery::link::{
    Beat, DigestAt, Diverged, HandOver, Held, Hello, LinkFrame, Range, Refusal, ToPrimary,
    ToStandby, Welcome, Wrong,
};
use evenkeel_recovery::{Ack, FramingError, Refused, Request, Unframer, write_message};
use evenkeel_types::codec::Canonical;
use evenkeel_types::{
    AccountId, ClientSequence, Command, Event, OrderId, Origin, Outcome, OutcomeKind, Position,
    SessionId, Timestamp,
};
use proptest::prelude::*;

fn frame(first: u64, entries: &[&[u8]]) -> LinkFrame {
    let record =
        |(entry, position): (&&[u8], u64)| Record { position, term: 3, entry: entry.to_vec() };
    let records = entries.iter().zip(first..).map(record).collect();
    LinkFrame(Batch { first, term: 3, chain: [7; 32], records })
}

fn origin() -> Origin {
    Origin { account: AccountId(9), session: SessionId(2), sequence: ClientSequence(77) }
}

fn to_standby() -> Vec<ToStandby> {
    let version = ProtocolVersion;
    vec![
        ToStandby::Welcome(Welcome { version, term: 4, base: 10, next: 5_000 }),
        ToStandby::Frame(frame(20, &[b"one", b"", b"three"])),
        ToStandby::Beat(Beat { term: 4, durable_next: 23, time: Timestamp(1 << 60) }),
        ToStandby::Digest(DigestAt { position: 1_024, digest: [1; 32] }),
        ToStandby::HandOver(HandOver { position: 23, chain: [2; 32], term: 4 }),
        ToStandby::Refused(Refusal { why: "another history".into() }),
        ToStandby::Fetched(frame(0, &[b"x"])),
        ToStandby::FetchEnd(Range { from: 0, to: 1 }),
    ]
}

fn to_primary() -> Vec<ToPrimary> {
    let version = ProtocolVersion;
    let name = "host two".into();
    let wrong = [Wrong::Standby, Wrong::Primary, Wrong::Both];
    let mut all = vec![
        ToPrimary::Hello(Hello { version, lineage: [5; 16], position: 8, chain: [3; 32], name }),
        ToPrimary::Holds(Held { position: 9, chain: [4; 32] }),
        ToPrimary::Digest(DigestAt { position: 2_048, digest: [6; 32] }),
        ToPrimary::Fetch(Range { from: 3, to: 8 }),
    ];
    let diverged = |wrong| ToPrimary::Diverged(Diverged { agreed: 1_024, position: 2_048, wrong });
    all.extend(wrong.into_iter().map(diverged));
    all
}

fn to_venue() -> Vec<ToVenue> {
    let command = Command::Cancel { order: OrderId(4) };
    let request = Box::new(Request { origin: origin(), command });
    vec![
        ToVenue::Hello { version: ProtocolVersion, name: "a desk".into() },
        ToVenue::Request { request },
        ToVenue::Market,
    ]
}

fn to_client() -> Vec<ToClient> {
    let outcome = Outcome { position: Position(12), kind: OutcomeKind::Done };
    let events = vec![Event::Completed { outcome }];
    let ack = Box::new(Ack { position: Position(12), entry_hash: [8; 32], events });
    vec![
        ToClient::Welcome { version: ProtocolVersion, term: 6 },
        ToClient::Acked { origin: origin(), ack },
        ToClient::Refused { origin: origin(), refused: Refused::DiskFull },
        ToClient::NotPrimary { term: 7, primary_at: "10.0.0.2:7400".into() },
        ToClient::Market { market: Blob(vec![1, 2, 3]) },
    ]
}

/// Sends the messages through a stream that is cut into pieces of `piece` bytes.
fn survive<M: Canonical + PartialEq + std::fmt::Debug>(messages: &[M], piece: usize) {
    let mut stream = Vec::new();
    for message in messages {
        write_message(message, &mut stream).unwrap();
    }
    let (mut unframer, mut came) = (Unframer::new(), Vec::<M>::new());
    for bytes in stream.chunks(piece) {
        unframer.feed(bytes);
        while let Some(message) = unframer.next_message().unwrap() {
            came.push(message);
        }
    }
    assert_eq!(came, messages);
    assert!(!unframer.is_inside_message());
}

#[test]
fn every_message_survives_a_stream_however_it_is_cut() {
    for piece in [1, 2, 3, 7, 64, 4096] {
        survive(&to_standby(), piece);
        survive(&to_primary(), piece);
        survive(&to_venue(), piece);
        survive(&to_client(), piece);
    }
}

#[test]
fn a_length_beyond_the_bound_is_refused_before_anything_is_kept_for_it() {
    let mut unframer = Unframer::new();
    let bytes = u32::try_from(MESSAGE_BYTES_MAX + 1).unwrap();
    unframer.feed(&bytes.to_le_bytes());
    let bytes_max = MESSAGE_BYTES_MAX;
    let too_long = Err(FramingError::TooLong { bytes: u64::from(bytes), bytes_max });
    assert_eq!(unframer.next_message::<ToStandby>(), too_long);
    let mut unframer = Unframer::limited(1_000);
    unframer.feed(&1_001_u32.to_le_bytes());
    let too_long = Err(FramingError::TooLong { bytes: 1_001, bytes_max: 1_000 });
    assert_eq!(unframer.next_message::<ToVenue>(), too_long);
}

#[test]
fn a_stream_that_ends_inside_a_message_is_told_from_one_that_ends_between_two() {
    let mut stream = Vec::new();
    write_message(&to_primary()[0], &mut stream).unwrap();
    let mut unframer = Unframer::new();
    unframer.feed(&stream[..stream.len() - 1]);
    assert_eq!(unframer.next_message::<ToPrimary>(), Ok(None));
    assert!(unframer.is_inside_message());
    unframer.feed(&stream[stream.len() - 1..]);
    assert!(unframer.next_message::<ToPrimary>().unwrap().is_some());
    assert!(!unframer.is_inside_message());
}

#[test]
fn another_version_is_named_as_such() {
    let mut stream = Vec::new();
    write_message(&to_primary()[0], &mut stream).unwrap();
    // Length, tag, version.
    stream[5] = 2;
    let mut unframer = Unframer::new();
    unframer.feed(&stream);
    let error = unframer.next_message::<ToPrimary>().unwrap_err().to_string();
    assert!(error.contains("protocol version"), "{error}");
    assert!(error.contains("another version of this program"), "{error}");
}

#[test]
fn frames_without_entries_or_beyond_the_last_position_are_refused() {
    let empty = ToStandby::Frame(frame(20, &[])).to_bytes();
    assert!(ToStandby::from_bytes(&empty).is_err());
    let mut writer = evenkeel_types::codec::Writer::new();
    writer.u8(2);
    writer.u64(3);
    writer.u64(u64::MAX);
    writer.u64(1);
    writer.bytes(b"x");
    writer.fixed(&[0; 32]);
    assert!(ToStandby::from_bytes(writer.as_bytes()).is_err());
    let last = ToStandby::Frame(frame(u64::MAX - 1, &[b"x"]));
    assert_eq!(ToStandby::from_bytes(&last.to_bytes()), Ok(last));
}

fn decodes_only_itself<M: Canonical>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(message) = M::from_bytes(bytes) {
        prop_assert_eq!(message.to_bytes(), bytes);
    }
    Ok(())
}

fn all_bytes() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = to_standby().iter().map(Canonical::to_bytes).collect();
    all.extend(to_primary().iter().map(Canonical::to_bytes));
    all.extend(to_venue().iter().map(Canonical::to_bytes));
    all.extend(to_client().iter().map(Canonical::to_bytes));
    all
}

proptest! {
    #[test]
    fn changed_bytes_decode_to_nothing_or_to_what_has_exactly_these_bytes(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        change in 1..=255u8,
        cut in any::<bool>(),
    ) {
        let mut bytes = which.get(&all_bytes()).clone();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= change;
        }
        decodes_only_itself::<ToStandby>(&bytes)?;
        decodes_only_itself::<ToPrimary>(&bytes)?;
        decodes_only_itself::<ToVenue>(&bytes)?;
        decodes_only_itself::<ToClient>(&bytes)?;
    }
}
