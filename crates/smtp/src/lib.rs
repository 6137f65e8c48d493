//! The SMTP protocol without IO: server and client sessions over bytes and time.
//!
//! * [`syntax`]: lines, commands, paths, parameters and replies, read and written by both halves.
//! * [`body`]: the two ways a letter travels, dot-stuffed text (`DATA`) and counted chunks (`BDAT`).
//! * [`client`]: the client half, for SMTP and LMTP.
//! * [`server`]: the server half, for SMTP (RFC 5321) and LMTP (RFC 2033).
//!
//! It never opens a socket, reads a clock, draws randomness, looks anything up or decides policy: bytes and time come in, replies, questions
//! and pieces of the letter go out. Whatever a peer sends ends in a reply or in the end of the session, never in a panic.

pub mod body;
pub mod client;
pub mod server;
pub mod syntax;
