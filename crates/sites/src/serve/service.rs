//! The protocol: what is asked in S3's words, answered from the shelves.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::StatusCode;
use s3s::checksum::ChecksumHasher;
use s3s::dto::{
    Checksum, CommonPrefix, ContentRange, DeleteObjectInput, DeleteObjectOutput, ETag,
    GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput,
    HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object, PutObjectInput,
    PutObjectOutput, StreamingBlob, Timestamp,
};
use s3s::stream::ByteStream;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, TrailingHeaders};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::time::timeout;

use super::access::denied;
use super::grants::Grants;
use super::shelf::{About, Arriving, Refusal, Room, Shelf, Wanted};
use super::{Event, Watch};

/// Objects in one answer to a listing, at most.
const PAGE_MAX: usize = 1000;
/// Read and sent at a time.
const PART_BYTES: usize = 64 * 1024;
/// Longest silence within an object that is being received.
const SILENCE: Duration = Duration::from_secs(60);

/// All buckets.
pub(crate) struct Service {
    pub(crate) shelves: BTreeMap<String, Arc<Shelf>>,
    pub(crate) grants: BTreeMap<String, Arc<Grants>>,
    pub(crate) object_bytes_max: u64,
    pub(crate) watch: Watch,
}

/// What a listing is asked for, in the protocol's words.
struct Asked<'a> {
    bucket: &'a str,
    prefix: Option<String>,
    delimiter: Option<&'a str>,
    after: Option<String>,
    max_keys: Option<i32>,
}

/// A page of a listing; `next` is where the following one begins.
struct Listed {
    most: i32,
    count: i32,
    next: Option<String>,
    contents: Vec<Object>,
    folded: Vec<CommonPrefix>,
}

impl Service {
    fn shelf(&self, bucket: &str) -> S3Result<Arc<Shelf>> {
        let shelf = self.shelves.get(bucket);
        shelf.map(Arc::clone).ok_or_else(|| S3ErrorCode::NoSuchBucket.into())
    }

    async fn receive(
        &self,
        input: &mut PutObjectInput,
        trailers: Option<TrailingHeaders>,
    ) -> S3Result<bool> {
        let shelf = self.shelf(&input.bucket)?;
        let body = input.body.take().ok_or(S3ErrorCode::IncompleteBody)?;
        let length = body.remaining_length().exact().ok_or(S3ErrorCode::MissingContentLength)?;
        let length = length as u64;
        if length > self.object_bytes_max {
            return Err(S3ErrorCode::EntityTooLarge.into());
        }
        let key = input.key.clone();
        let present = on_disk(&shelf, {
            let key = key.clone();
            move |shelf| shelf.about(&key)
        })
        .await?;
        let create_only = input.if_none_match.is_some();
        if create_only && present.is_some() {
            discard(body).await;
            return Err(S3ErrorCode::PreconditionFailed.into());
        }
        let room = match shelf.reserve(length) {
            Ok(room) => room,
            Err(refusal) => {
                discard(body).await;
                return Err(refused(&refusal));
            }
        };
        let arriving = shelf.arriving();
        self.write(input, body, trailers, length, &arriving).await?;
        self.place(shelf, key, arriving, room, create_only).await
    }

    /// Writes what arrives to its temporary file, checks it, and brings it to the disk.
    async fn write(
        &self,
        input: &mut PutObjectInput,
        mut body: StreamingBlob,
        trailers: Option<TrailingHeaders>,
        length_bytes: u64,
        arriving: &Arriving,
    ) -> S3Result<()> {
        let mut sums = wanted_sums(input, trailers.is_some());
        let mut file =
            tokio::fs::File::create_new(&arriving.path).await.map_err(S3Error::internal_error)?;
        let mut received = 0_u64;
        loop {
            let part = match timeout(SILENCE, body.next()).await {
                Ok(None) => break,
                Ok(Some(Ok(part))) => part,
                Ok(Some(Err(error))) => {
                    return Err(S3Error::with_source(S3ErrorCode::IncompleteBody, error));
                }
                Err(_) => return Err(S3ErrorCode::RequestTimeout.into()),
            };
            received += part.len() as u64;
            if received > length_bytes {
                return Err(S3ErrorCode::IncompleteBody.into());
            }
            sums.update(&part);
            file.write_all(&part).await.map_err(|error| refused(&error.into()))?;
        }
        if received != length_bytes {
            return Err(S3ErrorCode::IncompleteBody.into());
        }
        file.sync_all().await.map_err(|error| refused(&error.into()))?;
        let trailers = trailers.and_then(|trailers| trailers.take());
        compare_sums(input, trailers.as_ref(), &sums.finalize())
    }

    async fn place(
        &self,
        shelf: Arc<Shelf>,
        key: String,
        arriving: Arriving,
        room: Room,
        create_only: bool,
    ) -> S3Result<bool> {
        let placed = on_disk(&shelf, move |shelf| shelf.place(&key, &arriving, room)).await?;
        if !placed && create_only {
            return Err(S3ErrorCode::PreconditionFailed.into());
        }
        Ok(placed)
    }

    /// Both listings of the protocol are this one.
    async fn listing(&self, asked: Asked<'_>) -> S3Result<Listed> {
        let fold = match asked.delimiter {
            None | Some("") => false,
            Some("/") => true,
            Some(_) => return Err(S3ErrorCode::InvalidArgument.into()),
        };
        let most = asked
            .max_keys
            .map_or(PAGE_MAX, |most| usize::try_from(most).unwrap_or(0).min(PAGE_MAX));
        let (prefix, after) = (asked.prefix.unwrap_or_default(), asked.after.unwrap_or_default());
        let shelf = self.shelf(asked.bucket)?;
        let page = on_disk(&shelf, move |shelf| {
            shelf.list(&Wanted { prefix: &prefix, after: &after, most, fold })
        })
        .await?;
        let last = page.entries.last().map(|(key, _)| key.clone());
        let whole = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let mut listed = Listed {
            most: whole(most),
            count: whole(page.entries.len()),
            next: last.filter(|_| page.more),
            contents: Vec::new(),
            folded: Vec::new(),
        };
        for (key, about) in page.entries {
            match about {
                Some(about) => listed.contents.push(object(key, about)),
                None => listed.folded.push(CommonPrefix { prefix: Some(key) }),
            }
        }
        Ok(listed)
    }

    fn tell(&self, access_key: Option<&str>, input: &PutObjectInput, error: &S3Error) {
        if matches!(error.code(), S3ErrorCode::PreconditionFailed) {
            return;
        }
        self.told(access_key, "PutObject", (&input.bucket, &input.key), error);
    }

    fn told(&self, access_key: Option<&str>, operation: &str, at: (&str, &str), error: &S3Error) {
        (self.watch)(&Event {
            access_key: access_key.unwrap_or_default().to_owned(),
            operation: operation.to_owned(),
            bucket: at.0.to_owned(),
            object: at.1.to_owned(),
            why: error.message().unwrap_or(error.code().as_str()).to_owned(),
            is_warning: false,
        });
    }
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let access_key = request.credentials.map(|credentials| credentials.access_key);
        let mut input = request.input;
        if asks_for_more(&input) {
            return Err(S3Error::with_message(
                S3ErrorCode::NotImplemented,
                "locks, tags, encryption and appending are not for this site: it keeps objects \
                 as they are, for good",
            ));
        }
        match self.receive(&mut input, request.trailing_headers).await {
            Ok(_) => {}
            Err(error) => {
                self.tell(access_key.as_deref(), &input, &error);
                return Err(error);
            }
        }
        let key = input.key.clone();
        let shelf = self.shelf(&input.bucket)?;
        if let Some((used, quota)) = shelf.fills_up() {
            (self.watch)(&Event {
                access_key: access_key.unwrap_or_default(),
                operation: "PutObject".to_owned(),
                bucket: input.bucket.clone(),
                object: String::new(),
                why: format!("{used} of {quota} bytes are used"),
                is_warning: true,
            });
        }
        let about = on_disk(&shelf, move |shelf| shelf.about(&key)).await?;
        let e_tag = about.map(|about| ETag::Strong(about.tag));
        Ok(S3Response::new(PutObjectOutput { e_tag, ..PutObjectOutput::default() }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        let shelf = self.shelf(&input.bucket)?;
        let opened = on_disk(&shelf, move |shelf| shelf.open_object(&input.key)).await?;
        let (file, about) = opened.ok_or(S3ErrorCode::NoSuchKey)?;
        let all = 0..about.length_bytes;
        let part = match input.range {
            Some(range) => {
                range.check(about.length_bytes).map_err(|_| S3ErrorCode::InvalidRange)?
            }
            None => all.clone(),
        };
        let content_range = input.range.is_some().then(|| -> ContentRange {
            let last = part.end.saturating_sub(1);
            format!("bytes {}-{last}/{}", part.start, about.length_bytes)
        });
        let length = part.end - part.start;
        let mut file = tokio::fs::File::from_std(file);
        file.seek(SeekFrom::Start(part.start)).await.map_err(S3Error::internal_error)?;
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(sending(file, length)),
            content_length: Some(signed(length)),
            content_range,
            e_tag: Some(ETag::Strong(about.tag)),
            last_modified: Some(Timestamp::from(about.written)),
            ..GetObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        let shelf = self.shelf(&input.bucket)?;
        let about = on_disk(&shelf, move |shelf| shelf.about(&input.key)).await?;
        let about = about.ok_or(S3ErrorCode::NoSuchKey)?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(signed(about.length_bytes)),
            e_tag: Some(ETag::Strong(about.tag)),
            last_modified: Some(Timestamp::from(about.written)),
            ..HeadObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let after = input.continuation_token.clone().or(input.start_after.clone());
        let listed = self
            .listing(Asked {
                bucket: &input.bucket,
                prefix: input.prefix.clone(),
                delimiter: input.delimiter.as_deref(),
                after,
                max_keys: input.max_keys,
            })
            .await?;
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            max_keys: Some(listed.most),
            key_count: Some(listed.count),
            continuation_token: input.continuation_token,
            is_truncated: Some(listed.next.is_some()),
            next_continuation_token: listed.next,
            contents: Some(listed.contents),
            common_prefixes: Some(listed.folded),
            delimiter: input.delimiter,
            start_after: input.start_after,
            ..ListObjectsV2Output::default()
        }))
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let listed = self
            .listing(Asked {
                bucket: &input.bucket,
                prefix: input.prefix.clone(),
                delimiter: input.delimiter.as_deref(),
                after: input.marker.clone(),
                max_keys: input.max_keys,
            })
            .await?;
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: input.prefix,
            marker: input.marker,
            max_keys: Some(listed.most),
            is_truncated: Some(listed.next.is_some()),
            next_marker: listed.next,
            contents: Some(listed.contents),
            common_prefixes: Some(listed.folded),
            delimiter: input.delimiter,
            ..ListObjectsOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let access_key = request.credentials.map(|credentials| credentials.access_key);
        let input = request.input;
        only_version(input.version_id.as_deref())?;
        let shelf = self.shelf(&input.bucket)?;
        let grants = self.grants.get(&input.bucket).map(Arc::clone);
        let grants = grants.ok_or_else(|| denied("nothing is deleted from this bucket"))?;
        let key = input.key.clone();
        match on_disk(&shelf, move |shelf| grants.delete(shelf, &key)).await {
            Ok(()) => Ok(S3Response::new(DeleteObjectOutput::default())),
            Err(error) => {
                self.told(
                    access_key.as_deref(),
                    "DeleteObject",
                    (&input.bucket, &input.key),
                    &error,
                );
                Err(error)
            }
        }
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.shelf(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.shelf(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }
}

/// Anything beside an object and its name: to ignore it would be to promise it.
fn asks_for_more(input: &PutObjectInput) -> bool {
    input.object_lock_mode.is_some()
        || input.object_lock_retain_until_date.is_some()
        || input.object_lock_legal_hold_status.is_some()
        || input.tagging.is_some()
        || input.sse_customer_key.is_some()
        || input.write_offset_bytes.is_some()
        || input.if_match.is_some()
        || input.website_redirect_location.is_some()
}

fn only_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(S3ErrorCode::NoSuchVersion.into()),
    }
}

fn object(key: String, about: About) -> Object {
    Object {
        key: Some(key),
        size: Some(signed(about.length_bytes)),
        e_tag: Some(ETag::Strong(about.tag)),
        last_modified: Some(Timestamp::from(about.written)),
        ..Object::default()
    }
}

fn signed(length_bytes: u64) -> i64 {
    i64::try_from(length_bytes).unwrap_or(i64::MAX)
}

fn wanted_sums(input: &PutObjectInput, trailing: bool) -> ChecksumHasher {
    let named = input.checksum_algorithm.as_ref().map(|name| name.as_str().to_owned());
    // What a trailer will name is not known before the end.
    let wants = |given: &Option<String>, name: &str| {
        given.is_some() || named.as_deref() == Some(name) || (trailing && named.is_none())
    };
    ChecksumHasher {
        crc32: wants(&input.checksum_crc32, "CRC32").then(Default::default),
        crc32c: wants(&input.checksum_crc32c, "CRC32C").then(Default::default),
        sha1: wants(&input.checksum_sha1, "SHA1").then(Default::default),
        sha256: wants(&input.checksum_sha256, "SHA256").then(Default::default),
        crc64nvme: wants(&input.checksum_crc64nvme, "CRC64NVME").then(Default::default),
    }
}

/// Every sum the client gave, in the headers or behind the object, has to be ours.
fn compare_sums(
    input: &PutObjectInput,
    trailers: Option<&http::HeaderMap>,
    ours: &Checksum,
) -> S3Result<()> {
    let pairs = [
        ("x-amz-checksum-crc32", &input.checksum_crc32, &ours.checksum_crc32),
        ("x-amz-checksum-crc32c", &input.checksum_crc32c, &ours.checksum_crc32c),
        ("x-amz-checksum-sha1", &input.checksum_sha1, &ours.checksum_sha1),
        ("x-amz-checksum-sha256", &input.checksum_sha256, &ours.checksum_sha256),
        ("x-amz-checksum-crc64nvme", &input.checksum_crc64nvme, &ours.checksum_crc64nvme),
    ];
    for (name, given, ours) in pairs {
        let behind = trailers.and_then(|trailers| trailers.get(name));
        let behind = behind.and_then(|value| value.to_str().ok());
        for given in [given.as_deref(), behind].into_iter().flatten() {
            if ours.as_deref() != Some(given) {
                return Err(S3ErrorCode::BadDigest.into());
            }
        }
    }
    Ok(())
}

/// Reads on to the end, so that the refusal is heard and not lost in a broken connection.
async fn discard(mut body: StreamingBlob) {
    while let Ok(Some(Ok(_))) = timeout(SILENCE, body.next()).await {}
}

fn sending(file: tokio::fs::File, length_bytes: u64) -> StreamingBlob {
    let parts = futures::stream::unfold((file, length_bytes), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let most = usize::try_from(left).unwrap_or(PART_BYTES).min(PART_BYTES);
        let mut part = vec![0; most];
        match file.read_exact(&mut part).await {
            Ok(_) => Some((Ok(Bytes::from(part)), (file, left - most as u64))),
            Err(error) => Some((Err(error), (file, 0))),
        }
    });
    StreamingBlob::wrap(Box::pin(parts.fuse()))
}

/// Work that waits for the disk, on a thread that may.
async fn on_disk<T: Send + 'static>(
    shelf: &Arc<Shelf>,
    work: impl FnOnce(&Arc<Shelf>) -> Result<T, Refusal> + Send + 'static,
) -> S3Result<T> {
    let shelf = Arc::clone(shelf);
    let done = tokio::task::spawn_blocking(move || work(&shelf)).await;
    done.map_err(S3Error::internal_error)?.map_err(|refusal| refused(&refusal))
}

fn refused(refusal: &Refusal) -> S3Error {
    match refusal {
        Refusal::Taken => {
            let code = S3ErrorCode::Custom("ObjectAlreadyExists".into());
            let mut error = S3Error::with_message(
                code,
                "an object with other content has this name, and nothing here is ever replaced",
            );
            error.set_status_code(StatusCode::CONFLICT);
            error
        }
        Refusal::Quota => full("this domain has used its quota"),
        Refusal::Disk => full("this server's disk has no room left"),
        Refusal::Kept(why) => denied(why),
        Refusal::Name(why) => S3Error::with_message(S3ErrorCode::InvalidArgument, *why),
        Refusal::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            denied("the server may not write or read its own folder")
        }
        Refusal::Io(error) => S3Error::with_message(S3ErrorCode::InternalError, error.to_string()),
    }
}

fn full(why: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom("QuotaExceeded".into()), why);
    error.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
    error
}
