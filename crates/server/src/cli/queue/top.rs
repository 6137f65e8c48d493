//! `top`: the queue as it moves.
//!
//! Plain ANSI on the terminal's other screen, which it gives back as it was. What comes from outside is shown without control characters.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::termios::{self, OptionalActions, Termios};
use serde::Serialize;

use posthouse_admin::Status;
use posthouse_admin::queue::Summary;
use posthouse_admin::socket::Order;
use posthouse_runtime::{clock, task};

use super::super::data::failure;
use super::super::{Exit, Failure, Printer};
use super::{connect, look, text};

const EVERY: Duration = Duration::from_secs(1);
const QUIT: [u8; 3] = [b'q', b'Q', 0x03];

/// One look.
#[derive(Serialize)]
struct Seen {
    status: Status,
    summary: Summary,
}

pub(super) fn run(data: &Path, printer: &Printer) -> Result<(), Failure> {
    if printer.is_json() {
        let forever = async {
            loop {
                printer.json(&look(data).await?)?;
                clock::sleep(EVERY).await;
            }
        };
        return block_on(forever);
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::say(Exit::Usage, "there is no terminal to show it on: see `posthouse queue summary`, or --json"));
    }
    // Before the screen changes: a server that does not run is told of in the usual way.
    let mut seen = block_on(look(data))?;
    let _screen = Screen::enter().map_err(|error| Failure::new(Exit::Io, error))?;
    let keys = keys()?;
    loop {
        draw(&seen, printer).map_err(|error| Failure::new(Exit::Io, error))?;
        match keys.recv_timeout(EVERY) {
            Ok(key) if QUIT.contains(&key) => return Ok(()),
            // Any other key looks at once.
            Ok(_) | Err(RecvTimeoutError::Timeout) => seen = block_on(look(data))?,
            // The terminal is gone.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    posthouse_runtime::block_on(work).map_err(|error| Failure::new(Exit::Os, error))?
}

async fn look(data: &Path) -> Result<Seen, Failure> {
    let mut client = connect(data).await?;
    let status = client.one(Order::Status).await.map_err(failure)?;
    let summary = client.one(Order::QueueSummary).await.map_err(failure)?;
    Ok(Seen { status, summary })
}

fn keys() -> Result<Receiver<u8>, Failure> {
    let (sender, keys) = channel();
    let read = move || {
        for key in io::stdin().lock().bytes().map_while(Result::ok) {
            if sender.send(key).is_err() {
                return;
            }
        }
    };
    // It ends with the process: nothing else can end a read from a terminal.
    task::thread("keys", read).map_err(|error| Failure::new(Exit::Os, error))?;
    Ok(keys)
}

fn draw(seen: &Seen, printer: &Printer) -> io::Result<()> {
    let size = termios::tcgetwinsize(io::stdout())?;
    let (rows, columns) = (usize::from(size.ws_row.max(2)), usize::from(size.ws_col.max(20)));
    let lines = page(seen, printer);
    // Home, then each line with what stood behind it erased, then all below: nothing flickers.
    let mut out = "\x1b[H".to_owned();
    for line in lines.iter().take(rows - 1) {
        out.push_str(&cut(line, columns));
        out.push_str("\x1b[0m\x1b[K\r\n");
    }
    out.push_str("\x1b[J");
    let mut screen = io::stdout().lock();
    screen.write_all(out.as_bytes())?;
    screen.flush()
}

fn page(seen: &Seen, printer: &Printer) -> Vec<String> {
    let Seen { status, summary } = seen;
    let open: Vec<_> = status.connections.iter().map(|of| format!("{} {}/{}", of.protocol, of.open, of.max)).collect();
    let mail = status.refusing.as_ref().map_or_else(
        || printer.green("taking mail"),
        |why| printer.red(&format!("refusing mail: {}", posthouse_runtime::log::one_line(why))),
    );
    let memory = status.memory.resident.map(text::size).unwrap_or_default();
    let head =
        format!("{}  {mail}  up {}  {}  memory {memory}  (q quits)", status.hostname, text::age(status.uptime), open.join("  "));
    let mut lines = vec![head, String::new()];
    lines.extend(look::table(summary, printer));
    lines
}

/// The line, no wider than the screen. Colours have no width.
fn cut(line: &str, columns: usize) -> String {
    let (mut width, mut out, mut escaped) = (0, String::new(), false);
    for c in line.chars() {
        escaped = escaped || c == '\x1b';
        if !escaped {
            width += 1;
        }
        if escaped || width <= columns {
            out.push(c);
        }
        escaped = escaped && c != 'm';
    }
    out
}

/// The other screen, without a cursor, and keys one by one; all as it was when dropped.
struct Screen(Termios);

impl Screen {
    fn enter() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let screen = Self(before);
        screen.write("\x1b[?1049h\x1b[?25l\x1b[2J")?;
        Ok(screen)
    }

    fn write(&self, codes: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(codes.as_bytes())?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = self.write("\x1b[?25h\x1b[?1049l");
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests;
