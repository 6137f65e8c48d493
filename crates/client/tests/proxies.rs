//! Through proxies that are played here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

use posthouse_client::{Catcher, ClientError, Mailer, Message};
use posthouse_runtime::block_on;

/// Takes one connection, plays `greet` on it, and passes octets to and fro.
fn proxy(
    to: std::net::SocketAddr,
    greet: impl FnOnce(&mut TcpStream) -> bool + Send + 'static,
) -> (u16, std::thread::JoinHandle<()>) {
    #[allow(clippy::disallowed_methods, reason = "a proxy that shares no code with what it is for")]
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = posthouse_runtime::task::thread("proxy", move || {
        let (mut near, _) = listener.accept().unwrap();
        if !greet(&mut near) {
            return;
        }
        #[allow(clippy::disallowed_methods, reason = "as above")]
        let far = TcpStream::connect(to).unwrap();
        let (mut near_in, mut far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let back = posthouse_runtime::task::thread("proxy", move || {
            let _ = std::io::copy(&mut near_in, &mut far_out);
            let _ = far_out.shutdown(Shutdown::Write);
        })
        .unwrap();
        let mut far = far;
        let _ = std::io::copy(&mut far, &mut near);
        let _ = near.shutdown(Shutdown::Both);
        back.join().unwrap();
    })
    .unwrap();
    (port, thread)
}

fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut octets = vec![0; count];
    stream.read_exact(&mut octets).unwrap();
    octets
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read(stream, 1));
    }
    String::from_utf8(head).unwrap()
}

fn send(server: &str, proxy: &str) -> Result<posthouse_client::SendReport, ClientError> {
    let mailer = Mailer::builder(server).unwrap().proxy(proxy).unwrap().build().unwrap();
    let message = Message::builder().from("a@x.example").to("b@y.example").text("hi").build().unwrap();
    block_on(async {
        let sent = mailer.send(&message).await;
        mailer.close().await;
        sent
    })
    .unwrap()
}

#[test]
fn a_socks5_proxy_is_given_the_name_and_the_login() {
    let catcher = Catcher::start().unwrap();
    let (port, thread) = proxy(catcher.address(), |near| {
        assert_eq!(read(near, 4), [5, 2, 0, 2]);
        near.write_all(&[5, 2]).unwrap();
        assert_eq!(read(near, 9), b"\x01\x02al\x04p:ss".to_vec());
        near.write_all(&[1, 0]).unwrap();
        assert_eq!(read(near, 21), b"\x05\x01\x00\x03\x0emx.far.invalid\x00\x19".to_vec());
        near.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 25]).unwrap();
        true
    });
    assert!(send("smtp://mx.far.invalid", &format!("socks5://al:p%3Ass@127.0.0.1:{port}")).unwrap().is_complete());
    thread.join().unwrap();
    assert!(catcher.wait_for_now("b@y.example").is_ok());
}

#[test]
fn an_http_proxy_is_asked_to_connect_and_its_refusal_is_told() {
    let catcher = Catcher::start().unwrap();
    let (port, thread) = proxy(catcher.address(), |near| {
        let head = read_head(near);
        assert!(head.starts_with("CONNECT mx.far.invalid:2525 HTTP/1.1\r\nHost: mx.far.invalid:2525\r\n"), "{head}");
        assert!(head.contains("Proxy-Authorization: Basic YWw6cHc=\r\n"));
        near.write_all(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n").unwrap();
        true
    });
    assert!(send("smtp://mx.far.invalid:2525", &format!("http://al:pw@127.0.0.1:{port}")).unwrap().is_complete());
    thread.join().unwrap();
    let (port, thread) = proxy(catcher.address(), |near| {
        read_head(near);
        near.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").unwrap();
        false
    });
    let error = send("smtp://mx.far.invalid:2525", &format!("http://127.0.0.1:{port}")).unwrap_err();
    assert!(error.to_string().contains("407 Proxy Authentication Required"), "{error}");
    thread.join().unwrap();
}

#[test]
fn a_proxy_on_this_machine_does_not_make_the_server_local() {
    let catcher = Catcher::builder().login("al", "pw").start().unwrap();
    let (port, thread) = proxy(catcher.address(), |near| {
        read_head(near);
        near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        true
    });
    let mailer = Mailer::builder("smtp://mx.far.invalid").unwrap().credentials("al", "pw");
    let mailer = mailer.proxy(&format!("http://127.0.0.1:{port}")).unwrap().build().unwrap();
    let message = Message::builder().from("a@x.example").to("b@y.example").text("hi").build().unwrap();
    let error = block_on(mailer.send(&message)).unwrap().unwrap_err();
    assert!(error.to_string().contains("the password is not sent"), "{error}");
    thread.join().unwrap();
}
