//! Credentials, from where their references say.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel_capture::network::CredentialRef;
use zeroize::Zeroizing;

/// More than any credential has.
const BYTES_MAX: u64 = 16 << 10;
const BEAT: Duration = Duration::from_millis(10);

/// Reads what a reference names; no message holds any part of it.
pub(crate) fn load(reference: &str, deadline: Instant) -> Result<Zeroizing<String>, String> {
    let text = match CredentialRef::parse(reference)? {
        CredentialRef::File(path) => {
            let shown = path.display();
            let file = std::fs::File::open(&path).map_err(|error| {
                format!("its credential in {shown}: {}", crate::report::plain(&error))
            })?;
            if file.metadata().map_or(0, |about| about.mode()) & 0o077 != 0 {
                return Err(format!(
                    "its credential in {shown} may be read by others than its owner; type: chmod \
                     600 {shown}"
                ));
            }
            let mut text = Zeroizing::new(String::new());
            let read = file.take(BYTES_MAX).read_to_string(&mut text);
            read.map_err(|_| format!("its credential in {shown} is no text"))?;
            text
        }
        CredentialRef::Variable(name) => {
            let value = std::env::var(&name);
            Zeroizing::new(value.map_err(|_| format!("the variable {name} is not set"))?)
        }
        CredentialRef::Command(words) => printed_by(&words, deadline)?,
    };
    let secret = text.trim();
    let fits = |c: char| c.is_ascii_graphic();
    if secret.is_empty() || !secret.chars().all(fits) {
        return Err("its credential is empty, or has spaces or control characters".to_owned());
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

fn printed_by(words: &[String], deadline: Instant) -> Result<Zeroizing<String>, String> {
    let program = words.first().map(String::as_str).unwrap_or_default();
    let mut child = Command::new(program)
        .args(words.get(1..).unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| {
            format!("{program} could not be started: {}", crate::report::plain(&error))
        })?;
    let mut text = Zeroizing::new(String::new());
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => break,
            Ok(Some(_)) => return Err(format!("{program} gave no credential")),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(BEAT),
            _ => {
                // Whether it ends or not, its answer is not waited for any more.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{program} took too long"));
            }
        }
    }
    // A credential fits into a pipe, so the program could end without anybody reading.
    let read = child.stdout.take().map(|out| out.take(BYTES_MAX).read_to_string(&mut text));
    match read {
        Some(Ok(_)) => Ok(text),
        _ => Err(format!("{program} gave no text")),
    }
}
