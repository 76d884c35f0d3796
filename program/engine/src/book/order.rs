//! What a trader asks for and what it got.

use crate::units::{Lots, NodeIndex, QuoteAtoms, QuoteDelta, Sequence, Side, Ticks, UnixSeconds};

/// How an order behaves when it meets the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OrderKind {
    /// Takes what crosses, rests the remainder.
    Limit = 0,
    /// Takes down to its required worst price, drops the remainder.
    Market = 1,
    /// Takes what crosses, drops the remainder.
    ImmediateOrCancel = 2,
    /// Takes all of it or fails.
    FillOrKill = 3,
    /// Rests, or fails if it would take.
    PostOnly = 4,
    /// Rests at its price, or where it would take, a tick behind the best order on the other side.
    PostOnlySlide = 5,
    /// Rests at a distance from the index, wherever that goes, but is never filled beyond its price. Fails if it would take.
    Pegged = 6,
}

/// What happens when an order meets one of the same owner, in whichever sub-account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SelfTrade {
    /// The resting order is cancelled, the taker goes on.
    CancelMaker = 0,
    /// The taker stops; its remainder is dropped.
    CancelTaker = 1,
    /// Both.
    CancelBoth = 2,
    /// Both shrink by the smaller of the two sizes, without a trade.
    Decrement = 3,
}

/// An order to place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Buy or sell.
    pub side: Side,
    /// Behaviour.
    pub kind: OrderKind,
    /// Limit price; for a market order the worst price accepted.
    pub price: Ticks,
    /// Size.
    pub lots: Lots,
    /// The trader's own id, unique among its live orders in the market; 0 for none.
    pub client_id: u64,
    /// Last second at which it may be filled; 0 for no end.
    pub expires_at: UnixSeconds,
    /// Same-owner policy.
    pub self_trade: SelfTrade,
    /// May only reduce the position.
    pub reduce_only: bool,
    /// Most resting orders it may meet, 1 to 255.
    pub match_limit: u8,
    /// Distance of a pegged order from the index, in ticks, either way; means nothing for other kinds.
    pub peg_offset: i32,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Lots filled at once.
    pub filled: Lots,
    /// Value of the fills.
    pub quote: QuoteAtoms,
    /// Taker fee paid.
    pub fee: QuoteAtoms,
    /// Builder's fee paid, on top of that.
    pub builder_fee: QuoteAtoms,
    /// Handle of the resting remainder, if any.
    pub resting: Option<(NodeIndex, Sequence)>,
    /// Handle of the order if it waits: nothing else has become of it yet.
    pub waiting: Option<(NodeIndex, Sequence)>,
    /// The account's worst profit after it, if asked for; see [`InitialMargin::worst`](crate::risk::margin::InitialMargin).
    pub worst: QuoteDelta,
}

impl OrderKind {
    /// Decodes an instruction byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Limit,
            1 => Self::Market,
            2 => Self::ImmediateOrCancel,
            3 => Self::FillOrKill,
            4 => Self::PostOnly,
            5 => Self::PostOnlySlide,
            6 => Self::Pegged,
            _ => return None,
        })
    }

    /// Whether a remainder may rest in the book.
    #[inline(always)]
    pub const fn rests(self) -> bool {
        matches!(self, Self::Limit | Self::PostOnly)
    }
}

impl SelfTrade {
    /// Decodes an instruction byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::CancelMaker,
            1 => Self::CancelTaker,
            2 => Self::CancelBoth,
            3 => Self::Decrement,
            _ => return None,
        })
    }
}
