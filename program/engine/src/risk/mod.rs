//! Prices, margin, fees, positions and listings: what an account may do and what it owes.

pub mod fee;
pub mod listing;
pub mod margin;
pub mod position;
pub mod price;
