//! Three defects of frost-core 3.0.0, each shown against the bare crate and held against what this
//! crate does in the same place.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_custody::group::{Change, Curve, Ed25519, KeyShare, Plan, Refusal};
use frost_core::keys::repairable::{Sigma, repair_share_part1, repair_share_part2};
use frost_core::keys::{
    IdentifierList, KeyPackage, PublicKeyPackage, VerifyingShare, generate_with_dealer, refresh,
    repairable,
};
use frost_core::{Error, Identifier, SigningPackage, round1, round2};
use frost_ed25519::rand_core::{self, CryptoRng, RngCore};

use crate::story::founded;
use crate::support::Seeded;
use crate::world::{Person, honest, sign, switch};
use evenkeel_custody::Random;

type Id = Identifier<Ed25519>;

/// The crate's own traits of randomness, from a seed.
pub struct Rng(pub Seeded);

impl CryptoRng for Rng {}

impl RngCore for Rng {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, into: &mut [u8]) {
        self.0.fill(into).unwrap();
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(into);
        Ok(())
    }
}

fn dealt(rng: &mut Rng) -> (BTreeMap<Id, KeyPackage<Ed25519>>, PublicKeyPackage<Ed25519>) {
    let (shares, public) =
        generate_with_dealer::<Ed25519, _>(3, 2, IdentifierList::Default, rng).unwrap();
    let packages = shares.into_iter().map(|(id, it)| (id, KeyPackage::try_from(it).unwrap()));
    (packages.collect(), public)
}

fn id(number: u16) -> Id {
    Id::try_from(number).unwrap()
}

fn refreshed(
    packages: &BTreeMap<Id, KeyPackage<Ed25519>>,
    public: &PublicKeyPackage<Ed25519>,
    rng: &mut Rng,
) -> (BTreeMap<Id, KeyPackage<Ed25519>>, PublicKeyPackage<Ed25519>) {
    let ids: Vec<Id> = packages.keys().copied().collect();
    let (shares, public) = refresh::compute_refreshing_shares(public.clone(), &ids, rng).unwrap();
    let new = ids
        .iter()
        .zip(shares)
        .map(|(id, share)| (*id, refresh::refresh_share(share, &packages[id]).unwrap()));
    (new.collect(), public)
}

fn signed(
    signers: &[&KeyPackage<Ed25519>],
    public: &PublicKeyPackage<Ed25519>,
    rng: &mut Rng,
) -> Result<(), Error<Ed25519>> {
    let drawn: BTreeMap<Id, _> = signers
        .iter()
        .map(|it| (*it.identifier(), round1::commit(it.signing_share(), rng)))
        .collect();
    let commitments = drawn.iter().map(|(id, (_, commitments))| (*id, *commitments)).collect();
    let package = SigningPackage::new(commitments, b"m");
    let shares = signers.iter().map(|it| {
        let id = *it.identifier();
        (id, round2::sign(&package, &drawn[&id].0, it).unwrap())
    });
    frost_core::aggregate(&package, &shares.collect(), public).map(|_| ())
}

#[test]
fn a_refreshed_package_of_the_bare_crate_keeps_a_stale_public_share_and_ours_is_recomputed() {
    let rng = &mut Rng(Seeded::new(1));
    let (packages, public) = dealt(rng);
    let (new, _) = refreshed(&packages, &public, rng);
    let package = &new[&id(1)];
    let right = VerifyingShare::from(*package.signing_share());
    assert_eq!(package.verifying_share(), packages[&id(1)].verifying_share(), "left as it was");
    assert_ne!(*package.verifying_share(), right, "and wrong");

    let random = &mut Seeded::new(1);
    let (mut all, first) = founded::<Ed25519>(random);
    let plan = Plan::change(first.record(), &Change::default(), random).unwrap();
    let mut everybody: Vec<&mut Person> = all.iter_mut().collect();
    let second = switch::<Ed25519>(&plan, Some(&first), &mut everybody, random);
    for person in &all {
        // Recomputed from the secret, and compared with what everybody computed of the openings.
        let share = person.share.as_ref().unwrap();
        share.check(second.record()).unwrap();
        let public = |sealed: &evenkeel_custody::group::Sealed| {
            sealed.record().verifying_share(share.number).map(<[u8]>::to_vec)
        };
        assert_ne!(public(&first), public(&second));
    }
}

#[test]
fn a_corrupted_repair_passes_the_bare_crate_and_is_refused_here() {
    let rng = &mut Rng(Seeded::new(2));
    let (packages, public) = dealt(rng);
    let helpers = [id(1), id(2)];
    let deltas =
        helpers.map(|helper| repair_share_part1(&helpers, &packages[&helper], rng, id(3)).unwrap());
    let mut sigmas = helpers.map(|helper| {
        let received: Vec<_> = deltas.iter().map(|it| it[&helper]).collect();
        repair_share_part2(&received)
    });
    let honest = repairable::repair_share_part3(&sigmas, id(3), &public).unwrap();
    assert_eq!(honest.signing_share(), packages[&id(3)].signing_share());
    let mut bytes = sigmas[1].serialize();
    bytes[0] ^= 1;
    sigmas[1] = Sigma::deserialize(&bytes).unwrap();
    let corrupted = repairable::repair_share_part3(&sigmas, id(3), &public).unwrap();
    let recorded = &public.verifying_shares()[&id(3)];
    assert_ne!(corrupted.verifying_share(), recorded, "a wrong share, and no error");

    // Here a repair is a change, in which a wrong share names its dealer (`malicious`); and no
    // share is taken that does not fit the record.
    let (all, sealed) = founded::<Ed25519>(&mut Seeded::new(2));
    let mut bytes = all[2].share.as_ref().unwrap().to_bytes().to_vec();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    let wrong = KeyShare::from_bytes(&bytes).unwrap();
    assert_eq!(wrong.check(sealed.record()), Err(Refusal::Other("share")));
}

#[test]
fn with_an_old_public_package_the_bare_crate_blames_an_honest_holder_and_here_generations_tell() {
    let rng = &mut Rng(Seeded::new(3));
    let (old, old_public) = dealt(rng);
    let (new, new_public) = refreshed(&old, &old_public, rng);
    // Old shares go on signing after the refresh.
    signed(&[&old[&id(1)], &old[&id(2)]], &old_public, rng).unwrap();
    signed(&[&new[&id(1)], &new[&id(2)]], &new_public, rng).unwrap();
    // Holder 2 missed the refresh; who is behind too checks by the old package.
    let mixed = [&new[&id(1)], &old[&id(2)]];
    let blamed = signed(&mixed, &old_public, rng).unwrap_err();
    assert_eq!(blamed, Error::InvalidSignatureShare { culprits: vec![id(1)] }, "the honest one");

    // Here a signing is bound to one record: neither side can even begin with the other's.
    let random = &mut Seeded::new(3);
    let (mut all, first) = founded::<Ed25519>(random);
    let behind = all[1].share.clone();
    let plan = Plan::change(first.record(), &Change::default(), random).unwrap();
    let mut everybody: Vec<&mut Person> = all.iter_mut().collect();
    let second = switch::<Ed25519>(&plan, Some(&first), &mut everybody, random);
    all[1].share = behind;
    let refused = Err(Refusal::Other("share").into());
    let pair = [&all[0], &all[1]];
    assert_eq!(sign::<Ed25519>(&first, b"m", &pair, random, &mut honest), refused);
    assert_eq!(sign::<Ed25519>(&second, b"m", &pair, random, &mut honest), refused);
    let current = BTreeSet::from([all[0].share.as_ref().unwrap().generation]);
    assert_eq!((current, second.record().curve), (BTreeSet::from([2]), Curve::Ed25519));
}
