use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;

use super::*;
use crate::net::{Listener, Stream};
use crate::{actor, clock, random, task};

fn address(host: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, host])
}

fn port(host: u8) -> SocketAddr {
    SocketAddr::new(address(host), 25)
}

/// Says back what it hears.
async fn echo() {
    let listener = Listener::bind(port(1)).unwrap();
    while let Ok(mut stream) = listener.accept().await {
        task::spawn("echo", async move {
            let mut heard = BytesMut::new();
            while stream.read(&mut heard).await.is_ok_and(|count| count > 0) {
                if stream.write_all(&heard.split()).await.is_err() {
                    return;
                }
            }
            stream.close().await;
        });
    }
}

async fn ask(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = Stream::connect(port(1), None).await?;
    stream.write_all(text).await?;
    let mut heard = BytesMut::new();
    while heard.len() < text.len() {
        if stream.read(&mut heard).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(heard.to_vec())
}

/// A server and a client; what the client does ends the world.
fn world<T>(seed: u64, client: impl AsyncFnOnce(Host, Host) -> T) -> T {
    run(seed, async {
        let (server, there) = (Host::new(address(1)), Host::new(address(2)));
        server.spawn("server", echo());
        clock::sleep(Duration::from_millis(1)).await;
        there.run(client(server, there)).await.unwrap()
    })
    .unwrap()
}

#[test]
fn the_same_seed_makes_the_same_events_and_another_seed_others() {
    let events = |seed| {
        world(seed, async |_, _| {
            set_weather(Weather { segment_max: 10, stalls: 20_000, stall_max: Duration::from_secs(2), ..Weather::default() });
            for _ in 0..5 {
                let mut text = [0; 100];
                random::fill(&mut text);
                ask(&text).await.unwrap();
            }
            events()
        })
    };
    assert_eq!(events(1), events(1));
    assert_ne!(events(1), events(2));
}

#[test]
fn hours_pass_at_once_and_each_host_reads_its_own_clock() {
    world(1, async |server, there| {
        let before = clock::unix_millis();
        clock::sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock::unix_millis() - before, 3_600_000);
        server.set_clock(-5000);
        there.set_clock(5000);
        assert_eq!(clock::unix_millis() - before, 3_605_000);
        assert_eq!(server.run(async { clock::unix_millis() }).await.unwrap() - before, 3_595_000);
    });
}

#[test]
fn what_is_under_way_when_a_link_is_cut_arrives_when_it_is_healed() {
    world(1, async |server, there| {
        let mut stream = Stream::connect(port(1), None).await.unwrap();
        stream.write_all(b"before").await.unwrap();
        cut(server, there);
        let mut heard = BytesMut::new();
        assert!(clock::timeout(Duration::from_secs(600), stream.read(&mut heard)).await.is_err());
        heal(server, there);
        clock::timeout(Duration::from_secs(1), stream.read(&mut heard)).await.unwrap().unwrap();
        assert_eq!(&heard[..], b"before");
    });
}

#[test]
fn a_host_without_power_says_nothing_and_one_that_has_it_back_knows_no_old_connection() {
    world(1, async |server, _| {
        let mut stream = Stream::connect(port(1), None).await.unwrap();
        assert_eq!(server.tasks(), 2);
        server.crash();
        stream.write_all(b"hello").await.unwrap();
        let mut heard = BytesMut::new();
        assert!(clock::timeout(Duration::from_secs(600), stream.read(&mut heard)).await.is_err());
        assert!(clock::timeout(Duration::from_secs(60), Stream::connect(port(1), None)).await.is_err(), "no answer");
        server.start();
        assert_eq!(ask(b"hello").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        server.spawn("server", echo());
        assert_eq!(ask(b"hello").await.unwrap(), b"hello");
        stream.write_all(b"hello").await.unwrap();
        assert_eq!(stream.read(&mut heard).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(server.tasks(), 1);
    });
}

#[test]
fn a_broken_connection_loses_what_is_under_way_at_both_ends() {
    world(1, async |_, _| {
        let mut stream = Stream::connect(port(1), None).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let [(id, _, _)] = connections()[..] else { panic!("one connection") };
        assert_eq!(stream.sim_connection(), Some(id));
        break_connection(id);
        assert_eq!(stream.read(&mut BytesMut::new()).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(stream.write_all(b"more").await.is_err());
    });
}

#[test]
fn a_peer_that_does_not_read_makes_the_writer_wait() {
    world(1, async |server, _| {
        let listener = server.run(async { Listener::bind(SocketAddr::new(address(1), 26)).unwrap() }).await.unwrap();
        let mut stream = Stream::connect(SocketAddr::new(address(1), 26), None).await.unwrap();
        let mut other = server.run(listener.accept()).await.unwrap().unwrap();
        let written = clock::timeout(Duration::from_secs(60), stream.write_all(&[0; 1024 * 1024])).await;
        assert!(written.is_err(), "some of it waits");
        drop(stream);
        let (mut heard, mut count) = (BytesMut::new(), 0);
        while let Ok(some @ 1..) = other.read(&mut heard).await {
            count += some;
            heard.clear();
        }
        assert!((64 * 1024..256 * 1024).contains(&count), "{count}");
    });
}

#[test]
fn an_actor_is_a_task_and_crashes_with_its_host() {
    world(1, async |server, _| {
        let (sender, mut inbox) = actor::inbox();
        let (told, mut heard) = crate::sync::mpsc::unbounded_channel();
        let serve = async move {
            while let Some(number) = inbox.recv().await {
                told.send(number).unwrap();
            }
        };
        server.run(async { actor::start("test", serve).unwrap() }).await.unwrap();
        sender.send(1).unwrap();
        assert_eq!(heard.recv().await, Some(1));
        server.crash();
        assert_eq!(heard.recv().await, None);
        assert_eq!(sender.send(2), Err(2));
    });
}

#[test]
fn outside_a_world_everything_is_as_it_was() {
    assert!(!is_entered());
    let (sender, mut inbox) = actor::inbox();
    let actor = actor::start("test", async move { while inbox.recv().await.is_some() {} }).unwrap();
    sender.send(()).unwrap();
    drop(sender);
    actor.join();
    let now = clock::unix_millis();
    assert!(now.abs_diff(BEGINNING_UNIX_MILLIS) > 1000 || now == 0, "the system's clock");
}
