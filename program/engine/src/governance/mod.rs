//! Who may change an exchange, what may be changed, and how long that waits.

pub mod change;
pub mod guard;
pub mod mode;
pub mod parameter;
pub mod queue;
pub mod role;
pub mod seal;

use crate::state::ledger::Policy;
use bytemuck::{Pod, Zeroable};
use mode::HALT_SECONDS_MAX;

/// Shortest delay of a change that loosens, in seconds: a day.
pub const LOOSENING_DELAY_MIN: u32 = 86_400;
/// Shortest delay of a critical change and of a rotation, in seconds: three days.
pub const CRITICAL_DELAY_MIN: u32 = 259_200;
/// Longest delay, in seconds: forty-five days, more than the longest [`exit_seconds`].
pub const DELAY_MAX: u32 = 3_888_000;
/// What somebody who wants to leave needs at most to see a proposal and to act, in seconds: an hour.
pub const EXIT_NOTICE_SECONDS: u32 = 3_600;

/// How long changes wait between proposal and execution, in seconds. They only ever grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Delays {
    /// Of what loosens.
    pub loosening: u32,
    /// Of listings, oracles, the limiter and rotations; never shorter than the other.
    pub critical: u32,
}

/// Longest time, in seconds, until somebody who sees a proposal has been paid everything, stake included, whatever holders
/// of roles do against it: its notice, a halting when it wants to close or has waited for its stake, the wait for stake, the
/// queue, and a halting when it is due to be paid.
pub const fn exit_seconds(policy: &Policy) -> u32 {
    let halted = HALT_SECONDS_MAX.saturating_add(HALT_SECONDS_MAX);
    let waits = policy.unstake_seconds.saturating_add(policy.queue_seconds);
    EXIT_NOTICE_SECONDS.saturating_add(halted).saturating_add(waits)
}

impl Delays {
    /// Those of a new exchange with this policy: as short as may be.
    pub const fn least(policy: &Policy) -> Self {
        let exit = exit_seconds(policy);
        let loosening = if exit > LOOSENING_DELAY_MIN { exit } else { LOOSENING_DELAY_MIN };
        let critical = if loosening > CRITICAL_DELAY_MIN { loosening } else { CRITICAL_DELAY_MIN };
        Self { loosening, critical }
    }

    /// Whether everybody can have left before anything looser takes effect.
    pub const fn let_everybody_leave(&self, policy: &Policy) -> bool {
        self.loosening >= exit_seconds(policy) && self.critical >= self.loosening
    }

    /// The longer of both, which a rotation waits.
    pub const fn longest(&self) -> u32 {
        if self.critical > self.loosening { self.critical } else { self.loosening }
    }
}
