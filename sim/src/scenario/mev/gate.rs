//! The way of taking orders into the market: at once, or through its queue. The only place that knows how delayed orders
//! are found and run.

use super::stage::{MARKET, Stage};
use crate::floor::engine;
use anyhow::{Context, Result};
use quantdesk_client::engine::{Side, UnixSeconds, book::NewOrder};

/// Most runs of one `RunDelayed`.
const RUNS_MAX: usize = 255;

/// An order in the queue, as anybody can see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Whose.
    pub account: usize,
    /// Of the order.
    pub side: Side,
    /// Of the order.
    pub lots: u64,
    /// Slot of the chain from which on it may run.
    pub due: u64,
}

impl Stage {
    /// Whether taking orders wait here.
    pub fn delays(&self) -> bool {
        self.driver.floor.desk.markets[MARKET].parameters.taker_delay > 0
    }

    /// Orders that wait, first come first.
    pub fn waiting(&self) -> Result<Vec<Waiting>> {
        let desk = &self.driver.floor.desk;
        let (ledger, market) = (desk.ledger_view()?, desk.market_view(MARKET)?);
        let (header, ring) = (market.header, &market.annex.delayed);
        let places =
            (0..header.delayed_len as usize).map(|behind| (header.delayed_first as usize + behind) % ring.len());
        let mut waiting = Vec::new();
        for entry in places.map(|place| &ring[place]).filter(|entry| !entry.node.is_nil()) {
            let node = market.node(entry.node).context("an order that waits")?;
            let trader = ledger.position(node.position).map_err(engine)?.trader;
            waiting.push(Waiting {
                account: self.driver.floor.account_in(trader).context("an order of nobody waits")?,
                side: node.side(),
                lots: node.lots.get(),
                due: entry.slot.get() + u64::from(header.taker_delay),
            });
        }
        Ok(waiting)
    }

    /// Accounts of the orders that are due, in the order in which they will run.
    pub fn due(&self) -> Result<Vec<usize>> {
        let now = self.driver.floor.desk.chain.slot();
        let due = self.waiting()?.into_iter().take_while(|waiting| waiting.due <= now);
        Ok(due.map(|waiting| waiting.account).collect())
    }

    /// Whether an order of this account waits.
    pub fn holds(&self, account: usize) -> Result<bool> {
        Ok(self.waiting()?.iter().any(|waiting| waiting.account == account))
    }

    /// Lots that waiting orders want to buy and to sell.
    pub fn wanted(&self) -> Result<[u64; 2]> {
        let waiting = self.waiting()?;
        let of = |side| waiting.iter().filter(|waiting| waiting.side == side).map(|waiting| waiting.lots).sum();
        Ok([of(Side::Bid), of(Side::Ask)])
    }

    /// Sends an order that takes; where taking orders wait, it joins the queue if it meets anything, and brings on the first
    /// ones that are due. False if it was refused.
    pub fn take(&mut self, account: usize, order: &NewOrder) -> Result<bool> {
        let floor = &mut self.driver.floor;
        let market = &floor.desk.markets[MARKET].address;
        let trader = &floor.accounts[account].trader;
        let instruction = floor.desk.venue.place_order(trader, market, order, UnixSeconds::ZERO);
        let accepted = floor.send("PlaceOrder, taking", instruction)?;
        self.read_fills()?;
        Ok(accepted)
    }

    /// Runs up to `most` orders that are due.
    pub fn run_delayed(&mut self, most: usize) -> Result<()> {
        if most == 0 || self.due()?.is_empty() {
            return Ok(());
        }
        let floor = &mut self.driver.floor;
        let limit = u8::try_from(most.min(RUNS_MAX))?;
        let instruction = floor.desk.venue.run_delayed(&floor.desk.markets[MARKET].address, limit);
        floor.send("RunDelayed", instruction)?;
        self.read_fills()
    }
}
