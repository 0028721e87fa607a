//! An audit's result, signed by the host that made it.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::audit::{AuditOptions, Audited, SiteAudit};
use crate::certificate::{SIGNATURE_BYTES, magic, text};

const MAGIC: &[u8; 4] = b"EVKA";
const VERSION: u8 = 1;
const CONTEXT: &[u8] = b"evenkeel audit report v1\0";
const NAME_BYTES_MAX: usize = 512;

/// What an audit of one site found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedSite {
    /// The site.
    pub site: String,
    /// Whether it answered.
    pub reachable: bool,
    /// Ranges asked for.
    pub challenges: u64,
    /// Of them, those answered wrongly or not at all.
    pub failed: u64,
    /// Of them, those that could not be compared.
    pub unproven: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes the site should hold.
    pub bytes: u64,
    /// Names of the objects that are not as they should be.
    pub damaged: Vec<String>,
}

impl Canonical for AuditedSite {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(self.site.as_bytes());
        encoder.u8(u8::from(self.reachable));
        encoder.u64(self.challenges);
        encoder.u64(self.failed);
        encoder.u64(self.unproven);
        encoder.u64(self.bytes_read);
        encoder.u64(self.bytes);
        encoder.u64(self.damaged.len() as u64);
        self.damaged.iter().for_each(|name| encoder.bytes(name.as_bytes()));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let site = text(reader, NAME_BYTES_MAX)?;
        let reachable = match reader.u8()? {
            0 => false,
            1 => true,
            tag => return Err(reader.unknown_tag("reachable", tag.into())),
        };
        let mut read = Self {
            site,
            reachable,
            challenges: reader.u64()?,
            failed: reader.u64()?,
            unproven: reader.u64()?,
            bytes_read: reader.u64()?,
            bytes: reader.u64()?,
            damaged: Vec::new(),
        };
        for _ in 0..reader.count()? {
            read.damaged.push(text(reader, NAME_BYTES_MAX)?);
        }
        Ok(read)
    }
}

/// What an audit found, for whoever was not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// The domain.
    pub domain: String,
    /// When, nanoseconds since 1970 UTC, by the auditor's clock.
    pub time_ns: u64,
    /// Millionths of the confidence that was asked for.
    pub confidence_ppm: u64,
    /// Millionths of a site's bytes whose loss is found with it.
    pub loss_ppm: u64,
    /// The sites.
    pub sites: Vec<AuditedSite>,
}

impl AuditReport {
    /// The report of an audit.
    #[must_use]
    pub fn of(domain: &str, time_ns: u64, options: &AuditOptions, audited: &Audited) -> Self {
        // Both lie between 0 and 1: `audit` refuses anything else.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=1")]
        let ppm = |fraction: f64| (fraction * 1e6).round() as u64;
        let site = |found: &SiteAudit| AuditedSite {
            site: found.site.clone(),
            reachable: found.unreachable.is_none(),
            challenges: found.challenges,
            failed: found.failed,
            unproven: found.unproven,
            bytes_read: found.bytes_read,
            bytes: found.bytes,
            damaged: found.damaged.iter().map(|problem| problem.object.clone()).collect(),
        };
        Self {
            domain: domain.to_owned(),
            time_ns,
            confidence_ppm: ppm(options.confidence),
            loss_ppm: ppm(options.loss),
            sites: audited.sites.iter().map(site).collect(),
        }
    }

    /// Signs it.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedAudit {
        let signature = key.sign(&message(&self)).to_bytes();
        SignedAudit { report: self, signer: key.verifying_key().to_bytes(), signature }
    }
}

impl Canonical for AuditReport {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        encoder.bytes(self.domain.as_bytes());
        encoder.u64(self.time_ns);
        encoder.u64(self.confidence_ppm);
        encoder.u64(self.loss_ppm);
        encoder.sequence(self.sites.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        Ok(Self {
            domain: text(reader, 32)?,
            time_ns: reader.u64()?,
            confidence_ppm: reader.u64()?,
            loss_ppm: reader.u64()?,
            sites: reader.sequence()?,
        })
    }
}

/// A report with the signature of the host that audited (Ed25519, RFC 8032).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAudit {
    /// The report.
    pub report: AuditReport,
    /// Public key of the signer.
    pub signer: [u8; 32],
    signature: [u8; SIGNATURE_BYTES],
}

impl SignedAudit {
    /// Whether the signature is the signer's and the report is unchanged.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        VerifyingKey::from_bytes(&self.signer).is_ok_and(|key| {
            let signature = Signature::from_bytes(&self.signature);
            key.verify_strict(&message(&self.report), &signature).is_ok()
        })
    }
}

impl Canonical for SignedAudit {
    fn encode(&self, encoder: &mut Encoder) {
        self.report.encode(encoder);
        encoder.fixed(&self.signer);
        encoder.fixed(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let report = AuditReport::decode(reader)?;
        Ok(Self { report, signer: reader.array()?, signature: reader.array()? })
    }
}

fn message(report: &AuditReport) -> Vec<u8> {
    [CONTEXT, &report.to_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_report_reads_back_and_any_change_breaks_it() {
        let found = SiteAudit {
            site: "amber".to_owned(),
            challenges: 459,
            failed: 1,
            ..SiteAudit::default()
        };
        let audited = Audited { sites: vec![found] };
        let report = AuditReport::of("state", 7, &AuditOptions::default(), &audited);
        assert_eq!((report.confidence_ppm, report.loss_ppm), (990_000, 10_000));
        let signed = report.sign(&SigningKey::from_bytes(&[5; 32]));
        assert!(signed.is_genuine());
        let bytes = signed.to_bytes();
        assert_eq!(SignedAudit::from_bytes(&bytes), Ok(signed));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(!SignedAudit::from_bytes(&changed).is_ok_and(|one| one.is_genuine()), "{at}");
        }
    }
}
