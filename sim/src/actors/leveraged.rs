//! Leveraged traders: each makes one bet with collateral many times smaller than the position, and never adds any.

use super::taker;
use crate::floor::{Floor, Role};
use anyhow::Result;
use quantdesk_client::{
    engine::{Lots, Ppm, QuoteAtoms, Side, Ticks},
    order::Ticket,
    trigger::TriggerTicket,
};

/// Parts of the position wanted that are tried one after the other, in percent: prices move while margin is computed.
const TRIES: [u64; 4] = [100, 95, 85, 60];
/// From the index to the further order, in percent.
const FURTHER_PERCENT: u64 = 4;
/// From the index to the stop, in percent.
const STOP_PERCENT: u64 = 3;
/// What executing a stop or a take-profit pays, in atoms.
const TIP: QuoteAtoms = QuoteAtoms::new(1_000_000);

/// What else a trader has in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Further {
    /// Nothing.
    Nothing,
    /// An order that adds a fifth to the position at a better price.
    Adds,
    /// An order that closes half of it with a profit.
    TakesProfit,
    /// A stop and a take-profit, of which one cancels the other.
    Protects,
}

/// One bet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bet {
    /// Which market.
    pub market: usize,
    /// Bid for a long, ask for a short.
    pub side: Side,
    /// Value of the position in atoms.
    pub value: u64,
    /// Value as a multiple of the collateral, in hundredths.
    pub leverage: u64,
    /// When, in unix seconds.
    pub opens_at: i64,
    /// What else.
    pub further: Further,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Leveraged {
    waiting: Vec<(usize, Bet)>,
}

impl Leveraged {
    /// Opens an account with the bet's collateral.
    pub fn enlist(&mut self, floor: &mut Floor, name: String, bet: Bet) -> Result<usize> {
        let atoms = (bet.value * 100).div_ceil(bet.leverage.max(1));
        let account = floor.open(Role::Leveraged, name, atoms)?;
        self.waiting.push((account, bet));
        Ok(account)
    }

    /// Makes one bet whose time has come. Returns its market, or `None` if there is none.
    pub fn bet_next(&mut self, floor: &mut Floor) -> Result<Option<usize>> {
        let now = floor.desk.chain.unix_seconds();
        let Some(at) = self.waiting.iter().position(|(_, bet)| bet.opens_at <= now) else {
            return Ok(None);
        };
        let (account, bet) = self.waiting.remove(at);
        make(floor, account, bet)?;
        Ok(Some(bet.market))
    }
}

fn make(floor: &mut Floor, account: usize, bet: Bet) -> Result<()> {
    let lots = taker::lots_worth(floor, bet.market, bet.value)?;
    for percent in TRIES {
        let taken = taker::send(floor, account, bet.market, bet.side, (lots * percent / 100).max(1))?;
        if taken.filled > 0 {
            return match bet.further {
                Further::Protects => protect(floor, account, bet),
                _ => rest(floor, account, bet, taken.filled),
            };
        }
    }
    Ok(())
}

/// Places the further order; without margin for it there is none.
fn rest(floor: &mut Floor, account: usize, bet: Bet, held: u64) -> Result<()> {
    let index = u64::from(floor.row(bet.market)?.index_price.get());
    let away = index * FURTHER_PERCENT / 100;
    let (side, lots) = match bet.further {
        Further::Nothing | Further::Protects => return Ok(()),
        Further::Adds => (bet.side, held / 5),
        Further::TakesProfit => (bet.side.opposite(), held / 2),
    };
    let price = if side == Side::Bid { index - away } else { index + away };
    let price = Ticks::new(u32::try_from(price).unwrap_or(u32::MAX));
    let ticket = Ticket::of(side, price, Lots::new(lots.max(1))).post_only();
    let order = if bet.further == Further::TakesProfit { ticket.reduce_only().build() } else { ticket.build() };
    floor.rest(account, bet.market, &order)?;
    Ok(())
}

/// Has all of the position closed when the mark has moved too far against it, or far enough in its favour.
fn protect(floor: &mut Floor, account: usize, bet: Bet) -> Result<()> {
    let index = u64::from(floor.row(bet.market)?.index_price.get());
    let away = |percent: u64, up: bool| {
        let distance = index * percent / 100;
        Ticks::new(u32::try_from(if up { index + distance } else { index - distance }).unwrap_or(u32::MAX))
    };
    let (long, side) = (bet.side == Side::Bid, bet.side.opposite());
    let stop = TriggerTicket::stop(side, away(STOP_PERCENT, !long));
    let profit = TriggerTicket::take_profit(side, away(FURTHER_PERCENT, long));
    for leg in TriggerTicket::oco(1, [stop, profit]) {
        floor.place_trigger(account, bet.market, &leg.share(Ppm::new(1_000_000)).tip(TIP).build())?;
    }
    Ok(())
}
