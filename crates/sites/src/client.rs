//! Single requests to a store, signed but not interpreted: for what no store's client offers.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};

use crate::basic::basic;
use crate::credential::Credential;
use crate::settings::{S3Settings, SettingsError, WebDavSettings};
use crate::tls::client_config;
use crate::wire::{Wire, WireError, said};

/// How requests are signed.
enum Asking {
    S3 { credential: AwsCredential, region: String },
    WebDav(Option<HeaderValue>),
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn words(&self) -> String {
        format!("{}{}", self.status.as_u16(), said(&String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn is_not_offered(&self) -> bool {
        matches!(self.status.as_u16(), 405 | 501)
    }
}

/// A store and the right to ask it.
pub(crate) struct Client {
    wire: Wire,
    base: String,
    asking: Asking,
}

impl Client {
    pub(crate) fn s3(settings: &S3Settings) -> Result<Self, SettingsError> {
        let credential = Credential::load(&settings.credential)?;
        let tls = match settings.endpoint.tls {
            true => Some(client_config(settings.certificates.as_deref())?),
            false => None,
        };
        Ok(Self {
            wire: Wire::new(&settings.endpoint, tls, settings.patience, settings.bandwidth, None)
                .with_sums(true),
            base: format!("{}/{}", settings.endpoint.url(), settings.bucket),
            asking: Asking::S3 {
                credential: AwsCredential {
                    key_id: credential.id,
                    secret_key: credential.secret.as_str().to_owned(),
                    token: None,
                },
                region: settings.region.clone(),
            },
        })
    }

    pub(crate) fn web_dav(settings: &WebDavSettings) -> Result<Self, SettingsError> {
        let credential = settings.credential.as_ref().map(Credential::load).transpose()?;
        let tls = match settings.endpoint.tls {
            true => Some(client_config(settings.certificates.as_deref())?),
            false => None,
        };
        Ok(Self {
            wire: Wire::new(&settings.endpoint, tls, settings.patience, settings.bandwidth, None),
            base: settings.endpoint.url().to_owned(),
            asking: Asking::WebDav(credential.as_ref().map(basic).transpose()?),
        })
    }

    pub(crate) fn is_s3(&self) -> bool {
        matches!(self.asking, Asking::S3 { .. })
    }

    /// Sends one request, and reads its answer to the end.
    pub(crate) async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Result<Answer, WireError> {
        let fail = |why: String| WireError::Broken(why);
        let uri = format!("{}{target}", self.base);
        let mut request = HttpRequest::new(HttpRequestBody::from(Bytes::copy_from_slice(body)));
        *request.method_mut() =
            Method::from_bytes(method.as_bytes()).map_err(|error| fail(error.to_string()))?;
        *request.uri_mut() = uri.parse().map_err(|_| fail("no such address".to_owned()))?;
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|error| fail(error.to_string()))?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        match &self.asking {
            Asking::S3 { credential, region } => {
                AwsAuthorizer::new(credential, "s3", region)
                    .try_authorize(&mut request, None)
                    .map_err(|error| fail(error.to_string()))?;
            }
            Asking::WebDav(Some(value)) => {
                request.headers_mut().insert(AUTHORIZATION, value.clone());
            }
            Asking::WebDav(None) => {}
        }
        let (parts, body) = self.wire.once(request).await?.into_parts();
        let body = body.collect().await.map_err(|error| fail(error.to_string()))?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}
