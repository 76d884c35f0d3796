//! Collateral: what actors put in so that they can trade and stay solvent. Liquidation comes later; until then whoever
//! runs low is called to deposit.

use super::{Floor, engine};
use anyhow::Result;
use quantdesk_client::engine::{QuoteAtoms, UnixSeconds, risk::margin};

/// Deposits are a multiple of this: 1,000 quote units.
const DEPOSIT_STEP: u64 = 1_000_000_000;

/// When an account must add collateral, and up to where, both in percent of maintenance margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarginCall {
    /// Below this much equity.
    pub below: u32,
    /// Up to this much.
    pub target: u32,
}

impl Floor {
    /// Calls every account whose equity is too low. Afterwards none is below zero.
    pub fn call_margin(&mut self, call: MarginCall) -> Result<()> {
        for account in 0..self.accounts.len() {
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
        let highest =
            row.tiers().last().map_or(QuoteAtoms::ZERO, |tier| notional.ppm_ceil(tier.rate).unwrap_or(notional));
        let fee = notional.ppm_ceil(row.taker_fee).map_err(engine)?;
        let now = UnixSeconds::new(self.desk.chain.unix_seconds());
        let view = self.desk.ledger_view()?;
        let trader = view.trader(self.accounts[account].trader.cell).map_err(engine)?;
        let margin = margin::initial(&view, trader, now).map_err(engine)?;
        let free = i128::from(margin.equity.get()) - i128::from(margin.required.get());
        self.deposit_at_least(account, i128::from(highest.get()) + i128::from(fee.get()) - free)
    }

    /// Deposits `atoms`, rounded up to a round amount; nothing unless positive.
    fn deposit_at_least(&mut self, account: usize, atoms: i128) -> Result<()> {
        match u64::try_from(atoms) {
            Ok(atoms) if atoms > 0 => self.deposit(account, atoms.div_ceil(DEPOSIT_STEP) * DEPOSIT_STEP),
            _ => Ok(()),
        }
    }
}
