//! Those who watch: systemd's journal as the reader of our log, and a collector that reads OpenTelemetry by its own messages.

use crate::posthouse::{PASSWORD, Posthouse};
use crate::world::{PATIENCE, eventually, in_a_world, program, run_to_end, run_with_pypi, try_to_end};
use posthouse_testkit::guard::Guard;
use serde_json::Value;
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
            text.lines().next().map(|line| serde_json::from_str::<Value>(line).unwrap())
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

/// What the collector has read of the spans of a trace.
fn spans(said: &str, trace: &str) -> Vec<Value> {
    let all = said.lines().filter_map(|line| line.strip_prefix("span ")).map(|json| serde_json::from_str(json).unwrap());
    all.filter(|span: &Value| span["trace"] == trace).collect()
}

#[test]
fn a_letter_is_a_trace_that_its_id_leads_to_and_a_traceparent_of_a_strangers_is_only_text() {
    let path =
        concat!(module_path!(), "::a_letter_is_a_trace_that_its_id_leads_to_and_a_traceparent_of_a_strangers_is_only_text");
    run_with_pypi(path, "opentelemetry-proto", |world, pypi| {
        let mut collector = Guard::spawn(program("collector.py").env("PYTHONPATH", pypi));
        collector.expect("ready", PATIENCE);
        let far = Posthouse::start(world, "far.test", "127.0.0.3");
        let more = "[opentelemetry]\nurl = \"http://127.0.0.1:4318\"\ntraces = 1\n[delivery]\nsmarthost = \"smtp://127.0.0.3\"\n";
        let ours = Posthouse::start_with(world, "posthouse.test", "127.0.0.2", "", more);
        let foreign = "4bf92f3577b34da6a3ce929d0e0e4736";
        // The trace of a letter, and the spans it must have in the end.
        let traced = |to: &str, names: &[&str]| {
            let mut swaks = Command::new("swaks");
            swaks.args(["--server", "127.0.0.2:587", "--tls", "--auth", "PLAIN", "--auth-user", "alice@posthouse.test"]);
            swaks.args(["--auth-password", PASSWORD, "--from", "alice@posthouse.test", "--to", to]);
            let said = run_to_end(swaks.args(["--header", &format!("traceparent: 00-{foreign}-00f067aa0ba902b7-01")]));
            let id = said.lines().find_map(|line| line.strip_prefix("<~  250 2.6.0 ")).and_then(|rest| rest.split(' ').next());
            let id: posthouse_mail::LetterId = id.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
            let trace: String = id.to_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
            let found = eventually(&format!("the collector has not all of {names:?}"), || {
                let spans = spans(&collector.output(), &trace);
                names.iter().all(|name| spans.iter().any(|span| span["name"] == *name)).then_some(spans)
            });
            let root = found.iter().find(|span| span["name"] == "accept").unwrap().clone();
            assert_eq!((&root["parent"], &root["kind"]), (&"".into(), &"SPAN_KIND_SERVER".into()), "{root}");
            assert_eq!(root["attributes"]["posthouse.letter"], id.to_string());
            assert_eq!(root["attributes"]["posthouse.listener"], "submission");
            assert_eq!(root["attributes"]["tls.protocol.version"], "1.3");
            assert!(found.iter().all(|span| span["name"] == "accept" || span["parent"] == root["span"]), "{found:?}");
            found
        };
        let here = traced("bob@posthouse.test", &["accept", "store"]);
        assert_eq!(here[0]["service"], "posthouse@mx.posthouse.test");
        let there = traced("bob@far.test", &["accept", "deliver"]);
        let deliver = there.iter().find(|span| span["name"] == "deliver").unwrap();
        assert_eq!((&deliver["kind"], &deliver["status"]), (&"SPAN_KIND_CLIENT".into(), &"STATUS_CODE_UNSET".into()));
        for (key, expected) in [
            ("network.peer.address", "127.0.0.3"),
            ("posthouse.outcome", "delivered"),
            ("posthouse.recipient.domain", "far.test"),
        ] {
            assert_eq!(deliver["attributes"][key], expected, "{deliver}");
        }
        let nowhere = traced("bob@elsewhere.test", &["accept", "deliver", "bounce"]);
        let failed = nowhere.iter().find(|span| span["name"] == "deliver").unwrap();
        assert_eq!(
            (&failed["status"], &failed["attributes"]["error.type"]),
            (&"STATUS_CODE_ERROR".into(), &"550".into()),
            "{failed}"
        );
        // The bounce has its own trace, and they name each other.
        let told = nowhere.iter().find(|span| span["name"] == "bounce").unwrap()["links"][0].as_str().unwrap().to_owned();
        let bounce = eventually("the bounce has no trace", || {
            let spans = spans(&collector.output(), &told);
            spans.iter().any(|span| span["name"] == "store").then_some(spans)
        });
        let first = bounce.iter().find(|span| span["name"] == "bounce").unwrap();
        assert_eq!(first["links"][0], failed["trace"], "{first}");
        assert!(!collector.output().contains(foreign), "the peer chose its trace");
        assert!(!ours.log().contains("do not reach"), "{}", ours.log());
        drop(far);
    });
}
