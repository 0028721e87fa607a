//! The reference implementation, the Python package `shamir-mnemonic`, recovers what is split here,
//! and the reverse.

use crate::reference::{Reference, Tally};
use crate::support::{Seeded, vectors};

/// Policies that the tests try; `cargo xtask campaign slip39` tries ten thousand.
const POLICIES: u32 = 120;

#[test]
fn random_policies_are_recovered_by_the_reference_implementation_and_the_reverse() {
    let Some(wheel) = vectors("shamir_mnemonic-0.3.0-py3-none-any.whl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut reference = Reference::start(&wheel, folder.path()).unwrap();
    let mut random = Seeded::new(39);
    let mut tally = Tally::default();
    for policy in 0..POLICIES {
        let exponent = u8::from(policy % 40 == 0);
        reference.try_one(&mut random, exponent, &mut tally).unwrap();
    }
    assert_eq!(tally.disagreements, Vec::<String>::new());
    assert_eq!((tally.ours_by_them, tally.theirs_by_us), (POLICIES, POLICIES));
    assert!(tally.cards > u64::from(POLICIES), "{tally:?}");
}
