//! Buckets that keep versions: what was written first counts, whatever was written over it.
//!
//! An object of the vault is written once. Where a store keeps every version, a thief who
//! overwrites or deletes adds a version or a marker; the first one is still there, and stays as
//! long as its lock. It is found by `ListObjectVersions` and read by its own name.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest;
use http::StatusCode;

use crate::basic::base64;
use crate::client::{Answer, Client};
use crate::wire::WireError;

/// Pages of a listing; a store that goes on is lying.
const PAGES_MAX: usize = 8_000;
/// First versions that are remembered; beyond, they are asked for again.
const REMEMBERED_MAX: usize = 1_000_000;

/// What a bucket locks new objects with, unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// `COMPLIANCE`, or `GOVERNANCE`, which some may lift.
    pub mode: String,
    /// How long: seconds.
    pub seconds: u64,
}

/// The first version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) version: String,
    pub(crate) length_bytes: u64,
}

/// The versions of a bucket.
pub(crate) struct Versions {
    client: Client,
    remembered: Mutex<BTreeMap<String, First>>,
}

/// One page of `ListObjectVersions`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    /// Name, version, length, time, in the order of the answer.
    versions: Vec<(String, First, String)>,
    /// Where the next page begins: key and version.
    next: Option<(String, String)>,
}

/// Not what was asked for.
#[derive(Debug)]
pub(crate) enum Failed {
    Wire(WireError),
    Status(StatusCode, String),
    Endless,
}

impl From<WireError> for Failed {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

fn granted(answer: Answer) -> Result<Answer, Failed> {
    match answer.status.is_success() {
        true => Ok(answer),
        false => Err(Failed::Status(answer.status, answer.words())),
    }
}

impl Versions {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, remembered: Mutex::new(BTreeMap::new()) }
    }

    /// First versions of everything whose name begins with a prefix, hidden or not.
    pub(crate) async fn list(&self, prefix: &str) -> Result<BTreeMap<String, First>, Failed> {
        let mut firsts: BTreeMap<String, (First, String)> = BTreeMap::new();
        let mut marker: Option<(String, String)> = None;
        for _ in 0..PAGES_MAX {
            let from = match &marker {
                Some((key, version)) => {
                    format!("&key-marker={}&version-id-marker={}", coded(key), coded(version))
                }
                None => String::new(),
            };
            let target = format!("?versions&max-keys=1000&prefix={}{from}", coded(prefix));
            let answer = granted(self.client.ask("GET", &target, &[], b"").await?)?;
            let page = read_page(&String::from_utf8_lossy(&answer.body));
            for (key, first, time) in page.versions {
                // The newest come first; of equal times, the later in the list is the older.
                let newer = |(_, known): &(First, String)| *known < time;
                if !firsts.get(&key).is_some_and(newer) {
                    firsts.insert(key, (first, time));
                }
            }
            marker = page.next;
            if marker.is_none() {
                let found: BTreeMap<String, First> =
                    firsts.into_iter().map(|(key, (first, _))| (key, first)).collect();
                self.remember(&found);
                return Ok(found);
            }
        }
        Err(Failed::Endless)
    }

    fn remember(&self, found: &BTreeMap<String, First>) {
        let mut known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + found.len() > REMEMBERED_MAX {
            known.clear();
        }
        let fits = found.iter().take(REMEMBERED_MAX);
        known.extend(fits.map(|(key, first)| (key.clone(), first.clone())));
    }

    /// The first version of an object; none if there never was one.
    pub(crate) async fn first(&self, key: &str) -> Result<Option<First>, Failed> {
        let known = {
            let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(key).cloned()
        };
        if known.is_some() {
            return Ok(known);
        }
        Ok(self.list(key).await?.remove(key))
    }

    /// The object as it was written first, or a part of it; none if there never was one.
    pub(crate) async fn read(
        &self,
        key: &str,
        range: Option<(u64, u64)>,
    ) -> Result<Option<Vec<u8>>, Failed> {
        let Some(first) = self.first(key).await? else {
            return Ok(None);
        };
        let target = format!("/{key}?versionId={}", coded(&first.version));
        let (offset, length) = range.unwrap_or((0, first.length_bytes));
        let end = first.length_bytes.min(offset.saturating_add(length));
        if offset >= end {
            return Ok(Some(Vec::new()));
        }
        let bytes = format!("bytes={offset}-{}", end - 1);
        let headers = [("range", bytes.as_str())];
        let headers = if range.is_some() { &headers[..] } else { &[] };
        let answer = granted(self.client.ask("GET", &target, headers, b"").await?)?;
        Ok(Some(answer.body.into()))
    }

    /// Keeps the first version of an object locked until then at least: seconds since 1970.
    pub(crate) async fn extend(&self, key: &str, mode: &str, until: u64) -> Result<bool, Failed> {
        let Some(first) = self.first(key).await? else {
            return Ok(false);
        };
        let version = coded(&first.version);
        let target = format!("/{key}?versionId={version}");
        if let Ok(answer) = granted(self.client.ask("HEAD", &target, &[], b"").await?) {
            let locked = answer.headers.get("x-amz-object-lock-retain-until-date");
            let locked = locked.and_then(|locked| locked.to_str().ok()).unwrap_or_default();
            // Dates of one form sort as text; what is locked for longer already is left alone.
            if locked.get(..19).is_some_and(|locked| locked >= &date(until)[..19]) {
                return Ok(true);
            }
        }
        let target = format!("/{key}?retention&versionId={version}");
        let body = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{mode}</Mode>\
             <RetainUntilDate>{}</RetainUntilDate></Retention>",
            date(until)
        );
        let sum = base64(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
        let headers = [("x-amz-checksum-sha256", sum.as_str())];
        granted(self.client.ask("PUT", &target, &headers, body.as_bytes()).await?)?;
        Ok(true)
    }
}

/// The lock that a bucket gives new objects, read from its own settings.
pub(crate) fn read_lock(text: &str) -> Option<Lock> {
    let rule = between(text, "<DefaultRetention>", "</DefaultRetention>")?;
    let mode = between(rule, "<Mode>", "</Mode>")?;
    let number = |name: &str| {
        between(rule, &format!("<{name}>"), &format!("</{name}>"))?.parse::<u64>().ok()
    };
    let days = match (number("Days"), number("Years")) {
        (Some(days), _) => days,
        (None, Some(years)) => years.checked_mul(365)?,
        (None, None) => return None,
    };
    let known = ["COMPLIANCE", "GOVERNANCE"].contains(&mode);
    let seconds = days.checked_mul(86_400)?;
    known.then(|| Lock { mode: mode.to_owned(), seconds })
}

fn read_page(text: &str) -> Page {
    let mut page = Page::default();
    for part in text.split("<Version>").skip(1) {
        let part = part.split("</Version>").next().unwrap_or_default();
        let field = |name: &str| between(part, &format!("<{name}>"), &format!("</{name}>"));
        let found = field("Key").zip(field("VersionId")).zip(field("Size"));
        // A name with anything in it that XML writes otherwise is none of ours.
        if let Some(((key, version), size)) = found
            && let Ok(length_bytes) = size.parse()
        {
            let first = First { version: version.to_owned(), length_bytes };
            let time = field("LastModified").unwrap_or_default().to_owned();
            page.versions.push((key.to_owned(), first, time));
        }
    }
    if between(text, "<IsTruncated>", "</IsTruncated>") == Some("true") {
        let key = between(text, "<NextKeyMarker>", "</NextKeyMarker>");
        let version = between(text, "<NextVersionIdMarker>", "</NextVersionIdMarker>");
        page.next = key.map(|key| (key.to_owned(), version.unwrap_or_default().to_owned()));
    }
    page
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(open)?;
    Some(rest.split_once(close)?.0)
}

fn coded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let code = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(code).collect()
}

/// RFC 3339, in UTC (days to a date: H. Hinnant, "chrono-compatible low-level date algorithms").
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_309_587, "2026-11-22T01:06:27Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn a_page_names_versions_and_not_markers_and_where_the_next_one_begins() {
        let text = "<ListVersionsResult><IsTruncated>true</IsTruncated>\
            <NextKeyMarker>a/y</NextKeyMarker><NextVersionIdMarker>v9</NextVersionIdMarker>\
            <Version><Key>a/x</Key><VersionId>v2</VersionId><Size>7</Size>\
            <LastModified>2026-11-22T01:00:01Z</LastModified></Version>\
            <DeleteMarker><Key>a/x</Key><VersionId>v3</VersionId></DeleteMarker>\
            <Version><Key>a/x</Key><VersionId>v1</VersionId><Size>3</Size>\
            <LastModified>2026-11-22T01:00:00Z</LastModified></Version></ListVersionsResult>";
        let page = read_page(text);
        assert_eq!(page.next, Some(("a/y".to_owned(), "v9".to_owned())));
        let versions: Vec<_> =
            page.versions.iter().map(|(key, first, _)| (key.as_str(), first)).collect();
        let first = |version: &str, length_bytes| First { version: version.into(), length_bytes };
        assert_eq!(versions, [("a/x", &first("v2", 7)), ("a/x", &first("v1", 3))]);
        assert_eq!(read_page("<html>"), Page::default());
    }

    #[test]
    fn a_buckets_lock_is_read_from_its_own_settings() {
        let text =
            |inside: &str| format!("<Rule><DefaultRetention>{inside}</DefaultRetention></Rule>");
        let lock = read_lock(&text("<Mode>GOVERNANCE</Mode><Days>2</Days>")).unwrap();
        assert_eq!((lock.mode.as_str(), lock.seconds), ("GOVERNANCE", 172_800));
        let lock = read_lock(&text("<Mode>COMPLIANCE</Mode><Years>1</Years>")).unwrap();
        assert_eq!(lock.seconds, 31_536_000);
        for none in
            ["", "<Mode>GOVERNANCE</Mode>", "<Mode>x</Mode><Days>1</Days>", "<Days>1</Days>"]
        {
            assert_eq!(read_lock(&text(none)), None, "{none}");
        }
    }
}
