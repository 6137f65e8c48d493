//! Those who watch: systemd's journal as the reader of our log, and a collector that reads OpenTelemetry by its own messages.

use crate::posthouse::Posthouse;
use crate::world::{PATIENCE, eventually, in_a_world, program, run_to_end, run_with_pypi, try_to_end};
use posthouse_testkit::guard::Guard;
use std::fs;
use std::path::Path;
use std::process::Command;

in_a_world! {
    fn the_journal_has_each_value_of_an_event_as_a_field(world) {
        // The machine's own may be lacking, and is of no concern here.
        fs::write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n").unwrap();
        fs::create_dir_all("/run/log/journal").unwrap();
        let _journal = Guard::spawn(&mut Command::new("/usr/lib/systemd/systemd-journald"));
        eventually("there is no journal", || Path::new("/run/systemd/journal/socket").exists().then_some(()));
        let more = "format = \"journal\"\n";
        let _ours = Posthouse::start_with(world, "posthouse.test", "127.0.0.2", "", more);
        let found = eventually("nothing is in the journal", || {
            let mut journalctl = Command::new("journalctl");
            let output = try_to_end(journalctl.args(["-o", "json", "--no-pager", "SYSLOG_IDENTIFIER=posthouse", "POSTHOUSE_KIND=mx"]));
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines().next().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        });
        assert_eq!(found["PRIORITY"], "6");
        assert_eq!(found["POSTHOUSE_ADDRESS"], "127.0.0.2:25");
        assert_eq!(found["_TRANSPORT"], "journal");
        assert!(found["MESSAGE"].as_str().unwrap().starts_with("listening kind=mx"), "{found}");
        let boots = run_to_end(Command::new("journalctl").args(["--verify"]));
        assert!(!boots.contains("FAIL"), "{boots}");
    }
}

#[test]
fn what_is_pushed_to_a_collector_is_read_strictly_by_the_messages_of_the_protocol() {
    let path = concat!(module_path!(), "::what_is_pushed_to_a_collector_is_read_strictly_by_the_messages_of_the_protocol");
    run_with_pypi(path, "opentelemetry-proto", |world, pypi| {
        let mut collector = Guard::spawn(program("collector.py").env("PYTHONPATH", pypi));
        collector.expect("ready", PATIENCE);
        let more = "[opentelemetry]\nurl = \"http://127.0.0.1:4318\"\nevery = \"200ms\"\n";
        let ours = Posthouse::start_with(world, "posthouse.test", "127.0.0.2", "", more);
        let swaks =
            ["--server", "127.0.0.2", "--local-interface", "127.0.0.7", "--from", "x@client.test", "--to", "bob@posthouse.test"];
        run_to_end(Command::new("swaks").args(swaks));
        for line in [
            "posthouse@mx.posthouse.test gauge posthouse.taking_mail{} 1",
            "posthouse@mx.posthouse.test gauge posthouse.connections_open{protocol=smtp} 0",
            "posthouse@mx.posthouse.test sum posthouse.letters_accepted{listener=mx} 1",
        ] {
            eventually(&format!("no `{line}` in {}", collector.output()), || collector.output().contains(line).then_some(()));
        }
        assert!(!ours.log().contains("do not reach their collector"), "{}", ours.log());
    });
}
