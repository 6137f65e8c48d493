//! `posthouse restart`.

use std::path::Path;
use std::time::Duration;

use posthouse_admin::Status;
use posthouse_admin::socket::{Client, Order};
use posthouse_runtime::clock;
use serde::Serialize;

use super::data::{DataArgs, failure};
use super::queue::connect;
use super::{Exit, Failure, Printer};

/// How long the old process may take to come to its end, and the new one to its beginning.
const PATIENCE: Duration = Duration::from_secs(600);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Have a new process take over from the running server, without refusing a connection.
///
/// The running server starts the program anew, with its own arguments, and hands it the listening sockets. The new process reads the configuration; if
/// that is wrong the old one says so and goes on. Then the old one finishes the letters under way, as when it is stopped (`stop-deadline`), while
/// new connections wait in the kernel; the new one takes them when the old one has ended. SIGUSR2 does the same. Under a service manager use its
/// restart with socket units instead, unless it takes MAINPID over its notification socket (systemd does).
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  posthouse restart                                 (after an update, or a change that a reload does not take)\n  posthouse restart --json"
)]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
}

/// What came of it.
#[derive(Serialize)]
struct Restarted {
    /// The process that was.
    before: u32,
    /// The process that is.
    pid: u32,
    /// Its version.
    version: String,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let data = args.data.directory()?;
    let done = posthouse_runtime::block_on(restart(&data)).map_err(|error| Failure::new(Exit::Os, error))?;
    let done = done?;
    printer.line(format_args!("process {} has taken over from {}: posthouse {}", done.pid, done.before, done.version))?;
    printer.json(&done)
}

async fn restart(data: &Path) -> Result<Restarted, Failure> {
    let mut client = connect(data).await?;
    let before: Status = client.one(Order::Status).await.map_err(failure)?;
    let pid: u32 = client.one(Order::Restart).await.map_err(failure)?;
    drop(client);
    let deadline = clock::now() + PATIENCE;
    while clock::now() < deadline {
        if let Some(status) = look(data).await.filter(|status| status.pid == pid) {
            return Ok(Restarted { before: before.pid, pid, version: status.version });
        }
        if !Path::new(&format!("/proc/{pid}")).exists() {
            return Err(Failure::say(
                Exit::Software,
                format_args!("process {pid} was to take over and has ended; its words are in the log"),
            ));
        }
        clock::sleep(BETWEEN_LOOKS).await;
    }
    Err(Failure::say(Exit::TempFail, format_args!("process {pid} is to take over, and the old one has not ended yet")))
}

/// How whoever answers is; nobody may, between the two.
async fn look(data: &Path) -> Option<Status> {
    Client::connect(data).await.ok()??.one(Order::Status).await.ok()
}
