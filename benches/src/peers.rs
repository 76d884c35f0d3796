//! Published compute units of other venues, and what we aim at.

/// A published figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Whose.
    pub venue: &'static str,
    /// Of what.
    pub what: &'static str,
    /// Compute units.
    pub units: u64,
    /// Where it stands.
    pub source: &'static str,
}

const PHOENIX_LOG: &str = "log of a mainnet transaction in slot 264673157";
const DRIFT_FIXTURE: &str = "the program as Drift's repository kept it for its tests in July 2024, executed in LiteSVM";
const PERCOLATOR: &str = "aeyakovenko/percolator-prog, message of commit b06a6de6";

/// Best published order book.
pub const MANIFEST: Peer = Peer {
    venue: "Manifest",
    what: "median of all its operations; spot",
    units: 3_157,
    source: "CKS-Systems/manifest, branch gh-pages, dev/bench/data.js, 2026-07-31",
};
/// Cancelling 15 orders, per order.
pub const PHOENIX_CANCEL: Peer =
    Peer { venue: "Phoenix v1", what: "cancelling 15 orders, each; spot", units: 2_513, source: PHOENIX_LOG };
/// Cancelling all of eight orders.
pub const OPENBOOK_CANCEL_8: Peer =
    Peer { venue: "OpenBook v2", what: "cancelling all of 8 orders; spot", units: 23_474, source: DRIFT_FIXTURE };
/// Taking one maker.
pub const OPENBOOK_TAKE: Peer =
    Peer { venue: "OpenBook v2", what: "taking 1 maker; spot", units: 26_627, source: DRIFT_FIXTURE };
/// Taking two makers.
pub const OPENBOOK_TAKE_2: Peer =
    Peer { venue: "OpenBook v2", what: "taking 2 makers; spot", units: 32_279, source: DRIFT_FIXTURE };
/// Taking four makers.
pub const OPENBOOK_TAKE_4: Peer =
    Peer { venue: "OpenBook v2", what: "taking 4 makers; spot", units: 43_808, source: DRIFT_FIXTURE };
/// Taking eight makers.
pub const OPENBOOK_TAKE_8: Peer =
    Peer { venue: "OpenBook v2", what: "taking 8 makers; spot", units: 68_052, source: DRIFT_FIXTURE };
/// Lowest published trade of a margin engine.
pub const PERCOLATOR_TRADE: Peer = Peer {
    venue: "Percolator fork",
    what: "closing a position against one account; no book",
    units: 5_270,
    source: "dcccrypto's fork of percolator-prog, docs/CU-BENCHMARKS.md at ca06248d",
};
/// Each further maker.
pub const MANGO_MATCH: Peer = Peer {
    venue: "Mango v4",
    what: "each match, as its client estimates",
    units: 3_500,
    source: "blockworks-foundation/mango-v4, lib/client/src/context.rs",
};
/// Each further perp position.
pub const MANGO_HEALTH: Peer = Peer {
    venue: "Mango v4",
    what: "health of each perp position, at most",
    units: 4_800,
    source: "blockworks-foundation/mango-v4, tests/cases/test_health_compute.rs",
};
/// Ten cancels and ten places.
pub const PHOENIX_REPLACE: Peer = Peer {
    venue: "Phoenix v1",
    what: "10 × (one cancel of 15 + one placement of 15); spot",
    units: 10 * (2_513 + 4_787),
    source: PHOENIX_LOG,
};
/// A price brought on chain.
pub const DRIFT_LAZER: Peer = Peer {
    venue: "Drift v2",
    what: "posting a Pyth Lazer price",
    units: 29_242,
    source: "drift-labs/protocol-v2, sdk/tests/events/parseLogsForCuUsage.ts",
};
/// A liquidation.
pub const PERCOLATOR_LIQUIDATE: Peer =
    Peer { venue: "Percolator", what: "liquidation at the oracle's price; no book", units: 7_278, source: PERCOLATOR };
/// A deposit.
pub const PERCOLATOR_DEPOSIT: Peer = Peer { venue: "Percolator", what: "Deposit", units: 10_978, source: PERCOLATOR };
/// A withdrawal.
pub const PERCOLATOR_WITHDRAW: Peer = Peer { venue: "Percolator", what: "Withdraw", units: 15_952, source: PERCOLATOR };
/// Closing an account.
pub const PERCOLATOR_CLOSE: Peer =
    Peer { venue: "Percolator", what: "CloseAccount", units: 12_156, source: PERCOLATOR };
/// Creating a market.
pub const OPENBOOK_CREATE: Peer =
    Peer { venue: "OpenBook v2", what: "CreateMarket", units: 97_040, source: DRIFT_FIXTURE };

/// Every figure that is compared with.
pub const ALL: [Peer; 17] = [
    MANIFEST,
    PHOENIX_CANCEL,
    PHOENIX_REPLACE,
    OPENBOOK_CANCEL_8,
    OPENBOOK_TAKE,
    OPENBOOK_TAKE_2,
    OPENBOOK_TAKE_4,
    OPENBOOK_TAKE_8,
    OPENBOOK_CREATE,
    PERCOLATOR_TRADE,
    PERCOLATOR_LIQUIDATE,
    PERCOLATOR_DEPOSIT,
    PERCOLATOR_WITHDRAW,
    PERCOLATOR_CLOSE,
    MANGO_MATCH,
    MANGO_HEALTH,
    DRIFT_LAZER,
];

/// Compute units that an operation is to stay within.
pub mod target {
    /// A resting order with margin check, one position.
    pub const PLACE: u64 = 1_000;
    /// What an order costs more if a session signs it.
    pub const SESSION: u64 = 250;
    /// Each further position in the margin check.
    pub const POSITION: u64 = 110;
    /// Cancel by handle.
    pub const CANCEL: u64 = 500;
    /// Taking one maker, with margin check.
    pub const TAKE: u64 = 1_800;
    /// Each further maker.
    pub const MAKER: u64 = 450;
    /// Ten cancels and ten places.
    pub const REPLACE: u64 = 5_000;
    /// Moving a ladder.
    pub const MOVE_LADDER: u64 = 300;
    /// `UpdatePrice` with two sources.
    pub const UPDATE_PRICE: u64 = 2_500;
    /// Liquidation into the book, one fill.
    pub const LIQUIDATE: u64 = 4_000;
    /// The largest liquidation there can be: 60% of what a transaction may use.
    pub const LARGEST: u64 = 840_000;
    /// Deposit, token transfer included.
    pub const DEPOSIT: u64 = 2_500;
    /// Withdrawal, token transfer included.
    pub const WITHDRAW: u64 = 3_500;
    /// Single orders per second of one risk group.
    pub const SINGLE_ORDERS: u64 = 25_000;
    /// Order operations per second of one risk group, with batched quotes.
    pub const BATCHED_ORDERS: u64 = 200_000;
}
