use super::*;

#[test]
fn a_peers_text_cannot_break_a_line_or_reach_the_terminal() {
    assert_eq!(
        one_line("250 ok\r\n\x1b[2Jfake: entry\0\u{85}\u{2028}\u{202e}"),
        "250 ok\\r\\n\\u{1b}[2Jfake: entry\\u{0}\\u{85}\\u{2028}\\u{202e}"
    );
    assert!(matches!(one_line("Grüße, 日本"), Cow::Borrowed("Grüße, 日本")));
}

#[test]
fn an_event_is_one_line_whatever_is_in_it() {
    let mut out = OneLine(Vec::new());
    let event = b"INFO helo=\"a\nERROR forged\"\n";
    assert_eq!(out.write(event).unwrap(), event.len());
    assert_eq!(out.0, b"INFO helo=\"a\\nERROR forged\"\n");
}

#[test]
fn our_crates_are_heard_at_the_level_and_others_from_warn_on() {
    let info = targets(Level::Info);
    assert!(info.would_enable("posthouse_queue", &tracing::Level::INFO));
    assert!(!info.would_enable("posthouse_queue", &tracing::Level::DEBUG));
    assert!(info.would_enable("rustls", &tracing::Level::WARN));
    assert!(!info.would_enable("rustls", &tracing::Level::INFO));
    assert!(!targets(Level::Error).would_enable("rustls", &tracing::Level::WARN));
}
