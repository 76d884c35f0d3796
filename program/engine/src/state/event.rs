//! Records of the audit trail: trading events in the market's ring, cash and administration in the ledger's.

use crate::{
    slab::ring::Record,
    units::{
        CellIndex, FundingIndex, Generation, Lots, MarketIndex, QuoteDelta, Sequence, Side, Slot, Ticks, UnixSeconds,
    },
};
use bytemuck::{Pod, Zeroable};

/// What a [`TradeEvent`] records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TradeEventKind {
    /// An order rests: `lots` at `price`, owned by `maker`.
    Placed = 1,
    /// `taker` filled `lots` of `maker`'s order.
    Filled = 2,
    /// An order left the book by its owner's wish; `lots` are what remained.
    Cancelled = 3,
    /// An order was met or named after its expiry and dropped.
    Expired = 4,
    /// The worst order made room for a better one.
    Evicted = 5,
    /// An order of the taker's own owner was cancelled or decremented by `lots`, or a level of his ladder consumed.
    SelfTradePrevented = 6,
    /// A reduce-only order was met with nothing left to reduce; `lots` were dropped.
    ReduceOnlyDropped = 7,
    /// The unfilled remainder of a taking order was dropped; `order` and `maker` are its own if it had waited.
    RemainderDropped = 8,
    /// An order was cancelled because its owner's account is below initial margin, or its market over.
    RiskCancelled = 9,
    /// A liquidation closed `lots` of `taker`'s position through the book, at `price` on average; `maker` is the keeper,
    /// `taker_fee` the liquidation fee, `maker_fee` the keeper's part of it, negative.
    Liquidated = 10,
    /// `maker` took over `lots` of `taker`'s position at `price`; `taker_fee` is the liquidation fee.
    TakenOver = 11,
    /// Deleveraging number `order` starts: `lots` of `taker`'s position, for `client_id` atoms; `price` tells who is in
    /// profit, `side` is that of the position.
    DeleverageStarted = 12,
    /// `lots` of `maker`'s position were closed against `taker`'s for `client_id` atoms, in deleveraging `order`.
    Deleveraged = 13,
    /// Deleveraging number `order` is over; `lots` were closed.
    DeleverageFinished = 14,
    /// An order was made smaller and kept its place; `lots` are what it has now.
    Amended = 15,
    /// An order was cancelled because its owner's dead-man switch had run out.
    DeadmanCancelled = 16,
    /// A quote was moved, or what a waiting taker left unfilled rests now: order number `client_id` became order `order`,
    /// `lots` at `price`, owned by `maker`.
    Replaced = 17,
    /// An order pegged to the index rests: `lots`, owned by `maker`, filled at `price` at worst; see
    /// [`TradeEvent::peg_offset`].
    PegPlaced = 18,
    /// A pegged order was met where it is not for sale, beyond its price or far through the mark, and dropped.
    PegDropped = 19,
    /// A taking order waits: `lots` with the limit `price`, owned by `maker`.
    TakerQueued = 22,
    /// A waiting taker might not run when its time had come; `lots` are what remained.
    TakerDropped = 23,
    /// A side of a ladder was set: order `order` may fill `lots` and come to `price`, owned by `maker`; `client_id` is the
    /// maker's number.
    LadderSet = 20,
    /// A ladder was moved to the middle `price`: number `client_id` of the last time is number `order` now. Without a time: it
    /// is that of its transaction.
    LadderMoved = 21,
    /// `maker` placed trigger number `order` for `lots`, at the trigger price; `taker_fee` is the tip put in.
    TriggerPlaced = 24,
    /// `taker` executed trigger `order` of `maker`: `lots` were filled or rest, at the reference `price`; `taker_fee` is the
    /// tip paid.
    TriggerFired = 25,
    /// Trigger `order` of `maker` is gone, by `taker` if not nil; `lots` were left, `taker_fee` is the tip given back.
    TriggerRemoved = 26,
    /// Trailing trigger `order` of `maker` has a new extreme `price`, by `taker`.
    TriggerMoved = 27,
}

/// What a [`CashEvent`] records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CashEventKind {
    /// The exchange was created.
    ExchangeCreated = 1,
    /// A market was listed; `amount` is its row.
    MarketListed = 2,
    /// A trading account was opened; `amount` is its sub-account number.
    TraderOpened = 3,
    /// A trading account was closed.
    TraderClosed = 4,
    /// Tokens came in; `amount` atoms.
    Deposited = 5,
    /// Tokens went out; `amount` atoms.
    Withdrawn = 6,
    /// The price board moved; `amount` is the index, `balance` the mark, in ticks.
    PriceUpdated = 7,
    /// The arena grew; `amount` is the new number of cells.
    LedgerGrown = 8,
    /// Earned fees were paid out; `amount` atoms.
    FeesCollected = 9,
    /// Cash moved between accounts of one owner; `amount` is negative for the one that gave.
    CashTransferred = 10,
    /// A withdrawal waits; `amount` atoms.
    WithdrawalQueued = 11,
    /// A waiting withdrawal was paid; `amount` atoms.
    WithdrawalPaid = 12,
    /// A waiting withdrawal could not be paid and went back to cash; `amount` atoms.
    WithdrawalReturned = 13,
    /// Cash became stake; `amount` atoms.
    PoolStaked = 14,
    /// Stake was asked for; `amount` shares.
    UnstakeRequested = 15,
    /// Stake became cash; `amount` atoms.
    PoolUnstaked = 16,
    /// Cash, or if nobody is named fees or residue, went to the pool for good; `amount` atoms.
    PoolFunded = 17,
    /// An account was found bankrupt; `amount` is its equity.
    Bankrupt = 18,
    /// The pool paid into a bankrupt account; `amount` atoms.
    ShortfallAbsorbed = 19,
    /// A bankrupt account gave back what the pool had paid; `amount` atoms.
    ShortfallRepaid = 20,
    /// A bankrupt account is resolved; `amount` is what the pool lost on it.
    Resolved = 21,
    /// A market's status changed; `amount` is the new one, `balance` the mark.
    MarketStatusChanged = 22,
    /// A position in a settled market was closed at its price; `amount` lots.
    PositionSettled = 23,
    /// A market's margin parameters changed; `amount` is the maintenance share.
    MarginChanged = 24,
    /// A taking order paid its builder; `amount` is negative for the taker.
    BuilderPaid = 25,
    /// A referrer got its share of a taking order's fees; `amount` atoms.
    ReferrerPaid = 26,
    /// A trader said how much builders may charge; `amount` in ppm.
    BuilderMaxSet = 27,
    /// A trader named its referrer; `amount` is the referrer's cell.
    ReferrerSet = 28,
    /// Tips of a failing account's triggers went back to its cash; `amount` atoms.
    TipsReturned = 30,
    /// The exchange was sealed; `amount` is the number of its markets.
    ExchangeSealed = 31,
    /// A key was proposed for a role; `amount` is the role, `balance` the first eight bytes of the key.
    RotationProposed = 32,
    /// What was proposed for a role was withdrawn; likewise.
    RotationWithdrawn = 33,
    /// The key proposed became the holder of a role; likewise.
    RoleAccepted = 34,
    /// A change was proposed; `amount` is its number, `balance` its value.
    ChangeProposed = 35,
    /// A change took effect; `amount` is its number, `balance` its value.
    ChangeExecuted = 36,
    /// A change was cancelled; `amount` is its number, `balance` its value.
    ChangeCancelled = 37,
    /// A change that nobody executed in time was removed; `amount` is its number, `balance` its value.
    ChangeRemoved = 38,
    /// The chain had stood still since a market's board was last updated; `amount` is for how many seconds.
    ChainResumed = 40,
    /// A mode was set; `amount` is the mode, `balance` the second at which it ends.
    ModeSet = 41,
    /// A market's cap on positions was lowered; `amount` is the new one, `balance` the old one, in lots.
    PositionMaxLowered = 42,
    /// A market's cap on open interest was lowered; `amount` is the new one, `balance` the old one, in lots.
    InterestMaxLowered = 43,
    /// The account's delegate was named (amount 1) or removed (0).
    DelegateSet = 45,
    /// The largest taker fee was set: ppm.
    FeeMaxSet = 46,
    /// A withdraw delay was asked for: seconds.
    WithdrawDelaySet = 47,
    /// A target of withdrawals was named: amount is the seconds it waits; or struck off: -1.
    TargetSet = 48,
    /// A session was opened: amount is the second it ends at; or closed: 0.
    SessionSet = 49,
}

/// One trading event, 80 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TradeEvent {
    /// Gapless number, from 1.
    pub sequence: Sequence,
    /// When.
    pub unix_seconds: UnixSeconds,
    /// When.
    pub slot: Slot,
    /// The resting order concerned; 0 for a remainder that never rested.
    pub order: Sequence,
    /// The order's client id; of a ladder's, the maker's number of its last move.
    pub client_id: u64,
    /// Size.
    pub lots: Lots,
    /// Price.
    pub price: Ticks,
    /// Trader cell of the resting order's owner, or nil.
    pub maker: CellIndex,
    /// Trader cell of the taker, or nil; see also [`Self::peg_offset`].
    pub taker: CellIndex,
    kind: u8,
    side: u8,
    pad: [u8; 2],
    /// Fee the taker paid, in quote atoms.
    pub taker_fee: QuoteDelta,
    /// Fee the maker paid, in quote atoms; negative for a rebate.
    pub maker_fee: QuoteDelta,
}

/// One cash or administration event, 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CashEvent {
    /// Gapless number, from 1.
    pub sequence: Sequence,
    /// When.
    pub unix_seconds: UnixSeconds,
    /// When.
    pub slot: Slot,
    kind: u8,
    pad: u8,
    /// The market, where one is concerned.
    pub market: MarketIndex,
    /// The trader, where one is concerned.
    pub trader: CellIndex,
    /// The trader's incarnation.
    pub generation: Generation,
    pad2: u32,
    /// See [`CashEventKind`].
    pub amount: i64,
    /// The trader's cash afterwards, in quote atoms; see [`CashEventKind`].
    pub balance: i64,
    /// For [`CashEventKind::PriceUpdated`] the market's funding index, else 0.
    pub funding_index: FundingIndex,
}

const _: () = assert!(size_of::<TradeEvent>() == 80 && align_of::<TradeEvent>() == 8);
const _: () = assert!(size_of::<CashEvent>() == 64 && align_of::<CashEvent>() == 8);

impl TradeEvent {
    /// An event of this kind on this side, otherwise empty.
    #[inline(always)]
    pub fn new(kind: TradeEventKind, side: Side) -> Self {
        Self {
            maker: CellIndex::NIL,
            taker: CellIndex::NIL,
            #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
            kind: kind as u8,
            side: side.byte(),
            ..Self::zeroed()
        }
    }

    /// An event that `taker` brought about, or nobody if nil.
    #[inline(always)]
    pub fn of(kind: TradeEventKind, side: Side, taker: CellIndex) -> Self {
        Self { taker, ..Self::new(kind, side) }
    }

    /// What it records; `None` in an unwritten slot.
    pub const fn kind(&self) -> Option<TradeEventKind> {
        Some(match self.kind {
            1 => TradeEventKind::Placed,
            2 => TradeEventKind::Filled,
            3 => TradeEventKind::Cancelled,
            4 => TradeEventKind::Expired,
            5 => TradeEventKind::Evicted,
            6 => TradeEventKind::SelfTradePrevented,
            7 => TradeEventKind::ReduceOnlyDropped,
            8 => TradeEventKind::RemainderDropped,
            9 => TradeEventKind::RiskCancelled,
            10 => TradeEventKind::Liquidated,
            11 => TradeEventKind::TakenOver,
            12 => TradeEventKind::DeleverageStarted,
            13 => TradeEventKind::Deleveraged,
            14 => TradeEventKind::DeleverageFinished,
            15 => TradeEventKind::Amended,
            16 => TradeEventKind::DeadmanCancelled,
            17 => TradeEventKind::Replaced,
            18 => TradeEventKind::PegPlaced,
            19 => TradeEventKind::PegDropped,
            22 => TradeEventKind::TakerQueued,
            23 => TradeEventKind::TakerDropped,
            20 => TradeEventKind::LadderSet,
            21 => TradeEventKind::LadderMoved,
            24 => TradeEventKind::TriggerPlaced,
            25 => TradeEventKind::TriggerFired,
            26 => TradeEventKind::TriggerRemoved,
            27 => TradeEventKind::TriggerMoved,
            _ => return None,
        })
    }

    /// Distance from the index of the order that a [`TradeEventKind::PegPlaced`] is about, in ticks. There is no taker, and the
    /// distance is in its place.
    pub const fn peg_offset(&self) -> Option<i32> {
        match self.kind() {
            Some(TradeEventKind::PegPlaced) => Some(self.taker.get().cast_signed()),
            _ => None,
        }
    }

    /// Side of the resting order; for a dropped remainder, of the taker.
    pub const fn side(&self) -> Side {
        if self.side == Side::Bid.byte() { Side::Bid } else { Side::Ask }
    }
}

impl CashEvent {
    /// An event of this kind, otherwise empty.
    pub fn new(kind: CashEventKind) -> Self {
        Self {
            trader: CellIndex::NIL,
            #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
            kind: kind as u8,
            ..Self::zeroed()
        }
    }

    /// What it records; `None` in an unwritten slot.
    pub const fn kind(&self) -> Option<CashEventKind> {
        Some(match self.kind {
            1 => CashEventKind::ExchangeCreated,
            2 => CashEventKind::MarketListed,
            3 => CashEventKind::TraderOpened,
            4 => CashEventKind::TraderClosed,
            5 => CashEventKind::Deposited,
            6 => CashEventKind::Withdrawn,
            7 => CashEventKind::PriceUpdated,
            8 => CashEventKind::LedgerGrown,
            9 => CashEventKind::FeesCollected,
            10 => CashEventKind::CashTransferred,
            11 => CashEventKind::WithdrawalQueued,
            12 => CashEventKind::WithdrawalPaid,
            13 => CashEventKind::WithdrawalReturned,
            14 => CashEventKind::PoolStaked,
            15 => CashEventKind::UnstakeRequested,
            16 => CashEventKind::PoolUnstaked,
            17 => CashEventKind::PoolFunded,
            18 => CashEventKind::Bankrupt,
            19 => CashEventKind::ShortfallAbsorbed,
            20 => CashEventKind::ShortfallRepaid,
            21 => CashEventKind::Resolved,
            22 => CashEventKind::MarketStatusChanged,
            23 => CashEventKind::PositionSettled,
            24 => CashEventKind::MarginChanged,
            25 => CashEventKind::BuilderPaid,
            26 => CashEventKind::ReferrerPaid,
            27 => CashEventKind::BuilderMaxSet,
            28 => CashEventKind::ReferrerSet,
            30 => CashEventKind::TipsReturned,
            31 => CashEventKind::ExchangeSealed,
            32 => CashEventKind::RotationProposed,
            33 => CashEventKind::RotationWithdrawn,
            34 => CashEventKind::RoleAccepted,
            35 => CashEventKind::ChangeProposed,
            36 => CashEventKind::ChangeExecuted,
            37 => CashEventKind::ChangeCancelled,
            38 => CashEventKind::ChangeRemoved,
            40 => CashEventKind::ChainResumed,
            41 => CashEventKind::ModeSet,
            42 => CashEventKind::PositionMaxLowered,
            43 => CashEventKind::InterestMaxLowered,
            45 => CashEventKind::DelegateSet,
            46 => CashEventKind::FeeMaxSet,
            47 => CashEventKind::WithdrawDelaySet,
            48 => CashEventKind::TargetSet,
            49 => CashEventKind::SessionSet,
            _ => return None,
        })
    }
}

impl Record for TradeEvent {
    #[inline(always)]
    fn sequence(&self) -> Sequence {
        self.sequence
    }

    #[inline(always)]
    fn set_sequence(&mut self, sequence: Sequence) {
        self.sequence = sequence;
    }
}

impl Record for CashEvent {
    #[inline(always)]
    fn sequence(&self) -> Sequence {
        self.sequence
    }

    #[inline(always)]
    fn set_sequence(&mut self, sequence: Sequence) {
        self.sequence = sequence;
    }
}
