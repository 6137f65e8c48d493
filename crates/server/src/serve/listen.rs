//! Listening: binds the addresses, and hands each connection to what speaks its protocol.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info};

use posthouse_access::Pop3;
use posthouse_config::Network;
use posthouse_intake::ListenerKind;
use posthouse_runtime::clock;
use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::select;
use posthouse_runtime::service::HandedOver;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::sync::{mpsc, watch};
use posthouse_runtime::task;
use posthouse_runtime::workers::{Balance, Place, Workers};

use super::metrics::{self, Metrics};
use super::web::{self, Web};
use crate::cli::{Exit, Failure};
use crate::config::{self, Kind};

/// How long a proxy may take to say for whom it connects.
const HEADER_TIME: Duration = Duration::from_secs(10);

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
    pub(super) metrics: Metrics,
    pub(super) balance: Balance,
}

/// A listener with its sockets: one, or one for each queue of connections that the kernel keeps for its address.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) kind: Kind,
    /// Who speaks for others there.
    proxy_from: Arc<[Network]>,
    pub(super) sockets: Vec<Listener>,
}

/// Sockets that are bound already.
#[derive(Debug)]
pub(crate) enum Handed {
    /// By a service manager: its names are kinds of listeners, and each of them is wanted.
    Activated(Vec<HandedOver>),
    /// By the process that we take over from, which had them by its own configuration.
    Inherited(Vec<HandedOver>),
}

impl Default for Handed {
    fn default() -> Self {
        Self::Activated(Vec::new())
    }
}

/// Binds every address, or none. A socket that was handed over is used for the listener with its address, else for one whose kind is its name.
pub(super) fn bind(listeners: &[config::Listener], handed: Handed) -> Result<Vec<Bound>, Failure> {
    let mut sockets = match handed {
        Handed::Activated(handed) => assign(listeners, handed)?,
        Handed::Inherited(handed) => inherit(listeners, handed),
    };
    let bound = listeners.iter().enumerate().map(|(place, listener)| {
        let sockets = match sockets.remove(&place) {
            Some(sockets) => sockets,
            None => vec![Listener::bind(listener.address).map_err(|error| refused(listener, &error))?],
        };
        Ok(Bound { kind: listener.kind, proxy_from: listener.proxy_from.as_slice().into(), sockets })
    });
    bound.collect()
}

/// The sockets by the place of their listener. Those that the configuration has no listener for any more are closed.
fn inherit(listeners: &[config::Listener], handed: Vec<HandedOver>) -> HashMap<usize, Vec<Listener>> {
    let mut sockets: HashMap<usize, Vec<Listener>> = HashMap::new();
    for HandedOver { name, listener: socket } in handed {
        let address = socket.local_addr();
        // With port 0 the system has chosen one, and it stays.
        let place = listeners.iter().enumerate().position(|(place, listener)| {
            let is_chosen = listener.address.port() == 0 && listener.address.ip() == address.ip();
            let is_free = sockets.get(&place).is_none_or(|own| own.iter().all(|own| own.local_addr() == address));
            listener.kind.to_string() == name && is_free && (listener.address == address || is_chosen)
        });
        match place {
            Some(place) => sockets.entry(place).or_default().push(socket),
            None => info!(%address, kind = name, "the configuration has no such listener any more"),
        }
    }
    sockets
}

/// The sockets by the place of their listener. One that nobody wants is a mistake: its clients would wait for ever.
fn assign(listeners: &[config::Listener], handed: Vec<HandedOver>) -> Result<HashMap<usize, Vec<Listener>>, Failure> {
    let mut sockets = HashMap::new();
    let mut named = Vec::new();
    for socket in handed {
        let address = socket.listener.local_addr();
        match listeners.iter().position(|listener| listener.address == address) {
            Some(place) if !sockets.contains_key(&place) => drop(sockets.insert(place, vec![socket.listener])),
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
        sockets.insert(place, vec![socket]);
    }
    Ok(sockets)
}

fn refused(listener: &config::Listener, error: &io::Error) -> Failure {
    let config::Listener { kind, address, .. } = listener;
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

/// Starts taking connections on every worker: each has a queue of its own, where the kernel gives one.
pub(super) fn start(workers: &Workers, bound: &mut [Bound], accepting: &Accepting) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Os, error);
    for Bound { kind, proxy_from, sockets } in bound {
        while sockets.len() < workers.len() {
            let Some(first) = sockets.first() else { break };
            sockets.push(first.another().map_err(failed)?);
        }
        for (worker, socket) in sockets.iter().enumerate() {
            let listener = socket.try_clone().map_err(failed)?;
            let (kind, proxy_from, accepting) = (*kind, Arc::clone(proxy_from), accepting.clone());
            workers.spawn_on(worker, move || accept(worker, kind, proxy_from, listener, accepting));
        }
    }
    Ok(())
}

async fn accept(worker: usize, kind: Kind, proxy_from: Arc<[Network]>, listener: Listener, accepting: Accepting) {
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            () = accepting.shutdown.requested() => return,
        };
        match accepted {
            Ok(stream) => {
                let is_proxy = proxy_from.iter().any(|network| network.contains(stream.peer_addr().ip()));
                let place = accepting.balance.place(worker);
                begin(kind, stream, is_proxy, worker, place, accepting.clone());
            }
            Err(error) => {
                error!(%kind, address = %listener.local_addr(), %error, "the listener is broken; restart the server");
                return;
            }
        }
    }
}

/// Starts a connection where its place is.
fn begin(kind: Kind, stream: Stream, is_proxy: bool, worker: usize, place: Place, accepting: Accepting) {
    if place.worker() == worker {
        let _running = task::spawn("connection", connection(kind, stream, is_proxy, place, accepting));
    } else if let Ok(detached) = stream.detach() {
        // Else the peer is gone already.
        place.spawn(move |place| async move {
            if let Ok(stream) = detached.attach() {
                let _running = task::spawn("connection", connection(kind, stream, is_proxy, place, accepting));
            }
        });
    }
}

async fn connection(kind: Kind, stream: Stream, is_proxy: bool, _place: Place, accepting: Accepting) {
    let contexts = Arc::clone(&accepting.contexts.borrow());
    let stream = if is_proxy { Box::pin(proxied(stream)).await } else { Some(stream) };
    if let Some(stream) = stream {
        serve(kind, stream, &contexts, accepting).await;
    }
}

/// The connection as that of the client for whom a proxy has made it.
async fn proxied(stream: Stream) -> Option<Stream> {
    let proxy = stream.peer_addr();
    match clock::timeout(HEADER_TIME, stream.proxied()).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            info!(%proxy, %error, "a proxy does not say for whom it connects; the connection is closed");
            None
        }
        Err(_) => {
            info!(%proxy, "a proxy does not say in time for whom it connects; the connection is closed");
            None
        }
    }
}

/// `accepting` is held until the connection has ended.
async fn serve(kind: Kind, stream: Stream, contexts: &Contexts, accepting: Accepting) {
    let shutdown = accepting.shutdown.clone();
    // Each on the heap: a connection takes the room of its own protocol only, and a future that is handed on is not kept twice.
    let smtp = match kind {
        Kind::Mx => ListenerKind::Mx,
        Kind::Submission => ListenerKind::Submission,
        Kind::Submissions => ListenerKind::Submissions,
        Kind::Lmtp => ListenerKind::Lmtp,
        Kind::Pop3 | Kind::Pop3s => {
            return Box::pin(posthouse_access::serve_pop3(stream, &contexts.pop3, kind == Kind::Pop3s, &shutdown)).await;
        }
        Kind::Metrics => return Box::pin(metrics::serve(stream, &accepting.metrics)).await,
        Kind::Https | Kind::Http => return Box::pin(web::serve(stream, &contexts.web, kind == Kind::Https)).await,
    };
    Box::pin(posthouse_intake::serve_smtp(stream, &contexts.smtp, smtp, shutdown)).await;
}

/// The addresses as they are, with the ports that the system chose.
pub(super) fn addresses(bound: &[Bound]) -> Vec<(Kind, SocketAddr)> {
    bound.iter().filter_map(|bound| Some((bound.kind, bound.sockets.first()?.local_addr()))).collect()
}

#[cfg(test)]
mod tests;
