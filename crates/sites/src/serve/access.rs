//! Who may ask, and for what. What is not named here is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3ErrorCode, S3Result};
use zeroize::Zeroizing;

use super::{Event, Watch};

/// What a key may do with its bucket. Nothing replaces, whoever asks, and only grants delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Create, read, list: a writer reads back what it wrote.
    Write,
    /// Read and list: a host that restores or audits.
    Read,
}

/// A key of the server: one domain's, for one bucket.
#[derive(Clone)]
pub struct AccessKey {
    /// Its public half.
    pub id: String,
    /// Its secret half.
    pub secret: Zeroizing<String>,
    /// The only bucket it opens.
    pub bucket: String,
    /// What it may do there.
    pub right: Right,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("AccessKey");
        shown.field("id", &self.id).field("bucket", &self.bucket).field("right", &self.right);
        shown.finish_non_exhaustive()
    }
}

/// All keys of a server.
#[derive(Clone)]
pub(crate) struct Keys(pub(crate) Arc<BTreeMap<String, AccessKey>>);

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.get(access_key) {
            Some(key) => Ok(SecretKey::from(key.secret.as_str())),
            None => Err(S3ErrorCode::InvalidAccessKeyId.into()),
        }
    }
}

/// The gate in front of every operation.
pub(crate) struct Gate {
    pub(crate) keys: Keys,
    /// Buckets in which a grant can allow a deletion.
    pub(crate) deletions: BTreeSet<String>,
    pub(crate) watch: Watch,
}

impl Gate {
    /// A deletion may be asked for where there are approvers; whether it is done is for the grants
    /// to say.
    fn may_ask(&self, key: &AccessKey, operation: &str) -> bool {
        let by_grant = operation == "DeleteObject" && self.deletions.contains(&key.bucket);
        allows(key.right, operation) || (by_grant && key.right == Right::Write)
    }
}

/// What each right has, by the protocol's names.
fn allows(right: Right, operation: &str) -> bool {
    let reading = [
        "GetObject",
        "HeadObject",
        "ListObjects",
        "ListObjectsV2",
        "HeadBucket",
        "GetBucketLocation",
    ];
    reading.contains(&operation) || (right == Right::Write && operation == "PutObject")
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name();
        let id = context.credentials().map(|credentials| credentials.access_key.clone());
        let key = id.as_ref().and_then(|id| self.keys.0.get(id));
        let Some(key) = key else {
            return Err(denied("a signature is required"));
        };
        let bucket = context.s3_path().get_bucket_name().unwrap_or_default();
        let why = if bucket != key.bucket {
            "this key opens another bucket"
        } else if !self.may_ask(key, operation) {
            "this site is append-only: objects are created, read and listed, nothing else"
        } else {
            return Ok(());
        };
        (self.watch)(&Event {
            access_key: key.id.clone(),
            operation: operation.to_owned(),
            bucket: bucket.to_owned(),
            object: context.s3_path().get_object_key().unwrap_or_default().to_owned(),
            why: why.to_owned(),
            is_warning: false,
        });
        Err(denied(why))
    }
}

pub(crate) fn denied(why: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, why)
}
