//! The socket file where users and programs of this machine hand in letters.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use posthouse_intake::{LocalDoor, Submitter, serve_local};
use posthouse_runtime::local::{LocalListener, LocalStream, Peer};
use posthouse_runtime::task::Task;
use posthouse_runtime::{clock, select, task};

use super::listen::Accepting;
use crate::cli::{Exit, Failure};
use crate::config::Config;

/// The socket's name, where the configuration gives no path.
const SOCKET: &str = "submit.sock";
/// Set by systemd for a unit with `RuntimeDirectory=`: where its sockets belong, for others to find.
const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";
/// How long to wait before accepting again when that failed: the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Opens the socket file and takes connections.
pub(super) fn start(config: &Config, door: &LocalDoor, accepting: Accepting) -> Result<Task, Failure> {
    let path = place(config);
    let listener = LocalListener::bind_for_everybody(&path).map_err(|error| {
        let words = format!(
            "cannot make the socket {} for letters from this machine: {error}; its directory must be there and be the server's (intake.local.socket)",
            path.display()
        );
        Failure::say(Exit::CannotCreate, words)
    })?;
    info!(socket = %path.display(), "letters from this machine are taken");
    Ok(task::spawn("submit", accept(listener, door.clone(), accepting)))
}

/// Where the socket file is made.
pub(super) fn place(config: &Config) -> PathBuf {
    socket(config, std::env::var(RUNTIME_DIRECTORY).ok().as_deref())
}

fn socket(config: &Config, runtime_directory: Option<&str>) -> PathBuf {
    // systemd lists several with colons between them.
    let first = runtime_directory.and_then(|list| list.split(':').next()).filter(|path| !path.is_empty());
    let usual = || first.map_or(config.data.as_path(), Path::new).join(SOCKET);
    config.intake.local.socket.clone().unwrap_or_else(usual)
}

/// Until the server stops; then nobody new finds the socket.
async fn accept(listener: LocalListener, door: LocalDoor, accepting: Accepting) {
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            () = accepting.shutdown.requested() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (door, accepting) = (door.clone(), accepting.clone());
                let _running = task::spawn("submit", serve(stream, peer, door, accepting));
            }
            Err(error) => {
                warn!(%error, "the socket for letters from this machine takes no connections for now");
                clock::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(stream: LocalStream, peer: Peer, door: LocalDoor, accepting: Accepting) {
    let contexts = Arc::clone(&accepting.contexts.borrow());
    serve_local(stream, Submitter::connected(peer), &door, &contexts.smtp, accepting.shutdown).await;
    drop(accepting.open);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_where_it_is_named_then_where_the_manager_says_then_with_the_data() {
        let text = "hostname = \"mail.example.org\"\ndata = \"/var/lib/posthouse\"\n[[listener]]\nkind = \"mx\"\naddress = \"127.0.0.1:2525\"\n";
        let directory = tempfile::tempdir().unwrap();
        let load = |more: &str| {
            let file = directory.path().join("posthouse.toml");
            std::fs::write(&file, format!("{text}{more}")).unwrap();
            Config::load(&file).unwrap()
        };
        let plain = load("");
        assert_eq!(socket(&plain, None), Path::new("/var/lib/posthouse/submit.sock"));
        assert_eq!(socket(&plain, Some("/run/posthouse:/run/other")), Path::new("/run/posthouse/submit.sock"));
        let named = load("[intake.local]\nsocket = \"s/mail.sock\"\n");
        assert_eq!(socket(&named, Some("/run/posthouse")), directory.path().join("s/mail.sock"));
    }
}
