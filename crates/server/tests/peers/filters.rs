//! Filters of others: rspamd over HTTP and as a milter, ClamAV as a milter, and a hook of one's own written with Python.

use crate::posthouse::{Posthouse, posthouse};
use crate::world::{World, eventually, in_a_world, program, try_to_end};
use posthouse_testkit::guard::Guard;
use std::fs;
use std::process::{Command, Output};

/// The pattern that rspamd has for tests of each action; its first letter says of which.
fn pattern(first: char) -> String {
    format!("{first}JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X")
}

/// The file that every scanner finds, as it is agreed (eicar.org), in two pieces so that none finds it here.
const EICAR: [&str; 2] = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE!$H+H*"];

fn ours(world: &World, more: &str) -> Posthouse {
    Posthouse::start_with(world, "posthouse.test", "127.0.0.2", "", more)
}

fn swaks(words: &[&str]) -> Output {
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.2", "--local-interface", "127.0.0.7", "--helo", "client.test", "--from", "x@client.test"]);
    try_to_end(swaks.args(["--to", "bob@posthouse.test"]).args(words))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn assert_taken(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

fn text(letter: &[u8]) -> String {
    String::from_utf8(letter.to_vec()).unwrap()
}

/// The only letter in bob's folder of junk.
fn junk(ours: &Posthouse) -> String {
    eventually("there is no junk", || {
        let mut show = posthouse();
        show.args(["mail", "show", &ours.at("bob"), "--folder", "junk", "--config"]).arg(ours.config());
        let output = show.output().unwrap();
        output.status.success().then(|| text(&output.stdout))
    })
}

/// rspamd with its milter-headers module and no other, on the ports it has by custom.
pub(crate) fn rspamd(world: &World) -> Guard {
    let folder = world.folder("rspamd");
    let plugins = world.folder("rspamd/plugins");
    fs::copy("/usr/share/rspamd/plugins/milter_headers.lua", plugins.join("milter_headers.lua")).unwrap();
    // All the world's top level domains are compiled at each start otherwise.
    fs::write(folder.join("domains"), "test\n").unwrap();
    let config = folder.join("rspamd.conf");
    world.fill(include_str!("conf/rspamd.conf"), &[("DIR", folder.to_str().unwrap())], &config);
    let filter = Guard::spawn(Command::new("rspamd").args(["-f", "-i", "-c"]).arg(&config));
    world.listening("127.0.0.1", 11332);
    world.listening("127.0.0.1", 11333);
    filter
}

in_a_world! {
    fn rspamd_is_asked_over_http_and_each_of_its_actions_is_done(world) {
        let _filter = rspamd(world);
        let filter = "[[intake.http-filter]]\nname = \"rspamd\"\nurl = \"http://127.0.0.1:11333/checkv2\"\nform = \"rspamd\"\n";
        let ours = ours(world, filter);
        assert_taken(&swaks(&["--header", "X-Spamd-Bar: forged", "--body", "an honest word"]));
        let letter = text(&ours.take(world, 1)[0]);
        assert!(letter.contains("\r\nX-Spamd-Bar: /\r\n") && !letter.contains("forged"), "{letter}");
        let id = letter.split("\r\nReceived: ").nth(1).unwrap().split(" id ").nth(1).unwrap();
        let id = id.split([' ', ';', '\r']).next().unwrap();
        let mut trace = posthouse();
        let trace = said(&trace.args(["trace", id, "--config"]).arg(ours.config()).output().unwrap());
        assert!(trace.contains("rspamd") && trace.contains("no action, 0.00 of 15.00"), "{trace}");

        let output = swaks(&["--body", &pattern('X')]);
        assert!(said(&output).contains("554 5.7.1 Gtube pattern"), "{}", said(&output));
        let why = "reject, 15.00 of 15.00: GTUBE 0.00";
        eventually("the log does not say why", || ours.log().contains(why).then_some(()));
        assert_taken(&swaks(&["--header", "Subject: buy", "--body", &pattern('Z')]));
        let letter = text(&ours.take(world, 1)[0]);
        assert!(letter.contains("\r\nSubject: *** SPAM *** buy\r\n") && letter.contains("\r\nX-Spam: Yes\r\n"), "{letter}");
        assert_taken(&swaks(&["--body", &pattern('Y')]));
        let letter = junk(&ours);
        assert!(letter.contains("X-Posthouse-Quarantine: rspamd add header, 6.00 of 15.00: GTUBE 0.00\r\n"), "{letter}");
    }

    fn a_filter_over_http_that_dies_is_missed_and_comes_back(world) {
        let filter = "[[intake.http-filter]]\nname = \"rspamd\"\nurl = \"http://127.0.0.1:11333/checkv2\"\nform = \"rspamd\"\n";
        let ours = ours(world, filter);
        let output = swaks(&[]);
        assert!(said(&output).contains("451 4.3.0 a filter does not answer"), "{}", said(&output));
        let _filter = rspamd(world);
        assert_taken(&swaks(&[]));
        ours.take(world, 1);
    }

    fn rspamd_as_a_milter_refuses_marks_and_lets_through(world) {
        let _filter = rspamd(world);
        let ours = ours(world, "[[intake.milter]]\nname = \"rspamd\"\naddress = \"inet:127.0.0.1:11332\"\n");
        assert_taken(&swaks(&["--header", "X-Spamd-Bar: forged", "--body", "an honest word"]));
        let letter = text(&ours.take(world, 1)[0]);
        assert!(letter.contains("\r\nX-Spamd-Bar: /\r\n") && !letter.contains("forged"), "{letter}");
        let output = swaks(&["--body", &pattern('X')]);
        assert!(said(&output).contains("Gtube pattern"), "{}", said(&output));
        assert_taken(&swaks(&["--header", "Subject: buy", "--body", &pattern('Z')]));
        let letter = text(&ours.take(world, 1)[0]);
        assert!(letter.contains("\r\nSubject: *** SPAM *** buy\r\n"), "{letter}");
        assert_taken(&swaks(&["--body", &pattern('Y')]));
        let letter = text(&ours.take(world, 1)[0]);
        assert!(letter.contains("\r\nX-Spam: Yes\r\n"), "{letter}");
    }

    fn clamav_as_a_milter_refuses_a_virus_and_says_what_it_has_looked_at(world) {
        let folder = world.folder("clamav");
        let database = world.folder("clamav/database");
        // The digest of the file and its length, as `sigtool --md5` writes them: nothing has to be downloaded.
        fs::write(database.join("test.hdb"), "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test\n").unwrap();
        let (daemon, milter) = (folder.join("clamd.conf"), folder.join("milter.conf"));
        let words = [("DIR", folder.to_str().unwrap())];
        world.fill(include_str!("conf/clamd.conf"), &words, &daemon);
        world.fill(include_str!("conf/clamav-milter.conf"), &words, &milter);
        let _daemon = Guard::spawn(Command::new("clamd").arg("-c").arg(&daemon));
        let socket = folder.join("clamd.sock");
        eventually("clamd does not listen", || socket.exists().then_some(()));
        let _filter = Guard::spawn(Command::new("clamav-milter").arg("-c").arg(&milter));
        world.listening("127.0.0.1", 7357);
        let ours = ours(world, "[[intake.milter]]\nname = \"clamav\"\naddress = \"inet:127.0.0.1:7357\"\n");
        assert_taken(&swaks(&["--body", "an honest word"]));
        let letter = text(&ours.take(world, 1)[0]);
        assert!(letter.contains("\r\nX-Virus-Scanned: ") && letter.contains("\r\nX-Virus-Status: Clean\r\n"), "{letter}");
        let virus = folder.join("eicar.com");
        fs::write(&virus, EICAR.concat()).unwrap();
        let output = swaks(&["--attach-type", "application/octet-stream", "--attach", &format!("@{}", virus.display())]);
        assert!(said(&output).contains("infected with Eicar-Test"), "{}", said(&output));
        ours.take(world, 0);
    }

    fn a_hook_written_with_python_reads_all_and_decides(world) {
        let mut hook = Guard::spawn(&mut program("hook.py"));
        hook.expect("ready", crate::world::PATIENCE);
        let filter = "[[intake.http-filter]]\nname = \"ours\"\nurl = \"http://127.0.0.1:8025/letter\"\nform = \"hook\"\nauthorization = \"Bearer between us\"\n\
                      [intake.senders]\nexempt = []\npolicy = \"mark\"\n";
        let ours = ours(world, filter);
        assert_taken(&swaks(&["--header", "Subject: hello", "--body", "an honest word"]));
        let letter = text(&ours.take(world, 1)[0]);
        assert!(letter.contains("\r\nX-Hook: 127.0.0.7 x@client.test bob@posthouse.test hello spf\r\n"), "{letter}");
        let output = swaks(&["--header", "Subject: refuse this"]);
        assert!(said(&output).contains("554 5.7.1 not this one"), "{}", said(&output));
        let output = swaks(&["--header", "Subject: later please"]);
        assert!(said(&output).contains("451 4.7.1 come again"), "{}", said(&output));
        assert_taken(&swaks(&["--header", "Subject: junk it"]));
        assert!(junk(&ours).contains("X-Posthouse-Quarantine: ours looks odd\r\n"));
    }
}
