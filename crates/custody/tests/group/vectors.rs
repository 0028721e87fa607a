//! The official vectors of RFC 9591 and of its reference implementation.

use std::collections::BTreeMap;

use evenkeel_custody::group::{Curve, Ed25519, Secp256k1, Suite};
use frost_core::keys::dkg::{part3, round1 as dkg1, round2 as dkg2};
use frost_core::keys::repairable::{Delta, Sigma, repair_share_part2};
use frost_core::keys::{
    KeyPackage, PublicKeyPackage, SigningShare, VerifiableSecretSharingCommitment, VerifyingShare,
};
use frost_core::round1::{Nonce, NonceCommitment, SigningNonces};
use frost_core::{Identifier, Signature, SigningPackage, VerifyingKey, round2};
use serde_json::Value;

use crate::support::vectors;

fn read(curve: Curve, name: &str) -> Option<Value> {
    let path = vectors(&format!("rfc9591-frost/{curve}/{name}"))?;
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let digits = (0..text.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn id<C: Suite>(value: &Value) -> Identifier<C> {
    Identifier::try_from(u16::try_from(value.as_u64().unwrap()).unwrap()).unwrap()
}

fn signing<C: Suite>(name: &str) {
    let Some(all) = read(C::CURVE, name) else { return };
    let inputs = &all["inputs"];
    let key = VerifyingKey::<C>::deserialize(&hex(&inputs["verifying_key_key"])).unwrap();
    let message = hex(&inputs["message"]);
    let needed: u16 = all["config"]["MIN_PARTICIPANTS"].as_str().unwrap().parse().unwrap();
    let mut packages = BTreeMap::new();
    for share in inputs["participant_shares"].as_array().unwrap() {
        let place = id::<C>(&share["identifier"]);
        let secret = SigningShare::deserialize(&hex(&share["participant_share"])).unwrap();
        let public = VerifyingShare::from(secret);
        packages.insert(place, KeyPackage::new(place, secret, public, key, needed));
    }
    let mut nonces = BTreeMap::new();
    let mut commitments = BTreeMap::new();
    for output in all["round_one_outputs"]["outputs"].as_array().unwrap() {
        let nonce = |name: &str| Nonce::<C>::deserialize(&hex(&output[name])).unwrap();
        let drawn = SigningNonces::from_nonces(nonce("hiding_nonce"), nonce("binding_nonce"));
        let hiding = NonceCommitment::from(drawn.hiding()).serialize().unwrap();
        assert_eq!(hiding, hex(&output["hiding_nonce_commitment"]));
        let binding = NonceCommitment::from(drawn.binding()).serialize().unwrap();
        assert_eq!(binding, hex(&output["binding_nonce_commitment"]));
        let place = id::<C>(&output["identifier"]);
        commitments.insert(place, *drawn.commitments());
        nonces.insert(place, drawn);
    }
    let package = SigningPackage::new(commitments, &message);
    let mut shares = BTreeMap::new();
    for output in all["round_two_outputs"]["outputs"].as_array().unwrap() {
        let place = id::<C>(&output["identifier"]);
        let share = round2::sign(&package, &nonces[&place], &packages[&place]).unwrap();
        assert_eq!(share.serialize(), hex(&output["sig_share"]));
        shares.insert(place, share);
    }
    let public = packages.iter().map(|(place, it)| (*place, *it.verifying_share())).collect();
    let public = PublicKeyPackage::new(public, key, Some(needed));
    let signature = frost_core::aggregate(&package, &shares, &public).unwrap();
    assert_eq!(signature.serialize().unwrap(), hex(&all["final_output"]["sig"]));
}

#[test]
fn the_signatures_of_rfc_9591_come_out_on_either_curve() {
    for name in ["vectors.json", "vectors-big-identifier.json"] {
        signing::<Ed25519>(name);
        signing::<Secp256k1>(name);
    }
}

fn key_generation<C: Suite>() {
    let Some(all) = read(C::CURVE, "vectors_dkg.json") else { return };
    let inputs = &all["inputs"];
    let of = |number: u64| &inputs[number.to_string()];
    let commitment = |number: u64| {
        let points = of(number)["vss_commitments"].as_array().unwrap().iter().map(hex);
        VerifiableSecretSharingCommitment::<C>::deserialize(points).unwrap()
    };
    for me in 1..=3 {
        let own = SigningShare::<C>::deserialize(&hex(&of(me)["signing_key"])).unwrap();
        let mut first = BTreeMap::new();
        let mut second = BTreeMap::new();
        for other in (1..=3).filter(|it| *it != me) {
            let place = id::<C>(&of(other)["identifier"]);
            let proof = Signature::deserialize(&hex(&of(other)["proof_of_knowledge"])).unwrap();
            first.insert(place, dkg1::Package::new(commitment(other), proof));
            let share = hex(&of(me)["signing_shares"][other.to_string()]);
            second.insert(place, dkg2::Package::new(SigningShare::deserialize(&share).unwrap()));
        }
        // The holder's own part: its polynomial at its own place.
        let coefficient = SigningShare::<C>::deserialize(&hex(&of(me)["coefficient"])).unwrap();
        let scalar = |it: &SigningShare<C>| {
            let encoded = it.serialize();
            type Of<C> = <<C as frost_core::Ciphersuite>::Group as frost_core::Group>::Field;
            let encoded = encoded.as_slice().try_into().ok().unwrap();
            <Of<C> as frost_core::Field>::deserialize(&encoded).unwrap()
        };
        let place = id::<C>(&of(me)["identifier"]);
        let at = SigningShare::<C>::deserialize(&place.serialize()).unwrap();
        let value = scalar(&own) + scalar(&coefficient) * scalar(&at);
        let secret = dkg2::SecretPackage::new(place, commitment(me), value, 2, 3);
        let (package, public) = part3(&secret, &first, &second).unwrap();
        assert_eq!(package.signing_share().serialize(), hex(&of(me)["signing_share"]));
        let share = public.verifying_shares()[&place].serialize().unwrap();
        assert_eq!(share, hex(&of(me)["verifying_share"]));
        assert_eq!(public.verifying_key().serialize().unwrap(), hex(&inputs["verifying_key"]));
    }
}

#[test]
fn the_generated_keys_of_the_official_vectors_come_out_on_either_curve() {
    key_generation::<Ed25519>();
    key_generation::<Secp256k1>();
}

fn repair<C: Suite>() {
    let Some(all) = read(C::CURVE, "repair-share.json") else { return };
    let deltas = &all["scalar_generation"];
    let given: Vec<Delta<C>> = (1..=3)
        .map(|number| hex(&deltas[format!("random_scalar_{number}")]))
        .map(|bytes| Delta::deserialize(&bytes).unwrap())
        .collect();
    let sum = repair_share_part2(&given);
    assert_eq!(sum.serialize(), hex(&deltas["random_scalar_sum"]));
    let sigmas = &all["sigma_generation"];
    let given: Vec<Delta<C>> = (1..=4)
        .map(|number| hex(&sigmas[format!("sigma_{number}")]))
        .map(|bytes| Delta::deserialize(&bytes).unwrap())
        .collect();
    let sum: Sigma<C> = repair_share_part2(&given);
    assert_eq!(sum.serialize(), hex(&sigmas["sigma_sum"]));
}

#[test]
fn the_repaired_share_of_the_official_vectors_comes_out_on_either_curve() {
    repair::<Ed25519>();
    repair::<Secp256k1>();
}
