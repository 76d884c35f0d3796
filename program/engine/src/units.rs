//! One type per dimension, so that a price cannot be taken for a size.
//!
//! | type | inner | meaning |
//! |---|---|---|
//! | [`Ticks`] | u32 | price, in ticks of the market |
//! | [`Lots`] | u64 | size of an order or fill, in lots of the market |
//! | [`PositionLots`] | i64 | signed position: long > 0, short < 0 |
//! | [`QuoteAtoms`] | u64 | amount of the collateral token in its smallest unit |
//! | [`QuoteDelta`] | i64 | signed amount of quote atoms: profit, loss, equity |
//! | [`TickValue`] | u32 | quote atoms per lot per tick |
//! | [`Ppm`] | u32 | a rate in parts per million |
//!
//! `ticks × lots × tick_value` is a whole number of quote atoms, so a fill never rounds.
//! None of the types has `+ - *`: arithmetic is checked and named.

use crate::{
    error::{EngineError, Result},
    math,
};
use bytemuck::{Pod, Zeroable};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
        #[repr(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Zero of this unit.
            pub const ZERO: Self = Self(0);
            /// Largest representable value.
            pub const MAX: Self = Self(<$inner>::MAX);

            /// Wraps a raw number of this unit.
            #[inline(always)]
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The raw number.
            #[inline(always)]
            pub const fn get(self) -> $inner {
                self.0
            }

            /// Whether the value is zero.
            #[inline(always)]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// Sum. Fails with `Overflow`.
            ///
            /// WHY: a sum that did not overflow is below a part of it just if the other part is negative. Written so, it is
            /// one comparison for numbers without a sign, and not the flag that the standard library's is made of.
            #[inline(always)]
            pub fn checked_add(self, other: Self) -> Result<Self> {
                let sum = Self(self.0.wrapping_add(other.0));
                if (sum < self) == (other < Self::ZERO) { Ok(sum) } else { Err(EngineError::Overflow) }
            }

            /// Difference. Fails with `Overflow`.
            #[inline(always)]
            pub fn checked_sub(self, other: Self) -> Result<Self> {
                self.0.checked_sub(other.0).map(Self).ok_or(EngineError::Overflow)
            }
        }
    };
}

unit!(
    /// Price in ticks. One tick is `MarketRow::tick_size` quote units per base unit.
    Ticks(u32)
);
unit!(
    /// Size in lots. One lot is `MarketRow::lot_size` base units.
    Lots(u64)
);
unit!(
    /// Signed position in lots.
    PositionLots(i64)
);
unit!(
    /// Quote atoms, never negative.
    QuoteAtoms(u64)
);
unit!(
    /// Signed quote atoms.
    QuoteDelta(i64)
);
unit!(
    /// Quote atoms per lot per tick.
    TickValue(u32)
);
unit!(
    /// Rate in parts per million.
    Ppm(u32)
);
unit!(
    /// Signed rate in parts per million: the maker fee, negative when it is a rebate.
    SignedPpm(i32)
);
unit!(
    /// Chain slot. Never used to measure time; takers wait a number of them.
    Slot(u64)
);
unit!(
    /// Unix time in seconds.
    UnixSeconds(i64)
);
unit!(
    /// Monotonic number of an order or event; gapless and never reused.
    Sequence(u64)
);
unit!(
    /// Incarnation of a reusable cell; a new one with every allocation.
    Generation(u32)
);
unit!(
    /// Price in 1e-12 quote units per base unit: the common scale of all oracle sources.
    PicoPrice(u64)
);
unit!(
    /// Cumulative funding per lot, in quote atoms × 2^20.
    FundingIndex(i64)
);
unit!(
    /// Row of a market in its ledger.
    MarketIndex(u16)
);

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
        #[repr(transparent)]
        pub struct $name(u32);

        impl $name {
            /// Points nowhere.
            pub const NIL: Self = Self(u32::MAX);

            /// Wraps a raw index.
            #[inline(always)]
            pub const fn new(value: u32) -> Self {
                Self(value)
            }

            /// The raw index.
            #[inline(always)]
            pub const fn get(self) -> u32 {
                self.0
            }

            /// Whether it points nowhere.
            #[inline(always)]
            pub const fn is_nil(self) -> bool {
                self.0 == u32::MAX
            }

            /// As a slice index.
            #[inline(always)]
            pub const fn as_usize(self) -> usize {
                math::to_usize(self.0)
            }
        }
    };
}

index!(
    /// Cell of the ledger's arena.
    CellIndex
);
index!(
    /// Node of a market's order arena.
    NodeIndex
);

/// The time a call happens at, as the program read it from the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Slot, for the audit trail and for takers that wait.
    pub slot: Slot,
    /// Seconds since 1970.
    pub unix_seconds: UnixSeconds,
}

/// Side of an order, or direction of a taker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// Buys.
    Bid = 0,
    /// Sells.
    Ask = 1,
}

impl Side {
    /// The other side.
    #[inline(always)]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Bid => Self::Ask,
            Self::Ask => Self::Bid,
        }
    }

    /// Decodes a stored byte.
    #[inline(always)]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Bid),
            1 => Some(Self::Ask),
            _ => None,
        }
    }

    /// The stored byte.
    #[inline(always)]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Bid => 0,
            Self::Ask => 1,
        }
    }
}

impl Ticks {
    /// Exact value of `lots` at this price: `ticks × lots × tick_value` quote atoms. Fails with `Overflow`.
    #[inline(always)]
    pub fn notional(self, lots: Lots, tick_value: TickValue) -> Result<QuoteAtoms> {
        // Two u32 factors: the product always fits.
        let per_lot = u64_of(self.0).wrapping_mul(u64_of(tick_value.0));
        math::mul(per_lot, lots.0).map(QuoteAtoms)
    }

    /// The same for a price and a size that a market has accepted.
    ///
    /// BOUND: a listing proves `price_max × position_max × tick_value < 2^62`; orders, marks and prices through the mark
    /// are at most `price_max`, positions at most `position_max`, and open lots of a side at most twice that, since a
    /// position may be short of them by `position_max`. So the product is below 2^63.
    #[inline(always)]
    pub const fn bounded_notional(self, lots: Lots, tick_value: TickValue) -> QuoteAtoms {
        QuoteAtoms(u64_of(self.0).wrapping_mul(u64_of(tick_value.0)).wrapping_mul(lots.0))
    }

    /// Exact signed value of a position that a market has accepted; same bound.
    #[inline(always)]
    pub const fn bounded_value(self, position: PositionLots, tick_value: TickValue) -> QuoteDelta {
        let per_lot = u64_of(self.0).wrapping_mul(u64_of(tick_value.0)).cast_signed();
        QuoteDelta(per_lot.wrapping_mul(position.0))
    }
}

#[inline(always)]
const fn u64_of(value: u32) -> u64 {
    math::to_u64(value)
}

impl Lots {
    /// What is left after taking out a part that is not larger.
    #[inline(always)]
    pub const fn less_part(self, part: Self) -> Self {
        Self(self.0.wrapping_sub(part.0))
    }

    /// The smaller of two sizes.
    #[inline(always)]
    pub fn min(self, other: Self) -> Self {
        if self.0 < other.0 { self } else { other }
    }

    /// This size changed by a signed number of lots. Fails with `Overflow`, also below zero.
    #[inline(always)]
    pub fn changed_by(self, change: i64) -> Result<Self> {
        self.0.checked_add_signed(change).map(Self).ok_or(EngineError::Overflow)
    }

    /// As the change a fill makes to a position on this side. Fails with `Overflow` above `i64::MAX`.
    #[inline(always)]
    pub fn signed(self, side: Side) -> Result<PositionLots> {
        let magnitude = i64::try_from(self.0).map_err(|_| EngineError::Overflow)?;
        Ok(PositionLots(match side {
            Side::Bid => magnitude,
            // A non-negative i64 always has a negative.
            Side::Ask => magnitude.wrapping_neg(),
        }))
    }
}

impl PositionLots {
    /// Absolute size.
    #[inline(always)]
    pub const fn magnitude(self) -> Lots {
        Lots(self.0.unsigned_abs())
    }

    /// Lots of this position that a fill on `side` would close.
    #[inline(always)]
    pub const fn closable_by(self, side: Side) -> Lots {
        match side {
            Side::Bid if self.0 < 0 => self.magnitude(),
            Side::Ask if self.0 > 0 => self.magnitude(),
            _ => Lots(0),
        }
    }

    /// Long lots: `max(self, 0)`.
    #[inline(always)]
    pub const fn long(self) -> Lots {
        if self.0 > 0 { self.magnitude() } else { Lots(0) }
    }
}

impl QuoteAtoms {
    /// As a signed amount. Fails with `Overflow` above `i64::MAX`.
    #[inline(always)]
    pub fn as_delta(self) -> Result<QuoteDelta> {
        i64::try_from(self.0).map(QuoteDelta).map_err(|_| EngineError::Overflow)
    }

    /// Share of this amount, rounded up: what someone is charged. Fails with `Overflow`.
    #[inline(always)]
    pub fn ppm_ceil(self, rate: Ppm) -> Result<Self> {
        math::ppm_ceil(self.0, rate.0).map(Self)
    }

    /// Share of this amount, rounded down: what someone is paid. Fails with `Overflow`.
    #[inline(always)]
    pub fn ppm_floor(self, rate: Ppm) -> Result<Self> {
        math::ppm_floor(self.0, rate.0).map(Self)
    }
}

impl QuoteDelta {
    /// The negative. Fails with `Overflow` for `i64::MIN`.
    #[inline(always)]
    pub fn negated(self) -> Result<Self> {
        self.0.checked_neg().map(Self).ok_or(EngineError::Overflow)
    }

    /// Absolute amount.
    #[inline(always)]
    pub const fn magnitude(self) -> QuoteAtoms {
        QuoteAtoms(self.0.unsigned_abs())
    }

    /// Sum modulo 2^64, for running totals that nothing is decided by.
    #[inline(always)]
    pub const fn wrapping_add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// The positive part: `max(self, 0)`.
    #[inline(always)]
    pub const fn positive_part(self) -> QuoteAtoms {
        if self.0 > 0 { self.magnitude() } else { QuoteAtoms(0) }
    }
}

impl UnixSeconds {
    /// This many seconds later. Fails with `Overflow`.
    #[inline(always)]
    pub fn plus(self, seconds: u32) -> Result<Self> {
        self.0.checked_add(i64::from(seconds)).map(Self).ok_or(EngineError::Overflow)
    }

    /// Seconds modulo 2^32, for places that hold no more.
    #[inline(always)]
    pub const fn low_half(self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// Seconds from `earlier` to `self`; zero if `earlier` is not earlier.
    #[inline(always)]
    pub const fn since(self, earlier: Self) -> u64 {
        if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 }
    }
}
