//! The sizing rule restated without any of the engine's arithmetic: every size is tried.

use quantdesk_engine::state::MarketRow;

/// An account about to be reduced in one market.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub base: i128,
    pub equity: i128,
    pub others_required: i128,
}

/// Fee rates in ppm.
#[derive(Clone, Copy, Debug)]
pub struct Fees {
    pub taker: i128,
    pub liquidation: i128,
}

fn ceil(numerator: i128, denominator: i128) -> i128 {
    (numerator + denominator - 1).div_euclid(denominator)
}

/// Maintenance requirement of a size.
pub fn required(row: &MarketRow, lots: i128) -> i128 {
    if lots == 0 {
        return 0;
    }
    let notional = lots * i128::from(row.mark.get()) * i128::from(row.tick_value.get());
    let tier = row.tiers().iter().find(|tier| notional <= i128::from(tier.notional_max.get())).unwrap();
    let initial = ceil(notional * i128::from(tier.rate.get()), 1_000_000) - i128::from(tier.deduction.get());
    ceil(initial * i128::from(row.maintenance_now.get()), 1_000_000)
}

/// What stands behind the position.
pub fn share(row: &MarketRow, account: &Account) -> i128 {
    let own = required(row, account.base.abs());
    let all = own + account.others_required;
    account.equity.min(all) * own / all
}

/// Gain against the mark, taker fee and liquidation fee of closing `lots` at `price`.
pub fn cost(row: &MarketRow, account: &Account, fees: &Fees, price: i128, lots: i128) -> (i128, i128, i128) {
    let tick = i128::from(row.tick_value.get());
    let mark = i128::from(row.mark.get());
    let gain = account.base.signum() * (price - mark) * lots * tick;
    let value = price * lots * tick;
    let taker = ceil(value * fees.taker, 1_000_000);
    let left = share(row, account) * lots / account.base.abs() + gain - taker;
    (gain, taker, ceil(value * fees.liquidation, 1_000_000).min(left.max(0)))
}

/// Whether closing `lots` at `price` restores the account.
pub fn restores(row: &MarketRow, account: &Account, fees: &Fees, price: i128, lots: i128) -> bool {
    let (gain, taker, liquidation) = cost(row, account, fees, price, lots);
    let kept = account.others_required + required(row, account.base.abs() - lots);
    let goal = ceil(kept * (1_000_000 + i128::from(row.risk.liquidation_buffer.get())), 1_000_000);
    account.equity + gain - taker - liquidation >= goal
}

/// Fewest lots that restore the account; all if none do, or if the rest would be below the smallest order.
pub fn needed(row: &MarketRow, account: &Account, fees: &Fees, price: i128) -> i128 {
    let all = account.base.abs();
    let lots = (0..=all).find(|lots| restores(row, account, fees, price, *lots)).unwrap_or(all);
    if all - lots < i128::from(row.lots_min.get()) { all } else { lots }
}
