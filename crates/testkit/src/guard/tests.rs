use super::*;

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn what_a_program_prints_can_be_waited_for() {
    let mut guard = Guard::spawn(&mut shell("echo one; echo two >&2; exec sleep 60"));
    guard.expect("one", SOON);
    guard.expect("two", SOON);
}

#[test]
#[should_panic(expected = "it said:\nlast words")]
fn a_program_that_ends_early_is_an_error_with_its_words() {
    let mut guard = Guard::spawn(&mut shell("echo last words"));
    guard.wait(SOON);
    guard.expect("something else", SOON);
}

#[test]
fn a_program_ends_with_its_guard() {
    let guard = Guard::spawn(&mut shell("exec sleep 60"));
    let place = format!("/proc/{}", guard.id());
    assert!(std::path::Path::new(&place).exists());
    drop(guard);
    assert!(!std::path::Path::new(&place).exists());
}

#[test]
fn a_signal_is_told_by_the_status() {
    use std::os::unix::process::ExitStatusExt;
    let guard = Guard::spawn(&mut shell("exec sleep 60"));
    assert_eq!(guard.terminate(SOON).signal(), Some(15));
}
