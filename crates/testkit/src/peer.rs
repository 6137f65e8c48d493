//! A peer that does exactly what a test says, in plain text, on either side of a connection.
//!
//! It parses nothing: the test says each line and checks each line. Every wait ends after ten seconds with a
//! panic that shows the conversation.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server that a test scripts.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// Listens on loopback and plays the script with each of so many connections, one after the other.
    ///
    /// # Panics
    /// When no port is free.
    pub fn listen(connections: usize, script: impl Fn(&mut Talk) + Send + 'static) -> Peer {
        Peer::listen_on("127.0.0.1:0", connections, script)
    }

    /// The same at an address of one's own choice, such as another of loopback with the port of a first peer.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn listen_on(address: &str, connections: usize, script: impl Fn(&mut Talk) + Send + 'static) -> Peer {
        let listener = TcpListener::bind(address).unwrap_or_else(|why| panic!("{address}: {why}"));
        let address = listener.local_addr().expect("a bound address");
        let thread = std::thread::spawn(move || {
            for _ in 0..connections {
                let (stream, _) = listener.accept().expect("a connection");
                script(&mut Talk::over(stream));
            }
        });
        Peer { address, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the script was played to its end so often.
    ///
    /// # Panics
    /// With the panic of the script.
    pub fn finish(mut self) {
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Talk {
    stream: TcpStream,
    ahead: Vec<u8>,
    log: String,
}

impl Talk {
    /// Connects to a server.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    pub fn to(address: SocketAddr) -> Talk {
        Talk::over(TcpStream::connect_timeout(&address, PATIENCE).unwrap_or_else(|why| panic!("{address}: {why}")))
    }

    fn over(stream: TcpStream) -> Talk {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Talk { stream, ahead: Vec::new(), log: String::new() }
    }

    /// The address of the other side.
    ///
    /// # Panics
    /// When it has gone.
    #[must_use]
    pub fn from(&self) -> std::net::IpAddr {
        self.stream.peer_addr().expect("a connection").ip()
    }

    /// Says a line; the CRLF is added.
    ///
    /// # Panics
    /// When the other side has gone.
    pub fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes());
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the other side has gone.
    pub fn send(&mut self, bytes: &[u8]) {
        self.note("we", bytes);
        if let Err(why) = self.stream.write_all(bytes) {
            panic!("{why} after\n{}", self.log);
        }
    }

    /// Sends bytes as far as the other side takes them, and says whether it took all.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next line, without its CRLF; none when the other side has closed.
    ///
    /// # Panics
    /// When nothing comes, or a line has no CR.
    pub fn hear(&mut self) -> Option<String> {
        let line = self.until(b"\n")?;
        self.note("they", &line);
        let line = String::from_utf8_lossy(&line).into_owned();
        Some(line.strip_suffix("\r\n").unwrap_or_else(|| panic!("a bare LF in {line:?} after\n{}", self.log)).to_owned())
    }

    /// A whole reply of a server: its lines, continued ones too (`250-…`).
    ///
    /// # Panics
    /// When the connection ends before it does.
    pub fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.hear().unwrap_or_else(|| panic!("closed in a reply after\n{}", self.log));
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
            reply.push('\n');
        }
    }

    /// Says a line and returns the reply.
    pub fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.reply()
    }

    /// Says a line and checks that the reply begins so.
    ///
    /// # Panics
    /// When it does not.
    pub fn expect(&mut self, line: &str, begins: &str) -> String {
        let reply = self.ask(line);
        assert!(reply.starts_with(begins), "{line:?}: {reply:?}, not {begins:?}, after\n{}", self.log);
        reply
    }

    /// A message body up to its `CRLF.CRLF`, that end left out, dots still doubled.
    ///
    /// # Panics
    /// When the connection ends before it does.
    pub fn body(&mut self) -> Vec<u8> {
        let mut body = self.until(b"\r\n.\r\n").unwrap_or_else(|| panic!("closed in a body after\n{}", self.log));
        body.truncate(body.len() - 3);
        body
    }

    /// Whether the other side closes now, saying nothing more.
    pub fn is_closed(&mut self) -> bool {
        self.ahead.is_empty() && !matches!(self.stream.read(&mut [0; 1]), Ok(1..))
    }

    /// Everything up to the other side's close.
    pub fn rest(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.ahead);
        // A reset is an end too.
        let _ = self.stream.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Closes our side of the connection.
    pub fn hang_up(&mut self) {
        // Already closed is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut from = 0;
        loop {
            let found = self.ahead[from..].windows(end.len()).position(|window| window == end);
            if let Some(at) = found {
                let after = self.ahead.split_off(from + at + end.len());
                return Some(std::mem::replace(&mut self.ahead, after));
            }
            from = self.ahead.len().saturating_sub(end.len());
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.ahead.extend_from_slice(&chunk[..count]),
                Err(why) => panic!("{why} after\n{}", self.log),
            }
        }
    }

    fn note(&mut self, who: &str, bytes: &[u8]) {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        self.log.push_str(&format!("{who}: {}\n", shown.trim_end()));
    }
}

#[cfg(test)]
mod tests;
