//! The way of taking orders into the market: at once, or through its queue of delayed orders. The only place that knows
//! how a delay is asked for and how delayed orders are run.

use super::stage::{MARKET, Stage};
use anyhow::Result;
use quantdesk_client::engine::{Side, UnixSeconds, book::NewOrder};
use std::collections::VecDeque;

/// Orders that wait.
#[derive(Debug, Default)]
pub struct Gate {
    /// Slots that a taking order waits; 0 for none.
    delay: u64,
    waiting: VecDeque<Waiting>,
}

/// One of them.
#[derive(Debug)]
struct Waiting {
    account: usize,
    order: NewOrder,
    /// Slot of the chain from which on it may run.
    due: u64,
}

impl Gate {
    /// The gate of a market whose taking orders wait `delay` slots.
    pub fn new(delay: u8) -> Self {
        Self { delay: delay.into(), waiting: VecDeque::new() }
    }

    /// Whether taking orders wait.
    pub const fn delays(&self) -> bool {
        self.delay > 0
    }

    /// Lots that waiting orders of a side want.
    pub fn wanted(&self, side: Side) -> u64 {
        let waiting = self.waiting.iter().filter(|waiting| waiting.order.side == side);
        waiting.map(|waiting| waiting.order.lots.get()).sum()
    }

    /// Whether an order of this account waits.
    pub fn holds(&self, account: usize) -> bool {
        self.waiting.iter().any(|waiting| waiting.account == account)
    }
}

impl Stage {
    /// Sends an order that takes. False if it was refused.
    pub fn take(&mut self, account: usize, order: &NewOrder) -> Result<bool> {
        if self.gate.delays() {
            let due = self.driver.floor.desk.chain.slot() + self.gate.delay;
            self.gate.waiting.push_back(Waiting { account, order: *order, due });
            return Ok(true);
        }
        self.send_taking(account, order)
    }

    /// Accounts of the orders that are due, in the order in which they will run.
    pub fn due(&self) -> Vec<usize> {
        let now = self.driver.floor.desk.chain.slot();
        let due = self.gate.waiting.iter().take_while(|waiting| waiting.due <= now);
        due.map(|waiting| waiting.account).collect()
    }

    /// Runs up to `most` due orders.
    pub fn run_delayed(&mut self, most: usize) -> Result<()> {
        for _ in 0..most.min(self.due().len()) {
            if let Some(waiting) = self.gate.waiting.pop_front() {
                self.send_taking(waiting.account, &waiting.order)?;
            }
        }
        Ok(())
    }

    fn send_taking(&mut self, account: usize, order: &NewOrder) -> Result<bool> {
        let floor = &mut self.driver.floor;
        let market = &floor.desk.markets[MARKET].address;
        let trader = &floor.accounts[account].trader;
        let instruction = floor.desk.venue.place_order(trader, market, order, UnixSeconds::ZERO);
        let accepted = floor.send("PlaceOrder, taking", instruction)?;
        self.read_fills()?;
        Ok(accepted)
    }
}
