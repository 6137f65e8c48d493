//! An issuer of tokens (OpenID Connect) over HTTPS on loopback: keys that change, documents that can be replaced, and whatever tokens a test wants,
//! good ones and forged ones.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A running issuer; it stops when dropped.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    authority: String,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Mutex<Vec<Key>>,
    /// Answers by path, before those that it has of itself.
    answers: Mutex<BTreeMap<String, (u16, String)>>,
    requests: Mutex<Vec<String>>,
    stop: AtomicBool,
}

#[derive(Debug)]
struct Key {
    id: String,
    pair: Pair,
    published: bool,
}

#[derive(Debug)]
enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Issuer {
    /// One without keys.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start() -> Issuer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("a bound address");
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = vec![CertificateDer::clone(certified.cert.der())];
        let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.expect("protocol versions").with_no_client_auth().with_single_cert(chain, key).expect("a key that fits");
        let state = Arc::new(State::default());
        let issuer = Issuer { address, authority: certified.cert.pem(), state: Arc::clone(&state) };
        std::thread::spawn(move || serve(&listener, &Arc::new(tls), &state, address));
        issuer
    }

    /// The issuer's URL.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// The certificate that it is believed by, in PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Makes a key for `RS256`, `ES256` or `EdDSA`, publishes it, and gives back its public coordinates as the JWK has them.
    ///
    /// # Panics
    /// For other algorithms.
    pub fn add_key(&self, id: &str, algorithm: &str) -> String {
        let pair = match algorithm {
            "RS256" => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))),
            "ES256" => Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")),
            "EdDSA" => Pair::Ed25519(Ed25519KeyPair::generate().expect("a key")),
            other => panic!("no keys are made for {other}"),
        };
        let key = Key { id: id.to_owned(), pair, published: true };
        let jwk = key.jwk();
        self.state.keys.lock().unwrap().push(key);
        jwk
    }

    /// Publishes a key no more. It still signs.
    pub fn withdraw(&self, id: &str) {
        for key in self.state.keys.lock().unwrap().iter_mut().filter(|key| key.id == id) {
            key.published = false;
        }
    }

    /// A token with these claims (JSON), signed by the key `id`, with an honest header.
    #[must_use]
    pub fn token(&self, id: &str, claims: &str) -> String {
        let algorithm = self.state.keys.lock().unwrap().iter().find(|key| key.id == id).expect("a key").algorithm();
        self.signed(id, &format!("{{\"alg\":\"{algorithm}\",\"kid\":\"{id}\",\"typ\":\"at+jwt\"}}"), claims)
    }

    /// A token with this header, signed by the key `id`.
    #[must_use]
    pub fn signed(&self, id: &str, header: &str, claims: &str) -> String {
        let head = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let keys = self.state.keys.lock().unwrap();
        let signature = keys.iter().find(|key| key.id == id).expect("a key").sign(head.as_bytes());
        format!("{head}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What it answers at a path from now on.
    pub fn answer(&self, path: &str, status: u16, body: &str) {
        self.state.answers.lock().unwrap().insert(path.to_owned(), (status, body.to_owned()));
    }

    /// Answers as of itself again.
    pub fn answer_itself(&self) {
        self.state.answers.lock().unwrap().clear();
    }

    /// Each request so far: the method and path, then the header's `Authorization` and the body, where there are any.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Key {
    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    fn sign(&self, octets: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, octets, &mut signature).expect("a signature");
                signature
            }
            Pair::P256(pair) => pair.sign(&random, octets).expect("a signature").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(octets).as_ref().to_vec(),
        }
    }

    fn jwk(&self) -> String {
        let base64 = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        let material = match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                format!("\"kty\":\"RSA\",\"n\":\"{}\",\"e\":\"{}\"", base64(n), base64(e))
            }
            Pair::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                format!("\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{}\",\"y\":\"{}\"", base64(x), base64(y))
            }
            Pair::Ed25519(pair) => {
                format!("\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{}\"", base64(pair.public_key().as_ref()))
            }
        };
        format!("{{\"kid\":\"{}\",\"use\":\"sig\",{material}}}", self.id)
    }
}

impl State {
    fn answer(&self, path: &str, address: SocketAddr) -> (u16, String) {
        if let Some(answer) = self.answers.lock().unwrap().get(path) {
            return answer.clone();
        }
        let url = url(address);
        match path {
            "/.well-known/openid-configuration" => (
                200,
                format!("{{\"issuer\":\"{url}\",\"jwks_uri\":\"{url}/jwks\",\"introspection_endpoint\":\"{url}/introspect\"}}"),
            ),
            "/jwks" => {
                let keys = self.keys.lock().unwrap();
                let keys: Vec<String> = keys.iter().filter(|key| key.published).map(Key::jwk).collect();
                (200, format!("{{\"keys\":[{}]}}", keys.join(",")))
            }
            _ => (404, "{}".to_owned()),
        }
    }
}

fn url(address: SocketAddr) -> String {
    format!("https://{address}")
}

fn serve(listener: &TcpListener, tls: &Arc<ServerConfig>, state: &Arc<State>, address: SocketAddr) {
    for stream in listener.incoming() {
        if state.stop.load(Ordering::SeqCst) {
            return;
        }
        let (Ok(stream), tls, state) = (stream, Arc::clone(tls), Arc::clone(state)) else { return };
        // A client that gives up is no failure of the test.
        std::thread::spawn(move || drop(answer(stream, tls, &state, address)));
    }
}

fn answer(stream: TcpStream, tls: Arc<ServerConfig>, state: &State, address: SocketAddr) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let connection = ServerConnection::new(tls).map_err(std::io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let (mut begin, mut authorization, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut begin)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap_or(0),
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => authorization = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = begin.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let request = format!("{method} {path} {authorization} {}", String::from_utf8_lossy(&body)).trim_end().to_owned();
    state.requests.lock().unwrap().push(request);
    let (status, text) = state.answer(path, address);
    let head = format!("HTTP/1.1 {status} There\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.len());
    let stream = reader.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(text.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}
