use super::*;

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

fn missing(text: &str) -> Vec<String> {
    check(&[source("crates/client/src/room.rs", text)])
}

#[test]
fn what_is_offered_without_an_example_is_named() {
    let bare =
        "/// A thing.\npub struct Thing;\n\nimpl Thing {\n    /// Does it.\n    #[must_use]\n    pub async fn act(&self) {}\n}\n";
    let wrong = missing(bare);
    assert_eq!(
        wrong,
        ["crates/client/src/room.rs:2: `Thing` has no example", "crates/client/src/room.rs:7: `act` has no example"]
    );
}

#[test]
fn an_example_at_the_type_the_impl_or_the_module_counts_if_it_names_the_item() {
    let at_type = "/// ```\n/// Thing.act();\n/// ```\npub struct Thing;\n\nimpl Thing {\n    pub fn act(&self) {}\n    pub fn other(&self) {}\n}\n";
    assert_eq!(missing(at_type), ["crates/client/src/room.rs:8: `other` has no example"]);
    let at_impl = "/// ```\n/// let thing = Thing.act();\n/// ```\nimpl Thing {\n    pub fn act(&self) {}\n}\n";
    assert!(missing(at_impl).is_empty());
    let at_module = "//! ```\n//! act();\n//! ```\n\npub fn act() {}\n";
    assert!(missing(at_module).is_empty());
    let of_parent = check(&[
        source("crates/client/src/room.rs", "//! ```\n//! act();\n//! ```\n"),
        source("crates/client/src/room/corner.rs", "pub fn act() {}\n"),
    ]);
    assert!(of_parent.is_empty());
}

#[test]
fn words_beside_an_example_show_nothing() {
    assert_eq!(missing("/// See act.\npub fn act() {}\n").len(), 1);
    assert!(missing("pub(crate) fn act() {}\nfn other() {}\n").is_empty());
    assert!(check(&[source("crates/mail/src/room.rs", "pub fn act() {}\n")]).is_empty());
}
