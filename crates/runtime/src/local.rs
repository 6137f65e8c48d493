//! Sockets between programs of one machine, which the file system guards and where the kernel says who is at the other end.
//!
//! [`LocalListener`] makes a socket file that its owner alone or everybody may open; [`LocalStream`] reads and writes. Deadlines are the caller's,
//! as with [`crate::net`].

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};

use crate::net::read_some;
use crate::task;

/// What the kernel holds for us of connections that nobody has accepted yet.
const BACKLOG: i32 = 64;
/// The most one [`LocalStream::read`] appends.
const READ_BYTES_MAX: usize = 16 * 1024;
/// The octets of a socket's path, its end included (`sun_path` of unix(7)).
const PATH_BYTES_MAX: usize = 108;

/// A socket file that takes connections. The file is removed when the listener is dropped.
#[derive(Debug)]
pub struct LocalListener {
    socket: UnixListener,
    path: PathBuf,
}

/// A connection within this machine.
#[derive(Debug)]
pub struct LocalStream(UnixStream);

/// Who is at the other end, as the kernel knows (`SO_PEERCRED`): the user and the process that connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user's number.
    pub uid: u32,
    /// The process; `None` where it is of another PID namespace.
    pub pid: Option<u32>,
}

impl LocalListener {
    /// Makes the socket file, with rights for its owner alone from its first moment. A socket file that is there is taken for one that a
    /// killed process left: the caller holds a lock that says so.
    ///
    /// # Errors
    /// Something else stands at `path`; the system's words.
    ///
    /// # Panics
    /// Outside [`crate::block_on`].
    pub fn bind(path: &Path) -> io::Result<Self> {
        Self::bind_with(path, Mode::RUSR | Mode::WUSR)
    }

    /// As [`LocalListener::bind`], with a socket file that every user of this machine may connect to. What they may do there is the caller's to say:
    /// who it is comes with each connection.
    ///
    /// # Errors
    /// As [`LocalListener::bind`].
    ///
    /// # Panics
    /// Outside [`crate::block_on`].
    pub fn bind_for_everybody(path: &Path) -> io::Result<Self> {
        let listener = Self::bind_with(path, Mode::RUSR | Mode::WUSR)?;
        // Only now: the umask has taken its part of the mode that the file was made with.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
        Ok(listener)
    }

    fn bind_with(path: &Path, mode: Mode) -> io::Result<Self> {
        if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(path)?;
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket: OwnedFd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // On Linux the file gets the mode that the socket has when it is bound, so that nobody can be quicker than a chmod.
        rustix::fs::fchmod(&socket, mode)?;
        let short = Short::of(path)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(&short.path)?)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(Self { socket: UnixListener::from_std(socket.into())?, path: path.to_owned() })
    }

    /// The next connection, and who made it. Cancel-safe.
    ///
    /// # Errors
    /// The process is out of descriptors, or the socket is broken.
    pub async fn accept(&self) -> io::Result<(LocalStream, Peer)> {
        let (stream, _) = self.socket.accept().await?;
        let credentials = stream.peer_cred()?;
        let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
        Ok((LocalStream(stream), Peer { uid: credentials.uid(), pid }))
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        // Whoever comes next removes what is left.
        let _ = fs::remove_file(&self.path);
    }
}

impl LocalStream {
    /// Connects to the socket file at `path`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] and [`io::ErrorKind::ConnectionRefused`] when nobody listens there; no right to it.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        let short = Short::of(path)?;
        UnixStream::connect(&short.path).await.map(Self)
    }

    /// Two ends of one connection within this process.
    ///
    /// # Errors
    /// Out of file descriptors.
    ///
    /// # Panics
    /// Outside [`crate::block_on`].
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self(one), Self(other)))
    }

    pub(crate) fn into_inner(self) -> UnixStream {
        self.0
    }

    /// Appends what has come in to `buffer`; 0 octets at the end. Cancel-safe.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        read_some(&mut self.0, buffer, READ_BYTES_MAX).await
    }

    /// Writes all of `bytes`. Not cancel-safe.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }
}

/// Couples `input` and `output` with the socket file at `path` until its other end closes: what a program says on its standard input is heard there,
/// and the other way round. The end of `input` is passed on. Blocks.
///
/// # Errors
/// As [`LocalStream::connect`]; `output` cannot be written, or the connection broke.
pub fn couple(path: &Path, input: impl Read + Send + 'static, mut output: impl Write) -> io::Result<()> {
    let short = Short::of(path)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(&short.path)?)?;
    let mut socket = std::os::unix::net::UnixStream::from(socket);
    let mut sending = socket.try_clone()?;
    // Not waited for: it may stand in a read of an input that never ends.
    let _sender = task::thread("couple", move || {
        let _ = flow(input, &mut sending);
        let _ = sending.shutdown(Shutdown::Write);
    })?;
    flow(&mut socket, &mut output)
}

/// Passes octets on as they come.
fn flow(mut from: impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES_MAX];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(buffer.get(..count).unwrap_or_default())?;
        to.flush()?;
    }
}

/// A path that fits into a socket's address: one that is too long is reached through its open directory.
struct Short {
    path: PathBuf,
    _directory: Option<fs::File>,
}

impl Short {
    fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() < PATH_BYTES_MAX {
            return Ok(Self { path: path.to_owned(), _directory: None });
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path of a socket needs a directory and a name"));
        };
        let directory = fs::File::open(parent)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        Ok(Self { path, _directory: Some(directory) })
    }
}

#[cfg(test)]
mod tests;
