use clap::CommandFactory as _;

use super::*;

#[test]
fn no_two_options_of_a_command_clash() {
    Cli::command().debug_assert();
}
