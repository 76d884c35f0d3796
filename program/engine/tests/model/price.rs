//! The price board of the model.

use super::{Model, PPM, floor_div};
use quantdesk_engine::{
    EngineError, Result,
    risk::price::{Action, SourcePrice},
    state::PriceCondition,
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
            let now = model.now;
            let market = &mut model.markets[market];
            let terms = &market.terms;
            let mut first_error = None;
            let mut counted = Vec::new();
            for (reading, last) in readings.iter().zip(&mut market.source_times) {
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
                market.mark = ticks;
                market.publish_time = counted.iter().map(|source| source.publish_time.get()).min().unwrap_or(0);
                PriceCondition::Good
            };
            market.condition = condition as u8;
            Ok(condition)
        })
    }
}
