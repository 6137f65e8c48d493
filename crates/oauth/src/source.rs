//! What an issuer publishes: its discovery document and its keys, fetched and kept.
//!
//! Keys that are there are used at once, and fetched again behind the log-in when they are old; only where there is none that would do is the issuer waited
//! for. Between two questions there is a pause, whatever tokens come: nobody makes us knock at an issuer's door.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use posthouse_http::{Client, Limits, Request, Response, header};
use posthouse_runtime::sync::AsyncMutex;
use posthouse_runtime::{clock, task};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Fault, FetchError};
use crate::keys::Key;
use crate::settings::Settings;

/// The octets of a document: a set of keys with their certificates has ten thousand.
const DOCUMENT: Limits = Limits { body_bytes_max: 128 * 1024 };

/// An issuer, and what is known of it.
pub(crate) struct Source {
    pub(crate) settings: Settings,
    client: Client,
    state: Mutex<State>,
    /// One question at a time; the others wait for its end.
    asking: AsyncMutex<()>,
}

#[derive(Default)]
struct State {
    known: Option<Arc<Known>>,
    /// When the issuer was last asked, and what came of it.
    asked: Option<Instant>,
    why: Option<String>,
}

/// What an issuer has published.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) keys: Vec<Key>,
    /// Where it is asked about tokens.
    pub(crate) introspection: Option<String>,
    at: Instant,
}

/// OpenID Connect Discovery 1.0 §3; the last by RFC 8414 §2.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Option<String>,
    introspection_endpoint: Option<String>,
}

impl Source {
    pub(crate) fn new(settings: Settings, client: Client) -> Self {
        Self { settings, client, state: Mutex::default(), asking: AsyncMutex::default() }
    }

    /// What it publishes, as far as it is known; the issuer is asked if nothing is.
    pub(crate) async fn known(self: &Arc<Self>) -> Result<Arc<Known>, Fault> {
        let Some(known) = self.kept() else { return self.ask().await };
        if clock::now().duration_since(known.at) > self.settings.keys_fresh.duration() && !self.rests() {
            let source = Arc::clone(self);
            // What comes of it shows in the state.
            let _running = task::spawn("issuer", async move { drop(source.ask().await) });
        }
        Ok(known)
    }

    /// The same, newer than `seen` if the issuer may be asked again already: it has changed its keys, or somebody makes up names of keys.
    pub(crate) async fn newer(self: &Arc<Self>, seen: &Arc<Known>) -> Option<Arc<Known>> {
        let is_newer = |known: &Arc<Known>| !Arc::ptr_eq(known, seen);
        match self.kept().filter(is_newer) {
            Some(known) => Some(known),
            None => self.ask().await.ok().filter(is_newer),
        }
    }

    /// Sends a question to the issuer.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, FetchError> {
        Ok(self.client.send(request, DOCUMENT).await?)
    }

    pub(crate) fn unavailable(&self, why: impl ToString) -> Fault {
        Fault::Unavailable { issuer: self.settings.url.clone(), why: why.to_string() }
    }

    /// Asks, or waits for the answer to whoever asks already. While the issuer is left alone it is what the last answer was.
    async fn ask(self: &Arc<Self>) -> Result<Arc<Known>, Fault> {
        let _turn = self.asking.lock().await;
        if !self.rests() {
            self.state().asked = Some(clock::now());
            let fetched = self.fetch().await;
            let mut state = self.state();
            match fetched {
                Ok(known) => {
                    let known = Arc::new(known);
                    (state.known, state.why) = (Some(Arc::clone(&known)), None);
                    return Ok(known);
                }
                Err(error) => {
                    tracing::warn!(issuer = self.settings.url, %error, "the keys of an issuer of tokens cannot be had");
                    state.why = Some(error.to_string());
                }
            }
        }
        match self.kept() {
            Some(known) => Ok(known),
            None => Err(self.unavailable(self.state().why.as_deref().unwrap_or("its keys have not come"))),
        }
    }

    async fn fetch(&self) -> Result<Known, FetchError> {
        let settings = &self.settings;
        let asks = settings.introspection.as_ref();
        let (mut keys_url, mut introspection) = (settings.keys.clone(), asks.and_then(|asks| asks.url.clone()));
        let lacks = if asks.is_some() { introspection.is_none() } else { keys_url.is_none() };
        if lacks {
            let url = settings.discovery();
            let document: Discovery = self.json(&url).await?;
            // §4.3: else whoever can write one document could speak for any issuer.
            if document.issuer != settings.url {
                let why = format!("it is the document of `{}`", document.issuer.escape_debug());
                return Err(FetchError::Document { url, why });
            }
            keys_url = keys_url.or(document.jwks_uri);
            introspection = introspection.or(document.introspection_endpoint);
        }
        let lacking = |what: &str| FetchError::Document { url: settings.discovery(), why: format!("it has no `{what}`") };
        // Whoever is asked about each token needs no keys.
        let keys = match (asks, keys_url) {
            (Some(_), _) => Vec::new(),
            (None, None) => return Err(lacking("jwks_uri")),
            (None, Some(url)) => {
                let octets = self.get(&url).await?;
                Key::set(&octets).map_err(|why| FetchError::Document { url, why })?
            }
        };
        if asks.is_some() && introspection.is_none() {
            return Err(lacking("introspection_endpoint"));
        }
        Ok(Known { keys, introspection, at: clock::now() })
    }

    async fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T, FetchError> {
        let octets = self.get(url).await?;
        serde_json::from_slice(&octets).map_err(|error| FetchError::Document { url: url.to_owned(), why: error.to_string() })
    }

    async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let request = Request::get(url).header(header::ACCEPT, "application/json").body(Bytes::new());
        let response = self.send(request.map_err(|_| FetchError::Url(url.to_owned()))?).await?;
        match response.status().as_u16() {
            200 => Ok(response.into_body()),
            status => Err(FetchError::Status { url: url.to_owned(), status }),
        }
    }

    /// What is known, unless it is too old to be believed.
    fn kept(&self) -> Option<Arc<Known>> {
        let kept = self.settings.keys_kept.duration().max(self.settings.keys_fresh.duration());
        self.state().known.clone().filter(|known| clock::now().duration_since(known.at) <= kept)
    }

    /// Whether the issuer is left alone for now.
    fn rests(&self) -> bool {
        self.state().asked.is_some_and(|asked| clock::now().duration_since(asked) < self.settings.keys_pause.duration())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
