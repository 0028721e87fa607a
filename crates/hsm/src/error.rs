//! What goes wrong with tokens, told apart by what somebody has to do.

use thiserror::Error;

use crate::wire::Fault;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. No message holds a PIN or a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// What was asked for cannot be.
    #[error("{0}")]
    Usage(String),

    /// The file is no PKCS#11 module, or does not start.
    #[error("the module {module} could not be used: {detail}")]
    Module {
        /// Its path.
        module: String,
        /// Why.
        detail: String,
    },

    /// No token answers to what was asked for, or several do.
    #[error("{} `{wanted}`; the module shows {}", how_many(*.several, "token"), shown(.present))]
    NoToken {
        /// What was looked for.
        wanted: String,
        /// Labels and serials of the tokens there are.
        present: Vec<String>,
        /// Whether several fit.
        several: bool,
    },

    /// No key answers to what was asked for, or several do.
    #[error(
        "{} `{wanted}` in token {token}; it holds {}", how_many(*.several, "key"), shown(.present)
    )]
    NoKey {
        /// The token.
        token: String,
        /// What was looked for.
        wanted: String,
        /// Labels of the keys there are.
        present: Vec<String>,
        /// Whether several fit.
        several: bool,
    },

    /// The PIN was refused. It was tried once.
    #[error("token {token} refused the PIN; {left}")]
    PinWrong {
        /// The token.
        token: String,
        /// What the token tells about the tries that are left.
        left: String,
    },

    /// This PIN was refused before, so it was not tried.
    #[error("token {token} refused this PIN before; it was not tried again")]
    PinRefusedBefore {
        /// The token.
        token: String,
    },

    /// The token takes no PIN any more.
    #[error("token {token} is locked: too many wrong PINs were given")]
    PinLocked {
        /// The token.
        token: String,
    },

    /// The token says that one more wrong PIN locks it.
    #[error("token {token} says that the next wrong PIN locks it; no PIN was tried")]
    FinalTry {
        /// The token.
        token: String,
    },

    /// A PIN was needed and there is none that can be used.
    #[error("token {token}: {detail}")]
    PinUnusable {
        /// The token.
        token: String,
        /// Why.
        detail: String,
    },

    /// The token has no room.
    #[error("token {token} is full: {during} was not done ({code})")]
    Full {
        /// The token.
        token: String,
        /// What was being done.
        during: String,
        /// What the token said.
        code: String,
    },

    /// The token, or the session with it, went away.
    #[error("token {token} went away during {during} ({code})")]
    Gone {
        /// The token.
        token: String,
        /// What was being done.
        during: String,
        /// What the token said, or what became of the helper.
        code: String,
    },

    /// The module did not answer in time.
    #[error("token {token} gave no answer to {during} within {seconds} s; the module was ended")]
    Hung {
        /// The token.
        token: String,
        /// What was being done.
        during: String,
        /// How long it was waited for.
        seconds: u64,
    },

    /// The token cannot do this.
    #[error("token {token} cannot do {during} ({code})")]
    Unsupported {
        /// The token.
        token: String,
        /// What was asked for.
        during: String,
        /// What the token said.
        code: String,
    },

    /// The token refused for another reason.
    #[error("token {token} refused {during} ({code})")]
    Refused {
        /// The token.
        token: String,
        /// What was being done.
        during: String,
        /// What the token said.
        code: String,
    },

    /// What the token gave is not what it must be.
    #[error("token {token} is not to be believed: {what}")]
    Untrue {
        /// The token.
        token: String,
        /// What was found.
        what: String,
        /// Each particular.
        details: Vec<String>,
    },
}

fn how_many(several: bool, what: &str) -> String {
    if several { format!("several {what}s answer to") } else { format!("there is no {what}") }
}

fn shown(present: &[String]) -> String {
    if present.is_empty() { "none".to_owned() } else { present.join(", ") }
}

impl Error {
    /// From what the helper answered.
    pub(crate) fn answered(fault: Fault, token: &str, during: &str, code: String) -> Self {
        let (token, during) = (token.to_owned(), during.to_owned());
        match fault {
            Fault::Load => Self::Module { module: token, detail: code },
            Fault::PinWrong => Self::PinWrong { token, left: String::new() },
            Fault::PinLocked => Self::PinLocked { token },
            Fault::PinUnusable => {
                Self::PinUnusable { token, detail: format!("it takes no such PIN ({code})") }
            }
            Fault::Full => Self::Full { token, during, code },
            Fault::Gone => Self::Gone { token, during, code },
            Fault::Unsupported => Self::Unsupported { token, during, code },
            Fault::Other => Self::Refused { token, during, code },
        }
    }

    /// Whether another session may do what this one could not: the token did not judge.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Hung { .. })
    }
}
