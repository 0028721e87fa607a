//! etcd behind the [`Store`] trait.
//!
//! A question is asked of one member at a time. Reads are linearizable, so any member's answer is
//! the majority's; a member that does not answer is left for the next one. A commit is sent once:
//! what became of one without an answer is for its caller to find out.
//!
//! Discarded keys are compacted away, and their pages are used again; the file does not shrink by
//! that. Defragmentation would shrink it, and stops the member meanwhile: it is done only when the
//! store refuses writes, see [`Store::make_space`].

mod calls;
mod errors;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use tokio::runtime::Runtime;

use crate::access::Access;
use crate::store::{Committed, Guard, Health, Pairs, Store, Unreachable, Write};
use errors::Failure;

/// Longest answer that is asked for at once, in keys; frames are up to 1 MiB each, and a gRPC
/// message is bounded.
const FRAMES_AT_ONCE: usize = 3;

/// A connection to the store. Calls block the thread that makes them.
pub struct EtcdStore {
    runtime: Runtime,
    access: Access,
    /// The member that is asked, an index of the endpoints.
    at: usize,
    client: Option<Client>,
}

impl fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdStore").field("access", &self.access).finish_non_exhaustive()
    }
}

impl EtcdStore {
    /// Prepares to reach the store. No member is asked yet: one that is down now may answer later.
    ///
    /// # Errors
    /// [`Unreachable`] if nothing is named to reach, or the system gives no resources.
    pub fn connect(access: &Access) -> Result<Self, Unreachable> {
        if access.endpoints.is_empty() {
            return Err(Unreachable("no member is named".to_owned()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Unreachable(format!("the system gives no resources: {error}")))?;
        Ok(Self { runtime, access: access.clone(), at: 0, client: None })
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.access.timeout_ms)
    }

    /// Runs a call on the present member, connecting first if need be. A failure that another
    /// member might not have moves on to that one.
    fn on_member<T, F>(&mut self, call: impl FnOnce(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let timeout = self.timeout();
        let (access, at, cached) = (&self.access, self.at, self.client.clone());
        let result = self.runtime.block_on(async {
            let work = async {
                let client = match cached {
                    Some(client) => client,
                    None => open(access, at).await.map_err(|error| Failure::before(&error))?,
                };
                let result = call(client.clone()).await;
                result.map(|value| (value, client)).map_err(|error| Failure::of(&error))
            };
            match tokio::time::timeout(timeout, work).await {
                Ok(result) => result,
                Err(_) => Err(Failure::silent(timeout)),
            }
        });
        match result {
            Ok((value, client)) => {
                self.client = Some(client);
                Ok(value)
            }
            Err(failure) => {
                if failure.leaves_member() {
                    self.next_member();
                }
                Err(failure.at(&self.access.endpoints[at]))
            }
        }
    }

    fn next_member(&mut self) {
        self.client = None;
        self.at = (self.at + 1) % self.access.endpoints.len();
    }

    /// Asks one member after the other until one answers.
    fn on_any<T, F>(&mut self, call: impl Fn(Client) -> F) -> Result<T, Unreachable>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let mut tried = Vec::new();
        // Once more than there are members: a token may have expired on the first.
        for _ in 0..=self.access.endpoints.len() {
            match self.on_member(&call) {
                Ok(value) => return Ok(value),
                Err(failure) if failure.is_final() => return Err(Unreachable(failure.to_string())),
                Err(failure) => tried.push(failure.to_string()),
            }
        }
        tried.dedup();
        Err(Unreachable(tried.join("; ")))
    }
}

async fn open(access: &Access, at: usize) -> Result<Client, etcd_client::Error> {
    let mut options = ConnectOptions::new()
        .with_connect_timeout(Duration::from_millis(access.timeout_ms / 2))
        .with_keep_alive(Duration::from_millis(500), Duration::from_millis(500))
        .with_require_leader(true);
    if !access.user.is_empty() {
        options = options.with_user(access.user.clone(), access.password.as_str());
    }
    let endpoint = &access.endpoints[at];
    let scheme = if access.ca_pem.is_some() { "https" } else { "http" };
    if let Some(ca) = &access.ca_pem {
        let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
        if let (Some(certificate), Some(key)) = (&access.certificate_pem, &access.key_pem) {
            tls = tls.identity(Identity::from_pem(certificate, key.as_str()));
        }
        options = options.with_tls(tls);
    }
    Client::connect([format!("{scheme}://{endpoint}")], Some(options)).await
}

impl Store for EtcdStore {
    fn commit(&mut self, guards: &[Guard], writes: &[Write]) -> Committed {
        let transaction = calls::transaction(guards, writes);
        match self.on_member(|mut client| async move { client.txn(transaction).await }) {
            Ok(answer) if answer.succeeded() => Committed::Done,
            Ok(answer) => match calls::values(guards.len(), &answer) {
                Some(found) => Committed::Refused(found),
                None => Committed::Unknown("an answer that does not fit the question".to_owned()),
            },
            Err(failure) if failure.is_full() => Committed::Full(failure.to_string()),
            Err(failure) => Committed::Unknown(failure.to_string()),
        }
    }

    fn read(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Unreachable> {
        let answer = self.on_any(|mut client| {
            let transaction = calls::gets(keys);
            async move { client.txn(transaction).await }
        })?;
        calls::values(keys.len(), &answer)
            .ok_or_else(|| Unreachable("an answer that does not fit the question".to_owned()))
    }

    fn range(&mut self, from: &[u8], to: &[u8], count_max: usize) -> Result<Pairs, Unreachable> {
        let count = count_max.min(FRAMES_AT_ONCE);
        let answer = self.on_any(|mut client| {
            let options = calls::ascending(to, count);
            async move { client.get(from, Some(options)).await }
        })?;
        let pair = |pair: &etcd_client::KeyValue| (pair.key().to_vec(), pair.value().to_vec());
        Ok(answer.kvs().iter().map(pair).collect())
    }

    fn keys(
        &mut self,
        from: &[u8],
        to: &[u8],
        count_max: usize,
    ) -> Result<Vec<Vec<u8>>, Unreachable> {
        let answer = self.on_any(|mut client| {
            let options = calls::ascending(to, count_max).with_keys_only();
            async move { client.get(from, Some(options)).await }
        })?;
        Ok(answer.kvs().iter().map(|pair| pair.key().to_vec()).collect())
    }

    fn await_change(
        &mut self,
        key: &[u8],
        known: Option<&[u8]>,
        wait_ms: u64,
    ) -> Result<(), Unreachable> {
        let answer = self.on_any(|mut client| async move { client.get(key, None).await })?;
        let now = answer.kvs().first().map(etcd_client::KeyValue::value);
        if now != known || wait_ms == 0 {
            return Ok(());
        }
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision) + 1;
        let Some(client) = self.client.clone() else {
            return Ok(());
        };
        let wait = Duration::from_millis(wait_ms);
        self.runtime.block_on(calls::first_event(client, key.to_vec(), revision, wait));
        Ok(())
    }

    fn discard(&mut self, from: &[u8], to: &[u8]) -> Result<(), Unreachable> {
        self.on_any(|client| calls::discard(client, from.to_vec(), to.to_vec()))
    }

    fn make_space(&mut self) -> Result<(), Unreachable> {
        // A member stands still while it is defragmented, so one after the other.
        for at in 0..self.access.endpoints.len() {
            let (access, wait) = (&self.access, self.timeout() * 15);
            let work = async {
                let mut client = open(access, at).await?;
                client.defragment().await.map(|_| ())
            };
            let done = self.runtime.block_on(async { tokio::time::timeout(wait, work).await });
            match done {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let failure = Failure::of(&error).at(&self.access.endpoints[at]);
                    return Err(Unreachable(failure.to_string()));
                }
                Err(_) => {
                    let failure = Failure::silent(wait).at(&self.access.endpoints[at]);
                    return Err(Unreachable(failure.to_string()));
                }
            }
        }
        self.on_any(calls::disarm)
    }

    fn health(&mut self) -> Result<Health, Unreachable> {
        let mut health = Health {
            quota_bytes: self.access.quota_bytes,
            members: u32::try_from(self.access.endpoints.len()).unwrap_or(u32::MAX),
            ..Health::default()
        };
        let mut tried = Vec::new();
        for at in 0..self.access.endpoints.len() {
            let (access, wait) = (&self.access, self.timeout() / 4);
            let work = async {
                let mut client = open(access, at).await?;
                let alarms = calls::is_full(&mut client).await?;
                client.status().await.map(|status| (status, alarms))
            };
            match self.runtime.block_on(async { tokio::time::timeout(wait, work).await }) {
                Ok(Ok((status, is_full))) => {
                    let bytes = |count: i64| u64::try_from(count).unwrap_or(0);
                    health.used_bytes = health.used_bytes.max(bytes(status.db_size()));
                    health.live_bytes = health.live_bytes.max(calls::live_bytes(&status));
                    health.full |= is_full;
                    health.members_up += 1;
                }
                Ok(Err(error)) => tried.push(Failure::of(&error).at(&access.endpoints[at])),
                Err(_) => tried.push(Failure::silent(wait).at(&access.endpoints[at])),
            }
        }
        if health.members_up == 0 {
            let words: Vec<String> = tried.iter().map(ToString::to_string).collect();
            return Err(Unreachable(words.join("; ")));
        }
        Ok(health)
    }
}
