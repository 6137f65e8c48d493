//! Tests with other people's programs: mail servers, clients and libraries.
//!
//! Each runs in a world of its own (`world.rs`); what cannot run is skipped by name.

mod hop;
mod posthouse;
mod read_back;
mod relay;
mod servers;
mod submit;
mod throw_away;
mod world;
