//! Both families of addresses, raced (RFC 8305, "Happy Eyeballs").
//!
//! The next address is tried when the one before has failed, or has not answered for a quarter of a second; the first that stands wins and the others are
//! dropped. A loser is not lost: it is tried again if the winner turns us away.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use posthouse_runtime::net::Stream;
use posthouse_runtime::{clock, select};

use crate::target::Target;

/// RFC 8305 §8: the recommended delay between attempts.
const HEAD_START: Duration = Duration::from_millis(250);

type Attempt<'a> = Pin<Box<dyn Future<Output = Result<Stream, String>> + Send + 'a>>;

/// The addresses of a target that are still to be tried.
pub(crate) struct Race<'a> {
    target: &'a Target,
    rest: VecDeque<SocketAddr>,
    /// Those that could not be reached, with the system's words.
    pub(crate) failures: Vec<(SocketAddr, String)>,
}

impl<'a> Race<'a> {
    pub(crate) fn new(target: &'a Target, addresses: Vec<SocketAddr>) -> Self {
        Self { target, rest: addresses.into(), failures: Vec::new() }
    }

    /// The next connection that stands; none when no address is left.
    pub(crate) async fn next(&mut self) -> Option<(SocketAddr, Stream)> {
        let mut running: Vec<(SocketAddr, Attempt<'a>)> = Vec::new();
        loop {
            if let Some(address) = self.rest.pop_front() {
                running.push((address, Box::pin(connect(self.target, address))));
            }
            if running.is_empty() {
                return None;
            }
            let more = !self.rest.is_empty();
            let head_start = async { if more { clock::sleep(HEAD_START).await } else { std::future::pending().await } };
            select! {
                (at, ended) = first(&mut running) => {
                    let (address, _) = running.swap_remove(at);
                    match ended {
                        Ok(stream) => {
                            running.into_iter().rev().for_each(|(address, _)| self.rest.push_front(address));
                            return Some((address, stream));
                        }
                        Err(words) => self.failures.push((address, words)),
                    }
                }
                () = head_start => {}
            }
        }
    }
}

/// One connection, without a race.
pub(crate) async fn connect(target: &Target, address: SocketAddr) -> Result<Stream, String> {
    clock::timeout(target.timeouts.connect, Stream::connect(address, target.source_to(address)))
        .await
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|error| error.to_string())
}

/// The first attempt that ends.
async fn first(running: &mut [(SocketAddr, Attempt<'_>)]) -> (usize, Result<Stream, String>) {
    poll_fn(|context| {
        for (at, (_, attempt)) in running.iter_mut().enumerate() {
            if let Poll::Ready(ended) = attempt.as_mut().poll(context) {
                return Poll::Ready((at, ended));
            }
        }
        Poll::Pending
    })
    .await
}
