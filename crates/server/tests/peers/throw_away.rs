//! `posthouse try`: the classic program and a mail reader against the throw-away system, by what it prints alone.

use crate::posthouse::posthouse;
use crate::world::{PATIENCE, in_a_world, program, run_to_end, try_to_end};
use posthouse_testkit::guard::Guard;
use std::fs;
use std::path::Path;
use std::process::Command;

in_a_world! {
    fn one_letter_and_out(world) {
        let data = world.folder("once");
        let said = run_to_end(posthouse().args(["try", "--once", "--data"]).arg(data));
        assert!(said.contains("250") && said.contains("bob@example.test"), "{said}");
    }

    fn the_readme_alone_leads_to_a_letter_with_a_picture_and_a_pdf(world) {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let readme = fs::read_to_string(here.join("README.md")).unwrap();
        let program = fs::read_to_string(here.join("crates/client/examples/menu/main.rs")).unwrap();
        let (_, shown) = program.split_once("\n\n").unwrap();
        assert!(readme.contains(&format!("```rust\n{shown}```")), "the program in the README is not the example");

        let folder = world.folder("clone");
        std::os::unix::fs::symlink(here.join("crates"), folder.join("crates")).unwrap();
        let blocks: Vec<&str> = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        let block = |word: &str| *blocks.iter().find(|block| block.contains(word)).unwrap_or_else(|| panic!("no `{word}` in the README"));
        // The lines as they stand; the programs are those of this build.
        let shell = |lines: &str| {
            let root = here.join("Cargo.toml");
            let ours = format!("posthouse() {{ {} \"$@\"; }}\n", posthouse().get_program().to_str().unwrap());
            let cargo = format!("cargo() {{ {} \"$@\" --offline --quiet --manifest-path {}; }}\n", env!("CARGO"), root.display());
            let mut shell = Command::new("/bin/sh");
            shell.args(["-euc", &format!("{ours}{cargo}{lines}")]).current_dir(&folder).env("PASSWORD", "secret");
            shell
        };
        let line = block("posthouse try").lines().find(|line| line.starts_with("posthouse try")).unwrap();
        let mut system = Guard::spawn(&mut shell(&line.replacen("posthouse", &format!("exec {}", posthouse().get_program().to_str().unwrap()), 1)));
        system.expect("Ctrl-C", PATIENCE);
        for (lines, uid) in [(block("posthouse send"), 2), (block("cargo run"), 3)] {
            let said = run_to_end(&mut shell(lines));
            assert!(said.contains("accepted") && said.contains("bob@example.test"), "{said}");
            let letter = crate::world::eventually("the letter did not arrive", || {
                let show = format!("posthouse mail show bob@example.test {uid} --data mail");
                let shown = try_to_end(&mut shell(&show));
                shown.status.success().then(|| String::from_utf8(shown.stdout).unwrap())
            });
            for part in ["Subject: The menu", "Content-ID: <dish@example.test>", "filename=menu.pdf", "JVBERi0xLjQK"] {
                assert!(letter.contains(part), "no {part} in\n{letter}");
            }
        }
        assert!(system.terminate(PATIENCE).success());
    }

    fn any_program_can_join_in(world) {
        let data = world.folder("try");
        let mut system = Guard::spawn(posthouse().args(["try", "--password", "secret", "--port-offset", "3000", "--data"]).arg(&data));
        system.expect("Ctrl-C", PATIENCE);
        let ca = data.join("ca/ca.pem");
        let said = system.output();
        assert!(said.contains(ca.to_str().unwrap()), "the path of the authority is not in\n{said}");
        let mut classic = program("classic.py");
        classic.args(["localhost", "3587"]).arg(&ca).args(["alice@example.test", "secret", "bob@example.test"]);
        assert_eq!(run_to_end(&mut classic), "sent\n");
        let mut wrong = program("classic.py");
        wrong.args(["localhost", "3587"]).arg(&ca).args(["alice@example.test", "wrong", "bob@example.test"]);
        let told = String::from_utf8_lossy(&try_to_end(&mut wrong).stdout).into_owned();
        assert!(told.starts_with("SMTPAuthenticationError"), "{told}");
        let read = world.folder("read");
        crate::world::eventually("the letter did not arrive", || {
            let mut fetch = program("fetch.py");
            fetch.args(["localhost", "3110", "stls"]).arg(&ca).args(["bob@example.test", "secret"]).arg(&read);
            run_to_end(&mut fetch);
            let letters = fs::read_dir(&read).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
            letters.into_iter().find(|letter| letter.contains("A letter from a program"))
        });
        assert!(system.terminate(PATIENCE).success());
    }
}
