//! The unit for systemd, in the eyes of systemd.

use crate::world::{in_a_world, run_to_end};
use std::path::Path;
use std::process::Command;

/// In tenths, as `--threshold` takes it: what `docs/book/server.md` says.
const EXPOSURE_MAX: &str = "--threshold=13";

in_a_world! {
    fn the_unit_leaves_little_exposed(_world) {
        let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/systemd/posthouse.service");
        let mut analyze = Command::new("systemd-analyze");
        let said = run_to_end(analyze.args(["security", "--offline=true", "--no-pager", EXPOSURE_MAX]).arg(&unit));
        assert!(said.contains("Overall exposure level"), "{said}");
    }
}
