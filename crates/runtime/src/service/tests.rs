use super::*;

fn heard(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let count = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..count].to_vec()).unwrap()
}

fn tell_everything(socket: &UnixDatagram, name: OsString) {
    let manager = Manager::new(Some(name), Some(3_000_000));
    assert!(manager.listens());
    assert_eq!(manager.watchdog(), Some(Duration::from_millis(1_500)));
    manager.ready();
    assert_eq!(heard(socket), "READY=1");
    manager.reloading();
    let said = heard(socket);
    let micros = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(micros.parse::<u64>().unwrap() > 0, "{said}");
    manager.alive("7 letters\nREADY=1");
    assert_eq!(heard(socket), "WATCHDOG=1\nSTATUS=7 letters READY=1");
    manager.stopping();
    assert_eq!(heard(socket), "STOPPING=1");
}

#[test]
fn a_manager_at_a_path_hears_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    tell_everything(&UnixDatagram::bind(&path).unwrap(), path.into());
}

#[test]
fn a_manager_in_the_abstract_namespace_hears_everything() {
    let name = format!("posthouse-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    tell_everything(&socket, format!("@{name}").into());
}

#[test]
fn without_a_manager_nothing_is_told_and_nothing_fails() {
    for name in [None, Some(""), Some("vsock:2:1"), Some("/nowhere/at/all")] {
        let manager = Manager::new(name.map(OsString::from), None);
        assert_eq!((manager.listens(), manager.watchdog()), (name == Some("/nowhere/at/all"), None), "{name:?}");
        manager.ready();
        manager.alive("x");
    }
    assert_eq!(Manager::new(None, Some(1_000)).watchdog(), None, "a watchdog that cannot be told");
}

#[test]
fn a_manager_that_does_not_read_holds_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let manager = Manager::new(Some(path.into()), Some(1_000));
    for _ in 0..10_000 {
        manager.alive("still here");
    }
    assert!(heard(&socket).contains("still here"));
}
