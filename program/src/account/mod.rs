//! The only way to an account's bytes: every loader checks who signed, who owns, what it is and whether it fits.

pub mod load;
pub mod pda;
pub mod resize;
pub mod transaction;

pub use load::{all_distinct, distinct, key_of, own, own_mut, signer, writable};
pub use transaction::refuse_durable_nonce;
