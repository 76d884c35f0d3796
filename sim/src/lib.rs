//! The QuantDesk simulator: the compiled program on LiteSVM with mainnet features, a chain clock, real oracle account
//! bytes, actors, scenarios and a report.
//!
//! * [`chain`] — the virtual chain: accounts, clock, transactions, compute units.
//! * [`desk`] — an exchange on it: markets, traders, prices. Also the harness of tests and benchmarks.
//! * [`oracle`] — oracle accounts as the official crates write them.
//! * [`input`], [`path`] — market data from files, and the built-in day.
//! * [`floor`] — the exchange at work: customers, journal, liquidation ladder, checks.
//! * [`actors`] — makers, takers, leveraged traders, the oracle crank, keepers and liquidators.
//! * [`scenario`] — whole runs: the built-in day, the replay of recorded trades, crashes by leverage and depth, sandwiches
//!   and stale quotes with a taker delay and without.
//! * [`report`] — what a run leaves behind.

pub mod actors;
pub mod chain;
pub mod desk;
pub mod floor;
pub mod input;
pub mod oracle;
pub mod path;
pub mod report;
pub mod scenario;
