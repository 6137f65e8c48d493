//! The timeline of every letter and every login.
