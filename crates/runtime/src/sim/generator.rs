//! The random generator of whoever asks: the world's in a world, else the system's.

use std::convert::Infallible;

use rand::TryRng;
use rand::rngs::ThreadRng;

use super::draw;

/// See the module.
pub(crate) enum Generator {
    World,
    System(ThreadRng),
}

pub(crate) fn generator() -> Generator {
    if super::is_entered() { Generator::World } else { Generator::System(rand::rng()) }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        match self {
            // The upper half.
            Self::World => Ok(u32::try_from(draw().unwrap_or_default() >> 32).unwrap_or_default()),
            Self::System(system) => system.try_next_u32(),
        }
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        match self {
            Self::World => Ok(draw().unwrap_or_default()),
            Self::System(system) => system.try_next_u64(),
        }
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        match self {
            Self::World => {
                for chunk in buffer.chunks_mut(8) {
                    let octets = draw().unwrap_or_default().to_le_bytes();
                    chunk.copy_from_slice(octets.get(..chunk.len()).unwrap_or_default());
                }
                Ok(())
            }
            Self::System(system) => system.try_fill_bytes(buffer),
        }
    }
}
