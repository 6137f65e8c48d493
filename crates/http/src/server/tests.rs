use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use posthouse_runtime::join;
use posthouse_runtime::net::Listener;

use super::*;

/// What the server says to these octets.
fn talk(sent: &[u8]) -> String {
    posthouse_runtime::block_on(async {
        let listener = Listener::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).expect("a port");
        let serve = async {
            let stream = listener.accept().await.expect("a connection");
            answer(stream, async |asked: Asked| Page::text(StatusCode::OK, format!("{} {}", asked.host, asked.path))).await;
        };
        let ask = async {
            let mut stream = Stream::connect(listener.local_addr(), None).await.expect("a connection");
            stream.write_all(sent).await.expect("room");
            let mut heard = BytesMut::new();
            while stream.read(&mut heard).await.is_ok_and(|count| count > 0) {}
            String::from_utf8_lossy(&heard).into_owned()
        };
        join!(serve, ask).1
    })
    .expect("a runtime")
}

#[test]
fn a_question_is_answered_once_and_the_connection_ends() {
    let heard = talk(b"GET /a?b=c HTTP/1.1\r\nHost: Mta-Sts.Example.Org:443\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\nmta-sts.example.org /a"), "{heard}");
    assert!(heard.contains("content-type: text/plain; charset=utf-8\r\n"), "{heard}");
    assert!(talk(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\n"));
}

#[test]
fn what_is_no_question_is_refused() {
    assert!(talk(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").starts_with("HTTP/1.1 405 "));
    assert!(talk(b"EHLO mail.test\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let flood = [b"GET / HTTP/1.1\r\nHost: x\r\nX: ".to_vec(), vec![b'y'; 100_000]].concat();
    assert!(talk(&flood).starts_with("HTTP/1.1 431 "));
    let fields = [b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec(), b"a: b\r\n".repeat(1000), b"\r\n".to_vec()].concat();
    assert!(talk(&fields).starts_with("HTTP/1.1 431 "));
}
