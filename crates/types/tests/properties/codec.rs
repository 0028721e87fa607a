//! One value, one byte string.

use crate::values;
use evenkeel_types::merkle::Frontier;
use evenkeel_types::*;
use proptest::prelude::*;
use std::fmt::Debug;

/// Decoding gives the value back, no prefix of the bytes decodes, nor do they with more behind.
fn comes_back<T: Canonical + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    let bytes = value.to_bytes();
    prop_assert_eq!(&T::from_bytes(&bytes), &Ok(T::from_bytes(&bytes).expect("own bytes")));
    prop_assert_eq!(&T::from_bytes(&bytes).expect("own bytes"), value);
    for length in 0..bytes.len() {
        prop_assert!(T::from_bytes(&bytes[..length]).is_err(), "{} of {:?}", length, bytes);
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    let left_over = DecodeError::TrailingBytes { at: bytes.len(), count: 1 };
    prop_assert_eq!(T::from_bytes(&longer).expect_err("one byte more"), left_over);
    Ok(())
}

/// Whatever decodes is the encoding of what it decodes to.
fn is_strict<T: Canonical>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = T::from_bytes(bytes) {
        prop_assert_eq!(value.to_bytes(), bytes);
    }
    Ok(())
}

fn every_type_is_strict(bytes: &[u8]) -> Result<(), TestCaseError> {
    is_strict::<Entry>(bytes)?;
    is_strict::<Command>(bytes)?;
    is_strict::<Event>(bytes)?;
    is_strict::<Outcome>(bytes)?;
    is_strict::<Origin>(bytes)?;
    is_strict::<NewOrder>(bytes)?;
    is_strict::<Instrument>(bytes)?;
    is_strict::<InstrumentKind>(bytes)?;
    is_strict::<Currency>(bytes)?;
    is_strict::<Symbol>(bytes)?;
    is_strict::<Decimal>(bytes)?;
    is_strict::<Frontier>(bytes)?;
    is_strict::<Money>(bytes)?;
    is_strict::<Ticks>(bytes)?;
    is_strict::<CurrencyId>(bytes)?;
    is_strict::<InstrumentId>(bytes)?;
    is_strict::<Option<Lots>>(bytes)?;
    is_strict::<Vec<Ticks>>(bytes)?;
    is_strict::<RejectCode>(bytes)?;
    is_strict::<bool>(bytes)?;
    is_strict::<u8>(bytes)?;
    is_strict::<u64>(bytes)?;
    is_strict::<i64>(bytes)?;
    is_strict::<i128>(bytes)?;
    is_strict::<[u8; 16]>(bytes)
}

/// One fault in a byte string.
#[derive(Debug, Clone)]
enum Fault {
    Flip { at: prop::sample::Index, bit: u8 },
    Set { at: prop::sample::Index, to: u8 },
    Insert { at: prop::sample::Index, byte: u8 },
    Remove { at: prop::sample::Index },
}

fn fault() -> impl Strategy<Value = Fault> {
    let at = any::<prop::sample::Index>;
    // Bytes that mean something in a varint, a tag or a length.
    let byte = || prop_oneof![any::<u8>(), Just(0), Just(1), Just(0x80), Just(0xff)];
    prop_oneof![
        (at(), 0u8..8).prop_map(|(at, bit)| Fault::Flip { at, bit }),
        (at(), byte()).prop_map(|(at, to)| Fault::Set { at, to }),
        (at(), byte()).prop_map(|(at, byte)| Fault::Insert { at, byte }),
        at().prop_map(|at| Fault::Remove { at }),
    ]
}

fn damaged(mut bytes: Vec<u8>, faults: &[Fault]) -> Vec<u8> {
    for fault in faults {
        if bytes.is_empty() {
            bytes.push(0);
        }
        let length = bytes.len();
        match fault {
            Fault::Flip { at, bit } => bytes[at.index(length)] ^= 1 << bit,
            Fault::Set { at, to } => bytes[at.index(length)] = *to,
            Fault::Insert { at, byte } => bytes.insert(at.index(length + 1), *byte),
            Fault::Remove { at } => drop(bytes.remove(at.index(length))),
        }
    }
    bytes
}

macro_rules! every_value_comes_back {
    ($($test:ident: $strategy:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(600))]
            $(#[test]
            fn $test(value in $strategy) {
                comes_back(&value)?;
            })*
        }
    };
}

every_value_comes_back! {
    a_position_comes_back: values::position();
    a_term_comes_back: values::term();
    an_account_id_comes_back: values::account();
    a_session_id_comes_back: values::session();
    a_sequence_comes_back: values::sequence();
    an_order_id_comes_back: values::order_id();
    a_trade_id_comes_back: values::trade_id();
    an_instrument_id_comes_back: values::instrument_id();
    a_currency_id_comes_back: values::currency_id();
    a_timestamp_comes_back: values::timestamp();
    ticks_come_back: values::ticks();
    lots_come_back: values::lots();
    money_comes_back: values::money();
    a_decimal_comes_back: values::decimal();
    a_symbol_comes_back: values::symbol();
    a_side_comes_back: values::side();
    a_time_in_force_comes_back: values::time_in_force();
    a_collateral_comes_back: values::collateral();
    a_mode_comes_back: values::mode();
    a_close_reason_comes_back: values::close_reason();
    a_reject_code_comes_back: values::reject_code();
    an_instrument_kind_comes_back: values::kind();
    a_currency_comes_back: values::currency();
    an_instrument_comes_back: values::instrument();
    an_origin_comes_back: values::origin();
    a_new_order_comes_back: values::new_order();
    a_mass_cancel_scope_comes_back: values::scope();
    a_command_comes_back: values::command();
    an_entry_comes_back: values::entry();
    an_outcome_comes_back: values::outcome();
    an_event_comes_back: values::event();
    a_frontier_comes_back: values::frontier();
    an_option_comes_back: prop::option::of(values::money());
    a_list_comes_back: prop::collection::vec(values::lots(), 0..20);
    a_number_comes_back: any::<u64>();
    a_signed_number_comes_back: any::<i64>();
    a_wide_number_comes_back: any::<i128>();
    a_flag_comes_back: any::<bool>();
    an_array_comes_back: any::<[u8; 32]>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn random_bytes_never_panic_and_decode_only_if_canonical(
        bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        every_type_is_strict(&bytes)?;
    }

    #[test]
    fn low_bytes_decode_often_and_only_if_canonical(
        bytes in prop::collection::vec(prop_oneof![0u8..8, Just(0x80), Just(0x81)], 0..24),
    ) {
        every_type_is_strict(&bytes)?;
    }

    #[test]
    fn damaged_entries_and_events_decode_only_if_canonical(
        entry in values::entry(),
        event in values::event(),
        faults in prop::collection::vec(fault(), 1..4),
    ) {
        is_strict::<Entry>(&damaged(entry.to_bytes(), &faults))?;
        is_strict::<Command>(&damaged(entry.command.to_bytes(), &faults))?;
        is_strict::<Event>(&damaged(event.to_bytes(), &faults))?;
    }

    #[test]
    fn different_values_have_different_bytes(a in values::command(), b in values::command()) {
        prop_assert_eq!(a == b, a.to_bytes() == b.to_bytes());
    }

    #[test]
    fn entries_stay_within_their_limit(entry in values::entry()) {
        prop_assert!(entry.to_bytes().len() <= Entry::MAX_BYTES);
    }

    #[test]
    fn sequences_come_back_and_values_follow_each_other(
        events in prop::collection::vec(values::event(), 0..20), tail in any::<u64>(),
    ) {
        let mut writer = Writer::new();
        writer.sequence(events.iter());
        writer.u64(tail);
        let mut reader = Reader::new(writer.as_bytes());
        prop_assert_eq!(reader.sequence::<Event>(), Ok(events));
        prop_assert_eq!(reader.u64(), Ok(tail));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn byte_strings_come_back_and_obey_their_limit(
        bytes in prop::collection::vec(any::<u8>(), 0..300), limit in 0usize..300,
    ) {
        let mut writer = Writer::new();
        writer.bytes(&bytes);
        let read = Reader::new(writer.as_bytes()).bytes(limit).map(<[u8]>::to_vec);
        if bytes.len() <= limit {
            prop_assert_eq!(read, Ok(bytes));
        } else {
            let is_too_long = matches!(read, Err(DecodeError::TooLong { .. }));
            prop_assert!(is_too_long);
        }
    }
}

#[test]
fn a_varint_in_a_longer_form_or_beyond_its_width_is_refused() {
    let cases: [(&[u8], bool); 8] = [
        (&[0x00], true),
        (&[0x80, 0x00], false),
        (&[0x81, 0x00], false),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], true),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], false),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], false),
        (&[0x80; 40], false),
        (&[], false),
    ];
    for (bytes, is_canonical) in cases {
        assert_eq!(u64::from_bytes(bytes).is_ok(), is_canonical, "{bytes:02x?}");
    }
    assert_eq!(u16::from_bytes(&[0xff, 0xff, 0x03]), Ok(u16::MAX));
    assert!(u16::from_bytes(&[0x80, 0x80, 0x04]).is_err());
    let widest = [&[0xff; 18][..], &[0x03]].concat();
    assert_eq!(i128::from_bytes(&widest), Ok(i128::MIN));
    let too_wide = [&[0xff; 18][..], &[0x04]].concat();
    assert!(i128::from_bytes(&too_wide).is_err());
}

#[test]
fn zigzag_maps_small_magnitudes_to_small_bytes() {
    for (value, byte) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (2, 4), (63, 126), (-64, 127)] {
        assert_eq!(i64::to_bytes(&value), [byte]);
        assert_eq!(i128::to_bytes(&i128::from(value)), [byte]);
    }
}

#[test]
fn unnormalised_decimals_and_unprintable_symbols_are_refused() {
    assert_eq!(Decimal::from_bytes(&[10, 1]), Ok(Decimal::new(5, 1).expect("0.5")));
    assert!(Decimal::from_bytes(&[20, 1]).is_err(), "1.0 is written 1");
    assert!(Decimal::from_bytes(&[2, 19]).is_err());
    assert_eq!(Symbol::from_bytes(b"\x03BTC"), Symbol::new("BTC").map_err(|_| unreachable!()));
    for bytes in [&b"\x00"[..], b"\x03B C", b"\x03BT\n", b"\x02\xc3\xa4", b"\x02\xff\xfe"] {
        assert!(Symbol::from_bytes(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn an_unknown_tag_or_version_says_so_and_where() {
    for bytes in [&[14u8][..], &[31], &[0], &[255]] {
        let error = Command::from_bytes(bytes).expect_err("no such command");
        let tag = u64::from(bytes[0]);
        assert_eq!(error, DecodeError::UnknownTag { at: 1, what: "Command", tag });
        assert!(error.to_string().contains("a newer version may have written it"));
    }
    let error = Entry::from_bytes(&[2]).expect_err("version 2");
    assert_eq!(error, DecodeError::UnknownTag { at: 1, what: "entry version", tag: 2 });
    assert!(bool::from_bytes(&[2]).is_err());
    assert!(Option::<bool>::from_bytes(&[2]).is_err());
}
