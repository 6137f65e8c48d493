//! sendmail's options, as programs have given them for forty years: single letters, their value behind them or in the next word.

use posthouse_mail::{Address, Notify, Ret, ReversePath};

use posthouse_runtime::users;

use crate::cli::{Exit, Failure, dsn};

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Mode {
    /// `-bm`: take a letter.
    #[default]
    Deliver,
    /// `-bp`: list what waits.
    List,
    /// `-q`: send what waits.
    Flush,
    /// `-bi`: newaliases.
    Aliases,
    /// `-bv`: check addresses.
    Verify,
    /// `-bs`: SMTP on standard input and output.
    Smtp,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Options {
    pub(super) mode: Mode,
    /// A server to hand letters to by SMTP, instead of the one of this machine.
    pub(super) server: Option<String>,
    /// `-f`: a name, an address, or nothing between the angle brackets.
    pub(super) sender: Option<String>,
    pub(super) full_name: Option<String>,
    pub(super) from_header: bool,
    pub(super) ignore_dots: bool,
    pub(super) verbose: bool,
    pub(super) notify: Option<Notify>,
    pub(super) ret: Option<Ret>,
    pub(super) envid: Option<String>,
    pub(super) recipients: Vec<String>,
}

impl Options {
    /// Reads the words. What only tunes another sendmail is passed over; what cannot be done is an error.
    pub(super) fn parse(words: &[String]) -> Result<Self, Failure> {
        let server = std::env::var("POSTHOUSE_SERVER").ok().filter(|server| !server.is_empty());
        let mut options = Self { server, ..Self::default() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.strip_prefix('-') {
                Some("-") => options.recipients.extend(words.by_ref().cloned()),
                Some("-server") => options.server = Some(value("", &mut words, word)?),
                Some(letters) if !letters.is_empty() => options.take(letters, &mut words, word)?,
                _ => options.recipients.push(word.clone()),
            }
        }
        Ok(options)
    }

    fn take<'a>(&mut self, letters: &str, words: &mut impl Iterator<Item = &'a String>, word: &str) -> Result<(), Failure> {
        let mut chars = letters.chars();
        let letter = chars.next().unwrap_or_default();
        let rest = chars.as_str();
        match letter {
            't' | 'i' | 'v' => {
                match letter {
                    't' => self.from_header = true,
                    'i' => self.ignore_dots = true,
                    _ => self.verbose = true,
                }
                // `-ti` and the like: flags in one word.
                if !rest.is_empty() {
                    return self.take(rest, words, word);
                }
            }
            'f' | 'r' => self.sender = Some(value(rest, words, word)?),
            'F' => self.full_name = Some(value(rest, words, word)?.chars().filter(|c| !c.is_control()).collect()),
            'b' => {
                self.mode = match rest {
                    "m" | "" => Mode::Deliver,
                    "p" => Mode::List,
                    "i" => Mode::Aliases,
                    "v" => Mode::Verify,
                    "s" => Mode::Smtp,
                    _ => return Err(unknown(word, "of the modes -bm, -bs, -bp, -bi and -bv are there")),
                }
            }
            'q' => self.mode = Mode::Flush,
            'o' if rest == "i" => self.ignore_dots = true,
            'O' if rest.is_empty() => self.option(&value(rest, words, word)?),
            'O' => self.option(rest),
            'N' => self.notify = Some(dsn::notify(&value(rest, words, word)?).map_err(|why| unknown(word, &why))?),
            'R' => self.ret = Some(dsn::ret(&value(rest, words, word)?).map_err(|why| unknown(word, &why))?),
            'V' => self.envid = Some(dsn::envid(&value(rest, words, word)?).map_err(|why| unknown(word, &why))?),
            // The body's type is found out, and another configuration or another name changes nothing here.
            'B' | 'C' | 'd' | 'h' | 'L' | 'p' | 'X' if rest.is_empty() => drop(words.next()),
            'B' | 'C' | 'd' | 'e' | 'h' | 'L' | 'm' | 'o' | 'p' | 'X' | 'G' | 'U' | 'n' | 's' | 'x' | 'E' | 'A' => {}
            _ => return Err(unknown(word, "it is none of sendmail's options that are known here")),
        }
        Ok(())
    }

    fn option(&mut self, text: &str) {
        if text.eq_ignore_ascii_case("IgnoreDots") || text.eq_ignore_ascii_case("IgnoreDots=true") {
            self.ignore_dots = true;
        }
    }
}

fn value<'a>(rest: &str, words: &mut impl Iterator<Item = &'a String>, word: &str) -> Result<String, Failure> {
    if !rest.is_empty() {
        return Ok(rest.to_owned());
    }
    words.next().cloned().ok_or_else(|| unknown(word, "a value belongs behind it"))
}

fn unknown(word: &str, why: &str) -> Failure {
    Failure::say(Exit::Usage, format_args!("`{word}`: {why}"))
}

/// `-f`, read.
pub(super) fn sender(text: &str, domain: &str) -> Result<ReversePath, Failure> {
    match text.trim().trim_start_matches('<').trim_end_matches('>') {
        "" => Ok(ReversePath::NULL),
        text => address(text, domain).map(ReversePath::from),
    }
}

/// An address; a name alone is one of `domain`.
pub(super) fn address(text: &str, domain: &str) -> Result<Address, Failure> {
    let text = text.trim();
    // What stands where an argument was not UTF-8: the letter would go to somebody else.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Failure::say(Exit::Data, format_args!("`{text}` is not an address: it is not UTF-8")));
    }
    let whole = if text.contains('@') { text.to_owned() } else { format!("{text}@{domain}") };
    let read = whole.parse::<posthouse_mail::mime::Mailbox>().map(|mailbox| mailbox.address);
    read.map_err(|error| Failure::say(Exit::Data, format_args!("`{text}` is not an address: {error}")))
}

/// Who calls: what the kernel says, for the environment may say anything.
pub(super) fn me(domain: &str) -> Result<Address, Failure> {
    let user = users::name(users::own()).unwrap_or_else(|| users::own().to_string());
    address(&user, domain)
}

/// This host's name, as far as it can stand in an address.
pub(super) fn host() -> String {
    let name = std::fs::read_to_string("/etc/mailname").or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"));
    let name = name.unwrap_or_default().trim().to_owned();
    let usable = name.parse::<posthouse_mail::Domain>().is_ok();
    if usable { name } else { "localhost".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Options {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words).unwrap()
    }

    #[test]
    fn options_are_read_as_programs_give_them() {
        // cron, git send-email, PHP, mutt, Django and s-nail, in this order.
        let cron = parse("-FCronDaemon -i -B8BITMIME -oem root@x.test");
        assert_eq!(
            (cron.full_name.as_deref(), cron.ignore_dots, cron.recipients.as_slice()),
            (Some("CronDaemon"), true, &["root@x.test".to_owned()][..])
        );
        let git = parse("-i bob@x.test carol@x.test");
        assert_eq!((git.ignore_dots, git.recipients.len()), (true, 2));
        assert!(parse("-t -i").from_header && parse("-ti").ignore_dots && parse("-it").from_header);
        assert!(address("b\u{fffd}b@x.test", "h.test").is_err(), "octets that are no text are nobody's address");
        let mutt = parse("-oem -oi -f al@x.test -N failure,delay -R hdrs -- bob@x.test");
        assert_eq!((mutt.sender.as_deref(), mutt.ret), (Some("al@x.test"), Some(Ret::Headers)));
        assert_eq!(mutt.notify, Some(Notify { success: false, failure: true, delay: true }));
        let null = parse("-f<> -V id");
        assert_eq!((sender(&null.sender.unwrap(), "h.test").unwrap(), null.envid.as_deref()), (ReversePath::NULL, Some("id")));
        assert_eq!(parse("-ral@x.test -oi x@y.test").sender.as_deref(), Some("al@x.test"));
        assert_eq!(sender("al", "h.test").unwrap().to_string(), "al@h.test");
        for (words, mode) in [
            ("-bp", Mode::List),
            ("-q", Mode::Flush),
            ("-q30m", Mode::Flush),
            ("-qI123", Mode::Flush),
            ("-bi", Mode::Aliases),
            ("-bm", Mode::Deliver),
            ("-bs", Mode::Smtp),
        ] {
            assert_eq!(parse(words).mode, mode, "{words}");
        }
        assert_eq!(parse("-C /etc/x -O IgnoreDots a@x.test").recipients, ["a@x.test"]);
        for bad in ["-f", "-bd", "-N sometimes", "-Z"] {
            let words: Vec<String> = bad.split_whitespace().map(str::to_owned).collect();
            assert_eq!(Options::parse(&words).unwrap_err().exit(), Exit::Usage, "{bad}");
        }
    }
}
