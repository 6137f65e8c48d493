//! Those who carry a letter: into a mailbox of ours, or to another host.

pub(crate) mod alias;
pub(crate) mod local;
pub(crate) mod remote;
pub(crate) mod reports;
mod session;
