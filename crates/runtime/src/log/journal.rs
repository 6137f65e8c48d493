//! The log in systemd's journal, by its native protocol: a field for each value, so that `journalctl POSTHOUSE_LETTER=ID` finds what the timeline of a letter joins.
//!
//! One datagram an event, never waited for: while the journal is busy events are left out, and the next that passes says how many. Nothing a peer says makes a field or ends
//! one.

use std::fmt::{self, Write as _};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::one_line;

/// Where systemd takes events.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// The octets of one value, and the fields of one event; a datagram of them is well below what a socket takes.
const VALUE_BYTES_MAX: usize = 4096;
const FIELDS_MAX: usize = 24;

/// Writes events to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// Events that the journal had no room for.
    lost: AtomicU64,
}

impl Journal {
    /// Whoever takes events at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !std::fs::metadata(path)?.file_type().is_socket() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned(), lost: AtomicU64::new(0) })
    }

    fn send(&self, mut fields: Fields) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            fields.put("POSTHOUSE_LOST", &lost.to_string());
        }
        // By its name each time: the journal may have been started again.
        if self.socket.send_to(&fields.datagram, &self.path).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields { message: String::new(), datagram: Vec::with_capacity(512), count: 0 };
        fields.put("PRIORITY", priority(*metadata.level()));
        fields.put("SYSLOG_IDENTIFIER", "posthouse");
        fields.put("POSTHOUSE_TARGET", metadata.target());
        let mut values = Values { fields: &mut fields, rest: String::new() };
        event.record(&mut values);
        let rest = values.rest;
        let message = format!("{}{rest}", fields.message);
        fields.put("MESSAGE", &message);
        self.send(fields);
    }
}

/// syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// The fields of an event, as the journal reads them: `NAME=value` and a line end (systemd, "Native Journal Protocol").
struct Fields {
    message: String,
    datagram: Vec<u8>,
    count: usize,
}

impl Fields {
    fn put(&mut self, name: &str, value: &str) {
        if self.count >= FIELDS_MAX && name != "MESSAGE" {
            return;
        }
        self.count += 1;
        // Without line ends no value needs its length, and none can begin another field.
        let value = one_line(value);
        let end = (0..=VALUE_BYTES_MAX.min(value.len())).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
        let value = value.get(..end).unwrap_or_default();
        self.datagram.extend([name.as_bytes(), b"=", value.as_bytes(), b"\n"].concat());
    }
}

/// Takes the values of an event: each is a field of its own, and stands behind the message as well.
struct Values<'a> {
    fields: &'a mut Fields,
    rest: String,
}

impl Values<'_> {
    fn take(&mut self, name: &str, value: &str) {
        if name == "message" {
            value.clone_into(&mut self.fields.message);
            return;
        }
        // Writing to a String cannot fail.
        let _ = write!(self.rest, " {name}={value}");
        let upper: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        self.fields.put(&format!("POSTHOUSE_{upper}"), value);
    }
}

impl Visit for Values<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// A journal of the test's own: where it is, and the fields of the next event.
    fn journal() -> (tempfile::TempDir, PathBuf, UnixDatagram) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        (folder, path, socket)
    }

    fn next(socket: &UnixDatagram) -> Vec<String> {
        let mut datagram = vec![0; 200_000];
        let count = socket.recv(&mut datagram).unwrap();
        String::from_utf8(datagram[..count].to_vec()).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_value_is_a_field_and_none_can_begin_another() {
        let (_folder, path, socket) = journal();
        let subscriber = tracing_subscriber::registry().with(Journal::open(&path).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(letter = %"01KAS", helo = "a\nPRIORITY=0\n\u{1b}[2J", count = 7, "a letter is refused");
            tracing::info!(long = "é".repeat(100_000), "long");
        });
        let fields = next(&socket);
        for right in ["PRIORITY=4", "SYSLOG_IDENTIFIER=posthouse", "POSTHOUSE_LETTER=01KAS", "POSTHOUSE_COUNT=7"] {
            assert!(fields.iter().any(|field| field == right), "no {right} in {fields:?}");
        }
        assert!(fields.contains(&"POSTHOUSE_HELO=a\\nPRIORITY=0\\n\\u{1b}[2J".to_owned()), "{fields:?}");
        assert!(fields.iter().any(|field| field.starts_with("MESSAGE=a letter is refused letter=01KAS helo=a\\n")), "{fields:?}");
        assert_eq!(fields.iter().filter(|field| field.starts_with("PRIORITY=")).count(), 1);
        let long = next(&socket);
        assert!(long.iter().all(|field| field.len() <= VALUE_BYTES_MAX + 30), "a value has no end");
    }

    #[test]
    fn a_journal_that_is_busy_or_gone_is_not_waited_for_and_what_it_missed_is_said() {
        let (_folder, path, socket) = journal();
        let subscriber = tracing_subscriber::registry().with(Journal::open(&path).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            // A socket holds a few datagrams that nobody reads.
            (0..5000).for_each(|number| tracing::info!(number, "many"));
            let mut held = 0;
            socket.set_nonblocking(true).unwrap();
            while socket.recv(&mut [0; 8192]).is_ok() {
                held += 1;
            }
            assert!(held > 0 && held < 5000, "{held}");
            drop(socket);
            std::fs::remove_file(&path).unwrap();
            tracing::info!("nobody is there");
            let again = UnixDatagram::bind(&path).unwrap();
            tracing::info!("somebody is");
            assert!(next(&again).contains(&format!("POSTHOUSE_LOST={}", 5001 - held)));
        });
    }

    #[test]
    fn where_there_is_no_journal_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Journal::open(&folder.path().join("nothing")).is_err());
        assert!(Journal::open(folder.path()).is_err());
    }
}
