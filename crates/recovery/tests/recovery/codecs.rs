//! Bytes from elsewhere: one value, one form, and nothing else is taken.

use ed25519_dalek::SigningKey;
use evenkeel_recovery::report::{Phase, Text};
use evenkeel_recovery::{
    Check, Checkpoint, DrillReport, EntryBytes, Frame, Frames, Level, SignedReport, Verdict,
    read_report,
};
use evenkeel_types::codec::Canonical;
use proptest::prelude::*;

use crate::support::Host;

/// Frames that continue one another from `first` on.
fn frames(first: u64) -> impl Strategy<Value = Frames> {
    let entry = prop::collection::vec(any::<u8>(), 0..40);
    let batch = (any::<u64>(), prop::collection::vec(entry, 1..5));
    prop::collection::vec(batch, 0..6).prop_map(move |batches| {
        let mut next = first;
        let frame = |(term, entries): (u64, Vec<Vec<u8>>)| {
            let frame =
                Frame { term, first: next, entries: entries.into_iter().map(EntryBytes).collect() };
            next = frame.next();
            frame
        };
        Frames(batches.into_iter().map(frame).collect())
    })
}

/// What decodes is the one form of what it decodes to.
fn decodes_only_itself<T: Canonical>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = T::from_bytes(bytes) {
        prop_assert_eq!(value.to_bytes(), bytes);
    }
    Ok(())
}

fn checkpoint_bytes() -> Vec<u8> {
    let mut host = Host::founded(3);
    host.trade(30);
    host.checkpoint().0.to_bytes()
}

proptest! {
    #[test]
    fn frames_read_back(frames in (0..1_000_000u64).prop_flat_map(frames)) {
        let bytes = frames.to_bytes();
        prop_assert_eq!(Frames::from_bytes(&bytes).unwrap(), frames);
    }

    #[test]
    fn a_changed_byte_of_frames_is_refused_or_is_another_value(
        frames in frames(7), at in any::<prop::sample::Index>(), change in 1..=255u8,
    ) {
        let mut bytes = frames.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        decodes_only_itself::<Frames>(&bytes)?;
        prop_assert_ne!(Frames::from_bytes(&bytes), Ok(frames));
    }

    #[test]
    fn garbage_is_never_taken_for_another_form(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        decodes_only_itself::<Frames>(&bytes)?;
        decodes_only_itself::<SignedReport>(&bytes)?;
        decodes_only_itself::<Checkpoint>(&bytes)?;
        prop_assert!(read_report(&bytes).is_none());
        bytes.splice(0..0, *b"EVKCHKP1");
        decodes_only_itself::<Checkpoint>(&bytes)?;
        if let Ok(checkpoint) = Checkpoint::from_bytes(&bytes) {
            // Whatever it claims, it is not an engine.
            prop_assert!(checkpoint.engine().is_err());
        }
    }

    #[test]
    fn cut_frames_are_refused(frames in frames(0), at in any::<prop::sample::Index>()) {
        let bytes = frames.to_bytes();
        prop_assert!(Frames::from_bytes(&bytes[..at.index(bytes.len())]).is_err());
    }
}

fn frame(first: u64, count: usize) -> Frame {
    Frame { term: 1, first, entries: vec![EntryBytes(vec![1, 2]); count] }
}

#[test]
fn a_gap_an_overlap_and_an_empty_frame_are_refused() {
    let refused = |frames: Vec<Frame>| Frames::from_bytes(&Frames(frames).to_bytes()).is_err();
    assert!(!refused(vec![frame(5, 2), frame(7, 1)]));
    assert!(refused(vec![frame(5, 2), frame(8, 1)]), "a gap");
    assert!(refused(vec![frame(5, 2), frame(6, 1)]), "an overlap");
    assert!(refused(vec![frame(5, 0)]), "an empty frame");
    assert!(refused(vec![frame(5, 2), frame(7, 0)]), "an empty frame at the end");
    assert!(refused(vec![frame(u64::MAX, 1)]), "beyond the last position");
    assert!(refused(vec![frame(u64::MAX - 1, 1), frame(u64::MAX, 3)]));
}

#[test]
fn an_entry_that_is_too_long_is_refused() {
    let with = |length| {
        Frames(vec![Frame { term: 1, first: 0, entries: vec![EntryBytes(vec![0; length])] }])
    };
    let longest = evenkeel_types::Entry::MAX_BYTES;
    assert!(Frames::from_bytes(&with(longest).to_bytes()).is_ok());
    assert!(Frames::from_bytes(&with(longest + 1).to_bytes()).is_err());
}

#[test]
fn a_checkpoint_reads_back_and_gives_its_engine() {
    let mut host = Host::founded(4);
    host.trade(40);
    let (checkpoint, promise) = host.checkpoint();
    let read = Checkpoint::from_bytes(&checkpoint.to_bytes()).unwrap();
    assert_eq!(read, checkpoint);
    assert_eq!(read.position(), host.position());
    let engine = read.engine().unwrap();
    assert_eq!(engine.state_root(), promise.state_root);
    assert_eq!(engine.output_digest(), promise.output_digest);
    assert_eq!(read.chain, host.primary.log().chain());
}

#[test]
fn a_checkpoint_whose_parts_are_of_different_places_gives_no_engine() {
    let mut host = Host::founded(4);
    let (early, _) = host.checkpoint();
    host.trade(10);
    let (late, _) = host.checkpoint();
    let mixed = Checkpoint { engine: early.engine, ..late };
    let error = mixed.engine().unwrap_err().to_string();
    assert!(error.contains("engine at position"), "{error}");
}

#[test]
fn a_changed_bit_anywhere_in_a_checkpoint_shows_in_what_a_point_promises() {
    let bytes = checkpoint_bytes();
    let original = Checkpoint::from_bytes(&bytes).unwrap();
    let roots = |checkpoint: &Checkpoint| {
        let engine = checkpoint.engine().ok()?;
        let journal_root = checkpoint.frontier.root();
        Some((engine.state_root(), journal_root, engine.output_digest(), checkpoint.chain))
    };
    let promised = roots(&original).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let Ok(checkpoint) = Checkpoint::from_bytes(&changed) else { continue };
        assert_ne!(roots(&checkpoint), Some(promised), "byte {at}");
    }
}

fn report() -> DrillReport {
    let mut report = DrillReport::begin(7, Level::D3, "age1drill");
    report.sites_missing.push("north (gone)".into());
    report.rpo_entries = Some(3);
    report.state_root = Some([4; 32]);
    report.checks.push(Check::new("chain", Verdict::NotConfigured, "no chain"));
    report.phases.push(Phase { name: "catalog".into(), elapsed_ns: 12 });
    report
}

proptest! {
    #[test]
    fn a_report_that_was_changed_anywhere_is_not_read(
        at in any::<prop::sample::Index>(), change in 1..=255u8,
    ) {
        let bytes = report().sign(&SigningKey::from_bytes(&[5; 32])).to_bytes();
        prop_assert!(read_report(&bytes).is_some());
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= change;
        prop_assert!(read_report(&changed).is_none());
    }

    #[test]
    fn text_of_any_length_is_cut_so_that_its_report_reads_back(
        text in "\\PC{0,40}", times in 1..400usize, more in "\\PC{0,200}",
    ) {
        let long = text.repeat(times);
        let mut report = report();
        let mut detail = Text::from(long.clone());
        detail.push_str(&more);
        prop_assert!(detail.0.len() <= Text::MAX_BYTES);
        let whole = format!("{long}{more}");
        prop_assert!(detail.0 == whole || whole.len() > Text::MAX_BYTES);
        report.checks.push(Check::new("restore", Verdict::Failed, detail));
        let signed = report.sign(&SigningKey::from_bytes(&[5; 32]));
        prop_assert_eq!(read_report(&signed.to_bytes()), Some(signed));
    }
}

#[test]
fn a_report_signed_by_somebody_else_is_not_his() {
    let signed = report().sign(&SigningKey::from_bytes(&[5; 32]));
    let other = SigningKey::from_bytes(&[6; 32]).verifying_key().to_bytes();
    let claimed = SignedReport { signer: other, ..signed };
    assert!(!claimed.is_genuine());
}
