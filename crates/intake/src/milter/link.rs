//! A connection to a milter: packets out, answers in, each within its time.

use std::io;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use posthouse_runtime::clock::{self, Elapsed};
use posthouse_runtime::local::LocalStream;
use posthouse_runtime::net::Stream;
use thiserror::Error;

use super::packet::{self, ACTIONS, Answer, PROTOCOL, PacketError, VERSION, packet};
use super::settings::{MilterAddress, MilterSettings};

/// The answers of a milter that has nothing to say but that it is still there.
const PROGRESS_MAX: u32 = 1_000;

/// What became of a milter.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error("it cannot be reached: {0}")]
    Io(#[from] io::Error),
    #[error("it did not answer in time")]
    TooSlow(#[from] Elapsed),
    #[error("it ended the connection")]
    Ended,
    #[error(transparent)]
    Packet(#[from] PacketError),
    #[error("it answered what was not asked")]
    OutOfOrder,
}

/// See the module.
pub(super) struct Link {
    wire: Wire,
    input: BytesMut,
    actions: u32,
    protocol: u32,
    timeout: Duration,
}

enum Wire {
    Inet(Stream),
    Unix(LocalStream),
}

impl Link {
    /// Connects and agrees on what is spoken.
    pub(super) async fn open(settings: &MilterSettings) -> Result<Self, LinkError> {
        let timeout = settings.timeout.duration();
        let wire = match &settings.address {
            MilterAddress::Inet(address) => Wire::Inet(clock::timeout(timeout, Stream::connect(*address, None)).await??),
            MilterAddress::Unix(path) => Wire::Unix(clock::timeout(timeout, LocalStream::connect(path)).await??),
        };
        let mut link = Self { wire, input: BytesMut::new(), actions: 0, protocol: 0, timeout };
        let offer = [VERSION, ACTIONS, PROTOCOL].map(u32::to_be_bytes);
        link.send(&packet(b'O', &[offer.as_flattened()])).await?;
        let Answer::Options { actions, protocol } = link.answer(link.deadline()).await? else {
            return Err(LinkError::OutOfOrder);
        };
        (link.actions, link.protocol) = (actions, protocol);
        Ok(link)
    }

    /// When the next answer must be there.
    pub(super) fn deadline(&self) -> Instant {
        clock::now() + self.timeout
    }

    /// Whether the milter said that it wants this, or does without.
    pub(super) fn has(&self, flag: u32) -> bool {
        self.protocol & flag != 0
    }

    /// Whether it said that it may do this.
    pub(super) fn may(&self, action: u32) -> bool {
        self.actions & action != 0
    }

    /// Sends whole packets.
    pub(super) async fn send(&mut self, packets: &[u8]) -> Result<(), LinkError> {
        let timeout = self.timeout;
        match &mut self.wire {
            Wire::Inet(stream) => clock::timeout(timeout, stream.write_all(packets)).await??,
            Wire::Unix(stream) => clock::timeout(timeout, stream.write_all(packets)).await??,
        }
        Ok(())
    }

    /// The next answer. One that only says that the milter is at work buys it no more time than `deadline`.
    pub(super) async fn answer(&mut self, deadline: Instant) -> Result<Answer, LinkError> {
        for _ in 0..PROGRESS_MAX {
            let answer = loop {
                if let Some(answer) = packet::next(&mut self.input)? {
                    break answer;
                }
                let read = match &mut self.wire {
                    Wire::Inet(stream) => clock::timeout_at(deadline, stream.read(&mut self.input)).await??,
                    Wire::Unix(stream) => clock::timeout_at(deadline, stream.read(&mut self.input)).await??,
                };
                if read == 0 {
                    return Err(LinkError::Ended);
                }
            };
            if answer != Answer::Progress {
                return Ok(answer);
            }
        }
        Err(LinkError::OutOfOrder)
    }

    /// Sends packets and waits for the answer, unless the milter said that it gives none.
    pub(super) async fn ask(&mut self, packets: &[u8], silent: u32) -> Result<Answer, LinkError> {
        self.send(packets).await?;
        if self.has(silent) {
            return Ok(Answer::Continue);
        }
        self.answer(self.deadline()).await
    }
}
