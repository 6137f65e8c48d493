//! One process of ours takes over from another: it is started by it, gets its listening sockets, and waits until it has gone.
//!
//! The two are joined by a socket that is the new one's standard input. Over it the old one sends each listening socket (unix(7), SCM_RIGHTS); the new one
//! says when it has them and has understood its configuration; and its end says that the old one has gone. Connections that come meanwhile
//! wait in the kernel, for the listening sockets are never closed. A new process that cannot start changes nothing: the old one goes on.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, sockopt,
};

use super::HandedOver;
use crate::net::Listener;
use crate::{clock, task};

/// Says to a new process that its standard input leads to its predecessor.
const MARK: &str = "POSTHOUSE_PREDECESSOR";
/// How long either side waits for the other's next word.
const PATIENCE: Duration = Duration::from_secs(30);
/// Sockets in one message; the kernel takes 253.
const SOCKETS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 256;
/// The message behind the last socket.
const END: &[u8] = b"\n";
const PREPARED: &[u8] = b"prepared";
/// What a service manager has told the old process, and no other.
const ITS_OWN: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// The process that is to take over. When this is dropped before [`Successor::prepared`] has returned, it is ended.
#[derive(Debug)]
pub struct Successor {
    /// Open until this process has ended.
    socket: OwnedFd,
    child: Option<Child>,
    pid: u32,
}

/// The process that we take over from.
#[derive(Debug)]
pub struct Predecessor {
    socket: OwnedFd,
}

impl Successor {
    /// Starts `command` and hands it the listening sockets, each with its name.
    ///
    /// # Errors
    /// It cannot be started, or does not take them.
    pub fn start(mut command: Command, sockets: &[(String, Vec<&Listener>)]) -> io::Result<Self> {
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        for socket in [&ours, &theirs] {
            sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
            sockopt::set_socket_timeout(socket, sockopt::Timeout::Send, Some(PATIENCE))?;
        }
        for name in ITS_OWN {
            command.env_remove(name);
        }
        command.env(MARK, std::process::id().to_string()).stdin(Stdio::from(theirs)).stdout(Stdio::null());
        let child = command.spawn()?;
        let successor = Self { socket: ours, pid: child.id(), child: Some(child) };
        // Its end is in its hands alone: a successor that dies is seen by that.
        drop(command);
        for (name, listeners) in sockets {
            for some in listeners.chunks(SOCKETS_MAX) {
                let descriptors: Vec<_> = some.iter().filter_map(|listener| listener.descriptor()).collect();
                send(&successor.socket, name.as_bytes(), &descriptors)?;
            }
        }
        send(&successor.socket, END, &[])?;
        Ok(successor)
    }

    /// Waits until it has the sockets and has understood its configuration.
    ///
    /// # Errors
    /// It has ended instead, or says nothing.
    pub async fn prepared(mut self) -> io::Result<Prepared> {
        task::blocking(move || {
            let mut word = [0; 16];
            let said = rustix::net::recv(&self.socket, &mut word, RecvFlags::empty())?.0;
            if word.get(..said) != Some(PREPARED) {
                return Err(io::Error::other("the new process ended before it was ready; its words are in the log"));
            }
            // From here on nobody ends it.
            self.child = None;
            Ok(Prepared { pid: self.pid, _socket: rustix::io::fcntl_dupfd_cloexec(&self.socket, 0)? })
        })
        .await
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has ended already cannot be ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A successor that waits for our end: hold this until then.
#[derive(Debug)]
pub struct Prepared {
    /// Its process.
    pub pid: u32,
    _socket: OwnedFd,
}

/// Takes the sockets of the process that started this one to take over; `None` when there is none. To be called before any thread is started.
///
/// # Errors
/// It breaks off.
pub fn predecessor() -> io::Result<Option<(Predecessor, Vec<HandedOver>)>> {
    // Only of our own parent: the mark outlives it in the environment.
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().to_string());
    if std::env::var(MARK).ok() != parent || parent.is_none() {
        return Ok(None);
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
    let mut handed = Vec::new();
    loop {
        let (name, sockets) = receive(&socket)?;
        if name == END {
            return Ok(Some((Predecessor { socket }, handed)));
        }
        let name = String::from_utf8_lossy(&name).into_owned();
        for socket in sockets {
            handed.push(HandedOver { listener: Listener::handed_over(TcpListener::from(socket))?, name: name.clone() });
        }
    }
}

impl Predecessor {
    /// Tells it that its work can be taken over.
    ///
    /// # Errors
    /// It has gone.
    pub fn prepared(&self) -> io::Result<()> {
        send(&self.socket, PREPARED, &[])
    }

    /// Returns when it has gone, or after `longest`.
    pub async fn gone(self, longest: Duration) {
        let gone = task::blocking(move || {
            let mut nothing = [0; 1];
            // With its end comes the end of the stream.
            while let Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) =
                rustix::net::recv(&self.socket, &mut nothing, RecvFlags::empty())
            {}
        });
        if clock::timeout(longest, gone).await.is_err() {
            tracing::warn!("the process that is taken over from has not gone in time");
        }
    }
}

fn send(socket: &OwnedFd, data: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many sockets in one message"));
    }
    // One that has gone is an error here and no signal.
    rustix::net::sendmsg(socket.as_fd(), &[IoSlice::new(data)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(socket: &OwnedFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut data = [0; NAME_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut data)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 || received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the process that is to be taken over from broke off"));
    }
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((data.get(..received.bytes).unwrap_or_default().to_vec(), descriptors))
}

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)
    }
}
