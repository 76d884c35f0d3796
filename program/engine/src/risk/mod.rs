//! Prices, margin, fees, positions and listings: what an account may do and what it owes.

pub mod fee;
pub mod funding;
pub mod life;
pub mod liquidation;
pub mod listing;
pub mod margin;
pub mod outcome;
pub mod position;
pub mod price;
pub mod restart;
pub mod scan;
pub mod shortfall;
pub mod tier;
