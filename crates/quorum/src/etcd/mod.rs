//! The store on a real etcd (3.4 or later).
//!
//! # Architecture invariants
//!
//! - A commit is sent at most once. Only what etcd refused before looking at it — a login that
//!   expired — is sent again.
//! - Whatever is not an answer is [`Committed::Unknown`]; there is no error that means "surely not
//!   written" except the two that were checked: guards that did not hold, and want of space after
//!   a look at the keys.
//! - Every read asks a majority (linearizable).

mod answer;
mod link;
mod members;
mod settings;
mod space;
mod watching;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, DeleteOptions, Error, GetOptions, Txn, TxnOp, TxnOpResponse,
    TxnResponse,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

pub use self::settings::{Finding, MemberSettings};

use self::answer::Failure;
use self::members::Members;
use self::watching::Watching;
use crate::access::Access;
use crate::store::{Committed, Guard, Health, Pairs, Store, Unreachable, Write};

/// Between two attempts to read while nobody answers.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// Most operations that etcd takes in one transaction (`--max-txn-ops`).
const OPERATIONS_MAX: usize = 128;

/// A store on etcd. Its calls block, at most for about [`Access::timeout_ms`].
///
/// One member is talked to at a time: the leader if it is among the endpoints, so that its death
/// cuts the connection instead of leaving a request nobody answers.
pub struct EtcdStore {
    members: Members,
    watching: Option<Watching>,
    runtime: Runtime,
}

impl fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdStore").field("members", &self.members).finish_non_exhaustive()
    }
}

impl EtcdStore {
    /// Prepares to reach the store. No member is asked yet: one that is down now may answer later.
    ///
    /// # Errors
    /// [`Unreachable`] if nothing is named to reach, or the system gives no resources.
    pub fn connect(access: &Access) -> Result<Self, Unreachable> {
        let members = Members::new(access.clone())?;
        // The connections are served while no call is under way, hence a thread of their own: a
        // watch must not be cut because its owner was busy elsewhere.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("etcd")
            .enable_all()
            .build()
            .map_err(|error| Unreachable(format!("the system gives no resources: {error}")))?;
        Ok(Self { members, watching: None, runtime })
    }
}

impl Store for EtcdStore {
    fn commit(&mut self, guards: &[Guard], writes: &[Write]) -> Committed {
        let members = &mut self.members;
        let deadline = members.deadline();
        self.runtime.block_on(async {
            match members.send_once(deadline, guarded(guards, writes)).await {
                Ok(answer) if answer.succeeded() => Committed::Done,
                Ok(answer) => match values_of(&answer, guards.len()) {
                    Some(found) => Committed::Refused(found),
                    None => Committed::Unknown("a refusal that names no values".to_owned()),
                },
                Err(Failure::Full(why)) => full_or_unknown(members, guards, writes, why).await,
                Err(failure) => Committed::Unknown(failure.to_string()),
            }
        })
    }

    fn read(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Unreachable> {
        let members = &mut self.members;
        let deadline = members.deadline();
        self.runtime.block_on(read(members, deadline, keys))
    }

    fn range(&mut self, from: &[u8], to: &[u8], count_max: usize) -> Result<Pairs, Unreachable> {
        self.list(from, to, count_max, GetOptions::new())
    }

    fn keys(
        &mut self,
        from: &[u8],
        to: &[u8],
        count_max: usize,
    ) -> Result<Vec<Vec<u8>>, Unreachable> {
        let listed = self.list(from, to, count_max, GetOptions::new().with_keys_only())?;
        Ok(listed.into_iter().map(|(key, _)| key).collect())
    }

    fn await_change(
        &mut self,
        key: &[u8],
        known: Option<&[u8]>,
        wait_ms: u64,
    ) -> Result<(), Unreachable> {
        let (members, watching) = (&mut self.members, &mut self.watching);
        let wait = Duration::from_millis(wait_ms);
        self.runtime.block_on(watching::await_change(members, watching, key, known, wait))
    }

    fn discard(&mut self, from: &[u8], to: &[u8]) -> Result<(), Unreachable> {
        let members = &mut self.members;
        let deadline = members.deadline();
        self.runtime.block_on(async {
            let revision = if from < to {
                let answer = members
                    .ask(deadline, |mut client| async move {
                        let options = DeleteOptions::new().with_range(to);
                        client.delete(from, Some(options)).await
                    })
                    .await?;
                answer.header().map_or(0, etcd_client::ResponseHeader::revision)
            } else {
                revision(members, deadline, from).await?
            };
            space::compact(members, deadline, revision, space::Until::Agreed).await
        })
    }

    fn make_space(&mut self) -> Result<(), Unreachable> {
        let members = &mut self.members;
        self.runtime.block_on(space::make_space(members))
    }

    fn health(&mut self) -> Result<Health, Unreachable> {
        let members = &mut self.members;
        self.runtime.block_on(space::health(members))
    }
}

impl EtcdStore {
    fn list(
        &mut self,
        from: &[u8],
        to: &[u8],
        count_max: usize,
        options: GetOptions,
    ) -> Result<Pairs, Unreachable> {
        if from >= to || count_max == 0 {
            return Ok(Pairs::new());
        }
        let members = &mut self.members;
        let deadline = members.deadline();
        let mut limit = i64::try_from(count_max).unwrap_or(i64::MAX);
        let options = options.with_range(to);
        self.runtime.block_on(async {
            loop {
                let options = options.clone().with_limit(limit);
                let asked = members.ask_once(deadline, |client| {
                    let options = options.clone();
                    let mut kv =
                        client.kv_client().max_decoding_message_size(answer::MESSAGE_BYTES_MAX);
                    async move { kv.get(from, Some(options)).await }
                });
                match asked.await {
                    Ok(mut answer) => {
                        let found = answer.take_kvs().into_iter();
                        return Ok(found.map(etcd_client::KeyValue::into_key_value).collect());
                    }
                    Err(Failure::TooLarge(_)) if limit > 1 => limit = (limit / 2).min(64),
                    Err(failure) if failure.is_final() => return Err(failure.into()),
                    Err(failure) => members.wait_to_retry(deadline, failure).await?,
                }
            }
        })
    }
}

fn guarded(guards: &[Guard], writes: &[Write]) -> Txn {
    let compares: Vec<Compare> = guards
        .iter()
        .map(|guard| match &guard.value {
            Some(value) => Compare::value(guard.key.clone(), CompareOp::Equal, value.clone()),
            None => Compare::create_revision(guard.key.clone(), CompareOp::Equal, 0),
        })
        .collect();
    let puts: Vec<TxnOp> =
        writes.iter().map(|one| TxnOp::put(one.key.clone(), one.value.clone(), None)).collect();
    let gets: Vec<TxnOp> = guards.iter().map(|guard| TxnOp::get(guard.key.clone(), None)).collect();
    Txn::new().when(compares).and_then(puts).or_else(gets)
}

fn values_of(answer: &TxnResponse, count: usize) -> Option<Vec<Option<Vec<u8>>>> {
    let values = answer.op_responses().into_iter().map(|one| match one {
        TxnOpResponse::Get(mut got) => {
            Some(got.take_kvs().into_iter().next().map(|pair| pair.into_key_value().1))
        }
        _ => None,
    });
    values.collect::<Option<Vec<_>>>().filter(|values| values.len() == count)
}

/// Want of space is noticed before a transaction is proposed, or while it is applied, and in the
/// second case etcd reports the want *and keeps what was written*
/// (`quotaApplierV3.Txn` in etcdserver/apply.go, 3.4). A look at the keys tells which it was: by
/// then it is settled, since a refusal is only sent once nothing is under way.
async fn full_or_unknown(
    members: &mut Members,
    guards: &[Guard],
    writes: &[Write],
    why: String,
) -> Committed {
    let keys: Vec<&[u8]> = guards
        .iter()
        .map(|guard| guard.key.as_slice())
        .chain(writes.iter().map(|write| write.key.as_slice()))
        .collect();
    let deadline = members.deadline();
    let Ok(found) = read(members, deadline, &keys).await else {
        return Committed::Unknown(format!("{why}, and no answer to what was written"));
    };
    let (guarded, written) = found.split_at(guards.len());
    let holds = guards.iter().zip(guarded).all(|(guard, now)| guard.value == *now);
    let absent = writes.iter().zip(written).any(|(one, now)| now.as_ref() != Some(&one.value));
    if holds && absent {
        return Committed::Full(why);
    }
    Committed::Unknown(format!("{why}, but it may be written nevertheless"))
}

async fn read(
    members: &mut Members,
    deadline: Instant,
    keys: &[&[u8]],
) -> Result<Vec<Option<Vec<u8>>>, Unreachable> {
    if keys.len() > OPERATIONS_MAX {
        return Err(Unreachable(format!("it answers at most {OPERATIONS_MAX} keys at once")));
    }
    let gets: Vec<TxnOp> = keys.iter().map(|key| TxnOp::get(*key, None)).collect();
    let answer = members
        .ask(deadline, |client| {
            let txn = Txn::new().and_then(gets.clone());
            let mut kv = client.kv_client().max_decoding_message_size(answer::MESSAGE_BYTES_MAX);
            async move { kv.txn(txn).await }
        })
        .await?;
    values_of(&answer, keys.len())
        .ok_or_else(|| Unreachable("its answer does not fit the question".to_owned()))
}

async fn revision(
    members: &mut Members,
    deadline: Instant,
    key: &[u8],
) -> Result<i64, Unreachable> {
    let answer = members
        .ask(deadline, |mut client: Client| async move {
            let options = GetOptions::new().with_count_only();
            client.get(key, Some(options)).await
        })
        .await?;
    answer
        .header()
        .map(etcd_client::ResponseHeader::revision)
        .ok_or_else(|| Unreachable("an answer without a revision".to_owned()))
}

/// A question to etcd.
trait Question<T>: Future<Output = Result<T, Error>> {}
impl<T, F: Future<Output = Result<T, Error>>> Question<T> for F {}
