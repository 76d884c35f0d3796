//! The engine of QuantDesk: everything that decides about money, and nothing that talks to a chain.
//!
//! The same code runs inside the on-chain program, in the client (margin previews, book decoding, audits), in the
//! simulator and in the tests. It works on views over account bytes, takes the time as an argument and returns plain
//! values. It performs no I/O, reads no clock and verifies no signature: that is the program's part.
//!
//! * [`units`] — one newtype per dimension; [`math`] — the only raw wide arithmetic.
//! * [`money`] — double entry: the only way an atom moves.
//! * [`slab`] — views over account bytes, free lists, event rings, bulk moves. No finance.
//! * [`state`] — the account layouts.
//! * [`account`] — trading accounts, deposits, withdrawals. [`access`] — delegates, fee limits, guarded accounts.
//! * [`book`] — placing, matching, cancelling.
//! * [`risk`] — price board, funding, margin, fees, positions, liquidation, deleveraging, market life.
//! * [`outflow`] — what may leave the vault, and the queue of what must wait. [`pool`] — the protection pool.
//! * [`partner`] — builders and referrers. [`session`] — keys that trade within a scope.
//! * [`governance`] — roles, delays, changes, modes.
//! * [`invariant`] — every checked invariant, once, by its id in `SPEC.md`.
//!
//! # Errors leave partial changes
//! A mutating function that returns an `Err` may have changed part of the views it was given. On chain the runtime
//! discards the whole transaction; native callers work on a copy and drop it.

#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

#[cfg(test)]
extern crate std;

pub mod access;
pub mod account;
pub mod book;
pub mod error;
pub mod governance;
pub mod invariant;
pub mod math;
pub mod money;
pub mod outflow;
pub mod partner;
pub mod pool;
pub mod risk;
pub mod session;
pub mod slab;
pub mod state;
pub mod units;

pub use error::{EngineError, Result};
pub use units::*;
