//! STARTTLS (RFC 3207).

use super::Turn;
use crate::server::core::Core;
use crate::server::question::Stage;
use crate::server::replies;
use crate::server::state::{Handshake, Open, State};

pub(super) fn handle(open: Open, core: &mut Core, arguments: &str) -> Turn {
    let refusal = if core.tls.is_some() {
        replies::already_tls()
    } else if !core.profile.starttls {
        replies::not_implemented()
    } else if !arguments.is_empty() {
        replies::no_arguments()
    } else if matches!(open, Open::Start(_)) {
        replies::hello_first()
    } else if !matches!(open, Open::Ready(_)) {
        replies::in_transaction()
    } else if core.login.is_some() {
        // RFC 4954 §4 has the order the other way round; a login made in the clear must not come to look like one made inside TLS.
        replies::already_logged_in()
    } else {
        core.say(&replies::starttls_ready());
        core.allow(core.profile.command_timeout);
        return Turn::Go(State::Handshake(Handshake { announced: false }));
    };
    Turn::Go(core.bad(open, Stage::StartTls, refusal))
}
