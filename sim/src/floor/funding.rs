//! Collateral: what actors put in so that they can trade. Some are called when they run low; the others are liquidated.

use super::{Floor, Role, engine};
use anyhow::Result;
use quantdesk_client::engine::{QuoteAtoms, UnixSeconds, risk::margin};

/// Deposits are a multiple of this: 1,000 quote units.
const DEPOSIT_STEP: u64 = 1_000_000_000;
/// A whole in parts per million.
const PPM: u32 = 1_000_000;
/// What an order may lose to the book on its way, in percent of its value.
const SLIPPAGE_PERCENT: i128 = 5;

/// Who must add collateral, when, and up to where, both in percent of maintenance margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarginCall {
    /// Who is called.
    pub roles: &'static [Role],
    /// Below this much equity.
    pub below: u32,
    /// Up to this much.
    pub target: u32,
}

impl Floor {
    /// Calls every account whose equity is too low, of those that are called at all.
    pub fn call_margin(&mut self, call: MarginCall) -> Result<()> {
        for account in self.open_accounts() {
            if !call.roles.contains(&self.accounts[account].role) {
                continue;
            }
            let margin = self.maintenance(account)?;
            let required = i128::from(margin.required.get());
            let equity = i128::from(margin.equity.get());
            if equity < required * i128::from(call.below) / 100 {
                self.deposit_at_least(account, required * i128::from(call.target) / 100 - equity)?;
            }
        }
        Ok(())
    }

    /// Deposits what an order of this value may need beyond what the account has: margin at the highest tier's rate, and
    /// the fee.
    pub fn fund_order(&mut self, account: usize, market: usize, notional: QuoteAtoms) -> Result<()> {
        let row = self.row(market)?;
        let highest = row.tiers().last().map_or(QuoteAtoms::ZERO, |tier| {
            // By the price that margin is computed at, and as much more as open interest makes it.
            let share = u128::from(tier.rate.get()) * u128::from(row.margin_scale.get()) / u128::from(PPM);
            let prudent = u128::from(notional.get()) * u128::from(row.high.get()) / u128::from(row.mark.get().max(1));
            QuoteAtoms::new(u64::try_from(prudent * share.min(u128::from(PPM)) / u128::from(PPM)).unwrap_or(u64::MAX))
        });
        let fee = notional.ppm_ceil(row.taker_fee).map_err(engine)?;
        // What buying above the lowest or selling below the highest price may cost.
        let apart = u128::from(notional.get()) * u128::from(row.high.get() - row.low.get());
        let apart = i128::try_from(apart / u128::from(row.low.get().max(1))).unwrap_or(i128::MAX);
        let now = UnixSeconds::new(self.desk.chain.unix_seconds());
        let view = self.desk.ledger_view()?;
        let trader = view.trader(self.accounts[account].trader.cell).map_err(engine)?;
        let margin = margin::initial(&view, trader, now).map_err(engine)?;
        let free = i128::from(margin.equity.get()) - i128::from(margin.required.get());
        let slack = i128::from(notional.get()) * SLIPPAGE_PERCENT / 100;
        self.deposit_at_least(account, i128::from(highest.get()) + i128::from(fee.get()) + apart + slack - free)
    }

    /// Deposits `atoms`, rounded up to a round amount; nothing unless positive.
    fn deposit_at_least(&mut self, account: usize, atoms: i128) -> Result<()> {
        match u64::try_from(atoms) {
            Ok(atoms) if atoms > 0 => self.deposit(account, atoms.div_ceil(DEPOSIT_STEP) * DEPOSIT_STEP),
            _ => Ok(()),
        }
    }
}
