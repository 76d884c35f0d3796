//! The central limit order book: placing, matching, cancelling.
//!
//! # Layout
//! Each side is a sorted array of 16-byte [`IndexEntry`](crate::state::IndexEntry)s, worst first, best at the end. An
//! order's remaining fields are in a 64-byte [`OrderNode`](crate::state::OrderNode) that never moves; its node index and
//! sequence form the handle the owner cancels by.
//!
//! # Ordering invariant
//! Price, then time: entries ascend by key and, within a key, from newest to oldest (B1). A newcomer goes in front of
//! its equals, which is the first place a binary search by key alone finds.
//!
//! # Matching
//! One pass over the opposite side from its end. Each step classifies the best order (expired, same owner, nothing
//! left to reduce, fill) and acts on it; every step counts against the taker's match limit, so work is bounded. A
//! taker stopped by its limit drops its remainder rather than resting it: the book is never left crossed.
//!
//! # Settlement
//! A fill settles maker and taker at once. The maker's margin is not examined: it was reserved, worst case, when the
//! order was placed. The taker's is examined once, at the end.
//!
//! # Besides the two sides
//! Ladders ([`ladder`]) are further sources of what a taker may take.
//!
//! # Performance
//! Insert and remove: a binary search and one bulk move (52 compute units per 8 KiB). Matching pops from the end.

mod amend;
mod batch;
mod bracket;
mod cancel;
mod delay;
mod deleverage;
mod execute;
mod index;
mod ladder;
mod liquidate;
mod matching;
mod offer;
mod order;
mod partner;
mod pegged;
mod place;
mod replace;
mod several;
mod stale;
mod take_over;
mod trigger;

pub use batch::OrderHandle;
pub use cancel::Sides;
pub use ladder::{LadderMove, Moved, NewLadder, NewLadderSide};
pub use liquidate::Liquidated;
pub use order::{NewOrder, OrderKind, Placed, SelfTrade};
pub use partner::Builder;
pub use place::ORDERS_PER_POSITION_MAX;
pub use replace::{QUOTES_MAX, Quote, Replacement};
pub use several::ORDERS_MAX;
pub use trigger::{NewTrigger, TWAP_INTERVAL_MAX, TWAP_SLICES_MAX, TWAP_SLICES_MIN, TriggerHandle};

use crate::{
    state::{Ledger, Market},
    units::Now,
};

/// A market and its ledger, opened together at one time: what every order instruction works on.
#[derive(Debug)]
pub struct Trading<'a> {
    /// The market.
    pub market: Market<'a>,
    /// The ledger it settles in.
    pub ledger: Ledger<'a>,
    /// The time of the instruction.
    pub now: Now,
}

impl Trading<'_> {
    /// The same once more, for as long as it is borrowed.
    #[inline(always)]
    fn again(&mut self) -> Trading<'_> {
        let Self { market, ledger, now } = self;
        Trading {
            market: Market {
                header: market.header,
                annex: market.annex,
                bids: market.bids,
                asks: market.asks,
                nodes: market.nodes,
                events: market.events,
            },
            ledger: Ledger { header: ledger.header, rows: ledger.rows, events: ledger.events, cells: ledger.cells },
            now: *now,
        }
    }
}
