//! What the engine refuses, each with its own code. A code is never reused; blocks of 100 go by subject.

/// Result of an engine call.
pub type Result<T> = core::result::Result<T, EngineError>;

/// Declares an enum of error codes with its conversions.
#[macro_export]
macro_rules! error_codes {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum $name { $($(#[$doc])* $variant = $code,)* }

        impl $name {
            /// Every error, in order of codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The custom error code a transaction fails with.
            pub const fn code(self) -> u32 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The error with this code.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(formatter, "{} ({})", self.name(), self.code())
            }
        }

        impl core::error::Error for $name {}
    };
}

error_codes! {
/// A violated fact. The number is the custom program error a transaction fails with (see `SPEC.md`, "Error codes").
pub enum EngineError {
    // 300: prices
    /// Fewer valid sources than the market requires, and the first invalid one is too old.
    OracleStale = 300,
    /// A source's price is zero, negative or not representable.
    OraclePriceInvalid = 302,
    /// A source's publish time lies before the one already used.
    OracleRegressed = 303,
    /// A source's publish time lies in the future.
    OracleFromFuture = 304,
    /// Fewer samples or signatures behind a source than required.
    OracleSamplesTooFew = 305,
    /// The index price converts to zero ticks or lies above the market's largest price.
    OraclePriceOutOfRange = 306,
    /// The validity of the market's price does not permit this action.
    PriceNotValidForAction = 307,
    /// The source's account does not (or no longer) satisfy what the listing demands of it.
    OracleNotTrusted = 308,

    // 400: traders and the ledger
    /// The cell named is not a trader, or its generation is another one.
    TraderNotFound = 400,
    /// No free cell is left in the ledger.
    LedgerFull = 402,
    /// The trader still has cash, an open position, resting orders or a waiting withdrawal, or is bankrupt.
    TraderNotEmpty = 403,
    /// A withdrawal exceeds what is withdrawable.
    WithdrawExceedsAvailable = 404,
    /// An amount of zero.
    AmountZero = 405,
    /// A deposit would take the ledger past the largest total it can hold.
    DepositTooLarge = 406,
    /// The trader has a withdrawal waiting in the queue.
    WithdrawalWaiting = 407,
    /// No withdrawal waits, or the first one's time has not come.
    QueueNotDue = 408,
    /// More than may leave the vault now.
    OutflowLimited = 409,
    /// The account is bankrupt and being wound up: its owner may only reduce, cancel and deposit.
    AccountBankrupt = 410,
    /// Both ends of a transfer are the same account, or not of the same owner.
    TransferInvalid = 411,
    /// The trader's dead-man switch is off, or its time has not passed.
    HeartbeatAlive = 412,
    /// A builder's fee exceeds what the trader has agreed to.
    BuilderFeeTooHigh = 413,
    /// The builder's cell is not a trader, or its generation is another one.
    BuilderNotFound = 414,
    /// The builder's account is of the trader's own owner.
    SelfBuilder = 415,
    /// The referrer's account is of the trader's own owner.
    SelfReferral = 416,
    /// The trader names a referrer already.
    ReferrerAlreadySet = 417,
    /// The market's taker fee is more than the trader accepts.
    FeeTooHigh = 418,
    /// Cash of a guarded account leaves by withdrawals alone, or goes to an account guarded as strictly.
    AccountGuarded = 419,
    /// A guarded account's withdrawal to a token account that is no target, or not yet.
    TargetNotAllowed = 420,
    /// The account has as many targets as it can have.
    TargetsFull = 421,
    /// The account has no such target.
    TargetNotFound = 422,
    /// The token account is a target already.
    TargetListed = 423,
    /// The session has ended.
    SessionExpired = 424,
    /// The session may not do this.
    SessionAction = 425,
    /// The session may not act in this market.
    SessionMarket = 426,
    /// An order worth more than the session may place.
    SessionOrderTooLarge = 427,
    /// The session's orders of the day would be worth more than they may.
    SessionNotionalSpent = 428,
    /// The account could lose more than the session may lose on a day.
    SessionLossReached = 429,
    /// A session that may do nothing, or ends too late or not in the future.
    SessionInvalid = 430,

    // 500: orders and the book
    /// Price of zero or above the market's largest price.
    OrderPriceOutOfRange = 500,
    /// Lots below the market's smallest or above its largest order.
    OrderLotsOutOfRange = 501,
    /// A buy above or a sell below the price band around the mark.
    OrderOutsideBand = 502,
    /// The expiry is not in the future.
    OrderExpired = 503,
    /// A post-only order would take.
    PostOnlyWouldCross = 504,
    /// A fill-or-kill order could not be filled whole.
    FillOrKillUnfilled = 505,
    /// A reduce-only order in a market where there is nothing to reduce on that side.
    ReduceOnlyNothingToReduce = 506,
    /// The side of the book is full of orders at least as good.
    BookFull = 507,
    /// No live order of this trader with that handle.
    OrderNotFound = 508,
    /// Another live order of this trader in this market has the same client id.
    ClientIdInUse = 509,
    /// The trader has as many resting orders in this market as allowed.
    OrdersTooMany = 510,
    /// The market does not accept this order in its present status.
    MarketNotActive = 512,
    /// A match limit of zero.
    MatchLimitOutOfRange = 513,
    /// The order is pegged, a ladder's or waiting: it can only be cancelled.
    OrderNotAmendable = 514,
    /// The index with the order's distance is beyond its limit, out of range, or too far through the mark.
    PegNotForSale = 515,
    /// The market has written events beyond the number that the instruction was signed for.
    BookMoved = 516,
    /// The order is a taker that waits: its owner cannot take it back.
    OrderWaiting = 520,
    /// In a market where takers wait: a fill-or-kill order, or one that would wait and stop at its owner's own orders or pay a
    /// builder.
    OrderNotDelayable = 521,
    /// As many takers wait in the market as can.
    TakersTooMany = 522,
    /// No taker waits, or the first one's time has not come.
    TakerNotDue = 523,
    /// All ladders of the market are in use, by makers that reserve at least as many lots.
    LaddersFull = 530,
    /// A ladder without quoter, with too many levels, not ascending ones, or a reserve or limit without levels.
    LadderInvalid = 531,
    /// The position has no ladder with this number.
    LadderNotFound = 532,
    /// No live trigger of this trader in this market with that handle or client id.
    TriggerNotFound = 540,
    /// The terms of a trigger contradict each other.
    TriggerInvalid = 541,
    /// The position has as many triggers as allowed.
    TriggersTooMany = 542,
    /// The tip of a trigger is above the market's largest.
    TriggerTipTooLarge = 543,
    /// None of the triggers named could be executed, moved or removed.
    NoTriggerDue = 544,

    // 600: risk
    /// Equity would end below the initial margin requirement.
    BelowInitialMargin = 600,
    /// The position with its open orders would exceed the market's largest position.
    PositionTooLarge = 601,
    /// Open interest would exceed the market's cap.
    OpenInterestTooLarge = 602,
    /// The account is not in the state this step of the ladder is for.
    AccountHealthy = 603,
    /// The account has nothing in this market that this step could close or cancel.
    NothingToClose = 604,
    /// No resting order can be reached at a price that would help the account.
    NoLiquidity = 605,
    /// An account cannot take over from one of its own owner.
    SelfTakeOver = 606,
    /// The market is being deleveraged; its positions stand still until that is done.
    DeleverageRunning = 607,
    /// The account has no equity left: the pool and deleveraging are for it.
    NoEquity = 608,
    /// Neither the pool nor the account can pay anything.
    NothingToAbsorb = 609,

    // 700: listing and administration
    /// No market with this index.
    MarketNotFound = 700,
    /// All market rows are taken.
    MarketsFull = 701,
    /// Sizes, prices or rates of a listing are zero, inconsistent or out of bounds.
    ListingParametersInvalid = 702,
    /// Margin tiers are not increasing and convex, or a rate is out of bounds.
    ListingTiersInvalid = 703,
    /// `price_max × position_max × tick_value` reaches 2^62.
    ListingBoundExceeded = 704,
    /// The maker fee or rebate exceeds the taker fee, or a fee is out of bounds.
    ListingFeesInvalid = 705,
    /// Price ages, widths or the number of sources are out of bounds.
    ListingOracleInvalid = 706,
    /// The account's size does not fit the capacities asked for.
    CapacityInvalid = 707,
    /// The worst price step with funding and fees does not fit into maintenance margin.
    ListingEnvelopeExceeded = 708,
    /// Risk parameters of a listing are zero, inconsistent or out of bounds.
    ListingRiskInvalid = 709,
    /// The market's status does not permit this.
    MarketStatusInvalid = 710,
    /// Notice or grace has not passed yet.
    NoticeNotOver = 711,
    /// Limits of an exchange are out of bounds.
    PolicyInvalid = 712,
    /// Positions or orders are left in the market.
    MarketNotEmpty = 713,
    /// Fee tiers of an exchange do not rise, or a discount or share is out of bounds.
    FeeScheduleInvalid = 714,
    /// The exchange is sealed: this goes through the queue of changes, or was for before.
    ExchangeSealed = 715,
    /// The exchange is not sealed: nothing can be deposited yet.
    ExchangeNotSealed = 716,
    /// A key is proposed for the role already.
    RotationPending = 717,
    /// No key is proposed for the role.
    RotationNotPending = 718,
    /// The rotation's delay has not passed, or it has lapsed.
    RotationNotDue = 719,

    // 720: changes
    /// No change with this number waits.
    ChangeNotFound = 720,
    /// The change's delay has not passed.
    ChangeTooEarly = 721,
    /// The change waited too long for its execution.
    ChangeLapsed = 722,
    /// As many changes wait as can.
    ChangesFull = 723,
    /// As many changes with a payload wait as can.
    PayloadsFull = 724,
    /// A value outside the bounds of its parameter, or delays in the wrong order.
    ChangeOutOfBounds = 725,
    /// The value is further from the present one than one change may go.
    ChangeStepTooLarge = 726,
    /// It is so already.
    ChangeWithoutEffect = 727,
    /// Delays only grow.
    DelayShrinks = 728,
    /// On a sealed exchange this acts at once, and so only tightens.
    ChangeNotTightening = 729,
    /// The market's last change of margin is still on its way.
    MarginRampRunning = 730,
    /// Takers wait in the market.
    TakersWaiting = 731,
    /// The market's status has changed since the proposal.
    ChangeStale = 732,
    /// What loosens or is critical would take effect before everybody could have left.
    DelayTooShort = 733,
    /// The exchange's mode does not allow this at present.
    ModeForbids = 740,
    /// No mode that can be set, or a time out of bounds.
    ModeInvalid = 741,
    /// What the guard asks for is not tighter than what there is.
    NotTightening = 742,
    /// The last halting ended less than a day ago.
    HaltTooSoon = 743,

    // 800: protection pool
    /// The amount would buy or pay nothing.
    StakeTooSmall = 800,
    /// More shares than the staker holds.
    StakeTooLarge = 801,
    /// Nothing was asked for, or it was and its time has not come or has passed.
    UnstakeNotDue = 802,
    /// No stake leaves while a loss is open or a price is on its way.
    PoolClosed = 803,

    // 900: arithmetic and state that cannot be
    /// An intermediate result does not fit its type.
    Overflow = 900,
    /// Division by zero.
    DivisionByZero = 901,
    /// Account bytes contradict themselves.
    Corrupt = 902,
    /// Account bytes are not of the expected length or alignment.
    AccountSize = 903,
    /// The account's discriminator is another one.
    AccountType = 904,
    /// The account's layout version is another one.
    AccountVersion = 905,
    /// The account is in use already.
    AccountNotBlank = 906,
}
}
