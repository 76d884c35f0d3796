//! Conditional orders: placed by their owners, executed by keepers for a tip, taken back in the end.

use super::{Floor, engine};
use anyhow::Result;
use quantdesk_client::{
    engine::{
        UnixSeconds,
        book::{NewTrigger, TriggerHandle},
    },
    view,
};

impl Floor {
    /// Places a conditional order. False if it was refused.
    pub fn place_trigger(&mut self, account: usize, market: usize, trigger: &NewTrigger) -> Result<bool> {
        let address = &self.desk.markets[market].address;
        let trader = &self.accounts[account].trader;
        self.send("PlaceTrigger", self.desk.venue.place_trigger(trader, address, trigger, UnixSeconds::ZERO))
    }

    /// `keeper` executes every conditional order whose price the mark has reached, one in a transaction, so that one that is
    /// refused keeps no other from firing. Returns how many were accepted.
    pub fn execute_triggers(&mut self, keeper: usize) -> Result<usize> {
        let mut accepted = 0;
        for (market, handle) in self.due_triggers()? {
            let (trader, address) = (&self.accounts[keeper].trader, &self.desk.markets[market].address);
            let instruction = self.desk.venue.execute_triggers(trader, address, &[handle]);
            if self.send("ExecuteTriggers", instruction)? {
                self.read_trades(market)?;
                accepted += 1;
            }
        }
        Ok(accepted)
    }

    /// Conditional orders that a look at the bytes finds due, by their market.
    fn due_triggers(&self) -> Result<Vec<(usize, TriggerHandle)>> {
        let view = self.desk.ledger_view()?;
        let now = UnixSeconds::new(self.desk.chain.unix_seconds());
        let mut due = Vec::new();
        for (cell, trigger) in view.all_triggers() {
            let position = view.position(trigger.position).map_err(engine)?;
            let row = view.row(position.market).map_err(engine)?;
            let market = self.desk.markets.iter().position(|market| market.index == position.market);
            if let Some(market) = market.filter(|_| trigger.is_due(row.mark, now)) {
                due.push((market, TriggerHandle { cell, number: trigger.number }));
            }
        }
        Ok(due)
    }

    /// Takes an account's conditional orders in a market back.
    pub fn cancel_triggers(&mut self, account: usize, market: usize) -> Result<()> {
        let trader = self.accounts[account].trader;
        let index = self.desk.markets[market].index;
        let triggers = view::own_triggers(&self.desk.ledger_view()?, index, &trader)?;
        let handles: Vec<_> = triggers.into_iter().map(|(handle, _)| handle).collect();
        for handle in handles {
            let address = &self.desk.markets[market].address;
            self.send("CancelTrigger", self.desk.venue.cancel_trigger(&trader, address, handle))?;
        }
        Ok(())
    }
}
