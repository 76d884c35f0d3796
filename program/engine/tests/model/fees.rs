//! Fees in the model: tiers by volume that fades day by day, builders, referrers; and several orders at once.

use super::{Model, Outcome, PPM, ceil_div, floor_div, price::Quality};
use quantdesk_engine::{EngineError, Result, book::NewOrder, state::CashEventKind};

const DAY: i64 = 86_400;

/// What a trader's fees depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraderFees {
    pub volume: i128,
    /// Day of its last fill as a taker.
    pub day: i64,
    pub builder_max: u16,
    /// Cell and generation.
    pub referrer: Option<(u32, u32)>,
}

/// A builder as an order names it: cell, generation, fee in ppm.
pub type Named = (u32, u32, u32);

/// What a taker's fills are charged.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub taker: i128,
    pub maker: i128,
}

impl Model {
    /// The volume as it counts today.
    pub fn volume(&self, trader: usize) -> i128 {
        let fees = self.trader(trader).fees;
        let today = self.now.div_euclid(DAY);
        let mut left = fees.volume;
        for _ in fees.day..today {
            left = floor_div(left * 29, 30);
        }
        if today - fees.day > 30 { 0 } else { left }
    }

    /// A market's rates as they are.
    pub fn full_rates(&self, market: usize) -> Rates {
        let terms = &self.markets[market].terms;
        Rates { taker: terms.taker_fee, maker: terms.maker_fee }
    }

    /// What a trader's volume makes of them.
    pub fn rates(&self, trader: usize, market: usize) -> Rates {
        let volume = self.volume(trader);
        let mut discount = 0;
        for tier in self.policy.fees.tiers {
            let from = i128::from(tier.volume_min.get());
            if from > 0 && volume >= from {
                discount = tier.discount.get().into();
            }
        }
        let full = self.full_rates(market);
        let taker = ceil_div(full.taker * (PPM - discount), PPM);
        Rates { taker, maker: full.maker.max(-taker) }
    }

    /// Counts a taker's fills, and gives its referrer its part of what they earned.
    pub(super) fn credit(&mut self, trader: usize, quote: i128, fee: i128, rebates: i128) {
        let volume = (self.volume(trader) + quote).min(u64::MAX.into());
        let today = self.now.div_euclid(DAY);
        let account = self.trader_mut(trader);
        (account.fees.volume, account.fees.day) = (volume, today);
        let (bankrupt, referrer) = (account.bankrupt, account.fees.referrer);
        let Some(referrer) = referrer.and_then(|(cell, generation)| self.incarnation(cell, generation)) else { return };
        let share = floor_div((fee - rebates) * i128::from(self.policy.fees.referral_share.get()), PPM);
        if share > 0 && !bankrupt && !self.trader(referrer).bankrupt {
            self.fees -= share;
            self.trader_mut(referrer).cash += share;
            self.note(CashEventKind::ReferrerPaid, referrer, share);
        }
    }

    /// The trader in a cell, if it is this incarnation.
    fn incarnation(&self, cell: u32, generation: u32) -> Option<usize> {
        self.live().find(|(_, trader)| (trader.cell, trader.generation) == (cell, generation)).map(|found| found.0)
    }

    pub(super) fn check_builder(&self, trader: Option<usize>, builder: Named) -> Result<()> {
        let trader = trader.ok_or(EngineError::TraderNotFound)?;
        let (cell, generation, fee) = builder;
        if fee > self.trader(trader).fees.builder_max.into() {
            return Err(EngineError::BuilderFeeTooHigh);
        }
        let builder = self.incarnation(cell, generation).ok_or(EngineError::BuilderNotFound)?;
        let (payer, paid) = (self.trader(trader), self.trader(builder));
        match () {
            () if payer.owner == paid.owner => Err(EngineError::SelfBuilder),
            () if payer.bankrupt || paid.bankrupt => Err(EngineError::AccountBankrupt),
            () => Ok(()),
        }
    }

    /// Returns what was paid.
    pub(super) fn pay_builder(&mut self, trader: usize, builder: Named, quote: i128) -> i128 {
        let fee = ceil_div(quote * i128::from(builder.2), PPM);
        if fee > 0 {
            let builder = self.incarnation(builder.0, builder.1).expect("a checked builder");
            self.trader_mut(trader).cash -= fee;
            self.trader_mut(builder).cash += fee;
            self.note(CashEventKind::BuilderPaid, trader, -fee);
            self.note(CashEventKind::BuilderPaid, builder, fee);
        }
        fee
    }

    /// A market that has written more events than the guard says.
    pub fn check_guard(&self, market: usize, most: u64) -> Result<()> {
        let moved = most != 0 && self.markets[market].events > most;
        if moved { Err(EngineError::BookMoved) } else { Ok(()) }
    }

    pub fn place_guarded(
        &mut self,
        trader: Option<usize>,
        market: usize,
        order: &NewOrder,
        (builder, guard): (Option<Named>, u64),
    ) -> Result<Outcome> {
        self.attempt(|model| {
            model.check_guard(market, guard)?;
            model.place_for(trader, market, order, builder)
        })
    }

    pub fn place_orders(&mut self, trader: usize, market: usize, orders: &[NewOrder], guard: u64) -> Result<()> {
        self.attempt(|model| {
            model.check_guard(market, guard)?;
            orders.iter().try_for_each(|order| model.place_now(Some(trader), market, order).map(|_| ()))
        })
    }

    /// Whether the trader accepts a market's taker fee.
    pub(super) fn check_fee(&self, trader: usize, market: usize) -> Result<()> {
        let accepted = i128::from(self.trader(trader).fee_max) >= self.markets[market].terms.taker_fee;
        if accepted { Ok(()) } else { Err(EngineError::FeeTooHigh) }
    }

    pub fn set_fee_max(&mut self, trader: usize, ppm: u32) {
        self.note_nothing();
        self.trader_mut(trader).fee_max = ppm;
        self.note(CashEventKind::FeeMaxSet, trader, ppm.into());
    }

    pub fn set_builder_max(&mut self, trader: usize, ppm: u16) {
        self.note_nothing();
        self.trader_mut(trader).fees.builder_max = ppm;
        self.note(CashEventKind::BuilderMaxSet, trader, ppm.into());
    }

    pub fn set_referrer(&mut self, trader: usize, cell: u32, generation: u32) -> Result<()> {
        self.attempt(|model| {
            let referrer = model.incarnation(cell, generation).ok_or(EngineError::TraderNotFound)?;
            if model.trader(trader).fees.referrer.is_some() {
                return Err(EngineError::ReferrerAlreadySet);
            }
            if model.trader(trader).owner == model.trader(referrer).owner {
                return Err(EngineError::SelfReferral);
            }
            model.trader_mut(trader).fees.referrer = Some((cell, generation));
            model.note(CashEventKind::ReferrerSet, trader, cell.into());
            Ok(())
        })
    }

    /// Whether an account ends an order as it must; `before` is its excess before a reduce-only one.
    pub(super) fn check_risk(&self, trader: usize, before: Option<i128>) -> Result<()> {
        let after = self.initial(trader);
        if before.is_none() && after.worst != Quality::Fresh {
            return Err(EngineError::PriceNotValidForAction);
        }
        // Reducing may not lead further below the margin, nor end without equity at the mark.
        let no_worse = before.is_some_and(|before| after.excess() >= before && self.health(trader).equity >= 0);
        if after.excess() >= 0 || no_worse { Ok(()) } else { Err(EngineError::BelowInitialMargin) }
    }
}
