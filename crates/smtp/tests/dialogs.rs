//! The dialog files, on the pure session: whole, octet by octet, and cut once at every place.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failure here is a failed test; an instant can be had from the clock alone"
)]

use std::path::Path;

use posthouse_testkit::dialog::{Dialog, Step, matches};

mod world;

use world::World;

/// Where a dialog's octets are cut apart.
#[derive(Clone, Copy)]
enum Cut {
    Nowhere,
    Everywhere,
    At(usize),
}

/// Above this size a dialog is not cut at every single place: octet by octet says as much.
const CUT_BYTES_MAX: usize = 2000;

#[test]
fn dialogs_whole() {
    for dialog in all() {
        play(&dialog, Cut::Nowhere);
    }
}

#[test]
fn dialogs_octet_by_octet() {
    for dialog in all() {
        play(&dialog, Cut::Everywhere);
    }
}

#[test]
fn dialogs_cut_at_every_place() {
    for dialog in all() {
        let bytes = dialog.sent_bytes();
        for at in 1..bytes.min(CUT_BYTES_MAX) {
            play(&dialog, Cut::At(at));
        }
    }
}

fn all() -> Vec<Dialog> {
    Dialog::load_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogs"))
}

fn play(dialog: &Dialog, cut: Cut) {
    let mut world = World::of_settings(|key| dialog.setting(key).map(str::to_owned));
    world.run();
    let mut sent = 0;
    for (step, number) in dialog.steps.iter().zip(1..) {
        let context = || format!("{}: step {number}, {step:?}", dialog.name);
        match step {
            Step::Send(bytes) => {
                send(&mut world, bytes, sent, cut);
                sent += bytes.len();
            }
            Step::Line(pattern) => {
                let line = world.line().unwrap_or_else(|| panic!("{}: the server says nothing", context()));
                assert!(matches(pattern, &line), "{}: the server says {line:?}", context());
            }
            Step::Reply(code) => loop {
                let line = world.line().unwrap_or_else(|| panic!("{}: the server says no more", context()));
                assert!(line.starts_with(code.as_str()), "{}: the server says {line:?}", context());
                if !line[3..].starts_with('-') {
                    break;
                }
            },
            Step::Tls => world.secure(),
            Step::Close => {
                assert!(world.closed.is_some(), "{}: the session goes on", context());
                assert_eq!(world.text(), "", "{}", context());
            }
        }
    }
    assert_eq!(world.text(), "", "{}: said besides", dialog.name);
}

fn send(world: &mut World, bytes: &[u8], sent: usize, cut: Cut) {
    match cut {
        Cut::Nowhere => world.send(bytes),
        Cut::Everywhere => bytes.iter().for_each(|byte| world.send(&[*byte])),
        Cut::At(at) => {
            let (first, second) = bytes.split_at(at.saturating_sub(sent).min(bytes.len()));
            for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
                world.send(part);
            }
        }
    }
}
