//! The MIME façade: the only module that names the MIME crates.
