//! What each server offers at each of its doors, as far as our client makes use of it.

/// How a port is entered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Door {
    Plain(u16),
    StartTls(u16),
    Tls(u16),
    Lmtp(u16),
}

/// One door of one server.
pub(super) struct Row {
    pub(super) server: &'static str,
    pub(super) door: Door,
    /// In the order of [`EXTENSIONS`].
    pub(super) extensions: &'static str,
    /// Those that our client knows.
    pub(super) logins: &'static str,
    /// Whether it can be made to refuse a recipient for now.
    pub(super) defers: bool,
}

const EXTENSIONS: [&str; 5] = ["8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "PIPELINING"];

const CYRUS: &str = "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN CRAM-MD5 LOGIN";
const OURS: &str = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN";
const DOVECOT: &str = "EXTERNAL SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 PLAIN CRAM-MD5 LOGIN";
const USUAL: &str = "PLAIN CRAM-MD5 LOGIN";

const fn row(server: &'static str, door: Door, extensions: &'static str, logins: &'static str, defers: bool) -> Row {
    Row { server, door, extensions, logins, defers }
}

pub(super) const ROWS: &[Row] = &[
    row("Postfix 3.7", Door::Plain(25), "8BITMIME SMTPUTF8 CHUNKING DSN PIPELINING", "", true),
    row("Postfix 3.7", Door::StartTls(587), "8BITMIME SMTPUTF8 CHUNKING DSN PIPELINING", CYRUS, true),
    row("Postfix 3.7", Door::Tls(465), "8BITMIME SMTPUTF8 CHUNKING DSN PIPELINING", CYRUS, true),
    row("Exim 4.96", Door::Plain(25), "8BITMIME SMTPUTF8 CHUNKING DSN PIPELINING", "", true),
    row("Exim 4.96", Door::StartTls(587), "8BITMIME SMTPUTF8 CHUNKING DSN PIPELINING", USUAL, true),
    row("Exim 4.96", Door::Tls(465), "8BITMIME SMTPUTF8 CHUNKING DSN PIPELINING", USUAL, true),
    row("OpenSMTPD 6.8", Door::Plain(25), "8BITMIME DSN", "", false),
    row("Dovecot 2.3 submission", Door::StartTls(587), "8BITMIME CHUNKING PIPELINING", DOVECOT, true),
    row("Dovecot 2.3 submission", Door::Tls(465), "8BITMIME CHUNKING PIPELINING", DOVECOT, true),
    row("Dovecot 2.3 LMTP", Door::Lmtp(24), "8BITMIME CHUNKING PIPELINING", "", false),
    row("Haraka 3.3", Door::Plain(25), "8BITMIME SMTPUTF8 PIPELINING", USUAL, true),
    row("Haraka 3.3", Door::StartTls(587), "8BITMIME SMTPUTF8 PIPELINING", USUAL, true),
    row("Haraka 3.3", Door::Tls(465), "8BITMIME SMTPUTF8 PIPELINING", USUAL, true),
    row("aiosmtpd 1.4", Door::Plain(25), "8BITMIME SMTPUTF8", "PLAIN LOGIN", true),
    row("aiosmtpd 1.4", Door::StartTls(587), "8BITMIME SMTPUTF8", "PLAIN LOGIN", true),
    row("aiosmtpd 1.4", Door::Tls(465), "8BITMIME SMTPUTF8", "PLAIN LOGIN", true),
    row("Posthouse", Door::Plain(25), "8BITMIME SMTPUTF8 CHUNKING DSN PIPELINING", "", false),
    row("Posthouse", Door::StartTls(587), "8BITMIME SMTPUTF8 CHUNKING DSN PIPELINING", OURS, false),
    row("Posthouse", Door::Tls(465), "8BITMIME SMTPUTF8 CHUNKING DSN PIPELINING", OURS, false),
];

impl Row {
    pub(super) fn has(&self, extension: &str) -> bool {
        self.extensions.split(' ').any(|offered| offered == extension)
    }
}

/// The rows as the document has them.
fn table() -> String {
    let mut table = format!("| server | door | {} | AUTH |\n|---|---|---|---|---|---|---|---|\n", EXTENSIONS.join(" | "));
    for row in ROWS {
        let door = match row.door {
            Door::Plain(_) => "plain",
            Door::StartTls(_) => "STARTTLS",
            Door::Tls(_) => "implicit TLS",
            Door::Lmtp(_) => "LMTP",
        };
        let marks: Vec<&str> = EXTENSIONS.iter().map(|name| if row.has(name) { "yes" } else { "–" }).collect();
        let logins = if row.logins.is_empty() { "–".to_owned() } else { row.logins.replace(' ', ", ") };
        table += &format!("| {} | {door} | {} | {logins} |\n", row.server, marks.join(" | "));
    }
    table
}

#[test]
fn the_document_has_the_table_of_what_is_covered() {
    let document = include_str!("../../../../../docs/design/client.md");
    assert!(document.contains(&table()), "docs/design/client.md needs this table:\n\n{}", table());
}
