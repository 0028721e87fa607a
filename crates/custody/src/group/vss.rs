//! Polynomials with commitments to their coefficients (Feldman 1987), and proofs of knowledge
//! (Schnorr 1989).

use std::marker::PhantomData;

use frost_core::{Field, Group};

use super::suite::{
    Element, FieldOf, SCALAR_BYTES, Scalar, SecretScalar, Suite, derived, generator, place, point,
    point_bytes, scalar, scalar_bytes,
};
use super::wire::{Malformed, Reader, Writer};

/// A secret polynomial: the constant and what is drawn of a seed for the session.
pub(super) struct Polynomial<C> {
    coefficients: Vec<SecretScalar>,
    curve: PhantomData<C>,
}

impl<C: Suite> Polynomial<C> {
    /// With a given constant, or one that is drawn as well.
    pub(super) fn drawn(
        constant: Option<&SecretScalar>,
        threshold: u16,
        seed: &[u8; 32],
        session: &[u8; 32],
    ) -> Option<Self> {
        let mut coefficients = Vec::with_capacity(usize::from(threshold));
        for index in 0..threshold {
            coefficients.push(match constant {
                Some(constant) if index == 0 => constant.clone(),
                _ => scalar_bytes::<C>(&derived::<C>(seed, session, b"coefficient", index)?),
            });
        }
        Some(Self { coefficients, curve: PhantomData })
    }

    pub(super) fn constant(&self) -> Option<&SecretScalar> {
        self.coefficients.first()
    }

    pub(super) fn at(&self, number: u16) -> Option<SecretScalar> {
        let x = place::<C>(number)?;
        let mut value = FieldOf::<C>::zero();
        for coefficient in self.coefficients.iter().rev() {
            value = value * x + scalar::<C>(coefficient.as_slice())?;
        }
        Some(scalar_bytes::<C>(&value))
    }

    pub(super) fn commitment(&self) -> Option<Commitment<C>> {
        let points = self
            .coefficients
            .iter()
            .map(|coefficient| scalar::<C>(coefficient.as_slice()).map(|it| generator::<C>() * it));
        points.collect::<Option<_>>().map(Commitment)
    }
}

/// What is public of a polynomial.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Commitment<C: Suite>(Vec<Element<C>>);

impl<C: Suite> Commitment<C> {
    pub(super) fn constant(&self) -> Option<Element<C>> {
        self.0.first().copied()
    }

    /// Where the polynomial is at a holder's place.
    pub(super) fn at(&self, number: u16) -> Option<Element<C>> {
        let x = place::<C>(number)?;
        let start = <C::Group as Group>::identity();
        Some(self.0.iter().rev().fold(start, |value, point| value * x + *point))
    }

    /// Whether a share lies on the polynomial.
    pub(super) fn holds(&self, number: u16, share: &[u8]) -> bool {
        let share = scalar::<C>(share).map(|share| generator::<C>() * share);
        share.is_some() && share == self.at(number)
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.count(self.0.len());
        for point in &self.0 {
            writer.fixed(&point_bytes::<C>(point)?);
        }
        Some(())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.count()?;
        let mut points = Vec::with_capacity(count);
        for _ in 0..count {
            let bytes = reader.take(C::POINT_BYTES)?;
            points.push(point::<C>(bytes).ok_or_else(|| reader.fail())?);
        }
        Ok(Self(points))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Knowledge of the secret behind a point, for one context.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proof<C: Suite> {
    nonce: Element<C>,
    response: Scalar<C>,
}

impl<C: Suite> Proof<C> {
    /// The nonce is drawn of the seed, the context and the point: the same proof each time.
    pub(super) fn make(secret: &SecretScalar, seed: &[u8; 32], context: &[u8; 32]) -> Option<Self> {
        let secret = scalar::<C>(secret.as_slice())?;
        let public = generator::<C>() * secret;
        let label = [b"proof".as_slice(), &point_bytes::<C>(&public)?].concat();
        let hidden = derived::<C>(seed, context, &label, 0)?;
        let nonce = generator::<C>() * hidden;
        let response = hidden + secret * challenge::<C>(context, &public, &nonce)?;
        Some(Self { nonce, response })
    }

    pub(super) fn holds(&self, public: &Element<C>, context: &[u8; 32]) -> bool {
        challenge::<C>(context, public, &self.nonce).is_some_and(|challenge| {
            generator::<C>() * self.response == self.nonce + *public * challenge
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.fixed(&point_bytes::<C>(&self.nonce)?);
        writer.fixed(scalar_bytes::<C>(&self.response).as_slice());
        Some(())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let nonce = point::<C>(reader.take(C::POINT_BYTES)?).ok_or_else(|| reader.fail())?;
        let response = scalar::<C>(reader.take(SCALAR_BYTES)?).ok_or_else(|| reader.fail())?;
        Ok(Self { nonce, response })
    }
}

fn challenge<C: Suite>(
    context: &[u8; 32],
    public: &Element<C>,
    nonce: &Element<C>,
) -> Option<Scalar<C>> {
    let mut input = b"evenkeel group proof 1".to_vec();
    input.extend_from_slice(context);
    input.extend_from_slice(&point_bytes::<C>(public)?);
    input.extend_from_slice(&point_bytes::<C>(nonce)?);
    C::HDKG(&input)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::group::{Ed25519, Secp256k1};

    fn hex(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        let digits = (0..text.len()).step_by(2);
        digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn official(curve: &str) -> Option<Value> {
        let folder = std::path::PathBuf::from(std::env::var_os("EVENKEEL_DATA")?);
        // Relative to the workspace, as `.ci/run` sets it.
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
        let name = format!("vectors/rfc9591-frost/{curve}/vectors_dkg.json");
        let places = [folder.join(&name), folder.join("..").join(&name)];
        let path = places.iter().find(|path| path.exists()).unwrap();
        Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    fn polynomials_are_the_official_ones<C: Suite>() {
        let Some(all) = official(C::CURVE.word()) else {
            println!("skipped: EVENKEEL_DATA does not name the folder of vectors");
            return;
        };
        let inputs = &all["inputs"];
        let mut sums = [const { None }; 3];
        for dealer in 1..=3 {
            let dealer = &inputs[dealer.to_string()];
            let given = [hex(&dealer["signing_key"]), hex(&dealer["coefficient"])];
            let coefficients = given.map(|it| SecretScalar::new(it.try_into().unwrap())).into();
            let polynomial = Polynomial::<C> { coefficients, curve: PhantomData };
            let commitment = polynomial.commitment().unwrap();
            for (point, official) in
                commitment.0.iter().zip(dealer["vss_commitments"].as_array().unwrap())
            {
                assert_eq!(point_bytes::<C>(point).unwrap(), hex(official));
            }
            for (to, sum) in (1..=3).zip(&mut sums) {
                let share = polynomial.at(to).unwrap();
                assert!(commitment.holds(to, share.as_slice()));
                assert!(!commitment.holds(to % 3 + 1, share.as_slice()));
                let share = scalar::<C>(share.as_slice()).unwrap();
                *sum = Some(sum.map_or(share, |sum| sum + share));
            }
        }
        for (number, sum) in (1..=3).zip(sums) {
            let share = scalar_bytes::<C>(&sum.unwrap());
            assert_eq!(share.as_slice(), hex(&inputs[number.to_string()]["signing_share"]));
        }
    }

    #[test]
    fn shares_and_commitments_are_those_of_the_official_vectors() {
        polynomials_are_the_official_ones::<Ed25519>();
        polynomials_are_the_official_ones::<Secp256k1>();
    }

    #[test]
    fn a_proof_holds_for_its_point_and_its_context_alone() {
        let secret =
            scalar_bytes::<Ed25519>(&derived::<Ed25519>(&[1; 32], &[2; 32], b"x", 0).unwrap());
        let public = generator::<Ed25519>() * scalar::<Ed25519>(secret.as_slice()).unwrap();
        let proof = Proof::<Ed25519>::make(&secret, &[3; 32], &[4; 32]).unwrap();
        assert!(proof.holds(&public, &[4; 32]));
        assert!(!proof.holds(&public, &[5; 32]));
        assert!(!proof.holds(&(public + public), &[4; 32]));
    }
}
