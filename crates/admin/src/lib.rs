//! What an operator can do, written once for the command line and HTTP.
