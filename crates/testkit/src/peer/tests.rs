use super::*;

#[test]
fn two_peers_understand_each_other() {
    let peer = Peer::listen(1, |talk| {
        talk.say("220-one\r\n220 two");
        assert_eq!(talk.hear().as_deref(), Some("DATA"));
        talk.say("354 go");
        assert_eq!(talk.body(), b"..a\r\n\r\n");
        talk.say("250 kept");
    });
    let mut talk = Talk::to(peer.address());
    assert_eq!(talk.reply(), "220-one\n220 two");
    talk.expect("DATA", "354");
    talk.send(b"..a\r\n\r\n.\r\n");
    assert_eq!(talk.reply(), "250 kept");
    assert!(talk.is_closed());
    peer.finish();
}

#[test]
#[should_panic(expected = "a bare LF")]
fn a_bare_line_feed_is_not_a_line() {
    let peer = Peer::listen(1, |talk| talk.send(b"220 hello\n"));
    Talk::to(peer.address()).reply();
}
