//! A conversation with a module in a process of its own.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::wire::{self, Fault, Reply, Request};

/// How long a helper that was told to end is waited for.
const ENDING: Duration = Duration::from_secs(2);

/// How the helper process is started: a program that calls [`crate::serve`] with its standard input
/// as the socket and the module as its last argument.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// What comes before the module.
    pub words: Vec<OsString>,
    /// How long each answer is waited for.
    pub deadline: Duration,
}

/// One conversation with a helper.
pub(crate) struct Line {
    stream: UnixStream,
    child: Child,
    deadline: Duration,
    /// What answers, for messages.
    pub(crate) name: String,
    /// How to ask another process of the same module.
    again: (Launch, PathBuf),
    /// Label and serial of the token that is spoken with, once that is known.
    pub(crate) token: Option<(Vec<u8>, Vec<u8>)>,
}

impl Line {
    pub(crate) fn start(launch: &Launch, module: &Path) -> Result<Self> {
        let name = module.display().to_string();
        let fail = |detail: String| Error::Module { module: name.clone(), detail };
        if !module.is_file() {
            return Err(fail("there is no such file".to_owned()));
        }
        let (ours, theirs) = UnixStream::pair().map_err(|error| fail(error.to_string()))?;
        let child = Command::new(&launch.program)
            .args(&launch.words)
            .arg(module)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| fail(format!("its helper did not start: {error}")))?;
        let (deadline, again) = (launch.deadline, (launch.clone(), module.to_owned()));
        let mut line = Self { stream: ours, child, deadline, name, again, token: None };
        line.answer("its start")?;
        Ok(line)
    }

    pub(crate) fn ask(&mut self, request: &Request, during: &str) -> Result<Reply> {
        self.ask_with(request, &[], during)
    }

    pub(crate) fn ask_with(
        &mut self,
        request: &Request,
        secrets: &[&[u8]],
        during: &str,
    ) -> Result<Reply> {
        let mut sent = wire::send(&mut self.stream, request);
        for secret in secrets {
            sent = sent.and_then(|()| wire::send_bare(&mut self.stream, secret));
        }
        match sent {
            Ok(()) => self.answer(during),
            Err(error) => Err(self.lost(during, &error)),
        }
    }

    fn answer(&mut self, during: &str) -> Result<Reply> {
        let until = Instant::now() + self.deadline;
        let reply = wire::receive(&mut Bounded { stream: &mut self.stream, until });
        match reply {
            Ok(Reply::Failed { fault, code, function }) => {
                let code = match function.as_slice() {
                    [] => text(&code),
                    function => format!("{}: {}", text(function), text(&code)),
                };
                let gone = fault == Fault::Other && self.is_gone();
                let fault = if gone { Fault::Gone } else { fault };
                Err(Error::answered(fault, &self.name, during, code))
            }
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.lost(during, &error)),
        }
    }

    pub(crate) fn secret(&mut self, request: &Request, during: &str) -> Result<Zeroizing<Vec<u8>>> {
        match self.ask(request, during)? {
            Reply::Secret => {
                let until = Instant::now() + self.deadline;
                let secret = wire::receive_bare(&mut Bounded { stream: &mut self.stream, until });
                secret.map_err(|error| self.lost(during, &error))
            }
            _ => Err(self.confused(during)),
        }
    }

    /// Whether the module, asked afresh, does not show the token any more: some say of a token that
    /// was pulled no more than that something failed.
    fn is_gone(&self) -> bool {
        let Some((label, serial)) = &self.token else {
            return false;
        };
        let (launch, module) = &self.again;
        let there = Self::start(launch, module)
            .and_then(|mut line| line.ask(&Request::Tokens, "listing tokens"));
        match there {
            Ok(Reply::Tokens { tokens }) => {
                !tokens.iter().any(|token| token.label == *label && token.serial == *serial)
            }
            // A module that started before and does not now has lost what it stood on.
            Err(Error::Module { .. }) => true,
            _ => false,
        }
    }

    /// A conversation that broke is over: whatever state the module is in, it is ended.
    fn lost(&mut self, during: &str, error: &io::Error) -> Error {
        let _ = self.child.kill();
        let ended = self.child.wait();
        let (token, during) = (self.name.clone(), during.to_owned());
        if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
            return Error::Hung { token, during, seconds: self.deadline.as_secs() };
        }
        let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        Error::Gone { token, during, code: format!("the module's process ended: {how}") }
    }

    pub(crate) fn confused(&self, during: &str) -> Error {
        let code = "the helper gave another answer".to_owned();
        Error::answered(Fault::Other, &self.name, during, code)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let until = Instant::now() + ENDING;
        if wire::send(&mut self.stream, &Request::Close).is_ok() {
            let mut bounded = Bounded { stream: &mut self.stream, until };
            let _ = wire::receive::<Reply>(&mut bounded);
            while Instant::now() < until {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until a moment, however little comes at a time.
struct Bounded<'a> {
    stream: &'a mut UnixStream,
    until: Instant,
}

impl io::Read for Bounded<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        io::Read::read(self.stream, bytes)
    }
}

/// What a module wrote, without what would move a terminal's cursor.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).collect()
}
