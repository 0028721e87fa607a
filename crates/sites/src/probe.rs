//! What a thief with the writer's credentials could do at a site, found out by trying it.
//!
//! Everything is tried on fresh objects under `probe/`. Settings of a bucket are only written back
//! as they are, or so that they say nothing, and taken away again: what counts is whether the
//! store lets this host write them at all.

use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use evenkeel_vault::SiteClass;

use crate::basic::base64;
use crate::bridge::wait_for;
use crate::client::{Answer, Client};
use crate::settings::{S3Settings, SettingsError, WebDavSettings};
use crate::versions::{Lock, read_lock};
use crate::wire::WireError;

/// Objects that latency is measured with, and their size.
pub(crate) const SAMPLES: u64 = 16;
pub(crate) const SAMPLE_BYTES: usize = 4096;
/// The object that throughput is measured with.
pub(crate) const LARGE_BYTES: usize = 2 * 1024 * 1024;
pub(crate) const FIRST: &[u8] = b"evenkeel probe: first content";
pub(crate) const SECOND: &[u8] = b"evenkeel probe: other content";

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The site said no, and nothing had changed.
    Refused,
    /// It was done.
    Allowed,
    /// The site does not know such a thing.
    NotOffered,
    /// Neither is certain; counted as allowed.
    Unclear,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What, in a word or two.
    pub what: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// What the site said.
    pub said: String,
}

/// Times of several requests of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Half of them took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer; with so few it is the longest.
    pub p99: Duration,
}

/// What was found at a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A fresh object could be written.
    pub wrote: bool,
    /// Every object was there right after it was written, with its own content.
    pub read_after_write: bool,
    /// A put with the condition that nothing is there was refused where something was.
    pub conditional_put: bool,
    /// The bucket keeps what is overwritten and deleted as versions.
    pub versions: bool,
    /// What the bucket locks new objects with.
    pub lock: Option<Lock>,
    /// What was tried.
    pub attempts: Vec<Attempt>,
    /// Times to write 4 KiB.
    pub write: Option<Spread>,
    /// Times to read them.
    pub read: Option<Spread>,
    /// Writing 2 MiB.
    pub write_bytes_per_second: Option<u64>,
    /// Reading them.
    pub read_bytes_per_second: Option<u64>,
    /// Why it ended early, or what is to be known beside.
    pub detail: Option<String>,
}

impl Finding {
    /// Before anything was tried.
    pub(crate) fn nothing() -> Self {
        Self {
            wrote: false,
            read_after_write: false,
            conditional_put: false,
            versions: false,
            lock: None,
            attempts: Vec::new(),
            write: None,
            read: None,
            write_bytes_per_second: None,
            read_bytes_per_second: None,
            detail: None,
        }
    }

    /// The best class that was shown: append-only if everything that takes something away was
    /// refused; immutable if first versions are locked, cannot be deleted, and none of the
    /// bucket's settings and locks can be changed; else mutable.
    #[must_use]
    pub fn class(&self) -> SiteClass {
        let harmless =
            |attempt: &Attempt| matches!(attempt.outcome, Outcome::Refused | Outcome::NotOffered);
        let whole = self.wrote && self.read_after_write && !self.attempts.is_empty();
        // What hides a version takes nothing away: the first one is read.
        let hides = |attempt: &Attempt| ["overwrite", "delete"].contains(&attempt.what);
        let locked = self.versions && self.lock.is_some() && self.refuses("version delete");
        if whole && self.attempts.iter().all(harmless) {
            SiteClass::AppendOnly
        } else if whole && locked && self.attempts.iter().all(|at| harmless(at) || hides(at)) {
            SiteClass::Immutable
        } else {
            SiteClass::Mutable
        }
    }

    /// Whether something that was tried was refused.
    #[must_use]
    pub fn refuses(&self, what: &str) -> bool {
        let found = self.attempts.iter().find(|attempt| attempt.what == what);
        found.is_some_and(|attempt| attempt.outcome == Outcome::Refused)
    }
}

/// Tries a bucket. `nonce` tells this probe's objects from those of others.
///
/// # Errors
/// [`SettingsError`] if it cannot be reached with these settings; what the site does is a finding.
pub fn probe_s3(settings: &S3Settings, nonce: u64) -> Result<Finding, SettingsError> {
    let client = Client::s3(settings)?;
    run(Thief { client, prefix: format!("{}probe/{nonce:016x}", settings.prefix) })
}

/// Tries a folder of a WebDAV server.
///
/// # Errors
/// As [`probe_s3`].
pub fn probe_web_dav(settings: &WebDavSettings, nonce: u64) -> Result<Finding, SettingsError> {
    let client = Client::web_dav(settings)?;
    run(Thief { client, prefix: format!("probe/{nonce:016x}") })
}

fn run(thief: Thief) -> Result<Finding, SettingsError> {
    wait_for(async move {
        let mut finding = Finding::nothing();
        if let Err(error) = thief.look(&mut finding).await {
            finding.detail = Some(error.to_string());
        }
        finding
    })
    .map_err(|error| SettingsError::Client(error.to_string()))
}

/// The writer's credentials in other hands.
struct Thief {
    client: Client,
    prefix: String,
}

impl Thief {
    async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Result<Answer, WireError> {
        self.client.ask(method, target, headers, body).await
    }

    fn object(&self, name: &str) -> String {
        format!("/{}/{name}", self.prefix)
    }

    async fn look(&self, finding: &mut Finding) -> Result<(), WireError> {
        if !self.client.is_s3() {
            let folder = self.prefix.rsplit_once('/').map_or("", |(above, _)| above);
            // Whether they could be made shows in whether something can be put into them.
            self.ask("MKCOL", &format!("/{folder}"), &[], b"").await?;
            self.ask("MKCOL", &format!("/{}", self.prefix), &[], b"").await?;
        }
        let object = self.object("object");
        let wrote = self.ask("PUT", &object, &[], FIRST).await?;
        if !wrote.status.is_success() {
            finding.detail = Some(format!("it takes no object: {}", wrote.words()));
            return Ok(());
        }
        finding.wrote = true;
        let version = header(&wrote, "x-amz-version-id");
        finding.read_after_write = self.holds(&object, FIRST).await?;
        self.measure(finding).await?;
        self.condition(&object, finding).await?;
        if self.client.is_s3() {
            self.settings(finding).await?;
            self.retention(&object, version.as_deref(), finding).await?;
        }
        self.replace_and_delete(finding).await?;
        if let Some(version) = version.filter(|version| version != "null") {
            self.delete_version(&object, &version, finding).await?;
        }
        self.sweep(finding).await;
        Ok(())
    }

    /// What was written goes again where that is let, unless it would stay as a version.
    async fn sweep(&self, finding: &Finding) {
        let is_let = |at: &Attempt| at.what == "delete" && at.outcome == Outcome::Allowed;
        if finding.versions || !finding.attempts.iter().any(is_let) {
            return;
        }
        let samples = (0..SAMPLES).map(|number| format!("sample-{number}"));
        let others = ["object", "large", "conditional", "victim"].map(str::to_owned);
        for name in samples.chain(others) {
            // What was found stands, whatever becomes of this.
            let _ = self.ask("DELETE", &self.object(&name), &[], b"").await;
        }
    }

    async fn holds(&self, object: &str, content: &[u8]) -> Result<bool, WireError> {
        let answer = self.ask("GET", object, &[], b"").await?;
        Ok(answer.status.is_success() && answer.body == content)
    }

    async fn measure(&self, finding: &mut Finding) -> Result<(), WireError> {
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        for number in 0..SAMPLES {
            let object = self.object(&format!("sample-{number}"));
            let content: Vec<u8> =
                (0..SAMPLE_BYTES).map(|at| (at as u64 * 31 + number).to_le_bytes()[0]).collect();
            let begun = Instant::now();
            let wrote = self.ask("PUT", &object, &[], &content).await?;
            writes.push(begun.elapsed());
            let begun = Instant::now();
            let right = self.holds(&object, &content).await?;
            reads.push(begun.elapsed());
            finding.read_after_write &= wrote.status.is_success() && right;
        }
        finding.write = spread(writes);
        finding.read = spread(reads);
        let object = self.object("large");
        let content = vec![0x5a; LARGE_BYTES];
        let begun = Instant::now();
        let wrote = self.ask("PUT", &object, &[], &content).await?;
        let writing = begun.elapsed();
        let begun = Instant::now();
        let right = self.holds(&object, &content).await?;
        finding.read_after_write &= wrote.status.is_success() && right;
        finding.write_bytes_per_second = Some(rate(writing));
        finding.read_bytes_per_second = Some(rate(begun.elapsed()));
        Ok(())
    }

    /// Whether other content is refused where the condition says that nothing may be there.
    async fn condition(&self, object: &str, finding: &mut Finding) -> Result<(), WireError> {
        let only_new = [("if-none-match", "*")];
        let again = self.ask("PUT", object, &only_new, SECOND).await?;
        let refused = matches!(again.status.as_u16(), 409 | 412);
        let kept = self.holds(object, FIRST).await?;
        let fresh = self.ask("PUT", &self.object("conditional"), &only_new, FIRST).await?;
        finding.conditional_put = refused && kept && fresh.status.is_success();
        Ok(())
    }

    async fn replace_and_delete(&self, finding: &mut Finding) -> Result<(), WireError> {
        let object = self.object("victim");
        self.ask("PUT", &object, &[], FIRST).await?;
        let answer = self.ask("PUT", &object, &[], SECOND).await?;
        let kept = self.holds(&object, FIRST).await?;
        finding.attempts.push(attempt("overwrite", &answer, kept));
        let (object, content) =
            if kept { (object, FIRST) } else { (self.object("conditional"), FIRST) };
        let answer = self.ask("DELETE", &object, &[], b"").await?;
        let kept = self.holds(&object, content).await?;
        finding.attempts.push(attempt("delete", &answer, kept));
        Ok(())
    }

    async fn delete_version(
        &self,
        object: &str,
        version: &str,
        finding: &mut Finding,
    ) -> Result<(), WireError> {
        let target = format!("{object}?versionId={version}");
        let bypass = [("x-amz-bypass-governance-retention", "true")];
        let answer = self.ask("DELETE", &target, &bypass, b"").await?;
        let kept = self.holds(&target, FIRST).await?;
        finding.attempts.push(attempt("version delete", &answer, kept));
        Ok(())
    }

    /// Settings of the bucket: read, and written back as they were.
    async fn settings(&self, finding: &mut Finding) -> Result<(), WireError> {
        let found = self.ask("GET", "?versioning", &[], b"").await?;
        let text = String::from_utf8_lossy(&found.body).into_owned();
        finding.versions = text.contains("Enabled");
        let status = if text.contains("Enabled") { "Enabled" } else { "Suspended" };
        let versioning = format!(
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Status>{status}</Status></VersioningConfiguration>"
        );
        let answer = self.write_setting("?versioning", versioning.as_bytes()).await?;
        finding.attempts.push(attempt("versioning", &answer, true));

        let found = self.ask("GET", "?lifecycle", &[], b"").await?;
        let is_set = found.status.is_success();
        let idle = format!(
            "<LifecycleConfiguration><Rule><ID>evenkeel-probe</ID><Filter><Prefix>{}/</Prefix>\
             </Filter><Status>Disabled</Status><Expiration><Days>3650</Days></Expiration></Rule>\
             </LifecycleConfiguration>",
            self.prefix
        );
        let lifecycle = if is_set { found.body.to_vec() } else { idle.into_bytes() };
        let answer = self.write_setting("?lifecycle", &lifecycle).await?;
        if answer.status.is_success() && !is_set {
            self.ask("DELETE", "?lifecycle", &[], b"").await?;
        }
        finding.attempts.push(attempt("lifecycle", &answer, true));

        let found = self.ask("GET", "?object-lock", &[], b"").await?;
        if found.status.is_success() {
            let answer = self.write_setting("?object-lock", &found.body).await?;
            finding.attempts.push(attempt("lock setting", &answer, true));
            finding.lock = read_lock(&String::from_utf8_lossy(&found.body));
        }
        Ok(())
    }

    /// Takes the lock of one object away, where it has one; else tries to give it a short one.
    async fn retention(
        &self,
        object: &str,
        version: Option<&str>,
        finding: &mut Finding,
    ) -> Result<(), WireError> {
        let target = match version {
            Some(version) => format!("{object}?retention&versionId={version}"),
            None => format!("{object}?retention"),
        };
        let none = b"<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></Retention>";
        let sum = base64(digest::digest(&digest::SHA256, none).as_ref());
        let headers = [
            ("x-amz-checksum-sha256", sum.as_str()),
            ("x-amz-bypass-governance-retention", "true"),
        ];
        let answer = self.ask("PUT", &target, &headers, none).await?;
        finding.attempts.push(attempt("retention", &answer, true));
        Ok(())
    }

    async fn write_setting(&self, target: &str, body: &[u8]) -> Result<Answer, WireError> {
        let sum = base64(digest::digest(&digest::SHA256, body).as_ref());
        self.ask("PUT", target, &[("x-amz-checksum-sha256", sum.as_str())], body).await
    }
}

/// Judges by what is there afterwards first, and by the words second.
fn attempt(what: &'static str, answer: &Answer, kept: bool) -> Attempt {
    let outcome = match (kept, answer.status) {
        (false, _) => Outcome::Allowed,
        (true, status) if status.is_success() => match what {
            // What it says it did is not to be seen: not to be relied upon.
            "overwrite" | "delete" | "version delete" => Outcome::Unclear,
            _ => Outcome::Allowed,
        },
        (true, _) if answer.is_not_offered() => Outcome::NotOffered,
        (true, status) if status.is_client_error() => Outcome::Refused,
        (true, _) => Outcome::Unclear,
    };
    Attempt { what, outcome, said: answer.words() }
}

fn header(answer: &Answer, name: &str) -> Option<String> {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

pub(crate) fn spread(mut times: Vec<Duration>) -> Option<Spread> {
    times.sort_unstable();
    let p50 = times.get(times.len() / 2).copied()?;
    let p99 = times.get((times.len() * 99).div_ceil(100).saturating_sub(1)).copied()?;
    Some(Spread { p50, p99 })
}

pub(crate) fn rate(time: Duration) -> u64 {
    let nanos = time.as_nanos().max(1);
    u64::try_from(LARGE_BYTES as u128 * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    fn answer(status: u16) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    fn finding(attempts: Vec<Attempt>) -> Finding {
        Finding {
            wrote: true,
            read_after_write: true,
            conditional_put: true,
            versions: false,
            lock: None,
            attempts,
            write: None,
            read: None,
            write_bytes_per_second: None,
            read_bytes_per_second: None,
            detail: None,
        }
    }

    #[test]
    fn first_versions_that_are_locked_for_good_are_a_class_of_their_own() {
        let attempt = |what, outcome| Attempt { what, outcome, said: String::new() };
        let of = |version_delete, lifecycle, locked| Finding {
            versions: true,
            lock: Some(Lock { mode: "COMPLIANCE".to_owned(), seconds: 9 }).filter(|_| locked),
            ..finding(vec![
                attempt("overwrite", Outcome::Allowed),
                attempt("delete", Outcome::Allowed),
                attempt("lifecycle", lifecycle),
                attempt("retention", Outcome::Refused),
                attempt("version delete", version_delete),
            ])
        };
        let refused = Outcome::Refused;
        assert_eq!(of(refused, refused, true).class(), SiteClass::Immutable);
        assert_eq!(of(refused, refused, false).class(), SiteClass::Mutable);
        assert_eq!(of(refused, Outcome::Allowed, true).class(), SiteClass::Mutable);
        assert_eq!(of(Outcome::NotOffered, refused, true).class(), SiteClass::Mutable);
    }

    #[test]
    fn what_is_gone_was_taken_whatever_the_site_says() {
        assert_eq!(attempt("delete", &answer(403), false).outcome, Outcome::Allowed);
        assert_eq!(attempt("delete", &answer(204), true).outcome, Outcome::Unclear);
        assert_eq!(attempt("delete", &answer(403), true).outcome, Outcome::Refused);
        assert_eq!(attempt("lifecycle", &answer(200), true).outcome, Outcome::Allowed);
        assert_eq!(attempt("lifecycle", &answer(501), true).outcome, Outcome::NotOffered);
        assert_eq!(attempt("lifecycle", &answer(503), true).outcome, Outcome::Unclear);
    }

    #[test]
    fn a_class_is_shown_by_every_attempt_or_not_at_all() {
        let refused = attempt("delete", &answer(403), true);
        let unclear = attempt("lifecycle", &answer(503), true);
        assert_eq!(finding(vec![refused.clone()]).class(), SiteClass::AppendOnly);
        assert_eq!(finding(vec![refused, unclear]).class(), SiteClass::Mutable);
        assert_eq!(finding(Vec::new()).class(), SiteClass::Mutable);
    }

    #[test]
    fn of_few_times_the_longest_is_the_99th() {
        let times = (1..=16).map(Duration::from_millis).collect();
        let spread = spread(times).unwrap();
        assert_eq!(spread.p99, Duration::from_millis(16));
        assert_eq!(spread.p50, Duration::from_millis(9));
    }
}
