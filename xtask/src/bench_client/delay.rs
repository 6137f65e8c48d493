//! A line with a long way: what comes in at one end leaves at the other after a fixed time, in both directions, however much there is.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Listens on a free port and leads to another one, with `one_way` in between. Serves until the process ends.
pub(super) fn line(to: u16, one_way: Duration) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            if let Ok(far) = TcpStream::connect(("127.0.0.1", to)) {
                join(near, far, one_way);
            }
        }
    });
    Ok(port)
}

/// Whether somebody listens on a port of this machine.
pub(super) fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn join(near: TcpStream, far: TcpStream, one_way: Duration) {
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    if let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) {
        carry(near, far, one_way);
        carry(far_again, near_again, one_way);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, one_way: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let octets = buffer.get(..count).unwrap_or_default().to_vec();
            if sender.send((Instant::now() + one_way, octets)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (at, octets) in receiver {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&octets).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
