//! Line protocols to read mail: POP3 (IMAP and ManageSieve to come).

pub mod pop3;
