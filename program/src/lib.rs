//! QuantDesk: a perpetual-futures exchange in one native Solana program.
//!
//! This crate is the thin outer layer: it parses instructions, verifies accounts and signatures, reads the clock and the
//! oracle accounts, moves tokens, and hands everything else to `quantdesk-engine`. `SPEC.md` is normative.
//!
//! * [`entrypoint`] — one line per instruction.
//! * [`instruction`] — one file per instruction: accounts, arguments, errors.
//! * [`account`] — the only way to an account's bytes.
//! * [`oracle`] — parsers of oracle accounts.
//! * [`token`] — the only calls to the token program.

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

// WHY: on a host the crate is linked for its types and for tests; std supplies the panic handler there.
#[cfg(not(target_os = "solana"))]
extern crate std;

pub mod account;
pub mod entrypoint;
pub mod error;
pub mod instruction;
pub mod oracle;
pub mod tag;
pub mod token;

pub use error::Refusal;
pub use tag::Tag;
