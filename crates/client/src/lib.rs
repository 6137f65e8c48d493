//! The mail client library: build a letter, send it, know what happened to each recipient.
