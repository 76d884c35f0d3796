//! Deleveraging in the model. Who bears how much is decided at once, when everybody has been counted; nobody's position
//! moves until it is carried out.

use super::{Model, NOBODY, ceil_div, floor_div, matching::signed};
use quantdesk_engine::{EngineError, Result, Side, risk::price::Action, state::TradeEventKind};
use std::collections::VecDeque;

/// What closing one counterparty counts for, in cells.
const CLOSING: u32 = 32;

/// A bankrupt position on its way to its counterparties.
#[derive(Clone, Debug)]
pub struct Deleverage {
    pub target: usize,
    pub long: bool,
    /// What is closed and for how much, in all and so far.
    pub lots: i128,
    pub quote: i128,
    pub closed: i128,
    pub price: i128,
    /// Next cell to look at.
    pub cursor: u32,
    /// Parts still to be closed, in order of cells; none while counterparties are being counted.
    pub parts: Option<VecDeque<Part>>,
}

/// A counterparty and what it closes.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    cell: u32,
    trader: usize,
    lots: i128,
    quote: i128,
}

impl Deleverage {
    /// The side on which the bankrupt position is.
    fn side(&self) -> Side {
        if self.long { Side::Bid } else { Side::Ask }
    }
}

/// Splits a whole in proportion to sizes: everybody gets the floor of the running sum's part less that of those before.
fn split(whole: i128, sizes: &[i128]) -> Vec<i128> {
    let all: i128 = sizes.iter().sum();
    let upto = |sum: i128| if whole == 0 { 0 } else { floor_div(whole * sum, all) };
    let mut passed = 0;
    let mut parts = Vec::new();
    for size in sizes {
        parts.push(upto(passed + size) - upto(passed));
        passed += size;
    }
    parts
}

impl Model {
    pub fn deleverage(&mut self, target: usize, market: usize, steps: u16) -> Result<bool> {
        self.attempt(|model| {
            let mut budget = u32::from(steps);
            if model.markets[market].deleverage.is_none() {
                model.start_deleverage(target, market)?;
            }
            let mut state = model.markets[market].deleverage.clone().expect("under way");
            if state.parts.is_none() {
                let looked = budget.min(model.high_water - state.cursor.min(model.high_water));
                state.cursor += looked;
                budget -= looked;
                if state.cursor >= model.high_water {
                    state.cursor = 0;
                    state.parts = Some(model.parts(market, &mut state));
                }
            }
            let finished = state.parts.is_some() && model.close_parts(market, &mut state, budget);
            model.markets[market].deleverage = (!finished).then_some(state.clone());
            if finished {
                model.resolve(state.target);
            }
            Ok(finished)
        })
    }

    fn start_deleverage(&mut self, target: usize, market: usize) -> Result<()> {
        if !(1..=3).contains(&self.markets[market].status) {
            return Err(EngineError::MarketNotActive);
        }
        self.trader(target).positions[market].ok_or(EngineError::NothingToClose)?;
        self.settle_funding(target, market);
        self.return_tips(target);
        let health = self.health(target);
        if !health.worst.allows(Action::Deleverage) {
            return Err(EngineError::PriceNotValidForAction);
        }
        let base = self.position(target, market).base;
        if base == 0 {
            return Err(EngineError::NothingToClose);
        }
        if health.equity - self.trader(target).absorbed > 0 {
            return Err(EngineError::AccountHealthy);
        }
        self.cancel_all_for_risk(target, market);
        self.mark_bankrupt(target, health.equity);
        let missing = (-health.equity).max(0);
        let missing = missing - self.absorb(target, market, missing);
        let row = &self.markets[market];
        let lots = base.abs();
        // The position's part of what is missing, and no price that nobody could pay.
        let part = floor_div(missing * row.maintenance(lots), health.required);
        let quote = (row.value(row.mark, lots) + base.signum() * part).clamp(0, row.value(row.terms.price_max, lots));
        let per_tick = row.value(1, lots);
        let price = if base > 0 { ceil_div(quote, per_tick) } else { floor_div(quote, per_tick) };
        let long = base > 0;
        let state = Deleverage { target, long, lots, quote, closed: 0, price, cursor: 0, parts: None };
        self.markets[market].deleveragings += 1;
        self.log_deleverage(market, &state, TradeEventKind::DeleverageStarted, NOBODY, (lots, quote));
        self.markets[market].deleverage = Some(state);
        Ok(())
    }

    /// Those who would gain at the price first, in proportion to their lots; what they do not suffice for, the others.
    fn parts(&self, market: usize, state: &mut Deleverage) -> VecDeque<Part> {
        let row = &self.markets[market];
        let mut opposite: Vec<(u32, usize, i128, bool)> = Vec::new();
        for (id, trader) in self.live() {
            let Some(held) = trader.positions[market] else { continue };
            if held.base != 0 && (held.base > 0) != state.long {
                let gains = row.value(state.price, held.base) + held.quote > 0;
                opposite.push((held.cell, id, held.base.abs(), gains));
            }
        }
        opposite.sort_unstable();
        let lots_of = |gaining: bool| -> Vec<i128> {
            opposite.iter().map(|(_, _, lots, gains)| if *gains == gaining { *lots } else { 0 }).collect()
        };
        let (first, second) = (lots_of(true), lots_of(false));
        let all: i128 = first.iter().chain(&second).sum();
        let lots = state.lots.min(all);
        (state.quote, state.lots) = (floor_div(state.quote * lots, state.lots), lots);
        let of_first = lots.min(first.iter().sum());
        let (first, second) = (split(of_first, &first), split(lots - of_first, &second));
        let lots: Vec<i128> = first.iter().zip(&second).map(|(first, second)| first + second).collect();
        let quotes = split(state.quote, &lots);
        let parts = opposite.iter().zip(lots).zip(quotes);
        let parts = parts.map(|(((cell, trader, ..), lots), quote)| Part { cell: *cell, trader: *trader, lots, quote });
        parts.filter(|part| part.lots > 0).collect()
    }

    /// Walks over the cells and closes; whether all is done.
    fn close_parts(&mut self, market: usize, state: &mut Deleverage, mut budget: u32) -> bool {
        let mut records = self.markets[market].terms.events_capacity.saturating_sub(2).max(1);
        while budget > 0 && records > 0 {
            if self.is_done(market, state) || (state.cursor >= self.high_water && self.finish(market, state)) {
                return true;
            }
            budget -= 1;
            let parts = state.parts.as_mut().expect("counted");
            let part = parts.front().copied().filter(|part| part.cell == state.cursor);
            state.cursor += 1;
            if let Some(part) = part {
                parts.pop_front();
                self.close_part(market, state, &part);
                budget = budget.saturating_sub(CLOSING);
                records -= 1;
            }
            // With the last lot it is over, whatever is left of the budget.
            if self.is_done(market, state) {
                return true;
            }
        }
        false
    }

    fn is_done(&mut self, market: usize, state: &Deleverage) -> bool {
        state.closed == state.lots && self.finish(market, state)
    }

    fn finish(&mut self, market: usize, state: &Deleverage) -> bool {
        let totals = (state.closed, state.quote);
        self.log_deleverage(market, state, TradeEventKind::DeleverageFinished, NOBODY, totals);
        true
    }

    fn close_part(&mut self, market: usize, state: &mut Deleverage, part: &Part) {
        self.settle_funding(part.trader, market);
        for (trader, side) in [(state.target, state.side().opposite()), (part.trader, state.side())] {
            let before = self.position(trader, market).base;
            self.settle(trader, market, side, (part.lots, part.quote), (0, 0));
            let after = self.position(trader, market).base;
            assert_eq!(after - before, signed(side, part.lots));
            assert!(after * before >= 0, "R5: nobody is turned round");
        }
        state.closed += part.lots;
        let counterparty = self.trader(part.trader).cell;
        self.log_deleverage(market, state, TradeEventKind::Deleveraged, counterparty, (part.lots, part.quote));
    }

    fn log_deleverage(
        &mut self,
        market: usize,
        state: &Deleverage,
        kind: TradeEventKind,
        counterparty: u32,
        (lots, quote): (i128, i128),
    ) {
        let (taker, number) = (self.trader(state.target).cell, self.markets[market].deleveragings);
        self.log(market, kind, state.side(), |event| {
            (event.maker, event.taker, event.order) = (counterparty, taker, number);
            (event.lots, event.price, event.client_id) = (lots, state.price, quote as u64);
        });
    }
}
