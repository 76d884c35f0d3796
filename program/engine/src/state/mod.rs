//! Account layouts: `repr(C)`, plain data, alignment at most 8, no padding, exact lengths.

pub mod access;
pub mod annex;
pub mod cell;
pub mod event;
pub mod exchange;
pub mod fees;
pub mod header;
pub mod ledger;
pub mod market;
pub mod order;
pub mod row;
pub mod session;
pub mod stake;
pub mod trigger;

pub use access::AccessCell;
pub use annex::{Annex, Delayed, Ladder, LadderLevel, LadderSide};
pub use cell::{Cell, PositionCell, TraderCell, WithdrawalCell};
pub use event::{CashEvent, CashEventKind, TradeEvent, TradeEventKind};
pub use exchange::{Exchange, OracleSource, SourceKind};
pub use header::{AccountHeader, Key};
pub use ledger::{Ledger, LedgerHeader, LedgerView};
pub use market::{Market, MarketHeader, MarketView};
pub use order::{IndexEntry, OrderNode, Source};
pub use row::{MarginTier, MarketRow, MarketStatus, PriceCondition};
pub use session::{Session, SessionIdentity, SessionTerms};
pub use stake::PoolStake;
pub use trigger::{Condition, Reference, TriggerCell};
