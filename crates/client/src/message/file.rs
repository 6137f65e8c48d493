//! Files that go with a letter: the only place of this crate that opens one, and only one that the caller names; or one without a name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use posthouse_runtime::task;

use super::body::Opener;

/// Files up to this are read when they are attached, larger ones while the letter is sent.
const READ_AT_ONCE_BYTES_MAX: u64 = 64 * 1024;

/// How long a pipe waits for somebody who writes into it.
const WRITER_MAX: Duration = Duration::from_secs(10);

/// What is known of a file when it is attached.
pub(super) enum Found {
    Read(Vec<u8>),
    Large { len: u64, opener: Opener },
}

pub(super) fn find(path: &Path) -> Result<Found, String> {
    // Before it is opened: some devices do things then, and a pipe waits.
    let about = fs::metadata(path).map_err(|error| error.to_string())?;
    let kind = about.file_type();
    if kind.is_dir() {
        return Err("it is a folder; pack it first, with tar or zip".to_owned());
    }
    if kind.is_char_device() || kind.is_block_device() || kind.is_socket() {
        return Err("it is a device or a socket, and not a file".to_owned());
    }
    if kind.is_fifo() {
        return open_pipe(path).and_then(read_now).map_err(|error| error.to_string());
    }
    let len = about.len();
    if len > READ_AT_ONCE_BYTES_MAX {
        let path = path.to_owned();
        let open = move || match File::open(&path) {
            Ok(file) => Ok(Box::new(Named { file, path: path.clone(), left: len }) as Box<dyn Read + Send>),
            Err(error) => Err(named(&path, &error)),
        };
        return Ok(Found::Large { len, opener: Opener(Arc::new(open)) });
    }
    File::open(path).and_then(read_now).map_err(|error| error.to_string())
}

/// Reads what has no length, or cannot be read twice, or is small: what is too large for memory goes into a file of our own.
fn read_now(mut file: File) -> io::Result<Found> {
    let mut first = Vec::new();
    (&mut file).take(READ_AT_ONCE_BYTES_MAX + 1).read_to_end(&mut first)?;
    if u64::try_from(first.len()).is_ok_and(|len| len <= READ_AT_ONCE_BYTES_MAX) {
        return Ok(Found::Read(first));
    }
    let mut kept = spool()?;
    kept.write_all(&first)?;
    let rest_max = super::MESSAGE_BYTES_MAX.saturating_sub(READ_AT_ONCE_BYTES_MAX + 1);
    let rest = io::copy(&mut file.take(rest_max + 1), &mut kept)?;
    if rest > rest_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than any letter may be"));
    }
    Ok(Found::Large { len: rest + READ_AT_ONCE_BYTES_MAX + 1, opener: opener(kept) })
}

/// Opens a pipe, which waits until somebody writes into it; not for ever.
fn open_pipe(path: &Path) -> io::Result<File> {
    let (told, opened) = mpsc::sync_channel(1);
    let pipe = path.to_owned();
    task::thread("pipe", move || {
        // Whoever waited may have gone.
        let _ = told.send(File::open(pipe));
    })?;
    opened.recv_timeout(WRITER_MAX).unwrap_or_else(|_| {
        // fifo(7): with both ends open at once it does not wait, and lets the thread above go on.
        let _ = OpenOptions::new().read(true).write(true).open(path);
        let words = format!("it is a pipe, and nobody writes into it for {} s", WRITER_MAX.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, words))
    })
}

/// A file whose errors say which one it is. It has to be as long as it was: its length was announced.
struct Named {
    file: File,
    path: PathBuf,
    left: u64,
}

impl Read for Named {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let changed = |words: &str| {
            let error = io::Error::new(io::ErrorKind::InvalidData, format!("it is {words} than it was when the letter was made"));
            Err(named(&self.path, &error))
        };
        let count = self.file.read(buffer).map_err(|error| named(&self.path, &error))?;
        match self.left.checked_sub(u64::try_from(count).unwrap_or(u64::MAX)) {
            None => changed("longer"),
            Some(left) if count == 0 && left > 0 && !buffer.is_empty() => changed("shorter"),
            Some(left) => {
                self.left = left;
                Ok(count)
            }
        }
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A file for what is too large for memory. It has no name, so that nothing is left of it however this process ends.
pub(super) fn spool() -> io::Result<File> {
    tempfile::tempfile()
}

/// Opens such a file, as often as it is needed.
pub(super) fn opener(file: File) -> Opener {
    let file = Arc::new(file);
    Opener(Arc::new(move || Ok(Box::new(Reading { file: Arc::clone(&file), at: 0 }) as Box<dyn Read + Send>)))
}

/// A file that several may read at a time, each from its own place.
struct Reading {
    file: Arc<File>,
    at: u64,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(count)
    }
}

/// The media type by the file's ending, for what people attach most; everything else is octets.
pub(super) fn content_type(path: &Path) -> &'static str {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match ending.as_str() {
        "txt" | "log" | "md" => "text/plain",
        "csv" => "text/csv",
        "htm" | "html" => "text/html",
        "ics" => "text/calendar",
        "eml" => "message/rfc822",
        "pdf" => "application/pdf",
        "json" => "application/json",
        "xml" => "application/xml",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "odt" => "application/vnd.oasis.opendocument.text",
        _ => "application/octet-stream",
    }
}
