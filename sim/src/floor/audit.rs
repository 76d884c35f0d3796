//! When the invariants are checked, and how often they were.

use crate::report::Check;

/// Transactions between two checks of everything.
const INTERVAL: u32 = 250;

/// Invariants that one check of the whole state covers, with what they say.
const INVARIANTS: [(&str, &str); 10] = [
    ("M1", "the buckets add up to the total, and the vault holds it"),
    ("M5", "fees are never negative"),
    ("P1", "positions of a market add up to zero"),
    ("P2", "open interest is the sum of the long positions"),
    ("P3", "one position per trader and market, each on its trader's list"),
    ("P4", "what a position reserves is what its resting orders add up to"),
    ("B1", "books are sorted by price, then time, and not crossed"),
    ("B2", "every order is in range and belongs to a live position"),
    ("B4", "every cell and node is in use or on the free list"),
    ("B5", "orders, events and generations are numbered without gaps"),
];

/// Likewise, by other arithmetic than the engine's.
const WORTH: (&str, &str) = ("M1, worth", "equity of all accounts, pool, fees and pots add up to what the vault holds");
/// Likewise, for each trader.
const REQUIREMENT: (&str, &str) = ("R8", "a position requires margin, initially no less than for maintenance");

/// Counts transactions until a check is due, and the checks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit {
    transactions: u32,
    times: u64,
}

impl Audit {
    /// One more transaction; true if a check is due.
    pub const fn step(&mut self) -> bool {
        self.transactions += 1;
        self.transactions >= INTERVAL
    }

    /// A check that everything passed.
    pub const fn passed(&mut self) {
        self.transactions = 0;
        self.times += 1;
    }

    /// For the report. A violation ends the run, so that all of these held.
    pub fn rows(&self) -> Vec<Check> {
        let row = |(id, description): (&str, &str)| Check {
            id: id.into(),
            description: description.into(),
            times: self.times,
            passed: true,
        };
        INVARIANTS.into_iter().chain([WORTH, REQUIREMENT]).map(row).collect()
    }
}
