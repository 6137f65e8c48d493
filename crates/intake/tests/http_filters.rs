//! Filters that are asked over HTTP, played by a web server that says what a test wants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::BytesMut;
use posthouse_config::{ByteSize, Period};
use posthouse_intake::{FilterForm, HttpFilterSettings, ListenerKind, OnFailure, Send, Senders, Settings};
use posthouse_journal::{Event, Query};
use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::task;
use serde_json::Value;

mod world;

use world::{Client, World, run};

/// A web server that gives every request the answer that it was told last; `None`: none.
struct Web {
    address: SocketAddr,
    answer: Arc<Mutex<Option<String>>>,
    heard: Arc<Mutex<Vec<Asked>>>,
}

/// The header of a request and its body.
type Asked = (String, Vec<u8>);

impl Web {
    fn start(answer: Option<String>) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let web = Self { address: listener.local_addr(), answer: Arc::new(Mutex::new(answer)), heard: Arc::default() };
        let (heard, answer) = (Arc::clone(&web.heard), Arc::clone(&web.answer));
        task::spawn("web", async move {
            while let Ok(mut stream) = listener.accept().await {
                let Some(request) = request(&mut stream).await else { continue };
                heard.lock().unwrap().push(request);
                let answer = answer.lock().unwrap().clone();
                match &answer {
                    // The connection stays, and nothing comes.
                    None => {
                        drop(task::spawn("hang", async move { stream.read(&mut BytesMut::new()).await.map(drop).unwrap_or(()) }))
                    }
                    Some(answer) => {
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
                        stream.write_all((head + answer).as_bytes()).await.unwrap();
                    }
                }
            }
        });
        web
    }

    fn say(&self, answer: Option<&str>) {
        *self.answer.lock().unwrap() = answer.map(str::to_owned);
    }

    /// The only request.
    fn heard(&self) -> Asked {
        let heard = self.heard.lock().unwrap();
        assert_eq!(heard.len(), 1);
        heard[0].clone()
    }

    fn settings(&self, form: FilterForm) -> HttpFilterSettings {
        HttpFilterSettings {
            name: "web".to_owned(),
            url: format!("http://{}/check", self.address),
            form,
            send: Send::Whole,
            letter_max: ByteSize(10 << 20),
            listeners: vec![ListenerKind::Mx],
            timeout: Period::seconds(20),
            on_failure: OnFailure::Defer,
            authorization: Some(posthouse_config::Secret::new("Bearer hidden")),
            ca: None,
        }
    }
}

/// Header and body of a request; none when it breaks off.
async fn request(stream: &mut Stream) -> Option<Asked> {
    let mut input = BytesMut::new();
    loop {
        if let Some(end) = input.windows(4).position(|end| end == b"\r\n\r\n") {
            let head = String::from_utf8(input[..end].to_vec()).unwrap();
            let length = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok();
            let length = head.lines().find_map(length).expect("the length is known");
            if input.len() == end + 4 + length {
                return Some((head, input[end + 4..].to_vec()));
            }
        }
        if stream.read(&mut input).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

async fn world(filter: HttpFilterSettings) -> (World, Client) {
    let senders = Senders { exempt: Vec::new(), ..Senders::default() };
    let world = World::new(Settings { http_filter: vec![filter], senders, ..Settings::default() }).await;
    let address = world.listen(ListenerKind::Mx);
    let client = Client::greeted(address).await;
    (world, client)
}

const LETTER: &[u8] = b"Subject: old\r\nX-Remove: me\r\nFrom: <x@elsewhere.example>\r\n\r\nthe body\r\n";
const TO: &[&str] = &["bob@example.org", "alice@example.org"];

/// What the filter has done, as the timeline of the only letter says.
async fn filtered(world: &World) -> Vec<String> {
    world.context.journal.flush().await;
    let id = world.context.queue.list()[0].id;
    let entries = world.context.journal.query(Query::Letter(id)).await.unwrap();
    let changes = |event| if let Event::Filtered { changes, .. } = event { Some(changes) } else { None };
    entries.into_iter().find_map(|entry| changes(entry.event)).unwrap()
}

#[test]
fn rspamd_is_told_of_the_peer_and_its_fields_and_symbols_are_kept() {
    run(async {
        let answer = r#"{"action":"add header","score":7.5,"required_score":15,"symbols":{"SPAMMY":{"score":7.5}},
            "milter":{"add_headers":{"X-Spamd-Bar":"+++","X-Evil":"a\r\n\r\nBcc: eve"},"remove_headers":{"X-Remove":0}}}"#;
        let web = Web::start(Some(answer.to_owned()));
        let (world, mut client) = world(web.settings(FilterForm::Rspamd)).await;
        let reply = client.letter("x@elsewhere.example", TO, LETTER).await;
        assert!(reply.starts_with("250 "), "{reply}");
        let (head, body) = web.heard();
        let head = head.to_ascii_lowercase();
        for field in [
            "post /check http/1.1",
            "ip: 127.0.0.1",
            "helo: client.example.net",
            "from: x@elsewhere.example",
            "rcpt: bob@example.org",
            "rcpt: alice@example.org",
            "mta-name: mx.example.org",
            "authorization: bearer hidden",
        ] {
            assert!(head.lines().any(|line| line == field), "no {field} in {head}");
        }
        assert_eq!(String::from_utf8(body).unwrap(), String::from_utf8_lossy(LETTER));
        let (_, text) = world.only_letter().await;
        assert!(text.contains("X-Posthouse-Quarantine: web add header, 7.50 of 15.00: SPAMMY 7.50\r\n"), "{text}");
        assert!(text.contains("X-Spam: Yes\r\n") && text.contains("X-Spamd-Bar: +++\r\n"), "{text}");
        assert!(text.contains("X-Evil: a\r\n\tBcc: eve\r\n") && !text.contains("X-Remove"), "{text}");
        assert!(text.ends_with("\r\n\r\nthe body\r\n"), "{text}");
        let told = filtered(&world).await;
        assert_eq!(told[0], "add header, 7.50 of 15.00: SPAMMY 7.50");
        assert!(told.contains(&"removed X-Remove".to_owned()) && told.contains(&"wants it in quarantine".to_owned()), "{told:?}");
    });
}

#[test]
fn what_a_filter_refuses_is_refused_in_its_words_and_cannot_break_the_reply() {
    let rows = [
        (FilterForm::Rspamd, r#"{"action":"reject","messages":{"smtp_message":"Gtube pattern"}}"#, "554 5.7.1 Gtube pattern"),
        (FilterForm::Rspamd, r#"{"action":"greylist"}"#, "451 4.7.1 the letter is not taken yet, try again later"),
        (FilterForm::Hook, r#"{"action":"reject","text":"no\r\n250 yes"}"#, "554 5.7.1 no  250 yes"),
        (FilterForm::Hook, r#"{"action":"defer"}"#, "451 4.7.1 the letter is not taken yet, try again later"),
    ];
    run(async {
        for form in [FilterForm::Rspamd, FilterForm::Hook] {
            let web = Web::start(None);
            let (world, mut client) = world(web.settings(form)).await;
            for (_, answer, right) in rows.iter().filter(|(of, ..)| *of == form) {
                web.say(Some(answer));
                assert_eq!(client.letter("x@elsewhere.example", TO, LETTER).await, *right);
            }
            assert!(world.context.queue.is_empty());
        }
    });
}

#[test]
fn a_hook_gets_envelope_and_letter_in_json_to_the_octet_and_its_fields_are_added() {
    run(async {
        let answer = r#"{"action":"accept","reason":"seen by ours","add-headers":[{"name":"X-Ours","value":"1"}],"remove-headers":["x-remove"]}"#;
        let web = Web::start(Some(answer.to_owned()));
        let (world, mut client) = world(web.settings(FilterForm::Hook)).await;
        // More than any buffer on the way, and no whole number of base64's groups.
        let body = "every line of it comes through 0123456789\r\n".repeat(20_011) + "z\r\n";
        let letter = [LETTER, body.as_bytes()].concat();
        let reply = client.letter("", &["bob@example.org"], &letter).await;
        assert!(reply.starts_with("250 "), "{reply}");
        let (_, asked) = web.heard();
        let asked: Value = serde_json::from_slice(&asked).unwrap();
        assert_eq!((asked["v"].as_u64(), asked["listener"].as_str(), asked["from"].as_str()), (Some(1), Some("mx"), Some("")));
        assert_eq!(asked["to"], serde_json::json!(["bob@example.org"]));
        assert_eq!((asked["peer"]["address"].as_str(), asked["helo"].as_str()), (Some("127.0.0.1"), Some("client.example.net")));
        assert!(asked["verdicts"].as_array().unwrap().iter().any(|verdict| verdict["method"] == "spf"), "{}", asked["verdicts"]);
        let part = |name: &str| BASE64_STANDARD.decode(asked[name].as_str().unwrap()).unwrap();
        assert!([part("header"), part("body")].concat() == letter, "the letter came otherwise");
        assert_eq!(asked["size"].as_u64(), Some(u64::try_from(letter.len()).unwrap()));
        let (_, text) = world.only_letter().await;
        assert!(text.contains("X-Ours: 1\r\n") && !text.contains("X-Remove"), "{}", &text[..600]);
        assert!(text.ends_with(&body), "the body was changed");
        assert_eq!(filtered(&world).await, ["seen by ours", "removed x-remove", "added X-Ours"]);
    });
}

#[test]
fn a_hook_gets_no_more_than_is_set() {
    run(async {
        for (send, letter_max, header, body) in
            [(Send::Header, 10 << 20, true, false), (Send::Envelope, 10 << 20, false, false), (Send::Whole, 10, true, false)]
        {
            let web = Web::start(Some(r#"{"action":"accept"}"#.to_owned()));
            let settings = HttpFilterSettings { send, letter_max: ByteSize(letter_max), ..web.settings(FilterForm::Hook) };
            let (_world, mut client) = world(settings).await;
            assert!(client.letter("x@elsewhere.example", TO, LETTER).await.starts_with("250 "));
            let asked: Value = serde_json::from_slice(&web.heard().1).unwrap();
            assert_eq!((asked["header"].is_string(), asked["body"].is_string()), (header, body), "{send:?}");
        }
    });
}

#[test]
fn a_filter_that_fails_or_answers_nonsense_is_what_the_operator_wants_of_it() {
    let many = format!(r#"{{"action":"accept","add-headers":[{}]}}"#, vec![r#"{"name":"X","value":""}"#; 101].join(","));
    let long = format!(r#"{{"action":"accept","reason":"{}"}}"#, "x".repeat(1 << 20));
    let answers = [
        None,
        Some("yes"),
        Some(r#"{"action":"maybe"}"#),
        Some(r#"{"action":"accept","add-headers":[{"name":"X: y\r\nZ","value":""}]}"#),
        Some(many.as_str()),
        Some(long.as_str()),
    ];
    run(async {
        for (on_failure, begins) in [
            (OnFailure::Defer, "451 4.3.0 a filter does not answer"),
            (OnFailure::Accept, "250 "),
            (OnFailure::Reject, "554 5.7.1 a filter that must be asked"),
        ] {
            let web = Web::start(None);
            let settings = HttpFilterSettings { on_failure, timeout: Period::seconds(2), ..web.settings(FilterForm::Hook) };
            let (world, mut client) = world(settings).await;
            for answer in answers {
                web.say(answer);
                let reply = client.letter("x@elsewhere.example", TO, LETTER).await;
                assert!(reply.starts_with(begins), "{on_failure:?}: {reply}");
            }
            let taken = world.letters().await;
            assert_eq!(taken.len(), if on_failure == OnFailure::Accept { answers.len() } else { 0 });
            for (_, octets) in taken {
                let text = String::from_utf8(octets).unwrap();
                assert!(text.ends_with("X-Remove: me\r\nFrom: <x@elsewhere.example>\r\n\r\nthe body\r\n"), "{text}");
            }
        }
    });
}

#[test]
fn a_letter_that_is_thrown_away_is_in_no_queue_and_its_timeline_says_so() {
    run(async {
        let web = Web::start(Some(r#"{"action":"discard"}"#.to_owned()));
        let (world, mut client) = world(web.settings(FilterForm::Hook)).await;
        assert!(client.letter("x@elsewhere.example", TO, LETTER).await.starts_with("250 "));
        assert!(world.context.queue.is_empty());
        world.context.journal.flush().await;
        let entries = world.context.journal.query(Query::Address("bob@example.org".to_owned())).await.unwrap();
        assert!(entries.iter().any(|entry| matches!(&entry.event, Event::Discarded { why, .. } if why.contains("filter web"))));
    });
}
