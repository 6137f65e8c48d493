//! What the replies of well-known providers usually mean. Their words change; the codes rarely.

use posthouse_mail::Reply;

/// One thing that is known: the provider by a part of its server's name (empty for any), the code, the status' subject and detail, a word of the reply, the cause.
type Row = (&'static str, u16, Option<(u16, u16)>, &'static str, &'static str);

const ROWS: [Row; 23] = [
    (
        "gmail",
        535,
        None,
        "",
        "Gmail takes no account password here: make an app password (it needs two-step verification), or log in with OAuth.",
    ),
    (
        "google",
        535,
        None,
        "",
        "Google takes no account password here: make an app password (it needs two-step verification), or log in with OAuth.",
    ),
    ("gmail", 534, None, "", "An app password is needed, or a log-in in the browser first."),
    (
        "office365",
        535,
        Some((7, 139)),
        "",
        "SMTP AUTH is switched off for this mailbox or organisation: its administrator can allow it, or log in with OAuth.",
    ),
    ("outlook", 535, None, "", "Outlook takes no passwords any more: log in with OAuth."),
    ("office365", 535, None, "", "Microsoft 365 takes no passwords any more: log in with OAuth."),
    ("yahoo", 535, None, "", "Yahoo wants an app password."),
    ("aol", 535, None, "", "AOL wants an app password."),
    ("me.com", 535, None, "", "iCloud wants an app-specific password."),
    ("icloud", 535, None, "", "iCloud wants an app-specific password."),
    (
        "zoho",
        535,
        None,
        "",
        "Zoho wants an app password once two-factor authentication is on; the server must be that of your region.",
    ),
    ("fastmail", 535, None, "", "Fastmail wants an app password."),
    ("amazonaws", 535, None, "", "These are SMTP credentials of SES, made in its console; access keys do not log in."),
    ("sendgrid", 535, None, "", "The user is the word `apikey`, the password the key."),
    ("amazonaws", 554, None, "not verified", "In the sandbox of SES both addresses have to be verified first."),
    (
        "",
        550,
        Some((7, 26)),
        "",
        "The receiver wants mail that is authenticated: SPF or DKIM of the sender's domain is missing or does not fit.",
    ),
    ("", 550, Some((7, 25)), "", "The sending address has no PTR record that leads back to it."),
    ("", 550, None, "relay", "The server does not know you: log in, or use the server of your own provider."),
    ("", 554, None, "relay", "The server does not know you: log in, or use the server of your own provider."),
    ("", 554, None, "blocked", "The address you send from stands on a block list."),
    ("", 552, Some((2, 2)), "", "The recipient's mailbox is full."),
    ("", 452, Some((2, 2)), "", "The recipient's mailbox is full."),
    (
        "",
        535,
        Some((7, 8)),
        "",
        "User or password are wrong, or the provider wants an app password instead of that of the account.",
    ),
];

/// What a reply of a server usually means; nothing where nobody knows.
///
/// ```
/// use posthouse_client::cause;
/// use posthouse_client::mail::Reply;
///
/// let reply = Reply::new(552, "5.2.2".parse()?, "Mailbox full");
/// assert_eq!(cause("mx.example.org", &reply), Some("The recipient's mailbox is full."));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn cause(server: &str, reply: &Reply) -> Option<&'static str> {
    let (server, text) = (server.to_ascii_lowercase(), reply.text().to_ascii_lowercase());
    let fits = |row: &&Row| {
        let (provider, code, status, word, _) = row;
        let told = reply.status().map(|status| (status.subject, status.detail));
        server.contains(provider) && reply.code() == *code && (status.is_none() || *status == told) && text.contains(word)
    };
    ROWS.iter().find(fits).map(|row| row.4)
}
