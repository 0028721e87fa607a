//! What has to be true of a file that came back.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use evenkeel_recovery::report::Verdict;
use sha2::{Digest as _, Sha256};

use crate::config::DrillCheckConfig;
use crate::keyfile::hex;

/// Looks at what came back at `place`; ages are before `time_ns`, when the point was made.
pub(super) fn look(check: &DrillCheckConfig, place: &Path, time_ns: u64) -> (Verdict, String) {
    let failed = |why: String| (Verdict::Failed, why);
    let meta = match fs::symlink_metadata(place) {
        Ok(_) if check.absent => return failed("it came back, and should not be there".to_owned()),
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match check.absent {
                true => (Verdict::Ok, "it is not there, as expected".to_owned()),
                false => failed("it did not come back".to_owned()),
            };
        }
        Err(error) => return (Verdict::Unproven, error.to_string()),
    };
    let age = age_seconds(&meta, time_ns);
    let (bytes, mut words) = (meta.len(), Vec::new());
    words.push(format!("{bytes} bytes, changed {age} s before the point"));
    let mut wrong = false;
    let mut limits = [
        (check.min_bytes, check.max_bytes, bytes, "bytes"),
        (check.min_age_seconds, check.max_age_seconds, age, "seconds"),
    ];
    for (min, max, found, unit) in &mut limits {
        if let Some(min) = min {
            wrong |= *found < *min;
            words.push(format!("at least {min} {unit}"));
        }
        if let Some(max) = max {
            wrong |= *found > *max;
            words.push(format!("at most {max} {unit}"));
        }
    }
    if !check.sha256.is_empty() {
        match sha256(place) {
            Ok(found) if found.eq_ignore_ascii_case(&check.sha256) => {
                words.push("SHA-256 as expected".to_owned());
            }
            Ok(found) => {
                wrong = true;
                words.push(format!("SHA-256 is {found}"));
            }
            Err(error) => return (Verdict::Unproven, format!("it cannot be read: {error}")),
        }
    }
    (if wrong { Verdict::Failed } else { Verdict::Ok }, words.join(", "))
}

fn age_seconds(meta: &fs::Metadata, time_ns: u64) -> u64 {
    let made = SystemTime::UNIX_EPOCH + Duration::from_nanos(time_ns);
    let changed = meta.modified().unwrap_or(made);
    made.duration_since(changed).map_or(0, |age| age.as_secs())
}

fn sha256(place: &Path) -> std::io::Result<String> {
    let (mut file, mut sum) = (fs::File::open(place)?, Sha256::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&sum.finalize())),
            count => sum.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn verdict(change: impl FnOnce(&mut DrillCheckConfig)) -> (Verdict, String) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("f");
        fs::write(&place, "abc").unwrap();
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        fs::File::options().write(true).open(&place).unwrap().set_modified(changed).unwrap();
        let mut check = DrillCheckConfig::default();
        change(&mut check);
        let at = if check.name == "gone" { folder.path().join("gone") } else { place };
        look(&check, &at, 1_060 * SECOND)
    }

    #[test]
    fn a_file_is_judged_by_presence_size_age_and_hash() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let ok: [fn(&mut DrillCheckConfig); 5] = [
            |_| (),
            |one| (one.min_bytes, one.max_bytes) = (Some(3), Some(3)),
            |one| (one.min_age_seconds, one.max_age_seconds) = (Some(60), Some(60)),
            |one| {
                one.sha256 =
                    "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD".into();
            },
            |one| (one.name, one.absent) = ("gone".into(), true),
        ];
        for change in ok {
            let (verdict, words) = verdict(change);
            assert_eq!(verdict, Verdict::Ok, "{words}");
        }
        let wrong: [fn(&mut DrillCheckConfig); 7] = [
            |one| one.min_bytes = Some(4),
            |one| one.max_bytes = Some(2),
            |one| one.min_age_seconds = Some(61),
            |one| one.max_age_seconds = Some(59),
            |one| one.sha256 = "00".repeat(32),
            |one| one.absent = true,
            |one| one.name = "gone".into(),
        ];
        for change in wrong {
            let (verdict, words) = verdict(change);
            assert_eq!(verdict, Verdict::Failed, "{words}");
        }
        let (_, words) = verdict(|one| one.sha256 = "00".repeat(32));
        assert!(words.contains(abc), "{words}");
    }
}
