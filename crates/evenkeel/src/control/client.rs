//! Asking a running daemon.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::path::address;
use super::{ANSWER_BYTES_MAX, Request};
use crate::report::{Exit, Report, Result};

/// Sends one request. `None`: nobody listens, that is, there is no socket or a stale one that a
/// process left behind when it died.
///
/// # Errors
/// [`Exit::Failed`] if somebody listens but does not answer within `timeout`, or answers garbage.
pub fn ask(path: &Path, request: &Request, timeout: Duration) -> Result<Option<serde_json::Value>> {
    let failed = |error: &io::Error| Report::io("ask the running daemon", path, error);
    let stream = match connect(path) {
        Ok(Some(stream)) => stream,
        Ok(None) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let mut line = serde_json::to_vec(request).map_err(|error| failed(&error.into()))?;
    line.push(b'\n');
    let answer = exchange(stream, &line, timeout).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => silent(path, timeout),
        _ => failed(&error),
    })?;
    serde_json::from_slice(&answer).map(Some).map_err(|error| {
        Report::new(Exit::Failed, format!("the daemon's answer cannot be read: {error}"))
            .at(path.display().to_string())
            .safe("the daemon was only asked; it goes on")
    })
}

fn silent(path: &Path, timeout: Duration) -> Report {
    Report::new(Exit::Failed, format!("the daemon did not answer within {timeout:?}"))
        .at(path.display().to_string())
        .safe("everything acknowledged; the daemon was only asked")
        .next("look at what it printed; if it hangs, end it: a start recovers by itself")
}

/// Connects, if somebody listens.
pub(crate) fn connect(path: &Path) -> io::Result<Option<UnixStream>> {
    let connected = address(path).and_then(|address| UnixStream::connect(&address.path));
    match connected {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

fn exchange(mut stream: UnixStream, line: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + timeout;
    stream.set_write_timeout(Some(timeout.max(Duration::from_millis(1))))?;
    // A server that refuses early may close before it read all; its answer still counts.
    let sent = stream.write_all(line);
    let answer = read_line(&mut stream, deadline, ANSWER_BYTES_MAX);
    match (sent, answer) {
        (_, Ok(answer)) => Ok(answer),
        (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
    }
}

/// Reads up to a line end, which is not returned.
///
/// # Errors
/// `TimedOut` past the deadline; `InvalidData` past the limit; `UnexpectedEof` without a line end.
pub(super) fn read_line(
    stream: &mut UnixStream,
    deadline: Instant,
    limit_bytes: usize,
) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut buffer = [0; 8 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        match buffer[..count].iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                line.extend_from_slice(&buffer[..end]);
                return Ok(line);
            }
            None => line.extend_from_slice(&buffer[..count]),
        }
        if line.len() > limit_bytes {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
