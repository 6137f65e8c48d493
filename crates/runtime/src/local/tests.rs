use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::{block_on, join};

async fn talk(path: &Path) {
    let listener = LocalListener::bind(path).unwrap();
    let (client, server) = join!(LocalStream::connect(path), listener.accept());
    let (mut client, (mut server, peer)) = (client.unwrap(), server.unwrap());
    assert_eq!(peer, Peer { uid: rustix::process::getuid().as_raw(), pid: Some(std::process::id()) });
    client.write_all(b"what is queued?\n").await.unwrap();
    let mut buffer = BytesMut::new();
    while !buffer.ends_with(b"\n") {
        assert_ne!(server.read(&mut buffer).await.unwrap(), 0);
    }
    assert_eq!(&buffer[..], b"what is queued?\n");
    drop(server);
    assert_eq!(client.read(&mut buffer).await.unwrap(), 0);
}

#[test]
fn who_connects_is_known_and_words_arrive() {
    let directory = tempfile::tempdir().unwrap();
    block_on(talk(&directory.path().join("a.sock"))).unwrap();
}

#[test]
fn a_path_too_long_for_a_socket_works_too() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(120));
    fs::create_dir(&deep).unwrap();
    block_on(talk(&deep.join("a.sock"))).unwrap();
}

#[test]
fn the_file_is_its_owners_alone_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    block_on(async {
        let _listener = LocalListener::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    })
    .unwrap();
    assert!(!path.exists(), "the file outlived its listener");
}

#[test]
fn what_a_killed_process_left_is_replaced_and_another_file_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    // The standard library leaves the file behind, as a kill does.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    block_on(async {
        let refused = LocalStream::connect(&path).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        talk(&path).await;
        fs::write(&path, "a letter").unwrap();
        LocalListener::bind(&path).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a letter");
    })
    .unwrap();
}
