//! Who trades, and who keeps prices moving.

pub mod crowd;
pub mod keeper;
pub mod maker;
pub mod taker;

/// A whole in parts per million.
const PPM: u64 = 1_000_000;
