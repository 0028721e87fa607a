//! A spool that is read while it is written, sent in pieces, and put together elsewhere.

mod common;

use std::sync::Arc;

use common::{Desk, catch_up, checked, client_main, small};
use evenkeel_capture::parcel::{Assembly, Index, Indexed, Parcel, Piece};
use evenkeel_capture::restore::{Target, restore};
use evenkeel_capture::spool::SpoolReader;
use evenkeel_journal::RealDisk;
use evenkeel_types::Canonical as _;

#[test]
fn client() {
    client_main();
}

fn gather(desk: &Desk, reader: &mut SpoolReader) -> Parcel {
    let mut pieces = Vec::new();
    while let Some(stretch) = reader.next_stretch().expect("a readable spool") {
        pieces.push(Piece {
            database: desk.database.clone(),
            spool: reader.spool().expect("a header was read"),
            segment: stretch.segment,
            offset: stretch.offset,
            bytes: stretch.bytes,
        });
    }
    Parcel { pieces }
}

#[test]
fn what_travelled_in_parcels_restores_as_the_spool_does() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    let mut reader = SpoolReader::new(Arc::new(RealDisk), &desk.spool);
    assert!(reader.next_stretch().expect("an empty spool").is_none());
    let folder = tempfile::tempdir().expect("a folder");
    let mut assembly = Assembly::new(folder.path());
    for round in 0..8 {
        client.trade(200, &desk);
        if round == 4 {
            // A capture that begins again writes on in a new segment.
            drop(capture);
            capture = desk.capture(&small());
        }
        catch_up(&mut capture);
        let parcel = gather(&desk, &mut reader);
        let bytes = parcel.to_bytes();
        let parcel = Parcel::from_bytes(&bytes).expect("what was encoded");
        for piece in parcel.pieces.iter().chain(parcel.pieces.last()) {
            assembly.put(piece).expect("a piece that fits");
        }
        let [spool] = assembly.spools_of(&desk.database).collect::<Vec<_>>()[..] else {
            panic!("one spool of one database");
        };
        let to = folder.path().join(format!("{round}.db"));
        let done = restore(&RealDisk, spool, Target::End, &to).expect("a restore");
        assert_eq!(checked(&to), 200 * (round + 1));
        assert_eq!(Some(done.commit), capture.last());
    }
    assert!(reader.segments().expect("segments").len() > 2, "several segments");
    assert_eq!(reader.epochs().len() as u64, desk.history().epochs());
    client.close();
}

#[test]
fn a_piece_behind_one_that_is_missing_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut assembly = Assembly::new(folder.path());
    let piece = |offset, bytes: &[u8]| Piece {
        database: "/srv/orders.db".into(),
        spool: [7; 16],
        segment: 0,
        offset,
        bytes: bytes.to_vec(),
    };
    assembly.put(&piece(0, b"head")).expect("the first");
    assert!(assembly.put(&piece(5, b"rest")).is_err());
    assembly.put(&piece(4, b"rest")).expect("the next");
    assert_eq!(assembly.databases(), [std::path::Path::new("/srv/orders.db")]);
}

#[test]
fn parcels_and_indexes_have_one_encoding() {
    let piece = Piece {
        database: "/srv/orders.db".into(),
        spool: [7; 16],
        segment: 3,
        offset: 136,
        bytes: vec![1, 2, 3],
    };
    let parcel = Parcel { pieces: vec![piece.clone(), piece] };
    assert_eq!(Parcel::from_bytes(&parcel.to_bytes()), Ok(parcel.clone()));
    let spool = |segments| Indexed { database: "/db".into(), spool: [1; 16], segments };
    let index = Index { spools: vec![spool(vec![(3, 9), (4, 1)])] };
    assert_eq!(Index::from_bytes(&index.to_bytes()), Ok(index));
    let backwards = Index { spools: vec![spool(vec![(4, 1), (3, 9)])] };
    assert!(Index::from_bytes(&backwards.to_bytes()).is_err());
    let mut nothing = parcel;
    nothing.pieces[0].bytes.clear();
    assert!(Parcel::from_bytes(&nothing.to_bytes()).is_err());
}
