//! A page on the terminal that is drawn again and again.
//!
//! Plain ANSI on the terminal's other screen, which it gives back as it was. What comes from outside is shown without control characters: that is the page's to see to.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::termios::{self, OptionalActions, Termios};
use serde::Serialize;

use posthouse_runtime::task;

use super::{Exit, Failure, Printer};

const EVERY: Duration = Duration::from_secs(1);
const QUIT: [u8; 3] = [b'q', b'Q', 0x03];

/// Shows what `look` finds, as `page` writes it, once a second until it is quit; as JSON, one line for each look without end.
pub(super) fn show<T: Serialize>(
    printer: &Printer,
    instead: &str,
    mut look: impl FnMut() -> Result<T, Failure>,
    mut page: impl FnMut(&T) -> Vec<String>,
) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Io, error);
    if printer.is_json() {
        loop {
            printer.json(&look()?)?;
            let pause = posthouse_runtime::block_on(posthouse_runtime::clock::sleep(EVERY));
            pause.map_err(|error| Failure::new(Exit::Os, error))?;
        }
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::say(Exit::Usage, format_args!("there is no terminal to show it on: see {instead}, or --json")));
    }
    // Before the screen changes: a server that does not run is told of in the usual way.
    let mut seen = look()?;
    let _screen = Screen::enter().map_err(failed)?;
    let keys = keys()?;
    loop {
        draw(&page(&seen)).map_err(failed)?;
        match keys.recv_timeout(EVERY) {
            Ok(key) if QUIT.contains(&key) => return Ok(()),
            // Any other key looks at once.
            Ok(_) | Err(RecvTimeoutError::Timeout) => seen = look()?,
            // The terminal is gone.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
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

fn draw(lines: &[String]) -> io::Result<()> {
    let size = termios::tcgetwinsize(io::stdout())?;
    let (rows, columns) = (usize::from(size.ws_row.max(2)), usize::from(size.ws_col.max(20)));
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
