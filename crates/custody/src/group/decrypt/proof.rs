//! That one secret is behind two points: Chaum and Pedersen 1992, made non-interactive (Fiat and
//! Shamir 1986).

use curve25519_dalek::traits::VartimeMultiscalarMul;
use curve25519_dalek::{EdwardsPoint, Scalar};
use frost_core::Ciphersuite;
use zeroize::Zeroizing;

use super::super::recipient::Recipient;
use super::super::wire::Writer;
use super::request::{Request, Stanza};

/// What a proof belongs to. All of it goes into the challenge.
pub(super) struct Statement {
    context: Vec<u8>,
    public: EdwardsPoint,
    share: EdwardsPoint,
    part: EdwardsPoint,
}

impl Statement {
    /// That `part` is the share of `stanza`, lifted to `share`, times the secret behind `public`:
    /// by holder `from`, for this request and no other.
    pub(super) fn new(
        request: &Request,
        id: &[u8; 32],
        (from, public): (u16, EdwardsPoint),
        (stanza, share): (&Stanza, EdwardsPoint),
        part: EdwardsPoint,
    ) -> Self {
        let mut writer = Writer::of(b"evenkeel group partial 1");
        writer.fixed(&request.record).u32(request.generation).fixed(id).u16(from);
        writer.fixed(&stanza.share).fixed(&stanza.body);
        for point in [&public, &share, &part] {
            writer.fixed(point.compress().as_bytes());
        }
        Self { context: writer.done(), public, share, part }
    }

    fn challenge(&self, nonces: &[EdwardsPoint; 2]) -> Option<Scalar> {
        let mut input = self.context.clone();
        for nonce in nonces {
            input.extend_from_slice(nonce.compress().as_bytes());
        }
        Recipient::HDKG(&input)
    }
}

/// Challenge and response.
pub(super) struct Proof {
    pub(super) challenge: Scalar,
    pub(super) response: Scalar,
}

impl Proof {
    /// The nonce is drawn of the secret, the statement and fresh randomness: neither a repeated nor
    /// a bad randomness gives the secret away.
    pub(super) fn make(secret: &Scalar, statement: &Statement, drawn: &[u8; 32]) -> Option<Self> {
        let mut seed = Zeroizing::new(Vec::with_capacity(128 + statement.context.len()));
        seed.extend_from_slice(b"evenkeel group partial nonce 1");
        seed.extend_from_slice(Zeroizing::new(secret.to_bytes()).as_slice());
        seed.extend_from_slice(drawn);
        seed.extend_from_slice(&statement.context);
        let nonce = Zeroizing::new(Recipient::HDKG(&seed)?);
        let points = [EdwardsPoint::mul_base(&nonce), statement.share * *nonce];
        let challenge = statement.challenge(&points)?;
        Some(Self { challenge, response: *nonce + challenge * secret })
    }

    pub(super) fn holds(&self, statement: &Statement) -> bool {
        let (z, c) = (self.response, -self.challenge);
        let on_base = EdwardsPoint::vartime_double_scalar_mul_basepoint(&c, &statement.public, &z);
        let on_share =
            EdwardsPoint::vartime_multiscalar_mul(&[z, c], &[statement.share, statement.part]);
        statement.challenge(&[on_base, on_share]) == Some(self.challenge)
    }
}
