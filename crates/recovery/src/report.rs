//! What a drill found, signed by the host that ran it.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use evenkeel_types::codec::{Canonical, DecodeError, Reader, Writer};
use evenkeel_types::merkle::Hash;
use evenkeel_types::{canonical_enum, canonical_struct};

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Checked, and right.
    Ok,
    /// Checked, and wrong.
    Failed,
    /// Configured, but could not be checked.
    Unproven,
    /// Not configured.
    NotConfigured,
}
canonical_enum!(Verdict { 1 => Ok, 2 => Failed, 3 => Unproven, 4 => NotConfigured });

/// How much a drill can prove, by the key it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Ciphertext audit, no key.
    D1,
    /// On the writer host: what the current key opens.
    D2,
    /// On a drill host with its own recipient and read-only access: any key period.
    D3,
    /// With the recovery identity.
    D4,
}
canonical_enum!(Level { 1 => D1, 2 => D2, 3 => D3, 4 => D4 });

/// Text of a report, at most [`Text::MAX_BYTES`] long; what is made from longer text is cut.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(pub String);

impl Text {
    /// Longest text that is read back, in bytes.
    pub const MAX_BYTES: usize = 4096;
    const CUT: &'static str = "…";

    /// Appends; what leaves no room is cut.
    pub fn push_str(&mut self, more: &str) {
        self.0.push_str(more);
        self.cut();
    }

    fn cut(&mut self) {
        if self.0.len() > Self::MAX_BYTES {
            let kept = self.0.floor_char_boundary(Self::MAX_BYTES - Self::CUT.len());
            self.0.truncate(kept);
            self.0.push_str(Self::CUT);
        }
    }
}

impl Canonical for Text {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(self.0.as_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.bytes(Self::MAX_BYTES)?.to_vec();
        String::from_utf8(bytes).map(Self).map_err(|_| reader.not_canonical("text is not UTF-8"))
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        let mut text = Self(text);
        text.cut();
        text
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its stable name.
    pub name: Text,
    /// How it ended.
    pub verdict: Verdict,
    /// What was compared, or why it could not be.
    pub detail: Text,
}
canonical_struct!(Check { name, verdict, detail });

impl Check {
    /// A check with its verdict.
    #[must_use]
    pub fn new(name: &str, verdict: Verdict, detail: impl Into<Text>) -> Self {
        Self { name: name.into(), verdict, detail: detail.into() }
    }

    /// A comparison of a promised with a recomputed hash.
    #[must_use]
    pub fn same(name: &str, promised: Option<Hash>, restored: Hash) -> Self {
        let short = |hash: &Hash| hex(&hash[..8]);
        match promised {
            Some(promised) if promised == restored => {
                Self::new(name, Verdict::Ok, format!("recomputed {}…", short(&restored)))
            }
            Some(promised) => Self::new(
                name,
                Verdict::Failed,
                format!("promised {}…, recomputed {}…", short(&promised), short(&restored)),
            ),
            None => Self::new(name, Verdict::Unproven, "the recovery point does not promise it"),
        }
    }
}

/// One phase and how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Its stable name.
    pub name: Text,
    /// Duration in nanoseconds.
    pub elapsed_ns: u64,
}
canonical_struct!(Phase { name, elapsed_ns });

/// What a drill showed of one source, beside what is promised of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceProof {
    /// `venue`, `files`, the path of a database, `postgres:NAME`.
    pub name: Text,
    /// What kind of source it is, one word.
    pub kind: Text,
    /// The worst verdict among its checks.
    pub verdict: Verdict,
    /// The recovery point that it came from; empty if there was none.
    pub point: Text,
    /// Everything in it up to this moment came back: nanoseconds since 1970 UTC.
    pub until_ns: Option<u64>,
    /// Age of that moment when the drill began.
    pub rpo_ns: Option<u64>,
    /// What is promised of the age; `None` if nothing is.
    pub rpo_target_ns: Option<u64>,
    /// How long it took until it was back.
    pub rto_ns: Option<u64>,
    /// What is promised of that; `None` if nothing is.
    pub rto_target_ns: Option<u64>,
}
canonical_struct!(SourceProof {
    name,
    kind,
    verdict,
    point,
    until_ns,
    rpo_ns,
    rpo_target_ns,
    rto_ns,
    rto_target_ns,
});

impl SourceProof {
    /// A source of which nothing is known yet but its name: unproven.
    #[must_use]
    pub fn unproven(name: &str, kind: &str) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            verdict: Verdict::Unproven,
            point: Text::default(),
            until_ns: None,
            rpo_ns: None,
            rpo_target_ns: None,
            rto_ns: None,
            rto_target_ns: None,
        }
    }

    /// Whether it came back right, as new and as fast as promised.
    #[must_use]
    pub fn is_within_objectives(&self) -> bool {
        let kept = |found: Option<u64>, target: Option<u64>| match (found, target) {
            (_, None) => true,
            (Some(found), Some(target)) => found <= target,
            (None, Some(_)) => false,
        };
        self.verdict == Verdict::Ok
            && kept(self.rpo_ns, self.rpo_target_ns)
            && kept(self.rto_ns, self.rto_target_ns)
    }
}

/// The report of one drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillReport {
    /// When it began: nanoseconds since 1970 UTC by the drill host's clock.
    pub started_ns: u64,
    /// What the key used allows to prove.
    pub level: Level,
    /// Public name of the key used; `none` at D1.
    pub key_used: Text,
    /// Lineage restored.
    pub lineage: [u8; 16],
    /// Id of the recovery point it started from; empty if there was none.
    pub point: Text,
    /// Position restored (next entry).
    pub position: u64,
    /// Entries replayed on top of the snapshot.
    pub entries_replayed: u64,
    /// From the moment the identity was present until trading could resume from the scratch copy.
    pub rto_ns: Option<u64>,
    /// Durable entries on the host that the restore did not bring back.
    pub rpo_entries: Option<u64>,
    /// Age of the newest restored moment when the drill began.
    pub rpo_ns: Option<u64>,
    /// Sites that answered.
    pub sites_used: Vec<Text>,
    /// Sites that did not.
    pub sites_missing: Vec<Text>,
    /// Bytes read from the sites.
    pub bytes_read: u64,
    /// Recomputed state root.
    pub state_root: Option<Hash>,
    /// Recomputed journal root.
    pub journal_root: Option<Hash>,
    /// Recomputed output digest.
    pub output_digest: Option<Hash>,
    /// Every check.
    pub checks: Vec<Check>,
    /// Where the time went, in order.
    pub phases: Vec<Phase>,
    /// Every source, beside what is promised of it. Version 1 of the report knows none.
    pub sources: Vec<SourceProof>,
}

/// The fields of version 1, which those of version 2 stand behind.
macro_rules! first_fields {
    ($with:ident) => {
        $with!(
            started_ns,
            level,
            key_used,
            lineage,
            point,
            position,
            entries_replayed,
            rto_ns,
            rpo_entries,
            rpo_ns,
            sites_used,
            sites_missing,
            bytes_read,
            state_root,
            journal_root,
            output_digest,
            checks,
            phases
        )
    };
}

impl DrillReport {
    /// An empty report of a drill that begins now.
    #[must_use]
    pub fn begin(started_ns: u64, level: Level, key_used: &str) -> Self {
        Self {
            started_ns,
            level,
            key_used: key_used.into(),
            lineage: [0; 16],
            point: Text::default(),
            position: 0,
            entries_replayed: 0,
            rto_ns: None,
            rpo_entries: None,
            rpo_ns: None,
            sites_used: Vec::new(),
            sites_missing: Vec::new(),
            bytes_read: 0,
            state_root: None,
            journal_root: None,
            output_digest: None,
            checks: Vec::new(),
            phases: Vec::new(),
            sources: Vec::new(),
        }
    }

    fn encode_first(&self, writer: &mut Writer) {
        macro_rules! encode {
            ($($field:ident),*) => {{ $(self.$field.encode(writer);)* }};
        }
        first_fields!(encode);
    }

    fn decode_first(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        macro_rules! decode {
            ($($field:ident),*) => {
                Ok(Self { $($field: Canonical::decode(reader)?,)* sources: Vec::new() })
            };
        }
        first_fields!(decode)
    }

    /// Whether everything was proven, and every source is as new and as fast as promised.
    #[must_use]
    pub fn is_within_objectives(&self) -> bool {
        self.verdict() == Verdict::Ok && self.sources.iter().all(SourceProof::is_within_objectives)
    }

    /// Failed if a check failed; unproven if one that is configured could not be made, or if there
    /// was none at all; otherwise ok.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let any = |verdict| self.checks.iter().any(|check| check.verdict == verdict);
        if any(Verdict::Failed) {
            Verdict::Failed
        } else if any(Verdict::Unproven) || !any(Verdict::Ok) {
            Verdict::Unproven
        } else {
            Verdict::Ok
        }
    }

    /// Signs the report with the drill host's key.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedReport {
        let signature = key.sign(&signed_bytes(&self)).to_bytes();
        SignedReport { report: self, signer: key.verifying_key().to_bytes(), signature }
    }

    /// Has the report signed by whoever holds the key of `signer`.
    ///
    /// # Errors
    /// What `sign` gives.
    pub fn sign_by<E>(
        self,
        signer: [u8; 32],
        sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
    ) -> Result<SignedReport, E> {
        let signature = sign(&signed_bytes(&self))?;
        Ok(SignedReport { report: self, signer, signature })
    }
}

/// A report with the signature of the host that ran the drill (Ed25519, RFC 8032).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReport {
    /// The report.
    pub report: DrillReport,
    /// Public key of the signer.
    pub signer: [u8; 32],
    /// Signature over the report's canonical bytes behind a fixed prefix.
    pub signature: [u8; 64],
}

/// Version 1 is the report, the signer and the signature; version 2 has the sources behind them. A
/// report without sources is written as version 1, so every report has one encoding.
impl Canonical for SignedReport {
    fn encode(&self, writer: &mut Writer) {
        self.report.encode_first(writer);
        self.signer.encode(writer);
        self.signature.encode(writer);
        if !self.report.sources.is_empty() {
            self.report.sources.encode(writer);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut report = DrillReport::decode_first(reader)?;
        let (signer, signature) = (Canonical::decode(reader)?, Canonical::decode(reader)?);
        if reader.remaining() > 0 {
            report.sources = Canonical::decode(reader)?;
            if report.sources.is_empty() {
                return Err(reader.not_canonical("no sources behind a report"));
            }
        }
        Ok(Self { report, signer, signature })
    }
}

impl SignedReport {
    /// True if the signature is the signer's and the report is unchanged.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        VerifyingKey::from_bytes(&self.signer).is_ok_and(|key| {
            let signature = Signature::from_bytes(&self.signature);
            key.verify_strict(&signed_bytes(&self.report), &signature).is_ok()
        })
    }
}

fn signed_bytes(report: &DrillReport) -> Vec<u8> {
    let mut writer = Writer::new();
    let is_first = report.sources.is_empty();
    let prefix =
        if is_first { b"evenkeel drill report v1\0" } else { b"evenkeel drill report v2\0" };
    writer.fixed(prefix);
    report.encode_first(&mut writer);
    if !is_first {
        report.sources.encode(&mut writer);
    }
    writer.into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> DrillReport {
        let mut report = DrillReport::begin(7, Level::D3, "age1drill");
        report.checks.push(Check::same("state_root", Some([1; 32]), [1; 32]));
        report.checks.push(Check::new("chain", Verdict::NotConfigured, "no chain"));
        report
    }

    fn source() -> SourceProof {
        SourceProof {
            verdict: Verdict::Ok,
            rpo_ns: Some(3),
            rpo_target_ns: Some(3),
            rto_ns: Some(4),
            rto_target_ns: Some(5),
            ..SourceProof::unproven("files", "files")
        }
    }

    #[test]
    fn a_signed_report_reads_back_and_any_change_breaks_it() {
        let with_sources = DrillReport { sources: vec![source()], ..report() };
        for report in [report(), with_sources] {
            any_change_breaks(report);
        }
    }

    #[test]
    fn a_report_of_version_1_is_read_and_its_sources_cannot_be_left_out_or_added() {
        let key = SigningKey::from_bytes(&[5; 32]);
        let (first, second) =
            (report().sign(&key), DrillReport { sources: vec![source()], ..report() }.sign(&key));
        let (first_bytes, second_bytes) = (first.to_bytes(), second.to_bytes());
        assert!(second_bytes.len() > first_bytes.len());
        let shortened = SignedReport::from_bytes(&second_bytes[..first_bytes.len()]).unwrap();
        assert!(!shortened.is_genuine());
        let mut lengthened = first_bytes.clone();
        lengthened.extend_from_slice(&second_bytes[first_bytes.len()..]);
        assert!(!SignedReport::from_bytes(&lengthened).unwrap().is_genuine());
        let mut empty_behind = first_bytes;
        empty_behind.push(0);
        assert!(SignedReport::from_bytes(&empty_behind).is_err());
    }

    #[test]
    fn a_source_is_within_its_objectives_only_if_it_was_proven_and_all_of_them_were_measured() {
        assert!(source().is_within_objectives());
        let late = SourceProof { rpo_ns: Some(4), ..source() };
        let slow = SourceProof { rto_ns: Some(6), ..source() };
        let unknown = SourceProof { rpo_ns: None, ..source() };
        let failed = SourceProof { verdict: Verdict::Failed, ..source() };
        for other in [late, slow, unknown, failed] {
            assert!(!other.is_within_objectives(), "{other:?}");
        }
        let promised_nothing = SourceProof { rpo_target_ns: None, rpo_ns: None, ..source() };
        assert!(promised_nothing.is_within_objectives());
        let mut all = DrillReport { sources: vec![source()], ..report() };
        assert!(all.is_within_objectives());
        all.sources.push(SourceProof::unproven("x", "sqlite"));
        assert!(!all.is_within_objectives());
    }

    fn any_change_breaks(report: DrillReport) {
        let signed = report.sign(&SigningKey::from_bytes(&[5; 32]));
        assert!(signed.is_genuine());
        let bytes = signed.to_bytes();
        assert_eq!(SignedReport::from_bytes(&bytes), Ok(signed));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let genuine = SignedReport::from_bytes(&changed).is_ok_and(|one| one.is_genuine());
            assert!(!genuine, "byte {at}");
        }
    }

    #[test]
    fn ok_needs_every_configured_check() {
        let mut report = report();
        assert_eq!(report.verdict(), Verdict::Ok);
        report.checks.push(Check::same("journal_root", None, [1; 32]));
        assert_eq!(report.verdict(), Verdict::Unproven);
        report.checks.push(Check::same("output_digest", Some([1; 32]), [2; 32]));
        assert_eq!(report.verdict(), Verdict::Failed);
        assert_eq!(DrillReport::begin(0, Level::D1, "none").verdict(), Verdict::Unproven);
    }
}
