//! The SMTP protocol without IO: server and client sessions over bytes and time.
