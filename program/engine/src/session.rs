//! What a session key may do: markets, actions, value of orders, loss, time.
//!
//! # The loss of a day
//! When the first order of a UTC day comes, the session notes what the account has made by trading until then. Every
//! order after that must leave its *worst* profit ([`outcome`]) no further below that than the session may lose. So
//! whatever the key's holder places, at whatever prices and whoever trades against it, the account loses no more than that
//! by it on a day, beside what the market itself does to positions and orders. Cancels lose nothing and always pass.

use crate::{
    book::Trading,
    error::{EngineError, Result},
    risk::{margin, outcome, position, price},
    state::{CashEventKind, Key, Ledger, LedgerView, MarketRow, Session, session::SessionTerms},
    units::{CellIndex, Generation, Lots, MarketIndex, Now, QuoteAtoms, QuoteDelta, Ticks, UnixSeconds},
};

/// Longest life of a session: 30 days.
pub const SESSION_SECONDS_MAX: u32 = 2_592_000;
const DAY_SECONDS: u64 = 86_400;

/// What a session can be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// Place and amend orders.
    Place = 1,
    /// Replace quotes.
    Quote = 2,
    /// Place conditional orders.
    Trigger = 4,
    /// Cancel orders of every kind.
    Cancel = 8,
    /// Set the dead-man switch.
    Heartbeat = 16,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Place, Self::Quote, Self::Trigger, Self::Cancel, Self::Heartbeat];

    /// Its bit.
    #[inline(always)]
    pub const fn bit(self) -> u8 {
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        {
            self as u8
        }
    }
}

/// What is asked for in an instruction: the value of its largest order, and of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    largest: u64,
    total: u64,
}

impl Asked {
    /// One order of this price and size.
    #[inline(always)]
    pub fn order(row: &MarketRow, price: Ticks, lots: Lots) -> Self {
        let value = value(row, price, lots);
        Self { largest: value, total: value }
    }

    /// One more.
    pub fn add(&mut self, row: &MarketRow, price: Ticks, lots: Lots) {
        let value = value(row, price, lots);
        self.largest = self.largest.max(value);
        self.total = self.total.saturating_add(value);
    }
}

/// An order counts at its price or at the mark, whichever is higher; what no number holds, as the largest there is.
#[inline(always)]
fn value(row: &MarketRow, price: Ticks, lots: Lots) -> u64 {
    counted_price(row, price).notional(lots, row.tick_value).unwrap_or(QuoteAtoms::MAX).get()
}

#[inline(always)]
fn counted_price(row: &MarketRow, price: Ticks) -> Ticks {
    if price > row.mark { price } else { row.mark }
}

impl SessionTerms {
    /// Fails with `SessionInvalid` unless it may do something somewhere, ends within 30 days and not yet.
    pub fn check(&self, now: UnixSeconds) -> Result<()> {
        let all = Action::ALL.iter().fold(0, |bits, action| bits | action.bit());
        let acts = self.actions != 0 && self.actions & !all == 0 && self.markets != 0;
        let ends = self.expires_at > now && self.expires_at <= now.plus(SESSION_SECONDS_MAX)?;
        if acts && ends { Ok(()) } else { Err(EngineError::SessionInvalid) }
    }
}

impl Session {
    /// Fails with `SessionExpired`, or with `SessionAction` for what it may not do.
    #[inline(always)]
    pub fn admit(&self, action: Action, now: UnixSeconds) -> Result<()> {
        if now > self.terms.expires_at {
            return Err(EngineError::SessionExpired);
        }
        if self.terms.actions & action.bit() == 0 { Err(EngineError::SessionAction) } else { Ok(()) }
    }

    /// What comes before an order of this signer for this incarnation of the trader, in the way of everybody's orders. Fails with
    /// `None` if it is not the session of these, or as [`Self::begin`], and with `TraderNotFound` once the trader is gone.
    ///
    /// WHY: out of line, so that whoever signs himself does not pay for it.
    #[cold]
    #[inline(never)]
    pub fn begin_order(
        &mut self,
        trading: &Trading<'_>,
        signer: &[u8; 32],
        trader: CellIndex,
        generation: Generation,
    ) -> core::result::Result<(), Option<EngineError>> {
        // The market's ledger is the one that was opened.
        if !self.is_of(&trading.market.header.ledger, signer, trader, generation) {
            return Err(None);
        }
        if trading.ledger.trader(trader)?.generation != generation {
            return Err(Some(EngineError::TraderNotFound));
        }
        Ok(self.begin(trading, Action::Place, true)?)
    }

    /// Whether it is a session of this signer for this incarnation of the trader in the ledger.
    #[inline(always)]
    pub fn is_of(&self, ledger: &Key, signer: &[u8; 32], trader: CellIndex, generation: Generation) -> bool {
        self.trader == trader && self.generation == generation && self.key.matches(signer) && self.ledger == *ledger
    }

    /// What comes before something is done in a market that could cost something, or not. Fails with `SessionExpired`, `SessionAction`, `SessionMarket`, for a
    /// trigger with `PriceNotValidForAction` while the market's price is not fresh.
    #[inline(always)]
    pub fn begin(&mut self, trading: &Trading<'_>, action: Action, risky: bool) -> Result<()> {
        let now = trading.now.unix_seconds;
        self.admit(action, now)?;
        let market = trading.market.header.index;
        if !self.is_in_scope(market) {
            return Err(EngineError::SessionMarket);
        }
        if !risky {
            return Ok(());
        }
        if action == Action::Trigger {
            // WHY: what it could lose is reckoned at the board's prices, so there must be some.
            trading.ledger.row(market)?.require(price::Action::Place, now)?;
        }
        self.begin_day(trading, now)
    }

    /// What comes after it, once the engine has accepted it, unless it could cost nothing. Fails with `SessionOrderTooLarge`
    /// or `SessionNotionalSpent` if it is worth more than the session may place, and with `SessionLossReached` if the
    /// account's worst profit is further below what it had at the day's start than the session may lose.
    #[inline(always)]
    pub fn end(&mut self, ledger: &LedgerView<'_>, asked: Asked) -> Result<()> {
        // WHY: any time will do, since nothing but the validity of prices depends on it.
        let margin = margin::initial_and::<true>(ledger, ledger.trader(self.trader)?, UnixSeconds::ZERO)?;
        self.end_with(asked, margin.worst)
    }

    /// The same once the engine has accepted one order of this price and size in the market, with the account's worst profit after
    /// it.
    ///
    /// WHY: out of line, so that whoever signs himself does not pay for it.
    #[cold]
    #[inline(never)]
    pub fn end_order(&mut self, trading: &Trading<'_>, price: Ticks, lots: Lots, worst: QuoteDelta) -> Result<()> {
        // WHY: the order has been accepted, so nothing but the table's end is looked at, and no product is too large.
        let row =
            trading.ledger.rows.get(usize::from(trading.market.header.index.get())).ok_or(EngineError::Corrupt)?;
        let value = counted_price(row, price).bounded_notional(lots, row.tick_value).get();
        self.end_with(Asked { largest: value, total: value }, worst)
    }

    #[inline(always)]
    fn end_with(&mut self, asked: Asked, worst: QuoteDelta) -> Result<()> {
        self.count(asked)?;
        let loss = self.profit.get().wrapping_sub(worst.get());
        let reached = loss > 0 && loss.cast_unsigned() > self.terms.day_loss_max.get();
        if reached { Err(EngineError::SessionLossReached) } else { Ok(()) }
    }

    #[inline(always)]
    fn is_in_scope(&self, market: MarketIndex) -> bool {
        // A ledger has 32 markets.
        self.terms.markets.wrapping_shr(u32::from(market.get())) & 1 != 0
    }

    #[inline(always)]
    fn begin_day(&mut self, trading: &Trading<'_>, now: UnixSeconds) -> Result<()> {
        // Below 2^32 times 2^17. In a day before this one the difference wraps, and is long.
        let began = u64::from(self.day).wrapping_mul(DAY_SECONDS);
        let same = now.since(UnixSeconds::ZERO).wrapping_sub(began) < DAY_SECONDS;
        if same { Ok(()) } else { self.start(trading) }
    }

    /// WHY: out of line, since it is once a day.
    #[cold]
    #[inline(never)]
    fn start(&mut self, trading: &Trading<'_>) -> Result<()> {
        let ledger = trading.ledger.view();
        (self.day, self.notional) = (day_of(trading.now.unix_seconds), QuoteAtoms::ZERO);
        self.profit = outcome::profit(&ledger, ledger.trader(self.trader)?)?;
        Ok(())
    }

    #[inline(always)]
    fn count(&mut self, asked: Asked) -> Result<()> {
        if asked.largest > self.terms.order_notional_max.get() {
            return Err(EngineError::SessionOrderTooLarge);
        }
        let (spent, most) = (self.notional.get(), self.terms.day_notional_max.get());
        if asked.total > most || spent > most.wrapping_sub(asked.total) {
            return Err(EngineError::SessionNotionalSpent);
        }
        self.notional = QuoteAtoms::new(spent.wrapping_add(asked.total));
        Ok(())
    }
}

/// UTC day, counted from 1970.
fn day_of(now: UnixSeconds) -> u32 {
    let day = now.since(UnixSeconds::ZERO) / DAY_SECONDS;
    u32::try_from(day).unwrap_or(u32::MAX)
}

/// What a trigger counts with; one without lots of its own with the largest position that the account's orders can lead
/// to. Fails with `TraderNotFound`.
pub fn asked_by_trigger(
    ledger: &LedgerView<'_>,
    trader: CellIndex,
    row: &MarketRow,
    (price, limit, lots): (Ticks, Ticks, Lots),
) -> Result<Asked> {
    let mut positions = ledger.positions(ledger.trader(trader)?);
    let held = positions.find(|(_, position)| position.market == row.index);
    let largest = held.map_or(Lots::ZERO, |(_, position)| position::worst_lots(position));
    Ok(Asked::order(row, price.max(limit), if lots.is_zero() { largest } else { lots }))
}

/// Notes in the trail that a session of the trader was opened, to end at `ends_at`, or with zero that one was closed. A
/// trader that is gone is not named. Fails with `TraderNotFound`.
pub fn record(ledger: &mut Ledger<'_>, now: Now, session: &Session, ends_at: UnixSeconds) -> Result<()> {
    let live = ledger.trader(session.trader).is_ok_and(|trader| trader.generation == session.generation);
    let trader = if live { session.trader } else { CellIndex::NIL };
    ledger.record_amount(now, trader, CashEventKind::SessionSet, ends_at.get())
}
