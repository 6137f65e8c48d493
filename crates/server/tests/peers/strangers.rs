//! Filters and proxies of others: opendkim, python3-milter, haproxy, and swaks as a server in front; lists of the name server's.

use crate::dkim::{Keychain, examined, signed};
use crate::posthouse::{Posthouse, posthouse};
use crate::world::{World, in_a_world, program, run_to_end, try_to_end};
use posthouse_mailauth::dkim::DkimResult;
use posthouse_testkit::guard::Guard;
use posthouse_testkit::letters;
use std::fs;
use std::process::{Command, Output};

fn ours(world: &World, more: &str) -> Posthouse {
    Posthouse::start_with(world, "posthouse.test", "127.0.0.2", "", more)
}

/// A letter for bob from outside.
fn swaks(words: &[&str]) -> Output {
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.2", "--local-interface", "127.0.0.7", "--helo", "client.test"]);
    if !words.contains(&"--from") {
        swaks.args(["--from", "x@client.test"]);
    }
    if !words.contains(&"--to") {
        swaks.args(["--to", "bob@posthouse.test"]);
    }
    try_to_end(swaks.args(words))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn assert_taken(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

fn milter(name: &str, address: &str, more: &str) -> String {
    format!("[[intake.milter]]\nname = \"{name}\"\naddress = \"{address}\"\n{more}\n")
}

fn python_milter(world: &World) -> (Guard, String) {
    let socket = world.folder("filter").join("socket");
    let mut filter = Command::new("/usr/bin/python3");
    filter.args(program("filter.py").get_args()).arg(format!("unix:{}", socket.display()));
    let filter = Guard::spawn(&mut filter);
    crate::world::eventually(&format!("the filter does not listen: {}", filter.output()), || socket.exists().then_some(()));
    let address = format!("unix:{}", socket.display());
    (filter, address)
}

/// It signs what comes from 127.0.0.1, as submitted letters do here, and judges all else.
fn opendkim(world: &World, canons: &str) -> Guard {
    let folder = world.folder("opendkim");
    let (key, config, resolver) = (folder.join("dkim.pem"), folder.join("opendkim.conf"), folder.join("unbound.conf"));
    fs::write(&key, include_str!("conf/dkim.pem")).unwrap();
    run_to_end(Command::new("chmod").arg("600").arg(&key));
    // Its resolver knows by itself that there is no `test.`, and that this machine has no name server.
    let names = "server:\n do-not-query-localhost: no\n local-zone: \"test.\" nodefault\nforward-zone:\n name: \".\"\n forward-addr: 127.0.0.53\n";
    fs::write(&resolver, names).unwrap();
    let text = format!(
        "Mode sv\nDomain posthouse.test\nSelector peer\nKeyFile {}\nCanonicalization {canons}\nSocket inet:8891@127.0.0.1\n\
         RequireSafeKeys no\nInternalHosts 127.0.0.1\nAuthservID filter.test\nMilterDebug 0\nBackground no\nSyslog no\n\
         ResolverConfiguration {}\n",
        key.display(),
        resolver.display()
    );
    fs::write(&config, text).unwrap();
    let filter = Guard::spawn(Command::new("opendkim").arg("-f").arg("-x").arg(&config));
    world.listening("127.0.0.1", 8891);
    filter
}

fn text(letter: &[u8]) -> String {
    String::from_utf8(letter.to_vec()).unwrap()
}

in_a_world! {
    fn a_blocked_sender_is_refused_for_one_and_taken_for_the_other(world) {
        let ours = ours(world, "");
        ours.manage(&["account", "block", "alice@posthouse.test", "client.test"]);
        let to = ["--to", "alice@posthouse.test,bob@posthouse.test"];
        let both = said(&swaks(&to));
        assert!(both.contains("550 5.7.1 alice@posthouse.test has blocked client.test"), "{both}");
        ours.take(world, 1);
        // In the header alone it is taken, and lies in Junk.
        assert_taken(&swaks(&["--from", "x@posthouse.invalid", "--h-From", "<x@client.test>", "--to", "alice@posthouse.test"]));
        let list = || run_to_end(posthouse().args(["mail", "list", "alice@posthouse.test", "--folder", "junk", "--config"]).arg(ours.config()));
        crate::world::eventually("it is not in Junk", || list().contains("x@client.test").then_some(()));
        let trace = run_to_end(posthouse().args(["trace", "alice@posthouse.test", "--config"]).arg(ours.config()));
        assert!(trace.contains("in Junk, by the account's rule: block client.test"), "{trace}");
    }

    fn a_filter_written_with_python_sees_every_stage_and_changes_everything(world) {
        let (_filter, address) = python_milter(world);
        let ours = ours(world, &milter("python", &address, ""));
        assert_taken(&swaks(&["--header", "Subject: before", "--body", "hello"]));
        let letter = text(&ours.take(world, 1)[0]);
        let (_, body) = letter.split_once("\r\n\r\n").unwrap();
        let seen = format!("\r\nX-Seen: 127.0.0.7 {} Date,To,From,Subject,", body.len());
        assert!(letter.contains(&seen) && letter.contains("Subject: changed\r\n"), "{letter}");
        let id = letter.split("X-Queue: ").nth(1).unwrap().lines().next().unwrap();
        assert!(letter.contains(&format!("id {id}")), "the id that the filter knows is that of the letter: {letter}");

        let output = swaks(&["--from", "unwanted@client.test"]);
        assert!(!output.status.success() && said(&output).contains("550 5.7.1 not from you"), "{}", said(&output));
        let output = swaks(&["--to", "busy@posthouse.test"]);
        assert!(said(&output).contains("450 4.2.1 busy just now"), "{}", said(&output));
        assert_taken(&swaks(&["--header", "X-Drop: yes"]));

        assert_taken(&swaks(&["--header", "X-Replace: yes"]));
        // Set aside, it is in the folder for that, and not where POP3 looks.
        let letter = crate::world::eventually("the letter for the added recipient", || {
            let mut show = posthouse();
            show.args(["mail", "show", &ours.at("alice"), "--folder", "junk", "--config"]).arg(ours.config());
            let output = show.output().unwrap();
            output.status.success().then_some(output.stdout)
        });
        let letter = text(&letter);
        let folder = world.folder("alice");
        ours.fetch(&folder, "alice");
        assert!(fs::read_dir(&folder).unwrap().next().is_none());
        assert!(letter.contains("X-Posthouse-Quarantine: python as asked\r\n"), "{letter}");
        let (_, body) = letter.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "another body\r\nwith lines of its own\r\n".repeat(5000));
        ours.take(world, 0);
    }

    fn a_filter_that_dies_is_missed_and_comes_back(world) {
        let (filter, address) = python_milter(world);
        let ours = ours(world, &milter("python", &address, ""));
        assert_taken(&swaks(&[]));
        ours.take(world, 1);
        drop(filter);
        let output = swaks(&[]);
        assert!(said(&output).contains("451 4.3.0 a filter does not answer"), "{}", said(&output));
        let _filter = python_milter(world);
        assert_taken(&swaks(&[]));
        ours.take(world, 1);
    }

    fn opendkim_signs_what_is_submitted_and_judges_what_comes(world) {
        let keys = Keychain::new(world);
        let ours = ours(world, &milter("opendkim", "inet:127.0.0.1:8891", ""));
        for canons in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"] {
            let _filter = opendkim(world, canons);
            for sample in letters::samples().iter().filter(|sample| ["multipart", "dots", "blank-lines"].contains(&sample.name)) {
                let file = world.folder("letters").join(sample.name);
                fs::write(&file, &sample.bytes).unwrap();
                ours.submit(&file, "", &[ours.at("bob")]);
                let letter = ours.take(world, 1).remove(0);
                let about = format!("{} {canons}: {}", sample.name, String::from_utf8_lossy(&letter));
                let theirs = |letter: &[u8]| examined(&keys.zone(), letter).0.into_iter().find(|one| one.selector == "peer").unwrap();
                let one = theirs(&letter);
                assert_eq!((one.result, one.algorithm.as_str()), (DkimResult::Pass, "rsa-sha256"), "{about}");
                assert!(String::from_utf8_lossy(&letter).contains(&format!(" c={canons};")), "{about}");
                assert_eq!(theirs(&[&letter[..], b"x\r\n"].concat()).result, DkimResult::Fail, "{about}");
            }
        }
        let _filter = opendkim(world, "relaxed/simple");
        let letter = signed(&keys.keys[..1], b"From: x@posthouse.test\r\nSubject: x\r\n\r\nthe body\r\n");
        let changed = text(&letter).replace("the body", "a body").into_bytes();
        for (letter, right) in [(letter, "dkim=pass"), (changed, "dkim=fail")] {
            let file = world.folder("letters").join("signed");
            fs::write(&file, letter).unwrap();
            assert_taken(&swaks(&["--data", &format!("@{}", file.display())]));
            let letter = text(&ours.take(world, 1)[0]);
            let (_, verdict) = letter.split_once("Authentication-Results: filter.test;").unwrap_or_else(|| panic!("{letter}"));
            assert!(verdict.trim_start().starts_with(right), "{right}: {letter}");
        }
    }

    fn behind_haproxy_the_client_is_the_client(world) {
        let ours = Posthouse::start_with(world, "posthouse.test", "127.0.0.2", "proxy-from = [\"127.0.0.8\"]\n", "");
        for (port, way) in [(2501, "send-proxy"), (2502, "send-proxy-v2")] {
            let config = world.folder("haproxy").join(way);
            let lines = format!(
                "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\nlisten mail\n bind 127.0.0.8:{port}\n \
                 source 127.0.0.8\n server ours 127.0.0.2:25 {way}\n"
            );
            fs::write(&config, lines).unwrap();
            let _proxy = Guard::spawn(Command::new("haproxy").arg("-db").arg("-f").arg(&config));
            world.listening("127.0.0.8", port);
            let output = swaks(&["--server", "127.0.0.8", "--port", &port.to_string()]);
            assert_taken(&output);
            let letter = text(&ours.take(world, 1)[0]);
            assert!(letter.contains("[127.0.0.7]"), "{way}: {letter}");
        }
        // From there nothing else is understood, and from elsewhere no header is.
        let output = swaks(&["--local-interface", "127.0.0.8"]);
        assert!(!output.status.success(), "{}", said(&output));
        let output = swaks(&["--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source", "192.0.2.1", "--proxy-source-port", "1", "--proxy-dest", "127.0.0.2", "--proxy-dest-port", "25"]);
        assert!(!output.status.success(), "{}", said(&output));
    }

    fn swaks_in_front_says_whose_connection_it_is(world) {
        let listener = "proxy-from = [\"127.0.0.8\"]\n";
        let ours = Posthouse::start_with(world, "posthouse.test", "127.0.0.2", listener, "[intake]\nxclient-from = [\"127.0.0.7\"]\n");
        for version in ["1", "2"] {
            let mut words = vec!["--local-interface", "127.0.0.8", "--proxy-version", version, "--proxy-source", "192.0.2.44"];
            words.extend(["--proxy-source-port", "4444", "--proxy-dest", "127.0.0.2", "--proxy-dest-port", "25"]);
            words.extend(if version == "1" { ["--proxy-family", "TCP4"] } else { ["--proxy-family", "AF_INET"] });
            if version == "2" {
                words.extend(["--proxy-protocol", "STREAM", "--proxy-command", "PROXY"]);
            }
            assert_taken(&swaks(&words));
            let letter = text(&ours.take(world, 1)[0]);
            assert!(letter.contains("[192.0.2.44]"), "version {version}: {letter}");
        }
        assert_taken(&swaks(&["--xclient-addr", "192.0.2.55", "--xclient-helo", "behind.test"]));
        let letter = text(&ours.take(world, 1)[0]);
        assert!(letter.contains("from behind.test (") && letter.contains("[192.0.2.55]"), "{letter}");
        let output = swaks(&["--local-interface", "127.0.0.9", "--xclient-addr", "192.0.2.55"]);
        assert!(!output.status.success(), "{}", said(&output));
    }

    fn a_list_is_asked_over_the_real_resolver(world) {
        let lists = "[intake]\nxclient-from = [\"127.0.0.7\"]\n[[intake.lists.list]]\nzone = \"bl.test\"\n[[intake.lists.list]]\nzone = \"dead.bl.test\"\n";
        let ours = ours(world, lists);
        for listed in ["192.0.2.66", "2001:db8::66"] {
            let address = if listed.contains(':') { format!("IPV6:{listed}") } else { listed.to_owned() };
            let output = swaks(&["--xclient-addr", &address]);
            assert!(said(&output).contains(&format!("550 5.7.1 {listed} is listed by bl.test (for tests)")), "{}", said(&output));
        }
        assert_taken(&swaks(&["--xclient-addr", "192.0.2.67"]));
        ours.take(world, 1);
        assert!(ours.log().contains("it does not list 127.0.0.2"), "{}", ours.log());
    }
}
