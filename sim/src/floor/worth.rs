//! What everybody is worth, added up from the bytes by plain arithmetic.

use super::{Floor, engine, overshoot};
use anyhow::{Result, ensure};
use quantdesk_client::engine::state::LedgerView;

/// Everything the vault holds, by what it is for; in atoms.
struct Worth {
    /// Equity of all accounts, at mark and less the funding they owe.
    equity: i128,
    /// Pool, fees, waiting withdrawals, tips of conditional orders.
    buckets: i128,
    /// Funding paid and owed, less what others are to get of it; one per market.
    reserves: Vec<i128>,
}

impl Floor {
    /// What all accounts are worth and what the venue holds besides add up to what the vault holds, to the atom; and
    /// every market's funding can be paid out of what is paid in.
    pub(super) fn check_worth(&self) -> Result<()> {
        let worth = Worth::of(&self.desk.ledger_view()?)?;
        let least = worth.reserves.iter().copied().min().unwrap_or(0);
        ensure!(least >= 0, "{least} atoms of funding are missing");
        let sum = worth.equity + worth.buckets + worth.reserves.iter().sum::<i128>();
        let vault = i128::from(self.desk.chain.tokens(&self.desk.venue.vault)?);
        ensure!(sum == vault, "equity, pool and pots add up to {sum} atoms, the vault holds {vault}");
        Ok(())
    }
}

impl Floor {
    /// What an account would be worth if its position in `market` were closed at a price in 1e-12 quote units, less the
    /// funding it owes; in atoms, rounded down. For accounts that trade in no other market.
    pub fn worth_at(&self, account: usize, market: usize, price: u64) -> Result<i128> {
        let view = self.desk.ledger_view()?;
        let row = self.row(market)?;
        let trader = view.trader(self.accounts[account].trader.cell).map_err(engine)?;
        let mut worth = i128::from(trader.cash.get().get());
        if let Some(position) = self.position(account, market)? {
            let base = i128::from(position.base.get()) * i128::from(row.tick_value.get());
            let value = (base * i128::from(price)).div_euclid(i128::from(row.tick_size.get()));
            worth += value + i128::from(position.quote.get().get()) - overshoot::due(row, position);
        }
        Ok(worth)
    }
}

impl Worth {
    fn of(view: &LedgerView<'_>) -> Result<Self> {
        let atoms = |bucket: quantdesk_client::engine::money::Balance| i128::from(bucket.get().get());
        let mut reserves: Vec<_> = view.rows.iter().map(|row| atoms(row.funding_pot)).collect();
        let mut equity: i128 = view.traders().map(|(_, trader)| atoms(trader.cash)).sum();
        for (_, position) in view.all_positions() {
            let row = view.row(position.market).map_err(engine)?;
            let due = overshoot::due(row, position);
            equity += overshoot::value(row, position) - due;
            reserves[usize::from(position.market.get())] += due;
        }
        let tips: i128 = view.all_triggers().map(|(_, trigger)| atoms(trigger.tip)).sum();
        let fixed = [view.header.pool, view.header.fees, view.header.withdraw_queue].map(atoms);
        Ok(Self { equity, buckets: fixed.into_iter().sum::<i128>() + tips, reserves })
    }
}
