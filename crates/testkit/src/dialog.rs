//! Dialog files: what a client says and what it must hear, line by line.
//!
//! ```text
//! # a comment, or an empty line
//! = key value        a setting of the world that the dialog needs, before anything else
//! C: text            the client sends the text and CRLF
//! C! text            the client sends exactly this; \r \n \0 \\ and \xNN are octets
//! C*1000 text        the client sends the line so many times, `{n}` counting from 1
//! S: text            the server's next line; `*` stands for anything
//! S*1000 text        the same so many times
//! S+ 250             the server's next reply, whatever it says, has this code in all its lines
//! T                  both begin TLS
//! X                  the server closes
//! ```
//!
//! What the client sends between two lines of the server it sends in one write. The parser knows nothing of SMTP; whoever plays a dialog
//! does so by [`Dialog::steps`]. A file that cannot be read is a panic that names the line.

use std::path::Path;

/// One file.
#[derive(Debug, Clone)]
pub struct Dialog {
    /// The file's name without its ending.
    pub name: String,
    /// What `=` said.
    pub settings: Vec<(String, String)>,
    /// What happens, in order; two `Send`s never follow each other.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The client sends this.
    Send(Vec<u8>),
    /// The server's next line, without CRLF, matches this pattern.
    Line(String),
    /// The server's next reply has this code.
    Reply(String),
    /// Both begin TLS.
    Tls,
    /// The server closes, and has said nothing more.
    Close,
}

impl Dialog {
    /// Reads every `.txt` of a folder, in the order of their names.
    ///
    /// # Panics
    /// When there is none, or one cannot be read.
    #[must_use]
    pub fn load_all(folder: &Path) -> Vec<Dialog> {
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
            .collect();
        paths.sort();
        assert!(!paths.is_empty(), "no dialogs in {}", folder.display());
        let read = |path: &std::path::PathBuf| {
            Dialog::parse(&path.file_stem().unwrap().to_string_lossy(), &std::fs::read_to_string(path).unwrap())
        };
        paths.iter().map(read).collect()
    }

    /// Reads one.
    ///
    /// # Panics
    /// At the first line that is none of the known ones.
    #[must_use]
    pub fn parse(name: &str, text: &str) -> Dialog {
        let mut dialog = Dialog { name: name.to_owned(), settings: Vec::new(), steps: Vec::new() };
        for (line, number) in text.lines().zip(1..) {
            let known = line.is_empty() || line.starts_with('#') || dialog.add(line).is_some();
            assert!(known, "{name}:{number}: `{line}` is no line of a dialog");
        }
        dialog
    }

    /// The value of a setting.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// All that the client sends.
    #[must_use]
    pub fn sent_bytes(&self) -> usize {
        self.steps.iter().map(|step| if let Step::Send(bytes) = step { bytes.len() } else { 0 }).sum()
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
        match sign {
            "=" => {
                let (key, value) = rest.split_once(' ')?;
                self.settings.push((key.to_owned(), value.to_owned()));
            }
            "C:" => self.send(format!("{rest}\r\n").into_bytes()),
            "C!" => self.send(unescape(rest)?),
            "S:" => self.steps.push(Step::Line(rest.to_owned())),
            "S+" => self.steps.push(Step::Reply(rest.to_owned())),
            "T" => self.steps.push(Step::Tls),
            "X" => self.steps.push(Step::Close),
            _ => {
                let (who, times) = sign.split_once('*')?;
                for n in 1..=times.parse::<u32>().ok()? {
                    let text = rest.replace("{n}", &n.to_string());
                    match who {
                        "C" => self.send(format!("{text}\r\n").into_bytes()),
                        "S" => self.steps.push(Step::Line(text)),
                        _ => return None,
                    }
                }
            }
        }
        Some(())
    }

    fn send(&mut self, bytes: Vec<u8>) {
        if let Some(Step::Send(before)) = self.steps.last_mut() {
            before.extend(bytes);
        } else {
            self.steps.push(Step::Send(bytes));
        }
    }
}

/// Whether a line is what a pattern says; each `*` stands for anything.
#[must_use]
pub fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        bytes.push(match chars.next()? {
            'r' => b'\r',
            'n' => b'\n',
            '0' => 0,
            '\\' => b'\\',
            'x' => u8::from_str_radix(&chars.by_ref().take(2).collect::<String>(), 16).ok()?,
            _ => return None,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
