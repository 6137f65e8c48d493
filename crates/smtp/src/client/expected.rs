//! What the next reply is to.

use std::time::Duration;

use super::error::Stage;
use super::settings::Timeouts;

/// One question under way.
pub(super) enum Expected {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    LoneDot,
    Chunk,
    End,
    EndFor(usize),
}

impl Expected {
    /// Where the dialogue stands.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Reset | Self::Mail | Self::Rcpt(_) => Stage::Envelope,
            Self::Data | Self::LoneDot | Self::Chunk => Stage::Letter,
            Self::End | Self::EndFor(_) => Stage::End,
        }
    }

    /// How long the reply may take (RFC 5321 §4.5.3.2).
    pub(super) fn patience(&self, timeouts: &Timeouts) -> Duration {
        match self {
            Self::Reset | Self::Mail | Self::Rcpt(_) => timeouts.command,
            Self::Data => timeouts.data_start,
            Self::Chunk | Self::LoneDot => timeouts.data_block,
            Self::End | Self::EndFor(_) => timeouts.data_end,
        }
    }
}
