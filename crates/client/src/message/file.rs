//! Files that go with a letter: the only place of this crate that opens one, and only one that the caller names; or one without a name.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::body::Opener;

/// Files up to this are read when they are attached, larger ones while the letter is sent.
const READ_AT_ONCE_BYTES_MAX: u64 = 64 * 1024;

/// What is known of a file when it is attached.
pub(super) enum Found {
    Read(Vec<u8>),
    Large { len: u64, opener: Opener },
}

pub(super) fn find(path: &Path) -> Result<Found, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let about = file.metadata().map_err(|error| error.to_string())?;
    if about.is_dir() {
        return Err("it is a folder".to_owned());
    }
    // A pipe has no length and cannot be read twice.
    if about.is_file() && about.len() > READ_AT_ONCE_BYTES_MAX {
        let path = path.to_owned();
        let open = move || Ok::<_, io::Error>(Box::new(File::open(&path)?) as Box<dyn Read + Send>);
        return Ok(Found::Large { len: about.len(), opener: Opener(Arc::new(open)) });
    }
    let mut octets = Vec::new();
    let most = super::MESSAGE_BYTES_MAX;
    (&mut file).take(most + 1).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    if u64::try_from(octets.len()).is_ok_and(|len| len <= most) {
        Ok(Found::Read(octets))
    } else {
        Err("it is too large".to_owned())
    }
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
