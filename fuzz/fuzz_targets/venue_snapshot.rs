//! A snapshot is taken whole or refused; what is taken can go on.
#![no_main]

use evenkeel_types::{AccountId, ClientSequence, Command, Entry, Origin, SessionId, Timestamp};
use evenkeel_venue::Engine;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(mut engine) = Engine::from_snapshot(bytes) else {
        return;
    };
    assert_eq!(engine.snapshot(), bytes, "one state, one snapshot");
    let origin = Origin {
        account: AccountId::OPERATOR,
        session: SessionId(u64::MAX),
        sequence: ClientSequence(u64::MAX),
    };
    let time = Timestamp(engine.time().0.saturating_add(1));
    engine.apply(&Entry { time, origin, command: Command::Tick }, &mut Vec::new());
});
