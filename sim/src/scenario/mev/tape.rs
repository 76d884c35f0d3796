//! Every fill of a run with the fair price of its slot, and what everybody was worth at the end of every slot.

use super::book::sign;
use crate::floor::Role;
use quantdesk_client::engine::Side;

/// Roles on the stage, in the order of tables.
pub const ROLES: [Role; 4] = [Role::Maker, Role::Taker, Role::Searcher, Role::Sniper];

/// One fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Slot of the run.
    pub slot: usize,
    /// The taker's side.
    pub side: Side,
    /// Ticks.
    pub price: u32,
    /// Lots.
    pub lots: u64,
    /// Of the resting order.
    pub maker: usize,
    /// Of the taking order.
    pub taker: usize,
}

/// Fills and worths.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// In order.
    pub fills: Vec<Fill>,
    /// By slot, what each role has earned so far, at the fair price, in atoms; in the order of [`ROLES`].
    pub earned: Vec<[i128; ROLES.len()]>,
}

/// Place of a role in [`ROLES`].
pub fn place_of(role: Role) -> Option<usize> {
    ROLES.iter().position(|other| *other == role)
}

impl Fill {
    /// What the maker gained against a price in 1e-12 quote units, in atoms; the taker gained the opposite.
    pub fn maker_gain(&self, price: u64, tick_size: u64) -> f64 {
        let ticks = price as f64 / tick_size as f64;
        sign(self.side) as f64 * (f64::from(self.price) - ticks) * self.lots as f64
    }

    /// Ticks × lots.
    pub fn value(&self) -> f64 {
        f64::from(self.price) * self.lots as f64
    }
}
