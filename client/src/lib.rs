//! Rust client of QuantDesk. It opens no connection and holds no key: it turns intentions into instructions and account
//! bytes into views.
//!
//! * [`instruction`] — one builder per instruction.
//! * [`order`] — order tickets in human units, converted exactly.
//! * [`ladder`] — a maker's ladder: saying it, finding it, what it offers.
//! * [`trigger`] — conditional orders.
//! * [`view`] — ledgers, markets and books out of account bytes; margin by the engine's own code.
//! * [`address`] — derived addresses.
//! * [`error`] — from a custom error code to a name.
//! * [`budget`] — compute-unit and loaded-data limits, which decide priority.

pub mod address;
pub mod budget;
pub mod error;
pub mod instruction;
pub mod ladder;
pub mod order;
pub mod trigger;
pub mod view;

pub use quantdesk_engine as engine;
pub use quantdesk_program::{Refusal, Tag};
pub use solana_address::Address;
