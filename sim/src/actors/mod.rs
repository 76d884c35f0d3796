//! Who trades, who keeps prices moving, and who watches the failing.

pub mod crowd;
pub mod keeper;
pub mod leveraged;
pub mod liquidator;
pub mod maker;
pub mod taker;

/// A whole in parts per million.
const PPM: u64 = 1_000_000;
