use std::net::Ipv4Addr;

use posthouse_dns::Zone;
use posthouse_runtime::net::Listener;
use posthouse_runtime::select;
use posthouse_runtime::tls::{Ca, ServerTls};

use super::*;

const LIMITS: Limits = Limits { body_bytes_max: 1000 };

/// A web host that answers with these octets and closes, or holds the connection.
struct Host {
    ca: tempfile::TempDir,
    names: Vec<String>,
    answer: Vec<u8>,
    close: bool,
    zone: &'static str,
    private: bool,
}

impl Host {
    fn new(answer: &[u8]) -> Self {
        let ca = tempfile::tempdir().expect("a directory");
        let (names, answer) = (vec!["web.test".to_owned()], answer.to_vec());
        Self { ca, names, answer, close: true, zone: "web.test. A 127.0.0.1", private: true }
    }

    /// Asks it for `/page` and gives the outcome with what it was sent.
    fn ask(self, timeout: Duration) -> (Result<Response<Bytes>, HttpError>, String) {
        posthouse_runtime::block_on(async {
            let ca = Ca::load_or_create(self.ca.path()).expect("an authority");
            let tls = ServerTls::from_ca(&ca, &self.names).expect("a certificate");
            let listener = Listener::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).expect("a port");
            let url = format!("https://web.test:{}/page?q=1", listener.local_addr().port());
            let settings = Settings {
                ca: Some(ca.certificate_path().to_owned()),
                private_addresses: self.private,
                timeout: posthouse_config::Period(timeout),
            };
            let zone = Zone::of(self.zone).expect("a zone");
            let client = Client::new(Arc::new(zone), &settings).expect("a client");
            let request = Request::get(url).body(Bytes::new()).expect("a request");
            let mut heard = BytesMut::new();
            let served = async {
                let stream = listener.accept().await.expect("a connection");
                let Ok(mut stream) = stream.into_tls_server(&tls).await else { return std::future::pending().await };
                while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
                    stream.read(&mut heard).await.expect("a request");
                }
                stream.write_all(&self.answer).await.expect("room");
                if self.close {
                    stream.close().await;
                }
                std::future::pending::<()>().await;
            };
            let outcome = select! {
                outcome = client.send(request, LIMITS) => outcome,
                () = served => unreachable!(),
            };
            (outcome, String::from_utf8_lossy(&heard).into_owned())
        })
        .expect("a runtime")
    }

    fn words(self) -> String {
        self.ask(Duration::from_secs(20)).0.expect_err("it does not work").to_string()
    }
}

#[test]
fn a_page_is_fetched_with_its_length_in_chunks_or_to_the_end() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello",
    ] {
        let (outcome, asked) = Host::new(answer.as_bytes()).ask(Duration::from_secs(20));
        let response = outcome.expect("an answer");
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, b"hello".as_slice()), "{answer}");
        assert!(asked.starts_with("GET /page?q=1 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.to_ascii_lowercase().contains("\r\nhost: web.test:"), "{asked}");
        assert!(!asked.to_ascii_lowercase().contains("accept-encoding"), "{asked}");
    }
}

#[test]
fn a_redirect_is_an_answer_and_leads_nowhere() {
    let host = Host::new(b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(host.ask(Duration::from_secs(20)).0.expect("an answer").status().as_u16(), 302);
}

#[test]
fn an_answer_without_end_is_not_read() {
    let announced = Host::new(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n");
    assert_eq!(announced.words(), "the answer of web.test is longer than 1000 octets");
    let chunks = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        b"64\r\n".to_vec(),
        vec![b'x'; 100],
        b"\r\n".to_vec(),
    ];
    let mut answer = chunks.concat();
    for _ in 0..20 {
        answer.extend_from_slice(&chunks[1..].concat());
    }
    assert_eq!(Host::new(&answer).words(), "the answer of web.test is longer than 1000 octets");
    let header = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'y'; 100_000]].concat();
    assert!(Host::new(&header).words().starts_with("web.test does not answer as a web server does"));
}

#[test]
fn a_host_that_drips_or_says_nothing_is_left() {
    for answer in [b"".as_slice(), b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhe"] {
        let host = Host { close: false, ..Host::new(answer) };
        assert!(matches!(host.ask(Duration::from_millis(300)).0, Err(HttpError::Timeout)));
    }
}

#[test]
fn an_answer_that_breaks_off_or_is_none_is_no_answer() {
    for answer in [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhe".as_slice(), b"220 mail.test ESMTP\r\n", b""] {
        let words = Host::new(answer).words();
        assert!(words.starts_with("web.test does not answer as a web server does"), "{words}");
    }
}

#[test]
fn a_certificate_for_another_name_is_an_error_of_the_certificate() {
    let host = Host { names: vec!["other.test".to_owned()], ..Host::new(b"") };
    let error = host.ask(Duration::from_secs(20)).0.expect_err("another name");
    assert!(error.is_certificate(), "{error}");
    assert_eq!(error.to_string(), "the certificate of web.test was not accepted: it is for other.test");
}

#[test]
fn an_address_inside_this_network_is_not_asked() {
    for zone in ["web.test. A 127.0.0.1", "web.test. AAAA ::ffff:127.0.0.1", "web.test. CNAME evil.test.\nevil.test. A 10.0.0.1"]
    {
        let words = Host { zone, private: false, ..Host::new(b"") }.words();
        assert!(words.contains("is inside a private network"), "{words}");
    }
}

#[test]
fn only_urls_of_https_with_a_host_are_asked() {
    let rows = [
        ("http://web.test/", false),
        ("https://user@web.test/", false),
        ("https:///path", false),
        ("/path", false),
        ("ftp://web.test/", false),
        ("https://web.test", true),
        ("https://[::1]:14000/dir", true),
        ("https://127.0.0.1/", true),
    ];
    for (url, right) in rows {
        let is_right = url.parse::<Uri>().is_ok_and(|uri| Target::of(&uri, false).is_ok());
        assert_eq!(is_right, right, "{url}");
    }
}

/// Asks `http://HOST` at a host that answers in clear, as an operator's URL.
fn ask_in_clear(zone: &str, header: Option<(&str, &str)>) -> Result<Response<Bytes>, HttpError> {
    posthouse_runtime::block_on(async {
        let listener = Listener::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).expect("a port");
        let url = format!("http://web.test:{}/hook", listener.local_addr().port());
        let resolver: Resolver = Arc::new(Zone::of(zone).expect("a zone"));
        let client = Client::for_operator(resolver, None, Duration::from_secs(2)).expect("a client");
        let mut request = Request::get(url);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let served = async {
            let mut stream = listener.accept().await.expect("a connection");
            let mut heard = BytesMut::new();
            while stream.read(&mut heard).await.expect("a request") > 0 && !heard.ends_with(b"\r\n\r\n") {}
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("room");
            std::future::pending::<()>().await;
        };
        select! {
            outcome = client.send(request.body(Bytes::new()).expect("a request"), LIMITS) => outcome,
            () = served => unreachable!(),
        }
    })
    .expect("a runtime")
}

#[test]
fn what_the_operator_wrote_is_asked_in_clear_inside_this_network_alone() {
    let inside = ask_in_clear("web.test. A 127.0.0.1", Some(("Authorization", "Bearer hidden")));
    assert_eq!(inside.expect("an answer").status().as_u16(), 204);
    let target = Target::of(&"http://web.test/".parse().expect("a URL"), true).expect("a target");
    let (none, mut secret) = (HeaderMap::new(), HeaderMap::new());
    secret.insert(AUTHORIZATION, HeaderValue::from_static("Bearer hidden"));
    let rows = [("10.0.0.1", &none, true), ("10.0.0.1", &secret, false), ("192.0.1.1", &none, false), ("::1", &secret, true)];
    for (address, headers, right) in rows {
        let outcome = target.may_be_clear(address.parse().expect("an address"), headers);
        assert_eq!(outcome.is_ok(), right, "{address}: {outcome:?}");
    }
    assert!(check_url("http://127.0.0.1:8080/hook").is_ok() && check_url("https://x@y/").is_err() && check_url("no").is_err());
}
