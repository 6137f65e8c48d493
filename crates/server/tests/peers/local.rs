//! Programs that hand their mail to `sendmail`: the binary stands where they look for it.

use crate::posthouse::{Posthouse, posthouse};
use crate::world::{World, in_a_world, run_to_end};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A user that every Debian has and that is nobody special here.
const NOBODY: u32 = 65_534;

/// A server, and the binary as `sendmail`, where programs of every user find both.
struct Local {
    ours: Posthouse,
    sendmail: PathBuf,
}

impl Local {
    fn start(world: &World) -> Self {
        let ours = Posthouse::start(world, "posthouse.test", "127.0.0.2");
        let bin = PathBuf::from("/run/bin");
        fs::create_dir_all(&bin).unwrap();
        // A copy: the folder of the tests is not everybody's to look into.
        fs::copy(posthouse().get_program(), bin.join("posthouse")).unwrap();
        symlink("posthouse", bin.join("sendmail")).unwrap();
        fs::create_dir_all("/run/posthouse").unwrap();
        symlink(ours.folder.join("data/submit.sock"), "/run/posthouse/submit.sock").unwrap();
        Self { ours, sendmail: bin.join("sendmail") }
    }

    fn letter(&self, world: &World) -> String {
        String::from_utf8_lossy(&self.ours.take(world, 1).remove(0)).into_owned()
    }
}

fn with_input(command: &mut Command, input: &str) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Debian's `php` is a link that its installation would make; the program has its version in its name.
fn php() -> PathBuf {
    let programs = fs::read_dir("/usr/bin").unwrap().map(|entry| entry.unwrap().path());
    let is_php = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_str()
            .and_then(|name| name.strip_prefix("php8."))
            .is_some_and(|rest| rest.parse::<u32>().is_ok())
    };
    programs.into_iter().find(is_php).unwrap()
}

in_a_world! {
    fn cron_tells_its_user_what_a_job_has_said(world) {
        let local = Local::start(world);
        // Debian's cron (3.0pl1-162): these words, this header.
        let said = "From: root (Cron Daemon)\nTo: bob\nSubject: Cron <root@box> df\nMIME-Version: 1.0\n\
            Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>\n\nüber voll\n.\nend\n";
        with_input(Command::new(&local.sendmail).args(["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "bob"]), said);
        let letter = local.letter(world);
        assert!(letter.contains("\r\nFrom: \"Cron Daemon\" <root@posthouse.test>\r\nTo: bob@posthouse.test\r\n"), "{letter}");
        assert!(letter.ends_with("\r\n\r\nüber voll\r\n.\r\nend\r\n"), "{letter}");
    }

    fn php_mail_sends_and_says_when_it_is_refused(world) {
        let local = Local::start(world);
        let path = format!("sendmail_path={} -t -i", local.sendmail.display());
        let mail = |to: &str| {
            let code = format!("exit(mail('{to}', 'From PHP', \"Hello\\n.\\nend\\n\", 'From: root@posthouse.test') ? 0 : 1);");
            let mut php = Command::new(php());
            php.args(["-n", "-d", &path, "-r", &code]);
            php
        };
        run_to_end(&mut mail("bob@posthouse.test"));
        let letter = local.letter(world);
        // PHP adds a line end of its own.
        assert!(letter.contains("\r\nSubject: From PHP\r\n") && letter.ends_with("\r\n\r\nHello\r\n.\r\nend\r\n\r\n"), "{letter}");
        local.ours.manage(&["alias", "remove", "*@posthouse.test"]);
        assert!(!mail("nosuch@posthouse.test").output().unwrap().status.success());
    }

    fn git_send_email_sends_a_patch(world) {
        let local = Local::start(world);
        let patch = world.folder("patch").join("0001-a.patch");
        let text = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: Alice <alice@elsewhere.test>\n\
            Date: Thu, 26 Nov 2026 06:00:00 +0000\nSubject: [PATCH] a\n\nWhy.\n---\n a | 1 +\n 1 file changed, 1 insertion(+)\n\n\
            diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -0,0 +1 @@\n+.\n-- \n2.39.5\n";
        fs::write(&patch, text).unwrap();
        let mut git = Command::new("/usr/bin/git");
        git.args(["send-email", "--quiet", "--confirm=never", "--suppress-cc=all", "--from=alice@elsewhere.test", "--to=bob@posthouse.test"]);
        git.arg(format!("--smtp-server={}", local.sendmail.display())).arg("--envelope-sender=alice@elsewhere.test").arg(&patch);
        fs::write(world.folder("home").join(".gitconfig"), "[user]\nname = Alice\nemail = alice@elsewhere.test\n").unwrap();
        git.env("HOME", world.folder("home")).env("GIT_CONFIG_NOSYSTEM", "1").current_dir(world.folder("home"));
        run_to_end(&mut git);
        let letter = local.letter(world);
        assert!(letter.contains("Return-Path: <alice@elsewhere.test>\r\n") && letter.contains("\r\nSubject: [PATCH] a\r\n"), "{letter}");
        assert!(letter.contains("\r\n+.\r\n-- \r\n2.39.5\r\n"), "{letter}");
    }

    fn mutt_sends_with_a_report_asked_for(world) {
        let local = Local::start(world);
        let mut mutt = Command::new("mutt");
        mutt.args(["-n", "-F", "/dev/null", "-e", &format!("set sendmail=\"{} -oem -oi\"", local.sendmail.display())]);
        mutt.args(["-e", "set use_envelope_from=yes", "-e", "set from=root@posthouse.test", "-e", "set copy=no", "-e", "set dsn_return=hdrs"]);
        mutt.args(["-e", "set dsn_notify='failure,delay'", "-s", "From mutt", "--", "bob@posthouse.test"]);
        with_input(mutt.env("HOME", world.folder("home")).env("TERM", "dumb"), "Hello\n.\nGrüße\n");
        let letter = local.letter(world);
        assert!(letter.contains("\r\nSubject: From mutt\r\n") && letter.contains("Return-Path: <root@posthouse.test>"), "{letter}");
    }

    fn mailx_of_both_kinds_sends(world) {
        let local = Local::start(world);
        let rc = world.folder("home").join("mailrc");
        fs::write(&rc, format!("set sendmail={}\n", local.sendmail.display())).unwrap();
        let mut bsd = Command::new("bsd-mailx");
        with_input(bsd.args(["-s", "From BSD", "bob@posthouse.test"]).env("MAILRC", &rc), "Hello\n");
        assert!(local.letter(world).contains("\r\nSubject: From BSD\r\n"));
        let mut nail = Command::new("s-nail");
        nail.args(["-:/", "-S", "v15-compat", "-S", &format!("mta=file://{}", local.sendmail.display()), "-S", "sendwait"]);
        with_input(nail.args(["-S", "from=root@posthouse.test", "-s", "From nail", "-.", "bob@posthouse.test"]), "Hello\n");
        assert!(local.letter(world).contains("\r\nSubject: From nail\r\n"));
    }

    fn python_pipes_a_letter_and_speaks_smtp_on_standard_input(world) {
        let local = Local::start(world);
        let code = "import subprocess, sys\nfrom email.message import EmailMessage\nm = EmailMessage()\nm['To'] = 'bob@posthouse.test'\n\
            m['From'] = 'root@posthouse.test'\nm['Subject'] = 'Grüße'\nm.set_content('Hello\\n.\\nend\\n')\n\
            subprocess.run([sys.argv[1], '-t', '-oi'], input=m.as_bytes(), check=True)\n";
        run_to_end(Command::new("python3").args(["-c", code]).arg(&local.sendmail));
        assert!(local.letter(world).ends_with("\r\n\r\nHello\r\n.\r\nend\r\n"));
        let dialogue = "EHLO x\r\nMAIL FROM:<root@posthouse.test>\r\nRCPT TO:<bob@posthouse.test>\r\nDATA\r\nSubject: by hand\r\n\r\nhi\r\n.\r\nQUIT\r\n";
        with_input(Command::new(&local.sendmail).arg("-bs"), dialogue);
        assert!(local.letter(world).contains("\r\nSubject: by hand\r\n"));
    }

    fn a_user_with_no_rights_is_known_by_the_kernel_and_not_by_what_it_says(world) {
        let local = Local::start(world);
        // The socket and the way to it are everybody's; nothing else of the data is.
        for folder in [local.ours.folder.clone(), local.ours.folder.join("data")] {
            open_the_way(&folder);
        }
        let as_nobody = |words: &[&str], input: &str| {
            let mut command = Command::new(&local.sendmail);
            command.args(words).uid(NOBODY).gid(NOBODY).env("LOGNAME", "root").env("USER", "root").env("HOME", "/nonexistent");
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        };
        let forged = as_nobody(&["-f", "alice@posthouse.test", "bob"], "From: alice@posthouse.test\nSubject: forged\n\nhi\n");
        assert_eq!(forged.status.code(), Some(77), "{forged:?}");
        let honest = as_nobody(&["bob"], "Subject: honest\n\nhi\n");
        assert!(honest.status.success(), "{honest:?}");
        let letter = local.letter(world);
        assert!(letter.contains("from userid 65534)") && letter.contains("\r\nFrom: nobody@posthouse.test\r\n"), "{letter}");
    }

    fn what_anybody_leaves_in_the_shared_maildrop_only_the_server_can_read(world) {
        let local = Local::start(world);
        let drop = Path::new("/var/spool/posthouse/maildrop");
        fs::create_dir_all(drop).unwrap();
        fs::set_permissions(drop, fs::Permissions::from_mode(0o3733)).unwrap();
        fs::remove_file("/run/posthouse/submit.sock").unwrap();
        let mut command = Command::new(&local.sendmail);
        with_input(command.args(["bob@posthouse.test"]).uid(NOBODY).gid(NOBODY).env("HOME", "/nonexistent"), "Subject: kept\n\nhi\n");
        let kept: Vec<PathBuf> = fs::read_dir(drop).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [kept] = kept.as_slice() else { panic!("{kept:?}") };
        let list = Command::new("ls").arg(drop).uid(NOBODY).gid(NOBODY).output().unwrap();
        assert!(!list.status.success(), "its names are not to be seen");
        let read = Command::new("cat").arg(kept).uid(NOBODY - 1).gid(NOBODY - 1).output().unwrap();
        assert!(!read.status.success(), "nor its letters by others");
        // A server that starts finds it.
        let config = local.ours.config();
        local.ours.stop();
        let mut again = posthouse_testkit::guard::Guard::spawn(posthouse().args(["serve", "--config"]).arg(&config));
        again.expect("ready pop3s", crate::world::PATIENCE);
        let gone = crate::world::attempt(|| (!kept.exists()).then_some(()));
        assert!(gone.is_some(), "{}", again.output());
        let told = run_to_end(posthouse().args(["trace", "bob@posthouse.test", "--config"]).arg(&config));
        assert!(told.contains("accepted from nobody (uid 65534) on this machine"), "{told}");
    }
}

/// Lets everybody pass through a folder, and through those above it.
fn open_the_way(folder: &Path) {
    for place in folder.ancestors().filter(|place| place.starts_with(std::env::temp_dir()) || place.starts_with("/run")) {
        let mode = fs::metadata(place).unwrap().permissions().mode();
        fs::set_permissions(place, fs::Permissions::from_mode(mode | 0o111)).unwrap();
    }
}
