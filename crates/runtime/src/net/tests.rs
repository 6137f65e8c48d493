use std::net::Ipv4Addr;

use super::*;
use crate::{block_on, join};

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn pair() -> (Stream, Stream) {
    let listener = Listener::bind(LOOPBACK).unwrap();
    let (client, server) = join!(Stream::connect(listener.local_addr(), None), listener.accept());
    (client.unwrap(), server.unwrap())
}

#[test]
fn what_is_written_is_read_and_the_end_is_seen() {
    block_on(async {
        let (mut client, mut server) = pair().await;
        assert_eq!(client.local_addr(), server.peer_addr());
        assert_eq!(client.peer_addr(), server.local_addr());
        assert!(client.tls().is_none());
        client.write_all(b"EHLO x\r\n").await.unwrap();
        let mut buffer = BytesMut::new();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 8);
        assert_eq!(&buffer[..], b"EHLO x\r\n");
        let ((), read) = join!(client.close(), async {
            let read = server.read(&mut buffer).await.unwrap();
            server.close().await;
            read
        });
        assert_eq!(read, 0);
    })
    .unwrap();
}

#[test]
fn no_small_write_waits_for_an_acknowledgement() {
    let tcp = |stream: &Stream| match stream.plain() {
        Plain::Tcp(tcp) => (tcp.nodelay().unwrap(), tcp.quickack().unwrap()),
        Plain::Local(_) => panic!("a local socket"),
        #[cfg(feature = "sim")]
        Plain::Sim(_) => panic!("a simulated one"),
    };
    block_on(async {
        let (mut client, mut server) = pair().await;
        assert!(tcp(&client).0 && tcp(&server).0, "TCP_NODELAY on both sides");
        // Once words go to and fro, the system acknowledges late; it is told not to.
        let mut buffer = BytesMut::new();
        while tcp(&client).1 {
            client.write_all(b"x").await.unwrap();
            server.read(&mut buffer).await.unwrap();
            server.write_all(b"y").await.unwrap();
            client.read(&mut buffer).await.unwrap();
        }
        client.acknowledge();
        assert!(tcp(&client).1);
    })
    .unwrap();
}

#[test]
fn threads_share_an_address_and_a_second_server_is_refused_it() {
    block_on(async {
        let first = Listener::bind(LOOPBACK).unwrap();
        let second = first.another().unwrap();
        assert_eq!(second.local_addr(), first.local_addr());
        let mut clients = Vec::new();
        for _ in 0..64 {
            clients.push(Stream::connect(first.local_addr(), None).await.unwrap());
        }
        // The system deals them out: that all come to one queue happens once in 2^63 times.
        first.accept().await.unwrap();
        second.accept().await.unwrap();
        let refused = Listener::bind(first.local_addr()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    })
    .unwrap();
}

#[test]
fn a_dropped_read_takes_nothing() {
    block_on(async {
        let (mut client, mut server) = pair().await;
        let mut buffer = BytesMut::from(&b"kept "[..]);
        for letter in ["a", "b", "c"] {
            // The timer is over at once, so the read is polled and then dropped.
            let waited = clock::timeout(Duration::ZERO, server.read(&mut buffer)).await;
            assert!(waited.is_err());
            client.write_all(letter.as_bytes()).await.unwrap();
            assert_eq!(server.read(&mut buffer).await.unwrap(), 1);
        }
        assert_eq!(&buffer[..], b"kept abc");
    })
    .unwrap();
}

#[test]
fn a_waiting_read_holds_no_memory() {
    block_on(async {
        let (_client, mut server) = pair().await;
        let mut buffer = BytesMut::with_capacity(READ_BYTES_MAX);
        assert!(clock::timeout(Duration::ZERO, server.read(&mut buffer)).await.is_err());
        assert_eq!(buffer.capacity(), 0);
    })
    .unwrap();
}

#[test]
fn one_read_appends_at_most_64_kib() {
    block_on(async {
        let (mut client, mut server) = pair().await;
        let sent = vec![7; 8 * READ_BYTES_MAX];
        let total = sent.len();
        let ((), largest) = join!(
            async {
                client.write_all(&sent).await.unwrap();
                client.close().await;
            },
            async {
                let (mut buffer, mut largest, mut taken) = (BytesMut::new(), 0, 0);
                while let count @ 1.. = server.read(&mut buffer).await.unwrap() {
                    (largest, taken) = (largest.max(count), taken + count);
                    assert_eq!(buffer.len(), count);
                    buffer.clear();
                }
                assert_eq!(taken, total);
                server.close().await;
                largest
            }
        );
        assert!(largest > READ_BYTES_MIN, "reads never grew: {largest}");
        assert!(largest <= READ_BYTES_MAX, "{largest}");
    })
    .unwrap();
}

#[test]
fn the_last_reply_arrives_although_the_peer_was_still_sending() {
    block_on(async {
        let (mut client, mut server) = pair().await;
        // More than is ever read by the server, so that a plain close would reset the connection.
        client.write_all(&[b'x'; 32 * 1024]).await.unwrap();
        server.write_all(b"500 5.5.2 line too long\r\n").await.unwrap();
        let ((), reply) = join!(server.close(), async {
            let mut reply = BytesMut::new();
            while client.read(&mut reply).await.unwrap() > 0 {}
            drop(client);
            reply
        });
        assert_eq!(&reply[..], b"500 5.5.2 line too long\r\n");
    })
    .unwrap();
}

#[test]
fn clones_of_a_listener_share_its_queue() {
    block_on(async {
        let first = Listener::bind(LOOPBACK).unwrap();
        let second = first.try_clone().unwrap();
        drop(first);
        let (client, server) = join!(Stream::connect(second.local_addr(), None), second.accept());
        assert_eq!(client.unwrap().local_addr(), server.unwrap().peer_addr());
    })
    .unwrap();
}

#[test]
fn a_used_port_is_an_error_at_once() {
    let listener = Listener::bind(LOOPBACK).unwrap();
    let again = Listener::bind(listener.local_addr()).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_source_address_is_used_and_a_foreign_one_refused() {
    block_on(async {
        let listener = Listener::bind(LOOPBACK).unwrap();
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
        let (client, server) = join!(Stream::connect(listener.local_addr(), Some(source)), listener.accept());
        assert_eq!(server.unwrap().peer_addr().ip(), source);
        drop(client.unwrap());
        let foreign = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(
            Stream::connect(listener.local_addr(), Some(foreign)).await.unwrap_err().kind(),
            io::ErrorKind::AddrNotAvailable
        );
    })
    .unwrap();
}

#[test]
fn an_ipv6_listener_takes_no_ipv4_connection() {
    if !has_ipv6_loopback() {
        eprintln!("skipped: no IPv6 on this host");
        return;
    }
    block_on(async {
        let six = Listener::bind("[::]:0".parse().unwrap()).unwrap();
        let four = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), six.local_addr().port());
        assert_eq!(Stream::connect(four, None).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    })
    .unwrap();
}

/// Sends `count` octets and takes as many, whichever can go on.
async fn exchange(stream: &mut Stream, count: usize) {
    let (mut rest, mut taken, mut buffer) = (&vec![b'x'; count][..], 0, BytesMut::new());
    while !rest.is_empty() || taken < count {
        match stream.write_or_read(rest, &mut buffer).await.unwrap() {
            Moved::Written(written) => rest = &rest[written..],
            Moved::Read(read) => {
                assert!(read > 0, "the end came early");
                taken += read;
                buffer.clear();
            }
        }
        if rest.is_empty() && taken < count {
            taken += stream.read(&mut buffer).await.unwrap();
            buffer.clear();
        }
    }
}

#[test]
fn two_peers_that_both_write_first_do_not_wait_for_each_other() {
    // Far more than the sockets' buffers hold: with plain writes both would wait for ever.
    const COUNT: usize = 32 * 1024 * 1024;
    block_on(async {
        let (mut client, mut server) = pair().await;
        let both = async { join!(exchange(&mut client, COUNT), exchange(&mut server, COUNT)) };
        clock::timeout(Duration::from_secs(30), both).await.unwrap();
    })
    .unwrap();
}

#[test]
fn behind_a_proxy_the_client_is_whom_it_names_and_nothing_else_is_swallowed() {
    block_on(async {
        let v2 = [&proxy::SIGNATURE[..], &[0x21, 0x11, 0, 12, 192, 0, 2, 1, 203, 0, 113, 9, 0x30, 0x39, 0, 25]].concat();
        for header in [b"PROXY TCP4 192.0.2.1 203.0.113.9 12345 25\r\n".to_vec(), v2] {
            let (mut client, server) = pair().await;
            client.write_all(&[&header[..], b"EHLO x\r\n"].concat()).await.unwrap();
            let mut server = server.proxied().await.unwrap();
            assert_eq!(server.peer_addr(), "192.0.2.1:12345".parse().unwrap());
            assert_eq!(server.local_addr(), "203.0.113.9:25".parse().unwrap());
            let mut buffer = BytesMut::new();
            server.read(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..], b"EHLO x\r\n");
        }
        let (mut client, server) = pair().await;
        let real = server.peer_addr();
        client.write_all(b"PROXY UNKNOWN\r\n").await.unwrap();
        assert_eq!(server.proxied().await.unwrap().peer_addr(), real);
    })
    .unwrap();
}

#[test]
fn whoever_sends_no_proxy_header_where_one_must_come_is_of_no_use() {
    block_on(async {
        for sent in
            ["EHLO client.example\r\n", "PROXY TCP4 a b c d\r\n", "PROXY TCP4 ", "\r\n\r\n\0\r\nQUIT\n\x21\x11\u{7f}\u{7f}", ""]
        {
            let (mut client, server) = pair().await;
            client.write_all(sent.as_bytes()).await.unwrap();
            let (refused, ()) = join!(server.proxied(), async { client.close().await });
            refused.unwrap_err();
        }
    })
    .unwrap();
}
