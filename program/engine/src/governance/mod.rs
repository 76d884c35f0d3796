//! Who may change an exchange, what may be changed, and how long that waits.

pub mod change;
pub mod guard;
pub mod mode;
pub mod parameter;
pub mod queue;
pub mod role;
pub mod seal;

use bytemuck::{Pod, Zeroable};

/// Shortest delay of a change that loosens, in seconds: a day.
pub const LOOSENING_DELAY_MIN: u32 = 86_400;
/// Shortest delay of a critical change and of a rotation, in seconds: three days.
pub const CRITICAL_DELAY_MIN: u32 = 259_200;
/// Longest delay, in seconds: thirty days.
pub const DELAY_MAX: u32 = 2_592_000;

/// How long changes wait between proposal and execution, in seconds. They only ever grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Delays {
    /// Of what loosens.
    pub loosening: u32,
    /// Of listings, oracles, the limiter and rotations; never shorter than the other.
    pub critical: u32,
}

impl Delays {
    /// Those of a new exchange.
    pub const MIN: Self = Self { loosening: LOOSENING_DELAY_MIN, critical: CRITICAL_DELAY_MIN };

    /// The longer of both, which a rotation waits.
    pub const fn longest(&self) -> u32 {
        if self.critical > self.loosening { self.critical } else { self.loosening }
    }
}
