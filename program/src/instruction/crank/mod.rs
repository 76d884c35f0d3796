//! Cranks: anybody may run them, and their input is a hint at most.

pub mod update_price;
