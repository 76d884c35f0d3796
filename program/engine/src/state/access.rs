//! Who else may trade for an account, and where its money may go: a cell of the ledger's arena.

use super::{
    cell::{CELL_SIZE, Cell, KIND_ACCESS},
    header::Key,
};
use crate::units::{CellIndex, UnixSeconds};
use bytemuck::{Pod, Zeroable};

/// Token accounts that an account can name as targets of its withdrawals.
pub const TARGETS_MAX: usize = 2;

/// What few accounts have: a delegate, targets of withdrawals, and how long changes of these wait. An account has one cell
/// at most, and none while there is nothing to keep in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AccessCell {
    kind: u8,
    pad: [u8; 3],
    /// Whose it is.
    pub trader: CellIndex,
    /// Who may also trade; zero for nobody.
    pub delegate: Key,
    /// Token accounts that withdrawals may go to; zero for none.
    pub targets: [Key; TARGETS_MAX],
    /// Since when each may be paid, in seconds since 1970 modulo 2^32.
    pub allowed_from: [u32; TARGETS_MAX],
    /// Seconds that a new target waits. While it is not zero, withdrawals go to targets alone.
    pub withdraw_delay: u32,
    /// What [`Self::withdraw_delay`] becomes at [`Self::next_delay_at`].
    pub next_delay: u32,
    /// When it becomes that; zero if it is not to change.
    pub next_delay_at: UnixSeconds,
}

const _: () = assert!(size_of::<AccessCell>() == CELL_SIZE && align_of::<AccessCell>() == 8);

impl AccessCell {
    /// A cell with nothing in it yet.
    pub fn new(trader: CellIndex) -> Self {
        Self { kind: KIND_ACCESS, trader, ..Self::zeroed() }
    }

    /// As an arena cell.
    pub fn into_cell(self) -> Cell {
        bytemuck::cast(self)
    }

    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        let untargeted = self.targets.iter().all(Key::is_zero);
        self.delegate.is_zero() && untargeted && self.withdraw_delay == 0
    }

    /// Seconds that a new target waits now.
    pub fn delay(&self, now: UnixSeconds) -> u32 {
        if self.is_changing() && now >= self.next_delay_at { self.next_delay } else { self.withdraw_delay }
    }

    /// Whether the delay is to change, or has changed and nobody has written it down yet.
    pub const fn is_changing(&self) -> bool {
        !self.next_delay_at.is_zero()
    }

    /// Whether withdrawals go to targets alone.
    pub fn is_guarded(&self, now: UnixSeconds) -> bool {
        self.delay(now) > 0
    }

    /// The targets in use, each with the time since when it may be paid.
    pub fn listed(&self) -> impl Iterator<Item = (&Key, u32)> {
        self.targets.iter().zip(self.allowed_from).filter(|(target, _)| !target.is_zero())
    }

    /// Whether a withdrawal to this token account may be paid now. A time is told from one in the future for 68 years.
    pub fn allows(&self, target: &Key, now: UnixSeconds) -> bool {
        let come = |from: u32| now.low_half().wrapping_sub(from).cast_signed() >= 0;
        !self.is_guarded(now) || self.listed().any(|(listed, from)| listed == target && come(from))
    }
}
