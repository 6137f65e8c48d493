use super::*;

const LETTER: &[u8] = b"Subject: hi\r\n\r\none\r\n.two\r\nthree\r\n";

fn profile(secure: bool) -> Profile {
    Profile {
        hostname: "mail.example.test".into(),
        secure,
        tls_available: true,
        binding: ChannelBinding::None,
        fake_salt_seed: [7; 32],
        limits: Limits {
            login: Duration::from_secs(60),
            idle: Duration::from_secs(600),
            bad_commands_max: 3,
            failed_logins_max: 2,
        },
    }
}

/// The world around a session: one user `bob` with the password `right`, two messages.
struct World {
    session: Session,
    start: Instant,
    sent: String,
    removed: Vec<u32>,
    in_use: bool,
    body_breaks: bool,
}

impl World {
    fn new(secure: bool) -> Self {
        let start = posthouse_runtime::clock::now();
        let session = Session::new(profile(secure), start, true);
        Self { session, start, sent: String::new(), removed: Vec::new(), in_use: false, body_breaks: false }
    }

    /// Runs until the session waits (`None`) or ends.
    fn run(&mut self, now: Instant) -> Option<Output> {
        loop {
            match self.session.poll(now) {
                Output::Send(bytes) => self.sent.push_str(std::str::from_utf8(&bytes).unwrap()),
                Output::Ask(Question::Body { .. }) => {
                    let half = LETTER.len() / 2;
                    if self.session.body(&LETTER[..half]) && !self.body_breaks {
                        self.session.body(&LETTER[half..]);
                    }
                    self.session.body_end(now, !self.body_breaks);
                }
                Output::Ask(question) => {
                    let answer = self.reply_to(question);
                    self.session.answer(now, answer);
                }
                Output::Wait(_) => return None,
                end @ (Output::StartTls | Output::Close(_)) => return Some(end),
            }
        }
    }

    fn reply_to(&mut self, question: Question) -> Answer {
        match question {
            Question::Nonce => Answer::Nonce([1; 18]),
            Question::Password { login, password } => Answer::Password(login == "bob" && password.reveal() == "right"),
            Question::Keys { .. } => Answer::Keys(None),
            Question::Open { .. } if self.in_use => Answer::Opened(Err(OpenError::InUse)),
            Question::Open { .. } => {
                Answer::Opened(Ok([3u32, 9].map(|uid| Entry { uid, size: 33, uidl: format!("1.{uid}") }).to_vec()))
            }
            Question::Refused { .. } => Answer::Noted,
            Question::Body { .. } => unreachable!(),
            Question::Remove { uids } => {
                self.removed = uids;
                Answer::Removed(true)
            }
        }
    }

    /// What the session says to `input`, given at once; and the end, if it came to one.
    fn says(&mut self, input: &str) -> (String, Option<Output>) {
        self.session.receive(input.as_bytes());
        let end = self.run(self.start);
        (std::mem::take(&mut self.sent), end)
    }

    fn logged_in() -> Self {
        let mut world = Self::new(true);
        world.says("USER bob\r\nPASS right\r\n");
        world
    }
}

#[test]
fn a_whole_visit_says_the_same_at_every_split() {
    let visit = "CAPA\r\nUSER bob\r\nPASS right\r\nSTAT\r\nLIST\r\nUIDL 2\r\nRETR 1\r\nTOP 2 1\r\nDELE 2\r\nLIST\r\nRETR 2\r\nRSET\r\nDELE 1\r\nQUIT\r\n";
    let mut whole = World::new(true);
    whole.session.receive(visit.as_bytes());
    assert!(matches!(whole.run(whole.start), Some(Output::Close(Closing::Quit))));
    assert_eq!(whole.removed, [3]);
    let expected = "+OK mail.example.test POP3 ready\r\n\
        +OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUSER\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\nEXPIRE NEVER\r\n\
        IMPLEMENTATION Posthouse\r\n.\r\n\
        +OK now PASS\r\n+OK 2 messages (66 octets)\r\n+OK 2 66\r\n+OK\r\n1 33\r\n2 33\r\n.\r\n+OK 2 1.9\r\n\
        +OK 33 octets\r\nSubject: hi\r\n\r\none\r\n..two\r\nthree\r\n.\r\n+OK\r\nSubject: hi\r\n\r\none\r\n.\r\n\
        +OK message 2 will be removed at QUIT\r\n+OK\r\n1 33\r\n.\r\n-ERR no such message\r\n+OK nothing is marked as deleted\r\n\
        +OK message 1 will be removed at QUIT\r\n+OK goodbye\r\n";
    assert_eq!(whole.sent, expected);
    for split in 1..visit.len() {
        let mut world = World::new(true);
        let (first, second) = visit.split_at(split);
        let (mut said, _) = world.says(first);
        said.push_str(&world.says(second).0);
        assert_eq!(said, expected, "split at {split}");
        assert_eq!(world.removed, [3]);
    }
}

#[test]
fn a_lost_connection_deletes_nothing() {
    let mut world = World::logged_in();
    world.says("DELE 1\r\n");
    world.session.receive_eof();
    assert!(matches!(world.run(world.start), Some(Output::Close(Closing::Gone))));
    assert!(world.removed.is_empty());
}

#[test]
fn no_password_is_taken_in_plain_text() {
    let mut world = World::new(false);
    for line in ["USER bob\r\n", "PASS right\r\n", "AUTH PLAIN AGJvYgByaWdodA==\r\n"] {
        assert!(world.says(line).0.contains("-ERR [AUTH] no password in plain text"), "{line}");
    }
    let capabilities = world.says("CAPA\r\n").0;
    assert!(capabilities.contains("STLS\r\n") && !capabilities.contains("SASL") && !capabilities.contains("USER"));
}

#[test]
fn what_came_behind_stls_in_plain_text_is_never_read() {
    let mut world = World::new(false);
    let (said, end) = world.says("STLS\r\nUSER bob\r\nPASS right\r\nSTAT\r\n");
    assert!(matches!(end, Some(Output::StartTls)));
    assert!(said.ends_with("+OK begin TLS\r\n"));
    assert!(matches!(world.run(world.start), Some(Output::Close(_))), "the plain session goes no further");
    assert_eq!(world.sent, "");
}

#[test]
fn an_unknown_user_hears_what_a_wrong_password_hears() {
    let say = |lines: &str| World::new(true).says(lines).0;
    let wrong = say("USER bob\r\nPASS wrong\r\n");
    assert!(wrong.ends_with("-ERR [AUTH] wrong user name or password\r\n"));
    assert_eq!(say("USER nobody\r\nPASS wrong\r\n"), wrong);
    assert_eq!(say("USER bob\r\nPASS \u{fffd}\u{e000}\r\n"), wrong);
}

#[test]
fn guessing_ends_the_connection() {
    let mut world = World::new(true);
    world.says("USER bob\r\nPASS a\r\n");
    let (said, end) = world.says("USER bob\r\nPASS b\r\nUSER bob\r\nPASS right\r\n");
    assert!(said.contains("too often") && !said.contains("messages"));
    assert!(matches!(end, Some(Output::Close(Closing::Guessing))));
}

#[test]
fn auth_plain_takes_an_initial_response_and_a_challenge() {
    assert!(World::new(true).says("AUTH PLAIN AGJvYgByaWdodA==\r\n").0.ends_with("+OK 2 messages (66 octets)\r\n"));
    assert!(World::new(true).says("AUTH PLAIN\r\nAGJvYgByaWdodA==\r\n").0.ends_with("+ \r\n+OK 2 messages (66 octets)\r\n"));
    assert!(World::new(true).says("AUTH LOGIN\r\nYm9i\r\ncmlnaHQ=\r\n").0.ends_with("+OK 2 messages (66 octets)\r\n"));
}

#[test]
fn auth_can_be_cancelled_and_survives_rubbish() {
    let mut world = World::new(true);
    assert!(world.says("AUTH PLAIN\r\n*\r\n").0.ends_with("-ERR cancelled\r\n"));
    assert!(world.says("AUTH PLAIN\r\n???\r\n").0.ends_with("-ERR that is not base 64\r\n"));
    assert!(world.says("AUTH NTLM\r\n").0.contains("not offered"));
    assert!(world.says("USER bob\r\nPASS right\r\n").0.contains("2 messages"));
}

#[test]
fn a_mailbox_in_use_is_said_so() {
    let mut world = World::new(true);
    world.in_use = true;
    assert!(world.says("USER bob\r\nPASS right\r\n").0.ends_with("-ERR [IN-USE] another session has this mailbox\r\n"));
    world.in_use = false;
    assert!(world.says("USER bob\r\nPASS right\r\n").0.contains("2 messages"));
}

#[test]
fn half_a_letter_is_never_ended_like_a_whole_one() {
    let mut world = World::logged_in();
    world.body_breaks = true;
    let (said, end) = world.says("RETR 1\r\nQUIT\r\n");
    assert!(matches!(end, Some(Output::Close(Closing::Trouble))));
    assert!(!said.contains("\r\n.\r\n"));
}

#[test]
fn rubbish_is_bounded() {
    let mut world = World::new(true);
    let (_, end) = world.says("A\r\nB\r\nC\r\nD\r\nSTAT\r\n");
    assert!(matches!(end, Some(Output::Close(Closing::Garbage))));
    let (said, end) = World::new(true).says(&"x".repeat(255));
    assert!(said.contains("the line is longer"));
    assert!(matches!(end, Some(Output::Close(Closing::Garbage))));
    let (_, end) = World::new(true).says("GET / HTTP/1.1\r\n");
    assert!(matches!(end, Some(Output::Close(Closing::Garbage))));
    assert!(World::new(true).says("STAT\nSTAT\r\n").0.contains("-ERR the line holds octets"), "a bare LF ends no line");
}

#[test]
fn a_drip_of_octets_does_not_move_the_deadline() {
    let mut world = World::new(true);
    for second in 0..60 {
        world.session.receive(b"S");
        assert!(world.run(world.start + Duration::from_secs(second)).is_none());
    }
    let end = world.run(world.start + Duration::from_secs(60));
    assert!(matches!(end, Some(Output::Close(Closing::Idle))));
}

#[test]
fn a_client_that_is_in_may_be_silent_for_the_idle_time() {
    let mut world = World::logged_in();
    assert!(world.run(world.start + Duration::from_secs(599)).is_none());
    assert!(matches!(world.run(world.start + Duration::from_secs(600)), Some(Output::Close(Closing::Idle))));
}
