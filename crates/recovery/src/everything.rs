//! The report of a drill of everything: keys, state and network, and whether one could trade with
//! what came back. One document, signed by the host that ran it.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use evenkeel_types::canonical_struct;
use evenkeel_types::codec::{Canonical, DecodeError, Reader, Writer};

use crate::report::{Check, SourceProof, Text, Verdict};

/// How its file begins.
pub const MAGIC: &[u8; 8] = b"EVKALLD1";
const LABEL: &[u8] = b"evenkeel drill of everything v1\0";

/// What was found of one domain: keys, state or network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `keys`, `state` or `network`.
    pub name: Text,
    /// How it ended; not configured if it was left out on purpose.
    pub verdict: Verdict,
    /// In words; why it was not drilled, if it was not.
    pub detail: Text,
    /// The exit code that this part alone would have ended with.
    pub exit_code: u8,
    /// Which kit it began from; empty without one.
    pub kit: Text,
    /// Who opened it: `shares of Ada, Cem`, `quorum 2 of 3: …`, an identity's recipient.
    pub opened_by: Text,
    /// The recovery point or version that came back; empty if there was none.
    pub point: Text,
    /// What is known of whether it is the newest.
    pub freshness: Text,
    /// Age of the newest moment that came back when the drill began.
    pub rpo_ns: Option<u64>,
    /// The machine's time until it was back and checked.
    pub rto_ns: Option<u64>,
    /// Sites that answered.
    pub sites_used: Vec<Text>,
    /// Sites that did not.
    pub sites_missing: Vec<Text>,
    /// Every key, database, server among it.
    pub sources: Vec<SourceProof>,
    /// Every check.
    pub checks: Vec<Check>,
}
canonical_struct!(Part {
    name,
    verdict,
    detail,
    exit_code,
    kit,
    opened_by,
    point,
    freshness,
    rpo_ns,
    rto_ns,
    sites_used,
    sites_missing,
    sources,
    checks,
});

impl Part {
    /// A part of which nothing is known yet.
    #[must_use]
    pub fn unproven(name: &str, detail: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            verdict: Verdict::Unproven,
            detail: detail.into(),
            exit_code: 3,
            kit: Text::default(),
            opened_by: Text::default(),
            point: Text::default(),
            freshness: Text::default(),
            rpo_ns: None,
            rto_ns: None,
            sites_used: Vec::new(),
            sites_missing: Vec::new(),
            sources: Vec::new(),
            checks: Vec::new(),
        }
    }
}

/// The report of a drill of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EverythingReport {
    /// When it began: nanoseconds since 1970 UTC by the drill host's clock.
    pub started_ns: u64,
    /// How long all of it took.
    pub elapsed_ns: u64,
    /// Of that, how long people were waited for: cards and passphrases that were typed.
    pub people_ns: u64,
    /// The machine's name.
    pub machine: Text,
    /// Version and hash of the program.
    pub program: Text,
    /// Where it was laid out.
    pub scratch: Text,
    /// Keys, state, network, in this order.
    pub parts: Vec<Part>,
    /// What trading needs of what came back.
    pub conditions: Vec<Check>,
}
canonical_struct!(EverythingReport {
    started_ns,
    elapsed_ns,
    people_ns,
    machine,
    program,
    scratch,
    parts,
    conditions,
});

impl EverythingReport {
    /// The worst of its parts and conditions. Unproven if nothing was drilled.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let parts = self.parts.iter().map(|part| part.verdict);
        worst(parts.chain(self.conditions.iter().map(|condition| condition.verdict)))
    }

    /// What it says of trading: the worst of its conditions.
    #[must_use]
    pub fn ready(&self) -> Verdict {
        worst(self.conditions.iter().map(|condition| condition.verdict))
    }

    /// Signs the report with the drill host's key.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedEverything {
        let signature = key.sign(&signed_bytes(&self)).to_bytes();
        SignedEverything { report: self, signer: key.verifying_key().to_bytes(), signature }
    }
}

/// Failed before unproven before ok; what was left out on purpose does not count. Unproven if
/// nothing counts.
#[must_use]
pub fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Failed => 0,
        Verdict::Unproven => 1,
        Verdict::Ok => 2,
        Verdict::NotConfigured => 3,
    };
    verdicts
        .min_by_key(rank)
        .filter(|verdict| *verdict != Verdict::NotConfigured)
        .unwrap_or(Verdict::Unproven)
}

/// A report with the signature of the host that ran the drill (Ed25519, RFC 8032).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEverything {
    /// The report.
    pub report: EverythingReport,
    /// Public key of the signer.
    pub signer: [u8; 32],
    /// Signature over the report's canonical bytes behind a fixed prefix.
    pub signature: [u8; 64],
}

impl Canonical for SignedEverything {
    fn encode(&self, writer: &mut Writer) {
        writer.fixed(MAGIC);
        self.report.encode(writer);
        self.signer.encode(writer);
        self.signature.encode(writer);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let magic: [u8; 8] = Canonical::decode(reader)?;
        if magic != *MAGIC {
            return Err(reader.not_canonical("this is no report of a drill of everything"));
        }
        let report = EverythingReport::decode(reader)?;
        let (signer, signature) = (Canonical::decode(reader)?, Canonical::decode(reader)?);
        Ok(Self { report, signer, signature })
    }
}

impl SignedEverything {
    /// True if the signature is the signer's and the report is unchanged.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        VerifyingKey::from_bytes(&self.signer).is_ok_and(|key| {
            let signature = Signature::from_bytes(&self.signature);
            key.verify_strict(&signed_bytes(&self.report), &signature).is_ok()
        })
    }

    /// Reads a stored report; `None` if its bytes or its signature are not right.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_bytes(bytes).ok().filter(Self::is_genuine)
    }
}

fn signed_bytes(report: &EverythingReport) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.fixed(LABEL);
    report.encode(&mut writer);
    writer.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{DrillReport, Level, SignedReport};

    fn report(verdicts: &[Verdict], conditions: &[Verdict]) -> EverythingReport {
        let part = |verdict: &Verdict| Part { verdict: *verdict, ..Part::unproven("state", "it") };
        let condition = |verdict: &Verdict| Check::new("venue", *verdict, "it");
        EverythingReport {
            started_ns: 7,
            elapsed_ns: 9,
            people_ns: 2,
            machine: "drill-host".into(),
            program: "0.1.0".into(),
            scratch: "in memory".into(),
            parts: verdicts.iter().map(part).collect(),
            conditions: conditions.iter().map(condition).collect(),
        }
    }

    #[test]
    fn the_verdict_is_the_worst_of_all_and_never_ok_by_silence() {
        use Verdict::{Failed, NotConfigured, Ok, Unproven};
        let of = |parts: &[Verdict], conditions: &[Verdict]| report(parts, conditions).verdict();
        assert_eq!(of(&[Ok, Ok, Ok], &[Ok, NotConfigured]), Ok);
        assert_eq!(of(&[Ok, NotConfigured, Ok], &[Ok]), Ok);
        assert_eq!(of(&[Ok, Unproven, Ok], &[Ok]), Unproven);
        assert_eq!(of(&[Ok, Unproven, Failed], &[Ok]), Failed);
        assert_eq!(of(&[Ok, Ok, Ok], &[Failed]), Failed);
        assert_eq!(of(&[NotConfigured], &[]), Unproven);
        assert_eq!(of(&[], &[]), Unproven);
        assert_eq!(report(&[Failed], &[Ok]).ready(), Ok);
        assert_eq!(report(&[Ok], &[]).ready(), Unproven);
    }

    #[test]
    fn a_signed_report_reads_back_and_any_changed_byte_breaks_it() {
        let key = SigningKey::from_bytes(&[5; 32]);
        let signed = report(&[Verdict::Ok, Verdict::Failed], &[Verdict::Ok]).sign(&key);
        let bytes = signed.to_bytes();
        assert_eq!(SignedEverything::read(&bytes), Some(signed));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(SignedEverything::read(&changed), None, "byte {at}");
        }
        assert_eq!(SignedEverything::read(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn neither_kind_of_report_is_taken_for_the_other() {
        let key = SigningKey::from_bytes(&[5; 32]);
        let of_state = DrillReport::begin(7, Level::D4, "age1").sign(&key);
        assert_eq!(SignedEverything::read(&of_state.to_bytes()), None);
        let whole = report(&[Verdict::Ok], &[Verdict::Ok]).sign(&key);
        let read = SignedReport::from_bytes(&whole.to_bytes());
        assert!(!read.is_ok_and(|report| report.is_genuine()));
    }
}
