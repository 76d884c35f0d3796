//! The price board of the model.

use super::{Market, Model, PPM, Terms, floor_div};
use quantdesk_engine::{
    EngineError, Result, Side,
    risk::price::{Action, SourcePrice},
    state::{CashEventKind, PriceCondition},
};

/// Quality of a price, best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    Fresh,
    SoftStale,
    Wide,
    Diverged,
    Dead,
}

impl Quality {
    /// What may run on a price of this quality, said in words rather than as a table.
    pub fn allows(self, action: Action) -> bool {
        match action {
            Action::Reduce => self != Self::Dead,
            Action::Liquidate => self <= Self::SoftStale,
            Action::Place | Action::Fund | Action::Trigger | Action::Withdraw | Action::Deleverage => {
                self == Self::Fresh
            }
        }
    }
}

fn check(reading: &Result<SourcePrice>, last: i64, now: i64, fresh_seconds: i64) -> Result<SourcePrice> {
    let source = (*reading)?;
    let time = source.publish_time.get();
    match () {
        () if source.price.get() == 0 => Err(EngineError::OraclePriceInvalid),
        () if time > now + 10 => Err(EngineError::OracleFromFuture),
        () if time < last => Err(EngineError::OracleRegressed),
        () if now - time > fresh_seconds => Err(EngineError::OracleStale),
        () => Ok(source),
    }
}

fn median(sorted: &[i128]) -> i128 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { floor_div(sorted[middle - 1] + sorted[middle], 2) }
}

impl Market {
    /// What funding accrued since the last update of the board: the premium beyond its dead zone, at most the cap, paid
    /// over a day; for at most 300 seconds, none of which the price was not fresh, and no more than the chain was alive.
    fn accrue(&mut self, now: i64, lived: i64) {
        let good_until = if self.condition == 0 { self.publish_time + self.terms.fresh_seconds } else { 0 };
        let seconds = (now.min(good_until) - self.updated_at).clamp(0, lived.min(300));
        let free = floor_div(self.index * self.terms.dead_zone, PPM);
        let cap = floor_div(self.index.min(self.mark) * self.terms.funding_cap, PPM);
        let premium = self.mark - self.index;
        let paid = (premium.abs() - free).clamp(0, cap) * premium.signum();
        let dividend = paid * i128::from(seconds) * self.terms.tick_value * (1 << 20) + self.funding_remainder;
        self.funding_index += floor_div(dividend, DAY);
        self.funding_remainder = dividend - floor_div(dividend, DAY) * DAY;
    }

    /// Best bid and ask, unless a side has none or its best order is no good any more.
    fn quotes(&self, now: i64) -> Option<(i128, i128)> {
        let live = |side| {
            let best =
                self.queue(side).values().next().filter(|order| order.expires_at == 0 || now <= order.expires_at);
            best.map(|order| order.price)
        };
        Some((live(Side::Bid)?, live(Side::Ask)?))
    }

    /// Mark, stable price and basis after the index has moved.
    fn follow(&mut self, elapsed: i64, now: i64) {
        if self.mark == 0 {
            (self.mark, self.stable, self.mark_at, self.stable_at) = (self.index, self.index, now, now);
            return;
        }
        let quotes = self.quotes(now);
        let reach = floor_div(self.index * self.terms.basis_max, PPM);
        let sample =
            quotes.map_or(0, |(bid, ask)| (bid + ask - 2 * self.index).clamp(-2 * reach, 2 * reach) * (1 << 16) / 2);
        let missing = sample - self.basis;
        let elapsed = i128::from(elapsed);
        self.basis += missing.signum() * floor_div(missing.abs() * elapsed, elapsed + 150);

        let target = quotes.map_or(self.index, |(bid, ask)| {
            let last = if self.last_trade_price == 0 { self.index } else { self.last_trade_price };
            // A basis of less than a tick is none.
            let based = self.index + self.basis.signum() * floor_div(self.basis.abs(), 1 << 16);
            let book = middle(bid, ask, last);
            let within = middle(self.index, based, book).max((self.index - reach).max(1));
            within.min((self.index + reach).min(self.terms.price_max))
        });
        let (seconds, steps) = (now - self.mark_at, self.terms.step_seconds);
        let moved = towards(self.mark, target, self.terms.step, seconds, steps);
        if moved != self.mark || moved == target {
            (self.mark, self.mark_at) = (moved, now);
        }
        self.lagging = moved != target;
        let moved = towards(self.stable, self.index, self.terms.stable_step, now - self.stable_at, 600);
        if moved != self.stable || moved == self.index {
            (self.stable, self.stable_at) = (moved, now);
        }
    }

    /// Initial margin grows with open interest, between two bounds.
    fn scale_at(&self, interest: i128) -> i128 {
        let Terms { scale_max, scale_lower, scale_upper, .. } = self.terms;
        let above = (interest - scale_lower).clamp(0, scale_upper - scale_lower);
        PPM + floor_div((scale_max - PPM) * above, scale_upper - scale_lower)
    }

    fn told(&self) -> (i128, i128, u8, i128) {
        (self.index, self.mark, self.condition, self.funding_index)
    }
}

const DAY: i128 = 86_400;

fn middle(a: i128, b: i128, c: i128) -> i128 {
    let mut all = [a, b, c];
    all.sort_unstable();
    all[1]
}

/// A price on its way to another: a share of it for every second, at most so many seconds, but never less than a tick
/// once they have passed.
fn towards(from: i128, to: i128, step: i128, seconds: i64, most: i64) -> i128 {
    let share = floor_div(from * step * i128::from(seconds.clamp(0, most)), PPM);
    let reach = if share == 0 && seconds >= most { 1 } else { share };
    to.clamp(from - reach, from + reach)
}

impl Model {
    pub fn quality(&self, market: usize) -> Quality {
        let market = &self.markets[market];
        let age = self.now - market.publish_time;
        match market.condition {
            _ if age > market.terms.dead_seconds => Quality::Dead,
            1 => Quality::Wide,
            2 => Quality::Diverged,
            _ if age > market.terms.fresh_seconds => Quality::SoftStale,
            _ => Quality::Fresh,
        }
    }

    pub fn update_price(&mut self, market: usize, readings: &[Result<SourcePrice>]) -> Result<PriceCondition> {
        self.attempt(|model| {
            let (now, slot, interest) = (model.now, model.slot, model.open_interest(market));
            let row = &mut model.markets[market];
            if row.status != 1 && row.status != 2 {
                return Err(EngineError::MarketStatusInvalid);
            }
            let before = row.told();
            let (passed, slots) = (now - row.updated_at, (slot - row.updated_slot) as i64);
            // More than 310 seconds beyond one a slot: the chain stood still.
            let still = if row.updated_at > 0 && passed - slots > 310 { passed - slots } else { 0 };
            let lived = passed - still;
            let elapsed = lived.clamp(0, 600);
            if row.deleverage.is_none() {
                row.accrue(now, lived);
            }
            let condition = row.read(readings, now)?;
            row.updated_at = row.updated_at.max(now);
            row.updated_slot = slot;
            if condition == PriceCondition::Good {
                row.follow(elapsed, now);
            }
            row.scale = row.scale_at(interest);
            let (after, pot) = (row.told(), row.funding_pot);
            if still > 0 {
                model.note_of_nobody(CashEventKind::ChainResumed, still.into(), 0);
            }
            if interest == 0 && pot > 0 {
                model.markets[market].funding_pot = 0;
                model.pool += pot;
                model.note_of_nobody(CashEventKind::PoolFunded, pot, 0);
            }
            if before != after {
                model.note_of_nobody(CashEventKind::PriceUpdated, after.0, after.1);
            }
            Ok(condition)
        })
    }
}

impl Market {
    /// Moves the index, or says why not.
    fn read(&mut self, readings: &[Result<SourcePrice>], now: i64) -> Result<PriceCondition> {
        let terms = &self.terms;
        let mut first_error = None;
        let mut counted = Vec::new();
        for (reading, last) in readings.iter().zip(&mut self.source_times) {
            match check(reading, *last, now, terms.fresh_seconds) {
                Ok(source) => {
                    *last = source.publish_time.get();
                    counted.push(source);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        if counted.len() < terms.sources_min {
            return Err(first_error.unwrap_or(EngineError::OracleStale));
        }
        counted.retain(|source| {
            i128::from(source.confidence.get()) * PPM <= i128::from(source.price.get()) * terms.confidence_max
        });
        let mut prices: Vec<i128> = counted.iter().map(|source| source.price.get().into()).collect();
        prices.sort_unstable();
        let condition = if prices.len() < terms.sources_min {
            PriceCondition::Wide
        } else if (prices[prices.len() - 1] - prices[0]) * PPM > median(&prices) * terms.divergence_max {
            PriceCondition::Diverged
        } else {
            // To the nearest tick, halves up; of an odd tick size the half is floored.
            let ticks = floor_div(median(&prices) + terms.tick_size / 2, terms.tick_size);
            if ticks < 1 || ticks > terms.price_max {
                return Err(EngineError::OraclePriceOutOfRange);
            }
            self.index = ticks;
            self.publish_time = counted.iter().map(|source| source.publish_time.get()).min().unwrap_or(0);
            PriceCondition::Good
        };
        self.condition = condition as u8;
        Ok(condition)
    }
}
