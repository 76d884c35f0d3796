//! Cranks: anybody may run them, and their input is a hint at most.

pub mod drop_expired;
pub mod enforce_deadman;
pub mod execute_triggers;
pub mod run_delayed;
pub mod settle_market;
pub mod settle_market_position;
pub mod sweep;
pub mod update_price;
