//! The erasure code's promises: a site added later rewrites nothing; the matrix is the documented
//! one.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use common::{Desk, START, noise, point, read, site_name};
use evenkeel_vault::{
    Layout, PARITY_MAX, ProblemKind, Verify, decode_shards, encode_shards, generator_matrix,
    repair, verify,
};

#[test]
fn shards_of_five_sites_are_the_first_of_eight() {
    let content = noise(5, 700_000);
    let written: Vec<Desk> = [5, 8]
        .into_iter()
        .map(|n| {
            let desk = Desk::with_layout(Layout::new(3, n).unwrap());
            point(&mut desk.writer(1), 1, START, &[("source", &content)]).unwrap();
            desk
        })
        .collect();
    for at in 0..5 {
        let keys = written[0].objects(at, "/shards/");
        assert!(!keys.is_empty());
        for key in keys {
            let both =
                [0, 1].map(|desk: usize| std::fs::read(written[desk].object(at, &key)).unwrap());
            assert!(both[0] == both[1], "{key}");
        }
    }
}

#[test]
fn a_site_added_later_is_filled_and_nothing_is_rewritten() {
    let content = noise(5, 700_000);
    let mut desk = Desk::new();
    let written = point(&mut desk.writer(1), 1, START, &[("source", &content)]).unwrap();
    let before: Vec<_> = (0..5).map(|at| desk.site(at).list("").unwrap()).collect();
    desk.layout = Layout::new(3, 7).unwrap();
    for at in 5..7 {
        std::fs::create_dir(desk.site_path(at)).unwrap();
    }
    let repairs = repair(&desk.catalog()).unwrap();
    assert!(repairs.iter().all(|one| {
        one.is_repaired()
            && one.problem.kind == ProblemKind::Missing
            && [site_name(5), site_name(6)].contains(&one.problem.site)
    }));
    let after: Vec<_> = (0..5).map(|at| desk.site(at).list("").unwrap()).collect();
    assert_eq!(before, after);
    let found = verify(&desk.catalog(), Verify::Ciphertext).unwrap();
    assert_eq!(found.problems, []);
    assert_eq!(found.margins, [(written.id, 4)]);
    (0..4).for_each(|at| desk.lose(at));
    assert!(read(&desk.opener(), &written, "source").unwrap() == content);
}

#[test]
fn the_generator_matrix_is_the_documented_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/vault.md");
    let document = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<u16>> = document
        .lines()
        .filter_map(|line| line.strip_prefix("    parity "))
        .map(|line| {
            let (_, factors) = line.split_once(':').unwrap();
            factors
                .split_whitespace()
                .map(|factor| u16::from_str_radix(factor, 16).unwrap())
                .collect()
        })
        .collect();
    assert_eq!(rows, generator_matrix(3).unwrap());
}

#[test]
fn every_layout_decodes_from_its_last_k_shards() {
    for k in [1, 2, 3, 5, 8, 10, 64] {
        let object = noise(k as u64, 10_000);
        let shards = encode_shards(&object, k).unwrap();
        assert_eq!(shards.len(), k + PARITY_MAX);
        let last: Vec<(usize, &[u8])> =
            (PARITY_MAX..PARITY_MAX + k).map(|at| (at, shards[at].as_slice())).collect();
        assert!(decode_shards(&last, k, object.len()).unwrap() == object, "k = {k}");
    }
}

#[test]
fn layouts_other_than_three_of_five_work_as_well() {
    for (k, n) in [(1, 1), (1, 3), (2, 2), (4, 6)] {
        let desk = Desk::with_layout(Layout::new(k, n).unwrap());
        let content = noise(5, 300_000);
        let written = point(&mut desk.writer(1), 1, START, &[("source", &content)]).unwrap();
        (0..n - k).for_each(|at| desk.lose(at));
        assert!(read(&desk.opener(), &written, "source").unwrap() == content, "{k} of {n}");
    }
}

/// Multiplication in GF(2^16) as `docs/formats/vault.md` defines it, without the library.
fn multiply(a: u16, b: u16) -> u16 {
    const BASIS: [u16; 16] = [
        0x0001, 0xacca, 0x3c0e, 0x163e, 0xc582, 0xed2e, 0x914c, 0x4012, 0x6c98, 0x10d8, 0x6a72,
        0xb900, 0xfdb8, 0xfb34, 0xff38, 0x991e,
    ];
    let element = |coordinates: u16| {
        (0..16).filter(|bit| coordinates >> bit & 1 == 1).fold(0, |sum, bit| sum ^ BASIS[bit])
    };
    let (mut left, right) = (u32::from(element(a)), element(b));
    let mut product = 0_u32;
    for bit in 0..16 {
        if right >> bit & 1 == 1 {
            product ^= left;
        }
        left <<= 1;
        if left & 0x1_0000 != 0 {
            left ^= 0x1_002d;
        }
    }
    // Back to coordinates, by elimination: the basis elements as rows over GF(2).
    let mut rows: Vec<(u16, u16)> =
        BASIS.iter().enumerate().map(|(bit, element)| (*element, 1 << bit)).collect();
    let (mut rest, mut coordinates) = (u16::try_from(product).unwrap(), 0);
    for bit in (0..16).rev() {
        let Some(at) = rows.iter().position(|(element, _)| element >> bit & 1 == 1) else {
            continue;
        };
        let (pivot, made_of) = rows.swap_remove(at);
        for (element, combination) in &mut rows {
            if *element >> bit & 1 == 1 {
                *element ^= pivot;
                *combination ^= made_of;
            }
        }
        if rest >> bit & 1 == 1 {
            rest ^= pivot;
            coordinates ^= made_of;
        }
    }
    assert_eq!(rest, 0);
    coordinates
}

/// Symbol `at` of a shard: in each 64-byte block the 32 low bytes come first, then the high ones.
fn symbol(shard: &[u8], at: usize) -> u16 {
    let low = at / 32 * 64 + at % 32;
    u16::from_le_bytes([shard[low], shard[low + 32]])
}

#[test]
fn parity_is_the_documented_matrix_times_the_data_by_plain_field_arithmetic() {
    for k in [1, 3, 5] {
        let matrix = generator_matrix(k).unwrap();
        let shards = encode_shards(&noise(8, 500), k).unwrap();
        for (row, parity) in matrix.iter().zip(&shards[k..]) {
            for at in 0..parity.len() / 2 {
                let sum = row
                    .iter()
                    .zip(&shards)
                    .fold(0, |sum, (factor, data)| sum ^ multiply(*factor, symbol(data, at)));
                assert_eq!(symbol(parity, at), sum, "k = {k}, symbol {at}");
            }
        }
    }
}

/// Where a data shard, or (from k on) a parity shard, stands: see `docs/formats/vault.md`.
fn place(k: usize, shard: usize) -> u16 {
    let (data_from, parity_from) =
        if k <= 4 { (0, k.next_power_of_two()) } else { (PARITY_MAX, 0) };
    let place = if shard < k { data_from + shard } else { parity_from + shard - k };
    u16::try_from(place).unwrap()
}

#[test]
fn every_generator_matrix_is_the_documented_interpolation() {
    for k in 1..=64_usize {
        let block = k.next_power_of_two().min(PARITY_MAX);
        for (parity, row) in generator_matrix(k).unwrap().into_iter().enumerate() {
            let at = place(k, k + parity);
            for (column, factor) in row.into_iter().enumerate() {
                let own = place(k, column);
                let first = own / u16::try_from(block).unwrap() * u16::try_from(block).unwrap();
                let others = (0..u16::try_from(block).unwrap()).map(|one| first + one);
                let (mut above, mut below) = (1, 1);
                for other in others.filter(|other| *other != own) {
                    above = multiply(above, at ^ other);
                    below = multiply(below, own ^ other);
                }
                assert_eq!(multiply(factor, below), above, "k = {k}, {parity}, {column}");
            }
        }
    }
}
