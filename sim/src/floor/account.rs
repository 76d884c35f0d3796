//! Customers of the venue: trading accounts with their wallets.

use quantdesk_client::{Address, instruction::Trader};

/// Tokens a wallet starts with: more than anybody here can lose.
pub const WALLET_ATOMS: u64 = 100_000_000_000_000_000;

/// What an actor is there for. Actors of a role share a chart and a line of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Quotes both sides.
    Maker,
    /// Takes without a view.
    Taker,
    /// Takes in the direction of the last minute.
    TrendFollower,
    /// Takes against it.
    DipBuyer,
    /// Holds a position many times as large as its collateral, and is never called.
    Leveraged,
    /// Has cash and does nothing.
    Bystander,
    /// Has a share of the protection pool.
    Staker,
    /// Runs the cranks of the liquidation ladder for their tips.
    Keeper,
    /// Takes positions over and sells them.
    Liquidator,
    /// Trades around orders it sees before they land.
    Searcher,
    /// Takes quotes that the price has left behind.
    Sniper,
    /// Holds a key that is not its own.
    Thief,
}

impl Role {
    /// As reports show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Maker => "maker",
            Self::Taker => "taker",
            Self::TrendFollower => "trend follower",
            Self::DipBuyer => "dip buyer",
            Self::Leveraged => "leveraged",
            Self::Bystander => "bystander",
            Self::Staker => "pool staker",
            Self::Keeper => "keeper",
            Self::Liquidator => "liquidator",
            Self::Searcher => "sandwich searcher",
            Self::Sniper => "stale-quote sniper",
            Self::Thief => "thief",
        }
    }
}

/// One actor's trading account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Unique.
    pub name: String,
    /// Role.
    pub role: Role,
    /// The account and who signs for it.
    pub trader: Trader,
    /// Token account that deposits come from and withdrawals go to.
    pub wallet: Address,
    /// Atoms, over the run.
    pub deposited: u64,
    /// Atoms, over the run.
    pub withdrawn: u64,
    /// Fees paid less rebates received, in atoms, as the audit trail tells them.
    pub fees: i64,
    /// Whether the trading account is open; once closed, its cell may be somebody else's.
    pub is_open: bool,
}
