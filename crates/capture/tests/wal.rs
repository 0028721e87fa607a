//! The reader of the write-ahead log, against files that SQLite wrote and files made here in both
//! byte orders: what it accepts is what was committed, whatever happened to the file.

use evenkeel_capture::sqlite::wal::{
    Decoded, FRAME_HEADER_BYTES, HEADER_BYTES, Place, WalChain, WalHeader, WalProblem, checksum,
    decode,
};
use proptest::prelude::*;
use rusqlite::Connection;
use std::path::Path;

/// One committed transaction: its pages, and the size of the database behind it.
type Plan = Vec<(Vec<(u32, u8)>, u32)>;

fn header(big_endian: bool, page_bytes: u32, salts: [u32; 2]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0x377f_0682 + u32::from(big_endian), 3_007_000, page_bytes, 1, salts[0], salts[1]]
    {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    let sum = checksum(big_endian, [0, 0], &bytes);
    bytes.extend(sum.iter().flat_map(|word| word.to_be_bytes()));
    bytes
}

/// A log as SQLite would write it on a machine of either byte order.
fn crafted(big_endian: bool, page_bytes: u32, plan: &Plan) -> Vec<u8> {
    let salts = [7, 0xdead_beef];
    let mut log = header(big_endian, page_bytes, salts);
    let mut sum = [
        u32::from_be_bytes(log[24..28].try_into().expect("four")),
        u32::from_be_bytes(log[28..32].try_into().expect("four")),
    ];
    for (pages, size) in plan {
        for (at, (page, fill)) in pages.iter().enumerate() {
            let commit = if at + 1 == pages.len() { *size } else { 0 };
            let mut head: Vec<u8> = [*page, commit].iter().flat_map(|w| w.to_be_bytes()).collect();
            let data = vec![*fill; page_bytes as usize];
            sum = checksum(big_endian, checksum(big_endian, sum, &head), &data);
            head.extend([salts[0], salts[1], sum[0], sum[1]].iter().flat_map(|w| w.to_be_bytes()));
            log.extend(head);
            log.extend(data);
        }
    }
    log
}

fn plan_of(decoded: &Decoded<'_>) -> Plan {
    let pages = |pages: &[(u32, &[u8])]| -> Vec<(u32, u8)> {
        pages
            .iter()
            .map(|(page, data)| {
                assert!(data.iter().all(|byte| *byte == data[0]), "a page was mixed up");
                (*page, data[0])
            })
            .collect()
    };
    decoded.transactions.iter().map(|t| (pages(&t.pages), t.database_pages)).collect()
}

fn plans() -> impl Strategy<Value = Plan> {
    let pages = prop::collection::vec((1_u32..9, any::<u8>()), 1..4);
    prop::collection::vec((pages, 1_u32..9), 0..5)
}

proptest! {
    #[test]
    fn a_log_in_either_byte_order_reads_back_as_it_was_written(
        big_endian in any::<bool>(), power in 9_u32..13, plan in plans()
    ) {
        let log = crafted(big_endian, 1 << power, &plan);
        let decoded = decode(&log).expect("a good header");
        prop_assert_eq!(plan_of(&decoded), plan);
        prop_assert_eq!(decoded.stopped_by, None);
    }

    #[test]
    fn any_damage_leaves_a_prefix_of_the_transactions(
        big_endian in any::<bool>(), plan in plans(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let mut log = crafted(big_endian, 512, &plan);
        for (at, value) in damage {
            let at = at.index(log.len());
            log[at] = value;
        }
        if let Ok(decoded) = decode(&log) {
            let found = plan_of(&decoded);
            prop_assert_eq!(&plan[..found.len()], &found[..]);
        }
    }

    #[test]
    fn bytes_of_any_kind_are_never_taken_for_frames(
        bytes in prop::collection::vec(any::<u8>(), 0..2048)
    ) {
        prop_assert!(decode(&bytes).is_err());
    }
}

const SMALL: [(&[(u32, u8)], u32); 3] =
    [(&[(1, 1), (2, 2)], 2), (&[(2, 3)], 2), (&[(3, 4), (1, 5)], 3)];

fn small() -> Plan {
    SMALL.iter().map(|(pages, size)| (pages.to_vec(), *size)).collect()
}

#[test]
fn every_truncation_leaves_exactly_the_transactions_that_are_wholly_there() {
    for big_endian in [false, true] {
        let log = crafted(big_endian, 512, &small());
        let ends = [2, 3, 5].map(|frames| HEADER_BYTES + frames * (FRAME_HEADER_BYTES + 512));
        for length in 0..=log.len() {
            let whole = ends.iter().filter(|end| **end <= length).count();
            match decode(&log[..length]) {
                Ok(decoded) => assert_eq!(plan_of(&decoded), small()[..whole], "{length} bytes"),
                Err(problem) => {
                    assert_eq!(problem, WalProblem::Short);
                    assert!(length < HEADER_BYTES);
                }
            }
        }
    }
}

#[test]
fn every_bit_flip_leaves_exactly_the_transactions_before_it() {
    for big_endian in [false, true] {
        let log = crafted(big_endian, 512, &small());
        let ends = [2, 3, 5].map(|frames| HEADER_BYTES + frames * (FRAME_HEADER_BYTES + 512));
        for bit in 0..log.len() * 8 {
            let mut log = log.clone();
            log[bit / 8] ^= 1 << (bit % 8);
            let before = ends.iter().filter(|end| **end <= bit / 8).count();
            match decode(&log) {
                Ok(decoded) => assert_eq!(plan_of(&decoded), small()[..before], "bit {bit}"),
                Err(_) => assert!(bit / 8 < HEADER_BYTES, "bit {bit}"),
            }
        }
    }
}

#[test]
fn frames_of_an_earlier_round_behind_the_end_are_not_data() {
    let old = crafted(false, 512, &vec![(vec![(1, 9)], 1); 6]);
    let mut log = crafted(false, 512, &small());
    let end = log.len();
    let mut earlier = header(false, 512, [6, 1]);
    earlier.extend(&old[HEADER_BYTES..]);
    log.extend(&earlier[end..]);
    // As old frames keep the salts of their round, so these must differ.
    for frame in (end..log.len()).step_by(512 + FRAME_HEADER_BYTES) {
        log[frame + 11] = 6;
    }
    let decoded = decode(&log).expect("a good header");
    assert_eq!(plan_of(&decoded), small());
    assert_eq!(decoded.stopped_by, Some(WalProblem::Salt(6)));
}

#[test]
fn a_transaction_without_its_commit_frame_is_not_there() {
    let mut plan = small();
    plan.push((vec![(4, 1), (5, 2), (6, 3)], 0));
    let log = crafted(true, 512, &plan);
    assert_eq!(plan_of(&decode(&log).expect("a good header")), small());
}

#[test]
fn reading_goes_on_where_it_stopped() {
    let log = crafted(false, 512, &small());
    let whole = decode(&log).expect("a good header");
    let first = whole.transactions[0].end;
    let mut chain = WalChain::resume(whole.header, first).expect("the same round");
    let at = usize::try_from(whole.header.frame_offset(first.frame + 1)).expect("small");
    let frame = chain.accept(&log[at..]).expect("the next frame");
    assert_eq!((frame.page, frame.commit_pages), (2, Some(2)));
    assert_eq!(chain.place(), whole.transactions[1].end);

    let elsewhere = Place { salts: [1, 1], ..first };
    let refused = WalChain::resume(whole.header, elsewhere).map(|chain| chain.place());
    assert_eq!(refused, Err(WalProblem::Salt(2)));
}

#[test]
fn a_version_of_the_future_is_named_and_damage_is_not_taken_for_one() {
    let mut head = header(false, 512, [1, 1]);
    head[7] ^= 1;
    assert_eq!(WalHeader::decode(&head), Err(WalProblem::HeaderChecksum));
    let sum = checksum(false, [0, 0], &head[..24]);
    head.splice(24.., sum.iter().flat_map(|word| word.to_be_bytes()));
    assert_eq!(WalHeader::decode(&head), Err(WalProblem::Version(3_007_001)));
}

/// Pages of the database and its log as SQLite shows them: the newest frame, else the file.
fn pages_by_the_log(database: &Path) -> Vec<Vec<u8>> {
    let log = std::fs::read(database.with_extension("db-wal")).expect("a log");
    let file = std::fs::read(database).expect("a database");
    let decoded = decode(&log).expect("a good header");
    let page_bytes = decoded.header.page_bytes as usize;
    let mut pages: Vec<Vec<u8>> = file.chunks(page_bytes).map(<[u8]>::to_vec).collect();
    for transaction in &decoded.transactions {
        pages.resize(transaction.database_pages as usize, vec![0; page_bytes]);
        for (page, data) in &transaction.pages {
            if let Some(slot) = pages.get_mut(*page as usize - 1) {
                *slot = data.to_vec();
            }
        }
    }
    pages
}

#[test]
fn a_log_written_by_sqlite_reads_as_sqlite_reads_it() {
    for page_bytes in [512, 4096, 65536] {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("orders.db");
        let writer = Connection::open(&database).expect("a database");
        writer
            .execute_batch(&format!(
                "PRAGMA page_size={page_bytes}; PRAGMA journal_mode=WAL;
                 PRAGMA wal_autocheckpoint=0; CREATE TABLE orders(id INTEGER PRIMARY KEY, t TEXT)"
            ))
            .expect("a table");
        for id in 0..200 {
            writer
                .execute("INSERT INTO orders VALUES(?1, hex(randomblob(100)))", [id])
                .expect("a row");
            if id % 50 == 49 {
                writer.execute_batch("DELETE FROM orders WHERE id % 3 = 0").expect("fewer rows");
            }
        }
        let copy = folder.path().join("copy.db");
        std::fs::write(&copy, pages_by_the_log(&database).concat()).expect("a copy");
        let copied = Connection::open(&copy).expect("the copy");
        let sum = "SELECT count(*), group_concat(id || t) FROM orders";
        let read = |connection: &Connection| -> (i64, String) {
            connection.query_row(sum, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows")
        };
        assert_eq!(read(&copied), read(&writer));
        let check: String =
            copied.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
        assert_eq!(check, "ok");
    }
}
