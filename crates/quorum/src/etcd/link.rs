//! The connection to one member.

use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, StatusResponse, TlsOptions};
use tokio::time::{sleep, timeout};

use super::Question;
use super::answer::Failure;
use crate::access::{Access, Login};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_millis(500);

/// After this long without an answer a member is asked whether it is still there, and then again
/// and again.
const PROBE_AFTER: Duration = Duration::from_millis(300);

/// How long it may take to say so.
pub(super) const PROBE: Duration = Duration::from_millis(500);

/// The connection to one member; made when it is first used.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) endpoint: String,
    client: Option<Client>,
    pub(super) logged_in: bool,
    /// The members asked for no login when one was offered; they may by now.
    pub(super) login_unneeded: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.endpoint)
    }
}

impl Link {
    pub(super) fn new(endpoint: String) -> Self {
        Self { endpoint, client: None, logged_in: false, login_unneeded: false }
    }

    /// Gives the connection up; the next use makes a new one.
    pub(super) fn drop_connection(&mut self) {
        (self.client, self.logged_in) = (None, false);
    }

    /// A connection without login; nothing is sent yet.
    pub(super) async fn client(&mut self, access: &Access) -> Result<Client, Failure> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some(ca) = &access.ca_pem {
            let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
            if let (Some(certificate), Some(key)) = (&access.certificate_pem, &access.key_pem) {
                tls = tls.identity(Identity::from_pem(certificate, key.as_str()));
            }
            options = options.with_tls(tls);
        }
        let scheme = if access.ca_pem.is_some() { "https" } else { "http" };
        let client = Client::connect([format!("{scheme}://{}", self.endpoint)], Some(options))
            .await
            .map_err(|error| Failure::at(&self.endpoint, &error))?;
        self.client = Some(client.clone());
        Ok(client)
    }

    pub(super) async fn log_in(&mut self, login: Option<&Login>) -> Result<(), Failure> {
        let (false, Some(client)) = (self.logged_in, &mut self.client) else { return Ok(()) };
        if let Some(Login { user, password }) = login.filter(|login| !login.user.is_empty()) {
            let user = (user.clone(), password.as_str().to_owned());
            match client.update_user(Some(user)).await {
                Ok(()) => self.login_unneeded = false,
                // Nobody has to log in: a check of the members tells the operator.
                Err(error) if error.to_string().contains("authentication is not enabled") => {
                    self.login_unneeded = true;
                }
                Err(error) => return Err(Failure::at(&self.endpoint, &error)),
            }
        }
        self.logged_in = true;
        Ok(())
    }

    pub(super) async fn status(&mut self, access: &Access) -> Result<StatusResponse, Failure> {
        let mut client = self.client(access).await?;
        let asked = timeout(PROBE, client.status()).await;
        asked
            .map_err(|_| Failure::Silent(format!("{}: no answer", self.endpoint)))?
            .map_err(|error| Failure::at(&self.endpoint, &error))
    }
}

/// Waits for an answer as long as one can come: not from a member that is gone, nor from one that
/// has lost its leader since, for such a request may be lost.
///
/// Asking is used instead of HTTP/2 pings: etcd hangs up on who pings more often than every five
/// seconds (`--grpc-keepalive-min-time`).
pub(super) async fn while_alive<T>(
    endpoint: &str,
    client: &Client,
    question: impl Question<T>,
) -> Result<T, Failure> {
    let silent = |why: &str| Failure::Silent(format!("{endpoint}: {why}"));
    let mut prober = client.clone();
    let gone = async {
        let mut leader = None;
        loop {
            sleep(PROBE_AFTER).await;
            let Ok(Ok(status)) = timeout(PROBE, prober.status()).await else {
                return silent("it does not answer any more");
            };
            match status.leader() {
                0 => return silent("it has no leader"),
                now if leader.is_some_and(|then| then != now) => {
                    return silent("the leader changed while the request was under way");
                }
                now => leader = Some(now),
            }
        }
    };
    tokio::select! {
        biased;
        answer = question => answer.map_err(|error| Failure::at(endpoint, &error)),
        failure = gone => Err(failure),
    }
}
