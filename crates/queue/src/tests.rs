//! The spool as a whole, over files in memory and on disk.

mod crash;
mod cut;
mod faults;
pub(crate) mod story;
mod stress;
mod use_;
