//! What a taking order pays beside its taker fee, and to whom.
//!
//! * The builder that an order names gets its fee from the taker, on top of the taker fee, rounded up on the value of all
//!   fills of the order. It may be at most what the trader has agreed to. What rests pays no builder when it is filled.
//! * The trader's referrer gets its share, rounded down, of what the exchange earned: the taker fee less the rebates paid
//!   out of it. It comes out of the fees, so it is never more than was earned, and costs the taker nothing.
//!
//! Whoever has closed its account or is bankrupt gets nothing: a builder makes the order fail, a referrer's part stays with
//! the exchange. A bankrupt taker pays neither, because what it has is not its owner's to give away.

use super::{NewOrder, Placed, Trading, matching::Taker};
use crate::{
    access,
    error::{EngineError, Result},
    money::{self, Balance},
    risk::tier,
    state::{CashEvent, CashEventKind, Cell, ledger},
    units::{CellIndex, Generation, Ppm, QuoteAtoms, QuoteDelta, SignedPpm},
};

/// Who brought an order, and what its taker pays for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builder {
    /// Its trading account.
    pub trader: CellIndex,
    /// Incarnation of that account.
    pub generation: Generation,
    /// Share of the value of the order's taking fills.
    pub fee: Ppm,
}

impl Trading<'_> {
    /// Places an order that names who brought it. On `Err` the views are left in an undefined state and must be discarded.
    ///
    /// The margin is examined once more when the builder has been paid: whatever the order may do without its fee, it may
    /// not do more with it. So the outcome is that of one look at the end.
    ///
    /// Fails with `BuilderFeeTooHigh`, `BuilderNotFound`, `SelfBuilder`, `AccountBankrupt`, `AccountGuarded`, `OrderNotDelayable` if it
    /// would wait: what waits pays nobody; or as [`Trading::place_order`].
    ///
    /// WHY: out of line and around the placement, so that an order without a builder does not pay for the question.
    #[cold]
    #[inline(never)]
    pub fn place_order_for(&mut self, trader: CellIndex, order: &NewOrder, builder: &Builder) -> Result<Placed> {
        self.check_builder(trader, builder)?;
        let before = if order.reduce_only {
            // As the placement itself does first, so that what it sees before is the same.
            if let Ok(position) = self.position_of(trader) {
                self.narrow_bounds(position)?;
            }
            Some(self.standing(trader)?)
        } else {
            None
        };
        let mut placed = self.place_apart(trader, order)?;
        if placed.waiting.is_some() {
            return Err(EngineError::OrderNotDelayable);
        }
        placed.builder_fee = self.pay_builder(trader, placed.quote, builder)?;
        if !placed.builder_fee.is_zero() {
            self.check_risk(trader, before, false)?;
        }
        Ok(placed)
    }

    /// Fails with `BuilderFeeTooHigh`, `BuilderNotFound` (another incarnation, or no trader), `SelfBuilder` for an account of
    /// the same owner, `AccountBankrupt` if either is bankrupt, or `AccountGuarded`.
    fn check_builder(&self, trader: CellIndex, builder: &Builder) -> Result<()> {
        let payer = self.ledger.trader(trader)?;
        if builder.fee.get() > u32::from(payer.builder_max) {
            return Err(EngineError::BuilderFeeTooHigh);
        }
        let paid = self.ledger.trader(builder.trader).ok().filter(|cell| cell.generation == builder.generation);
        let paid = paid.ok_or(EngineError::BuilderNotFound)?;
        if paid.owner == payer.owner {
            return Err(EngineError::SelfBuilder);
        }
        if paid.is_bankrupt() || payer.is_bankrupt() {
            return Err(EngineError::AccountBankrupt);
        }
        access::require_open(&self.ledger.view(), payer, self.now.unix_seconds)
    }

    /// Taker and maker rate that a taker's volume before this order buys.
    ///
    /// WHY: out of line, since it is for exchanges with tiers alone; only an order that meets another one asks.
    #[inline(never)]
    pub(super) fn tier_rates(&self, trader: CellIndex) -> Result<(Ppm, SignedPpm)> {
        let row = self.row()?;
        let volume = tier::volume(self.ledger.trader(trader)?, self.now.unix_seconds);
        tier::discounted(row.taker_fee, row.maker_fee, self.ledger.header.policy.fees.discount(volume))
    }

    /// Counts a settled taker's volume and pays its referrer. `fees_before` is the bucket of fees before its first fill.
    #[inline(always)]
    pub(super) fn credit(&mut self, taker: &Taker, fees_before: Balance) -> Result<()> {
        if taker.filled().is_zero() {
            return Ok(());
        }
        let cell = self.ledger.trader_mut(taker.trader)?;
        tier::add_volume(cell, taker.quote(), self.now.unix_seconds);
        if cell.has_referrer() { self.pay_referrer(taker.trader, taker.fee, fees_before) } else { Ok(()) }
    }

    /// ROUND: up, against the taker.
    fn pay_builder(&mut self, taker: CellIndex, quote: QuoteAtoms, builder: &Builder) -> Result<QuoteAtoms> {
        let atoms = quote.ppm_ceil(builder.fee)?;
        if atoms.is_zero() {
            return Ok(atoms);
        }
        let pair = self.ledger.cells.get_disjoint_mut([taker.as_usize(), builder.trader.as_usize()]);
        let [payer, paid] = pair.map_err(|_| EngineError::Corrupt)?.map(Cell::trader_mut);
        let (payer, paid) = (payer.ok_or(EngineError::Corrupt)?, paid.ok_or(EngineError::Corrupt)?);
        money::post(&mut payer.cash, &mut paid.cash, atoms)?;
        let amount = atoms.as_delta()?;
        self.record_payment(CashEventKind::BuilderPaid, taker, amount.negated()?)?;
        self.record_payment(CashEventKind::BuilderPaid, builder.trader, amount)?;
        Ok(atoms)
    }

    /// ROUND: down, towards the exchange.
    #[cold]
    #[inline(never)]
    fn pay_referrer(&mut self, taker: CellIndex, fee: QuoteAtoms, fees_before: Balance) -> Result<()> {
        let header = &mut *self.ledger.header;
        let cell = ledger::trader(self.ledger.cells, taker)?;
        let (referrer, generation) = (cell.referrer, cell.referrer_generation);
        // In a market where makers pay, too, the bucket grew by more than the taker's fee, which is all that counts.
        let grown = header.fees.get().checked_sub(fees_before.get())?.positive_part();
        let earned = if grown < fee { grown } else { fee };
        let atoms = earned.ppm_floor(header.policy.fees.referral_share)?;
        if atoms.is_zero() || cell.is_bankrupt() {
            return Ok(());
        }
        let paid = ledger::trader_mut(self.ledger.cells, referrer).ok();
        let Some(paid) = paid.filter(|cell| cell.generation == generation && !cell.is_bankrupt()) else {
            return Ok(());
        };
        money::post(&mut header.fees, &mut paid.cash, atoms)?;
        self.record_payment(CashEventKind::ReferrerPaid, referrer, atoms.as_delta()?)
    }

    fn record_payment(&mut self, kind: CashEventKind, trader: CellIndex, amount: QuoteDelta) -> Result<()> {
        let mut event = CashEvent::new(kind);
        event.market = self.market.header.index;
        event.amount = amount.get();
        self.ledger.record(self.now, trader, event)
    }
}
