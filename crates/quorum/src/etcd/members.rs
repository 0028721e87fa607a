//! The members together: which of them is asked, and how often.

use std::future::Future;
use std::time::Duration;

use etcd_client::{Client, Error, StatusResponse, Txn, TxnResponse};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::Failure;
use super::link::{Link, while_alive};
use super::{Question, RETRY_AFTER};
use crate::access::Access;
use crate::store::Unreachable;

/// Between two looks at who leads while all is well.
const AIM_EVERY: Duration = Duration::from_secs(10);

/// The members, and the one in use.
#[derive(Debug)]
pub(super) struct Members {
    access: Access,
    pub(super) links: Vec<Link>,
    current: Option<usize>,
    aimed_at: Option<Instant>,
}

impl Members {
    pub(super) fn new(access: Access) -> Result<Self, Unreachable> {
        if access.endpoints.is_empty() {
            return Err(Unreachable("no member is named".to_owned()));
        }
        let links = access.endpoints.iter().cloned().map(Link::new).collect();
        Ok(Self { access, links, current: None, aimed_at: None })
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.access.timeout_ms)
    }

    /// Asks all members at once how they are, in the order of the endpoints.
    pub(super) async fn survey(&mut self) -> Vec<Result<StatusResponse, Failure>> {
        let mut asked = JoinSet::new();
        for (index, link) in self.links.iter().enumerate() {
            let (mut link, access) = (link.clone(), self.access.clone());
            asked.spawn(async move {
                let status = link.status(&access).await;
                (index, link, status)
            });
        }
        let unasked = || Err(Failure::Silent("it was not asked".to_owned()));
        let mut found: Vec<_> = self.links.iter().map(|_| unasked()).collect();
        while let Some(answer) = asked.join_next().await {
            let Ok((index, mut link, status)) = answer else { continue };
            if status.is_err() {
                link.drop_connection();
            }
            self.links[index] = link;
            found[index] = status;
        }
        found
    }

    /// Connects to the leader, or to whoever answers, and logs in.
    pub(super) async fn ready(&mut self, deadline: Instant) -> Result<(usize, Client), Failure> {
        let mut last = None;
        loop {
            match timeout_at(deadline, self.aim()).await {
                Ok(Ok(ready)) => return Ok(ready),
                Ok(Err(failure)) if failure.is_final() => return Err(failure),
                Ok(Err(failure)) => {
                    last = Some(failure.clone());
                    self.wait_to_retry(deadline, failure).await?;
                }
                Err(_) => {
                    let endpoints = self.access.endpoints.join(", ");
                    let in_time = || Failure::Silent(format!("{endpoints}: no answer in time"));
                    return Err(last.unwrap_or_else(in_time));
                }
            }
        }
    }

    async fn aim(&mut self) -> Result<(usize, Client), Failure> {
        let fresh = self.aimed_at.is_some_and(|at| at.elapsed() < AIM_EVERY);
        // A survey may have dropped the connection, and the login with it.
        let logged_in = |index: &usize| self.links[*index].logged_in;
        if let (true, Some(index)) = (fresh, self.current.filter(logged_in)) {
            let client = self.links[index].client(&self.access).await?;
            return Ok((index, client));
        }
        let statuses = self.survey().await;
        let leads = |status: &StatusResponse| {
            let own = status.header().map(etcd_client::ResponseHeader::member_id);
            status.leader() != 0 && own == Some(status.leader())
        };
        let known = |status: &StatusResponse| status.leader() != 0 && !status.is_learner();
        let find = |wanted: &dyn Fn(&StatusResponse) -> bool| {
            statuses.iter().position(|status| status.as_ref().is_ok_and(wanted))
        };
        let Some(index) = find(&leads).or_else(|| find(&known)) else {
            self.current = None;
            return Err(why_none(&statuses));
        };
        let client = self.links[index].client(&self.access).await?;
        let logged_in = self.links[index].log_in(Some(&self.access.login())).await;
        if let Err(failure) = logged_in {
            self.links[index].drop_connection();
            return Err(failure);
        }
        (self.current, self.aimed_at) = (Some(index), Some(Instant::now()));
        Ok((index, client))
    }

    /// The member in use did not answer: somebody else is looked for.
    pub(super) fn give_up(&mut self, index: usize) {
        self.links[index].drop_connection();
        (self.current, self.aimed_at) = (None, None);
    }

    pub(super) async fn wait_to_retry(
        &self,
        deadline: Instant,
        failure: Failure,
    ) -> Result<(), Failure> {
        if Instant::now() + RETRY_AFTER >= deadline {
            return Err(failure);
        }
        sleep(RETRY_AFTER).await;
        Ok(())
    }

    /// One question to one member.
    pub(super) async fn ask_once<T, Q: Question<T>>(
        &mut self,
        deadline: Instant,
        question: impl Fn(Client) -> Q,
    ) -> Result<T, Failure> {
        let (index, client) = self.ready(deadline).await?;
        let endpoint = self.links[index].endpoint.clone();
        let asked = while_alive(&endpoint, &client, question(client.clone()));
        let answer = match timeout_at(deadline, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Silent(format!("{endpoint}: no answer in time"))),
        };
        match answer {
            Err(Failure::Forbidden(why)) if self.links[index].login_unneeded => {
                self.give_up(index);
                Err(Failure::LoginExpired(why))
            }
            Err(Failure::Silent(_) | Failure::LoginExpired(_) | Failure::Forbidden(_)) => {
                self.give_up(index);
                answer
            }
            answer => answer,
        }
    }

    /// Asks, and asks again, until the deadline; for questions that do no harm if asked twice.
    pub(super) async fn ask<T, Q>(
        &mut self,
        deadline: Instant,
        question: impl Fn(Client) -> Q,
    ) -> Result<T, Failure>
    where
        Q: Future<Output = Result<T, Error>>,
    {
        loop {
            match self.ask_once(deadline, &question).await {
                Err(failure) if !failure.is_final() => {
                    self.wait_to_retry(deadline, failure).await?;
                }
                answer => return answer,
            }
        }
    }

    /// Sends a transaction that must not be sent twice, except after a refusal of the login, which
    /// comes before anything else.
    pub(super) async fn send_once(
        &mut self,
        deadline: Instant,
        txn: Txn,
    ) -> Result<TxnResponse, Failure> {
        let send = |mut client: Client| {
            let txn = txn.clone();
            async move { client.txn(txn).await }
        };
        match self.ask_once(deadline, send).await {
            Err(Failure::LoginExpired(_)) => self.ask_once(deadline, send).await,
            answer => answer,
        }
    }
}

/// What is wrong with each of them. A wrong password or certificate is final only if nobody says
/// anything else.
fn why_none(statuses: &[Result<StatusResponse, Failure>]) -> Failure {
    let said = statuses.iter().map(|status| match status {
        Ok(_) => "a member without a leader".to_owned(),
        Err(failure) => failure.to_string(),
    });
    let text = said.collect::<Vec<_>>().join("; ");
    let is_forbidden = |status: &Result<_, _>| matches!(status, Err(Failure::Forbidden(_)));
    if statuses.iter().all(is_forbidden) { Failure::Forbidden(text) } else { Failure::Silent(text) }
}
