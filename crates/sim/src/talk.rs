//! Plain SMTP lines over a stream, for peers that know nothing of our own protocol code.

use std::time::Duration;

use bytes::BytesMut;
use posthouse_runtime::net::Stream;
use posthouse_runtime::{clock, sim};

/// How long a peer waits for the other side; longer than any of the product's own deadlines.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// A connection of a scripted peer. Everything ends with `None` when the other side is gone.
pub(crate) struct Talk {
    stream: Stream,
    heard: BytesMut,
    /// How long this peer takes before each reading and writing.
    pub(crate) pause: Duration,
}

impl Talk {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, heard: BytesMut::new(), pause: Duration::ZERO }
    }

    /// The next line, without its end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.heard, b"\r\n") {
                let line = self.heard.split_to(end + 2);
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more().await?;
        }
    }

    /// What comes before the end of data.
    pub(crate) async fn until_dot(&mut self) -> Option<Vec<u8>> {
        let mut from = 0;
        loop {
            if self.heard.starts_with(b".\r\n") {
                drop(self.heard.split_to(3));
                return Some(Vec::new());
            }
            if let Some(end) = memchr::memmem::find(&self.heard[from..], b"\r\n.\r\n") {
                let mut data = self.heard.split_to(from + end + 5);
                data.truncate(from + end + 2);
                return Some(data.to_vec());
            }
            from = self.heard.len().saturating_sub(4);
            self.more().await?;
        }
    }

    /// So many octets.
    pub(crate) async fn octets(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.heard.len() < count {
            self.more().await?;
        }
        Some(self.heard.split_to(count).to_vec())
    }

    /// A reply's code, after its last line.
    pub(crate) async fn reply(&mut self) -> Option<u16> {
        loop {
            let line = self.line().await?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.get(..3)?.parse().ok();
            }
        }
    }

    pub(crate) async fn say(&mut self, line: &str) -> Option<()> {
        self.send(format!("{line}\r\n").as_bytes()).await
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) -> Option<()> {
        self.rest().await;
        clock::timeout(PATIENCE, self.stream.write_all(octets)).await.ok()?.ok()
    }

    /// Says nothing any more, until the other side has had enough.
    pub(crate) async fn sulk(&mut self) {
        while self.more().await.is_some() {
            self.heard.clear();
        }
    }

    /// Breaks the connection: what is under way is lost.
    pub(crate) fn vanish(self) {
        if let Some(id) = self.stream.sim_connection() {
            sim::break_connection(id);
        }
    }

    pub(crate) async fn close(mut self) {
        self.stream.close().await;
    }

    async fn more(&mut self) -> Option<()> {
        self.rest().await;
        let count = clock::timeout(PATIENCE, self.stream.read(&mut self.heard)).await.ok()?.ok()?;
        (count > 0).then_some(())
    }

    async fn rest(&self) {
        if !self.pause.is_zero() {
            clock::sleep(self.pause).await;
        }
    }
}
