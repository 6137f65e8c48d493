//! Many letters from a table, profiles, and what is made without being sent.

use posthouse_client::Catcher;

use super::*;

const TABLE: &str = "email,name\nbob@x.test,\"Bob, B.\"\ncarol@x.test,<Carol>\n";

fn merge(folder: &Path, server: &str, more: &[&str]) -> Done {
    std::fs::write(folder.join("people.csv"), TABLE).unwrap();
    std::fs::write(folder.join("page.html"), "<p>Dear {{ name }}</p>").unwrap();
    let all = ["send", "--server", server, "--from", "news@x.test", "--merge", "people.csv", "--to", "{{ email }}"];
    let what = ["--subject", "Hello {{ name }}", "--html-file", "page.html"];
    run(folder, &[&all[..], &what, more].concat())
}

#[test]
fn each_row_is_a_letter_and_what_was_accepted_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let catcher = Catcher::builder().refuse("carol@x.test", "450 4.2.1 later".parse_reply()).start().unwrap();
    let sent = merge(folder.path(), &catcher.url(), &["--state", "sent.txt"]);
    assert_eq!(sent.exit, 75, "{}{}", sent.out, sent.err);
    assert!(sent.out.contains("accepted  bob@x.test") && sent.out.contains("deferred  carol@x.test"), "{}", sent.out);
    let letter = catcher.wait_for_now("bob@x.test").unwrap();
    assert_eq!(letter.subject().as_deref(), Some("Hello Bob, B."));
    assert!(letter.html().unwrap().contains("Dear Bob, B.") && letter.text().unwrap().contains("Dear Bob, B."));
    drop(catcher);
    let catcher = Catcher::start().unwrap();
    let again = merge(folder.path(), &catcher.url(), &["--state", "sent.txt"]);
    assert_eq!(again.exit, 0, "{}{}", again.out, again.err);
    let letters = catcher.letters();
    assert_eq!(letters.iter().map(|letter| letter.to()).collect::<Vec<_>>(), [["carol@x.test"]]);
    assert!(letters[0].html().unwrap().contains("Dear &lt;Carol&gt;"), "values are escaped in HTML");
    assert_eq!(letters[0].subject().as_deref(), Some("Hello <Carol>"), "and nowhere else");
}

#[test]
fn two_letters_to_the_same_recipient_are_two() {
    let folder = tempfile::tempdir().unwrap();
    let first = Catcher::builder().refuse_letters("451 4.3.0 later".parse_reply()).start().unwrap();
    std::fs::write(folder.path().join("bills.csv"), "email;bill\nbob@x.test;1,50\nbob@x.test;2,50\n").unwrap();
    let send = |server: &str| {
        let common = ["send", "--server", server, "--from", "a@x.test", "--merge", "bills.csv", "--state", "sent.txt"];
        run(folder.path(), &[&common[..], &["--to", "{{ email }}", "--text", "{{ bill }}", "--connections", "1"]].concat())
    };
    assert_eq!(send(&first.url()).exit, 75);
    // As if the second had been accepted.
    std::fs::write(folder.path().join("sent.txt"), "accepted\tbob@x.test\t2\nunkno").unwrap();
    let catcher = Catcher::start().unwrap();
    send(&catcher.url()).ok();
    send(&catcher.url()).ok();
    let texts: Vec<_> = catcher.letters().iter().map(|letter| letter.text().unwrap()).collect();
    assert_eq!(texts, ["1,50\r\n"]);
    let state = std::fs::read_to_string(folder.path().join("sent.txt")).unwrap();
    assert_eq!(state, "accepted\tbob@x.test\t2\naccepted\tbob@x.test\n", "what was torn is gone");
}

#[test]
fn what_is_no_record_of_ours_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let catcher = Catcher::start().unwrap();
    for (state, line) in
        [("accepted bob@x.test\n", "line 1"), ("accepted\tbob@x.test\nok\n", "line 2"), ("Dear diary", "not one that")]
    {
        std::fs::write(folder.path().join("sent.txt"), state).unwrap();
        merge(folder.path(), &catcher.url(), &["--state", "sent.txt"]).fails(65, line);
        assert_eq!(std::fs::read_to_string(folder.path().join("sent.txt")).unwrap(), state);
    }
    merge(folder.path(), &catcher.url(), &["--state", "/dev/full"]).fails(65, "no file");
    merge(folder.path(), &catcher.url(), &["--rate", "0"]).fails(64, "--rate");
    assert!(catcher.letters().is_empty());
    std::fs::write(folder.path().join("sent.txt"), "accepted\tbob@x.test\r\nkept\tcarol@x.test\r\n").unwrap();
    merge(folder.path(), &catcher.url(), &["--state", "sent.txt"]).ok();
    assert!(catcher.letters().is_empty(), "an editor may have changed the ends of lines");
}

/// The server has the first letter and has not answered yet when the run is interrupted.
#[test]
fn an_interrupted_run_waits_for_the_letter_under_way_and_begins_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (interrupt, interrupted) = std::sync::mpsc::channel::<std::sync::mpsc::Sender<()>>();
    let peer = posthouse_testkit::peer::Peer::listen(1, move |talk| {
        super::send::greet(talk);
        for reply in ["250 ok", "250 ok", "354 go on"] {
            talk.hear().unwrap();
            talk.say(reply);
        }
        talk.body();
        let (go_on, told) = std::sync::mpsc::channel();
        interrupt.send(go_on).unwrap();
        told.recv().unwrap();
        talk.say("250 taken");
        assert_eq!(talk.hear().as_deref(), Some("QUIT"));
    });
    std::fs::write(folder.path().join("people.csv"), TABLE).unwrap();
    let server = format!("smtp://{}", peer.address());
    let mut command = posthouse();
    command.current_dir(folder.path()).args(["send", "--server", &server, "--from", "a@x.test", "--merge", "people.csv"]);
    command.args(["--to", "{{ email }}", "--text", "Hi", "--state", "sent.txt", "--connections", "1"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let go_on = interrupted.recv().unwrap();
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let mut told = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut told, &mut line).unwrap();
    assert!(line.contains("no more letters are begun"), "{line}");
    go_on.send(()).unwrap();
    std::io::Read::read_to_string(&mut told, &mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{line}");
    assert!(line.contains("1 of 2 letters are not sent"), "{line}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "accepted  bob@x.test: 250 taken\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("sent.txt")).unwrap(), "accepted\tbob@x.test\n");
    peer.finish();
}

#[test]
fn a_mistake_in_the_last_row_is_told_before_the_first_letter_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let catcher = Catcher::start().unwrap();
    std::fs::write(folder.path().join("bad.csv"), "email\nbob@x.test\nnobody\n").unwrap();
    let server = catcher.url();
    let common = ["send", "--server", &server, "--from", "news@x.test", "--merge", "bad.csv", "--text", "Hi"];
    run(folder.path(), &[&common[..], &["--to", "{{ email }}"]].concat()).fails(65, "row 2");
    run(folder.path(), &[&common[..], &["--to", "{{ emial }}"]].concat())
        .fails(65, "row 1: `{{ emial }}`: undefined value; the row has: email");
    std::fs::write(folder.path().join("bad.csv"), "email,s\nbob@x.test,\"a\nBcc: x@y.test\"\n").unwrap();
    run(folder.path(), &[&common[..], &["--to", "{{ email }}", "--subject", "{{ s }}"]].concat()).fails(65, "row 1");
    assert!(catcher.letters().is_empty());
}

#[test]
fn a_dry_run_connects_to_nobody_and_a_saved_letter_is_what_would_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let planned = merge(folder.path(), "smtp://127.0.0.1:1", &["--dry-run", "--json"]).ok();
    assert_eq!(planned.lines().count(), 2);
    assert!(planned.contains("\"to\":[\"carol@x.test\"]"), "{planned}");
    let made = ["send", "--dry-run", "--from", "a@x.test", "--to", "b@x.test", "--text", "Hi", "--save", "out.eml"];
    let said = run(folder.path(), &made).ok();
    assert!(said.starts_with("would send ") && said.contains("from <a@x.test> to b@x.test"), "{said}");
    let eml = std::fs::read_to_string(folder.path().join("out.eml")).unwrap();
    assert!(eml.contains("\r\nTo: b@x.test\r\n") && eml.ends_with("\r\n\r\nHi\r\n"), "{eml}");
    let people = folder.path().join("people.txt");
    std::fs::write(people, "# everybody\nb@x.test\n\nC <c@x.test>\n").unwrap();
    let said = run(folder.path(), &["send", "--dry-run", "--from", "a@x.test", "--to-file", "people.txt", "--text", "Hi"]).ok();
    assert!(said.contains("to b@x.test, c@x.test"), "{said}");
}

#[test]
fn the_profile_of_the_sender_knows_the_server_and_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let catcher = Catcher::builder().login("al", "pencil").start().unwrap();
    let place = folder.path().join("posthouse");
    std::fs::create_dir(&place).unwrap();
    let profile = format!(
        "[work]\nfrom = \"al@x.test\"\nserver = \"{}\"\nuser = \"al\"\npassword-command = \"echo pencil\"\n",
        catcher.url()
    );
    std::fs::write(place.join("profiles.toml"), profile).unwrap();
    let mut command = posthouse();
    command.env("XDG_CONFIG_HOME", folder.path()).env_remove("POSTHOUSE_SERVER").current_dir(folder.path());
    done(command.args(["send", "--from", "al@x.test", "--to", "bob@x.test", "--text", "Hi"])).ok();
    assert_eq!(catcher.wait_for_now("bob@x.test").unwrap().login(), Some("al"));
    let mut command = posthouse();
    command.env("XDG_CONFIG_HOME", folder.path()).env_remove("POSTHOUSE_SERVER");
    done(command.args(["send", "--profile", "none", "--to", "bob@x.test", "--text", "Hi"])).fails(78, "no profile `none`");
}

/// A reply as it stands on the wire.
trait ParseReply {
    fn parse_reply(&self) -> posthouse_mail::Reply;
}

impl ParseReply for str {
    fn parse_reply(&self) -> posthouse_mail::Reply {
        let mut words = self.splitn(3, ' ');
        let (code, status) = (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());
        posthouse_mail::Reply::new(code, status, words.next().unwrap())
    }
}
