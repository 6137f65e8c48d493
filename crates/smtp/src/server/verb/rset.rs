//! RSET (RFC 5321 §4.1.1.5).

use super::Turn;
use crate::server::core::Core;
use crate::server::question::Stage;
use crate::server::replies;
use crate::server::state::{Open, State};

pub(super) fn handle(open: Open, core: &mut Core, arguments: &str) -> Turn {
    if !arguments.is_empty() {
        return Turn::Go(core.bad(open, Stage::Command, replies::no_arguments()));
    }
    core.say(&replies::ok());
    Turn::Go(State::Open(open.without_letter(core)))
}
