//! Three processes: a client, the server it submits to, and the server that has the recipient.

use crate::posthouse::{PASSWORD, Posthouse, posthouse};
use crate::relay::assert_kept;
use crate::world::{in_a_world, run_to_end};
use posthouse_testkit::letters;
use std::fs;

in_a_world! {
    fn a_letter_hops_from_server_to_server_and_both_tell_its_way(world) {
        let first = Posthouse::start(world, "posthouse.test", "127.0.0.2");
        // Nobody listens on its first MX.
        let second = Posthouse::start(world, "second.test", "127.0.0.6");
        let bytes = letters::letter("hop", b"From hand to hand.\r\n");
        let file = world.folder("letters").join("hop");
        fs::write(&file, &bytes).unwrap();
        first.submit(&file, "", &[second.at("bob")]);
        let arrived = second.take(world, 1).remove(0);
        assert_kept("hop", &bytes, &arrived);

        let head = String::from_utf8_lossy(&arrived[..arrived.len() - bytes.len()]).into_owned();
        let hops = head.matches("Received: ").count();
        assert_eq!(hops, 2, "{head}");
        let told = |server: &Posthouse| run_to_end(posthouse().args(["trace", "<hop@client.test>", "--json", "--config"]).arg(server.config()));
        let (left, came) = (told(&first), told(&second));
        for (story, steps) in [(&left, ["\"accepted\"", "\"attempt\"", "127.0.0.6:25", "TLSv1"]), (&came, ["\"accepted\"", "\"stored\"", "127.0.0.", "TLSv1"])] {
            for step in steps {
                assert!(story.contains(step), "no {step} in\n{story}\n{}\n{}", first.log(), second.log());
            }
        }
        first.stop();
        second.stop();
    }

    fn our_own_client_hands_a_letter_to_two_servers_at_once(world) {
        let first = Posthouse::start(world, "posthouse.test", "127.0.0.2");
        let second = Posthouse::start(world, "second.test", "127.0.0.6");
        let mut send = posthouse();
        send.args(["send", "--server", "smtp+starttls://mx.posthouse.test:587", "--user", "alice@posthouse.test", "--password-env", "POSTHOUSE_PASSWORD", "--ca"]);
        send.arg(first.ca()).args(["--from", "alice@posthouse.test", "--to", "bob@posthouse.test", "--to", "bob@second.test"]);
        send.args(["--subject", "Both", "--text", "One letter, two servers.", "--json"]).env("POSTHOUSE_PASSWORD", PASSWORD);
        let said = run_to_end(&mut send);
        for address in ["bob@posthouse.test", "bob@second.test"] {
            assert!(said.contains(address), "{said}");
        }
        for server in [&first, &second] {
            let letter = String::from_utf8(server.take(world, 1).remove(0)).unwrap();
            assert!(letter.ends_with("\r\n\r\nOne letter, two servers.\r\n"), "{letter}");
        }
    }

    fn a_domain_without_mail_is_bounced_at_once(world) {
        let ours = Posthouse::start(world, "posthouse.test", "127.0.0.2");
        let bytes = letters::letter("nomail", b"To nobody.\r\n");
        let file = world.folder("letters").join("nomail");
        fs::write(&file, &bytes).unwrap();
        ours.submit(&file, "", &["x@nomail.test".to_owned()]);
        let folder = world.folder("alice");
        let bounce = crate::world::eventually("no bounce came", || {
            ours.fetch(&folder, "alice");
            fs::read_dir(&folder).unwrap().next().map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        });
        // RFC 7505 §4.2: 5.1.10, recipient address has null MX.
        for part in ["multipart/report", "message/delivery-status", "Status: 5.1.10", "x@nomail.test", "Return-Path: <>"] {
            assert!(bounce.contains(part), "no {part} in\n{bounce}");
        }
    }
}
