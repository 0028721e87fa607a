//! What went wrong with a call, and what follows from it.

use std::fmt;
use std::time::Duration;

use etcd_client::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Another member may answer.
    Passing,
    /// The store refuses writes until space is made.
    Full,
    /// It does not let this host in; no other member would.
    Refused,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    kind: Kind,
    member: String,
    what: String,
}

impl Failure {
    /// A call failed.
    pub(super) fn of(error: &Error) -> Self {
        let what = words(error);
        let kind = match error {
            Error::GRpcStatus(status) if status.message().contains("space exceeded") => Kind::Full,
            Error::GRpcStatus(status) if is_refusal(status.message()) => Kind::Refused,
            _ => Kind::Passing,
        };
        Self { kind, member: String::new(), what }
    }

    /// The connection did not come about, so nothing was asked.
    pub(super) fn before(error: &Error) -> Self {
        let failure = Self::of(error);
        Self { what: format!("cannot connect: {}", failure.what), ..failure }
    }

    /// No answer in time.
    pub(super) fn silent(timeout: Duration) -> Self {
        let what = format!("no answer within {} ms", timeout.as_millis());
        Self { kind: Kind::Passing, member: String::new(), what }
    }

    pub(super) fn at(self, member: &str) -> Self {
        Self { member: member.to_owned(), ..self }
    }

    pub(super) fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }

    /// Asking another member would not help.
    pub(super) fn is_final(&self) -> bool {
        self.kind != Kind::Passing
    }

    /// The next call goes elsewhere, with a new connection and a new token.
    pub(super) fn leaves_member(&self) -> bool {
        self.kind != Kind::Full
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.member, self.what)?;
        if self.kind == Kind::Refused {
            f.write_str(" (check user, password and the role's permission for the venue's keys)")?;
        }
        Ok(())
    }
}

/// An expired token is no refusal: a new connection brings a new one.
fn is_refusal(message: &str) -> bool {
    ["authentication failed", "permission denied", "user name is empty", "user name not found"]
        .iter()
        .any(|words| message.contains(words))
}

/// The innermost cause says most: the outer ones only that there was an error.
fn words(error: &Error) -> String {
    if let Error::GRpcStatus(status) = error
        && !status.message().is_empty()
    {
        let mut words = status.message().to_owned();
        let mut source = std::error::Error::source(status);
        while let Some(cause) = source {
            words = format!("{words}: {cause}");
            source = cause.source();
        }
        return words;
    }
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
