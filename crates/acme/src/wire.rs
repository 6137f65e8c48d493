//! How the ACME library speaks: through our own client, with its limits.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use posthouse_http::{Client, Limits, Request};

/// The octets of an answer: a chain of certificates has some ten thousand.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

pub(crate) struct Wire(pub(crate) Client);

type Answer = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

impl HttpClient for Wire {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answer {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let octets = body.collect().await.map_err(|error| Error::Other(Box::new(error)))?.to_bytes();
            let sent = client.send(Request::from_parts(parts, octets), Limits { body_bytes_max: ANSWER_BYTES_MAX }).await;
            let (parts, body) = sent.map_err(|error| Error::Other(Box::new(error)))?.into_parts();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}
