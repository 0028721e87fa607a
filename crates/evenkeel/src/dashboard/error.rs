//! Why the dashboard did not start.

use std::io;
use std::net::SocketAddr;

/// Why the dashboard did not start. Nothing else depends on it: orders, journal, recovery points
/// and drills go on without a dashboard.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// The port is in use.
    #[error("dashboard: port {} on {} is taken by another program", bind.port(), bind.ip())]
    PortTaken {
        /// The address asked for.
        bind: SocketAddr,
    },
    /// Not this machine's address, or a privileged port.
    #[error("dashboard: cannot listen on {bind}: {source}")]
    Bind {
        /// The address asked for.
        bind: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// Everybody who reaches a non-loopback address could read the dashboard.
    #[error("dashboard: {bind} can be reached from other machines and no token is set")]
    TokenRequired {
        /// The address asked for.
        bind: SocketAddr,
    },
    /// A token that can be guessed.
    #[error(
        "dashboard: the token has {length_bytes} bytes; at least {} are required",
        super::TOKEN_LENGTH_MIN_BYTES
    )]
    TokenTooShort {
        /// How long it is.
        length_bytes: usize,
    },
    /// The system refused a thread or a socket.
    #[error("dashboard: cannot start on {bind}: {source}")]
    Setup {
        /// The address asked for.
        bind: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
}

impl DashboardError {
    pub(super) fn bind(bind: SocketAddr, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::PortTaken { bind }
        } else {
            Self::Bind { bind, source }
        }
    }

    /// What is safe, and what is lost.
    pub fn safe(&self) -> &'static str {
        "Nothing is lost: journal, recovery points and drills need no dashboard."
    }

    /// The next command to type.
    pub fn next(&self) -> String {
        match self {
            Self::PortTaken { bind } => format!(
                "evenkeel up --dashboard {}   (port 0 takes any free port; `off` for none)",
                SocketAddr::new(bind.ip(), 0)
            ),
            Self::Bind { .. } | Self::Setup { .. } => {
                "evenkeel up --dashboard 127.0.0.1:0   (or `off` for none)".to_owned()
            }
            Self::TokenRequired { .. } | Self::TokenTooShort { .. } => {
                "openssl rand -hex 32 > dashboard.token && chmod 600 dashboard.token   \
                 (then set token_file = \"dashboard.token\" under [dashboard], or use 127.0.0.1)"
                    .to_owned()
            }
        }
    }
}
