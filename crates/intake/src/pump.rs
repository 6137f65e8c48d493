//! The pump: one connection, from accept to close.
//!
//! It interprets nothing of what it carries. What fails here ends this connection only; a letter that was not answered with 250 is not there.

use std::net::SocketAddr;

use bytes::BytesMut;
use posthouse_mail::{Reply, Status};
use posthouse_runtime::local::LocalStream;
use posthouse_runtime::net::Stream;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::{clock, select};
use posthouse_sasl::{Bindings, EndPoint};
use posthouse_smtp::server::{Output, Refusal, Session, Stage, Tls};
use tracing::debug;

use crate::context::{Context, ListenerKind};
use crate::local::{self, Caller, LocalDoor, Submitter};
use crate::note::{self, Who};
use crate::visit::Visit;

/// Serves one connection until it ends; on `shutdown` it ends as soon as no letter is begun.
pub async fn serve_smtp(mut stream: Stream, context: &Context, kind: ListenerKind, shutdown: Shutdown) {
    let peer = stream.peer_addr();
    let Ok(_pass) = context.gate.enter(peer.ip()) else {
        let who = Who::Peer(peer.ip());
        return Box::pin(turn_away(stream, context, kind, who)).await;
    };
    if kind == ListenerKind::Submissions {
        match handshake(stream, context, kind, peer).await {
            Some(secured) => stream = secured,
            None => return,
        }
    }
    let profile = context.settings.profile(context, context.hostname.as_str(), kind, peer.ip());
    let mut session = Session::new(profile, channel(&stream), clock::now());
    let mut visit = Visit::new(context, kind, peer);
    visit.local = Some(stream.local_addr().ip());
    visit.shown(stream.tls());
    if let Some(mut stream) = run(stream, &mut session, &mut visit, shutdown).await {
        // What was begun goes first: closing may take its time.
        visit.abandon();
        stream.close().await;
    }
}

/// As [`serve_smtp`], for a user of this machine: no TLS, no login, the limits of `door`.
pub async fn serve_local(stream: LocalStream, submitter: Submitter, door: &LocalDoor, context: &Context, shutdown: Shutdown) {
    let (stream, kind) = (Stream::of_local(stream), ListenerKind::Local);
    let limits = &context.settings.local;
    let origin = local::origin(context).await;
    let (Some(pass), Ok(origin)) = (door.enter(submitter.uid, limits), origin) else {
        return Box::pin(turn_away(stream, context, kind, Who::User(&submitter))).await;
    };
    let peer = stream.peer_addr();
    // The name in the greeting tells programs what names without a domain belong to.
    let profile = context.settings.profile(context, origin.as_str(), kind, peer.ip());
    let mut session = Session::new(profile, None, clock::now());
    let mut visit = Visit::new(context, kind, peer);
    visit.caller = Some(Caller { submitter, origin, pass });
    if let Some(mut stream) = run(stream, &mut session, &mut visit, shutdown).await {
        visit.abandon();
        stream.close().await;
    }
}

/// Gives the stream back to be closed, unless it is broken.
async fn run(mut stream: Stream, session: &mut Session, visit: &mut Visit<'_>, shutdown: Shutdown) -> Option<Stream> {
    let mut input = BytesMut::new();
    let mut stopping = false;
    loop {
        match session.poll(clock::now()) {
            Output::Send(bytes) => {
                let written = clock::timeout(visit.context.settings.write_timeout.duration(), stream.write_all(&bytes)).await;
                if !matches!(written, Ok(Ok(()))) {
                    debug!(peer = %visit.peer, "an SMTP client went away or does not read");
                    return None;
                }
            }
            Output::Ask(question) => {
                // On the heap while it lasts: the checks have more state than the connection that waits between them.
                let answer = Box::pin(visit.find_out(question)).await;
                session.answer(clock::now(), answer);
            }
            Output::Body(piece) => {
                if let Err(verdict) = Box::pin(visit.take(piece)).await {
                    session.refuse_letter(clock::now(), &verdict);
                }
            }
            Output::Note(note) => Box::pin(visit.note(note)).await,
            Output::StartTls => {
                input = BytesMut::new();
                stream = handshake(stream, visit.context, visit.kind, SocketAddr::new(visit.peer, 0)).await?;
                visit.secured(stream.tls());
                session.tls_established(clock::now(), channel(&stream).unwrap_or_default());
            }
            Output::Wait(deadline) if session.wants_read() => {
                let read = select! {
                    read = clock::timeout_at(deadline, stream.read(&mut input)) => read,
                    () = shutdown.requested(), if !stopping => {
                        stopping = true;
                        session.shut_down(clock::now());
                        continue;
                    }
                };
                match read {
                    Ok(Ok(0)) => session.receive_eof(clock::now()),
                    Ok(Ok(_)) => session.receive(clock::now(), input.split()),
                    Ok(Err(error)) => {
                        debug!(peer = %visit.peer, %error, "an SMTP connection broke");
                        return None;
                    }
                    // The session itself says what a deadline means.
                    Err(_) => {}
                }
            }
            Output::Wait(deadline) => clock::sleep_until(deadline).await,
            Output::Close(why) => {
                debug!(peer = %visit.peer, ?why, "an SMTP session ended");
                return Some(stream);
            }
        }
    }
}

/// RFC 5321 §3.8: 421 is what a server says that cannot serve now. In TLS from the start it cannot be said without the work of a handshake.
async fn turn_away(mut stream: Stream, context: &Context, kind: ListenerKind, who: Who<'_>) {
    let reply = Reply::new(421, Status::temporary(7, 0), "too many connections, try again later");
    if kind != ListenerKind::Submissions {
        let mut bytes = Vec::new();
        reply.write_to(&mut bytes);
        let timeout = context.settings.write_timeout.duration();
        // A client that is gone already needs no answer.
        let _ = clock::timeout(timeout, stream.write_all(&bytes)).await;
    }
    note::refused(context, kind, who, None, Refusal { stage: Stage::Connect, about: None, reply });
    stream.close().await;
}

async fn handshake(stream: Stream, context: &Context, kind: ListenerKind, peer: SocketAddr) -> Option<Stream> {
    let tls = context.tls_for(kind)?;
    // On the heap as well.
    match Box::pin(stream.into_tls_server(tls)).await {
        Ok(secured) => Some(secured),
        Err(error) => {
            debug!(peer = %peer.ip(), %error, "the TLS handshake of an SMTP client failed");
            None
        }
    }
}

fn channel(stream: &Stream) -> Option<Tls> {
    let tls = stream.tls()?;
    let end_point = tls.end_point.as_ref().and_then(|digest| EndPoint::from_digest(digest));
    let bindings = Bindings { exporter: tls.exporter, end_point };
    Some(Tls { bindings, certified: tls.client.is_some() })
}
