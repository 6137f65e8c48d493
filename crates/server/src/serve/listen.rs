//! Listening: binds the addresses, and hands each connection to what speaks its protocol.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use tracing::error;

use posthouse_access::Pop3;
use posthouse_intake::ListenerKind;
use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::select;
use posthouse_runtime::service::HandedOver;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::sync::{mpsc, watch};
use posthouse_runtime::task;
use posthouse_runtime::workers::Workers;

use super::web::{self, Web};
use crate::cli::{Exit, Failure};
use crate::config::{self, Kind};

/// What connections work with; replaced as a whole by a reload, for the connections that come after it.
pub(super) struct Contexts {
    pub(super) smtp: posthouse_intake::Context,
    pub(super) pop3: Pop3,
    pub(super) web: Web,
}

/// What an accept loop needs; each connection holds a clone of `open` until it ends.
#[derive(Clone)]
pub(super) struct Accepting {
    pub(super) contexts: watch::Receiver<Arc<Contexts>>,
    pub(super) shutdown: Shutdown,
    pub(super) open: mpsc::Sender<()>,
}

/// Binds every address, or none. A socket that was handed over is used for the listener with its address, else for one whose kind is its name.
pub(super) fn bind(listeners: &[config::Listener], handed: Vec<HandedOver>) -> Result<Vec<(Kind, Listener)>, Failure> {
    let mut sockets = assign(listeners, handed)?;
    let bound = listeners.iter().enumerate().map(|(place, listener)| {
        let socket = match sockets.remove(&place) {
            Some(socket) => socket,
            None => Listener::bind(listener.address).map_err(|error| refused(listener, &error))?,
        };
        Ok((listener.kind, socket))
    });
    bound.collect()
}

/// The sockets by the place of their listener. One that nobody wants is a mistake: its clients would wait for ever.
fn assign(listeners: &[config::Listener], handed: Vec<HandedOver>) -> Result<HashMap<usize, Listener>, Failure> {
    let mut sockets = HashMap::new();
    let mut named = Vec::new();
    for socket in handed {
        let address = socket.listener.local_addr();
        match listeners.iter().position(|listener| listener.address == address) {
            Some(place) if !sockets.contains_key(&place) => drop(sockets.insert(place, socket.listener)),
            Some(_) | None => named.push(socket),
        }
    }
    for HandedOver { name, listener: socket } in named {
        let wants =
            |(place, listener): &(usize, &config::Listener)| listener.kind.to_string() == name && !sockets.contains_key(place);
        let Some((place, _)) = listeners.iter().enumerate().find(wants) else {
            let address = socket.local_addr();
            let words = format!(
                "the service manager handed over a socket on {address} with the name `{name}`, and there is no [[listener]] with that \
                 address, and none left whose kind is that name"
            );
            return Err(Failure::say(Exit::Config, words));
        };
        sockets.insert(place, socket);
    }
    Ok(sockets)
}

fn refused(listener: &config::Listener, error: &io::Error) -> Failure {
    let config::Listener { kind, address } = listener;
    let (what, port) = (error.kind(), address.port());
    let why = if what == ErrorKind::AddrInUse {
        format!("port {port} is in use by another program")
    } else if what == ErrorKind::PermissionDenied && port < 1024 {
        format!(
            "ports below 1024 need the right to bind them: give the service CAP_NET_BIND_SERVICE \
             (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), or choose another port than {port}"
        )
    } else if what == ErrorKind::AddrNotAvailable {
        "this host does not have that address".to_owned()
    } else {
        error.to_string()
    };
    Failure::say(Exit::Os, format_args!("cannot listen on {address} ({kind}): {why}"))
}

/// Starts taking connections on every worker.
pub(super) fn start(workers: &Workers, bound: &[(Kind, Listener)], accepting: &Accepting) -> Result<(), Failure> {
    for worker in 0..workers.len() {
        for (kind, listener) in bound {
            // The first worker has the socket that was bound: each of the others has a queue of its own.
            let listener = if worker == 0 { listener.try_clone() } else { listener.another() };
            let listener = listener.map_err(|error| Failure::new(Exit::Os, error))?;
            let (kind, accepting) = (*kind, accepting.clone());
            workers.spawn_on(worker, move || accept(kind, listener, accepting));
        }
    }
    Ok(())
}

async fn accept(kind: Kind, listener: Listener, accepting: Accepting) {
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            () = accepting.shutdown.requested() => return,
        };
        match accepted {
            Ok(stream) => {
                let contexts = Arc::clone(&accepting.contexts.borrow());
                let (shutdown, open) = (accepting.shutdown.clone(), accepting.open.clone());
                let _running = task::spawn("connection", async move {
                    serve(kind, stream, &contexts, shutdown).await;
                    drop(open);
                });
            }
            Err(error) => {
                error!(%kind, address = %listener.local_addr(), %error, "the listener is broken; restart the server");
                return;
            }
        }
    }
}

async fn serve(kind: Kind, stream: Stream, contexts: &Contexts, shutdown: Shutdown) {
    // Each on the heap: a connection takes the room of its own protocol only, and a future that is handed on is not kept twice.
    let smtp = match kind {
        Kind::Mx => ListenerKind::Mx,
        Kind::Submission => ListenerKind::Submission,
        Kind::Submissions => ListenerKind::Submissions,
        Kind::Lmtp => ListenerKind::Lmtp,
        Kind::Pop3 | Kind::Pop3s => {
            return Box::pin(posthouse_access::serve_pop3(stream, &contexts.pop3, kind == Kind::Pop3s, &shutdown)).await;
        }
        Kind::Https => return Box::pin(web::serve(stream, &contexts.web)).await,
    };
    Box::pin(posthouse_intake::serve_smtp(stream, &contexts.smtp, smtp, shutdown)).await;
}

/// The addresses as they are, with the ports that the system chose.
pub(super) fn addresses(bound: &[(Kind, Listener)]) -> Vec<(Kind, SocketAddr)> {
    bound.iter().map(|(kind, listener)| (*kind, listener.local_addr())).collect()
}

#[cfg(test)]
mod tests;
