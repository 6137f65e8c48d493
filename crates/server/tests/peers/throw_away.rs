//! `posthouse try`: the classic program and a mail reader against the throw-away system, by what it prints alone.

use crate::posthouse::posthouse;
use crate::world::{PATIENCE, in_a_world, program, run_to_end, try_to_end};
use posthouse_testkit::guard::Guard;
use std::fs;

in_a_world! {
    fn one_letter_and_out(world) {
        let data = world.folder("once");
        let said = run_to_end(posthouse().args(["try", "--once", "--data"]).arg(data));
        assert!(said.contains("250") && said.contains("bob@example.test"), "{said}");
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
