//! What every test of the engine stands on: account bytes, listings, a deterministic stream of random numbers.

pub mod listing;
pub mod random;
pub mod world;

pub use world::World;
