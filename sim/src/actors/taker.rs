//! Takers: market orders, with a worst price not far from the mark.

use super::PPM;
use crate::floor::Floor;
use anyhow::Result;
use quantdesk_client::{
    engine::{Lots, QuoteAtoms, Side, Ticks},
    order::Ticket,
};

/// How far from the mark a taker follows the book, in ppm. Less than the markets' price band.
const SLIPPAGE: u64 = 50_000;
/// Resting orders it may meet: more than all makers together have on a side.
const MATCH_LIMIT: u8 = 128;

/// What became of a taker's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Lots filled.
    pub filled: u64,
    /// Whether the program refused it.
    pub refused: bool,
}

/// Value of lots at the mark in atoms.
pub fn worth(floor: &Floor, market: usize, lots: u64) -> Result<u128> {
    let row = floor.row(market)?;
    Ok(u128::from(lots) * u128::from(row.mark.get()) * u128::from(row.tick_value.get()))
}

/// Lots worth about `atoms` at the mark, at least one.
pub fn lots_worth(floor: &Floor, market: usize, atoms: u64) -> Result<u64> {
    let lot = worth(floor, market, 1)?.max(1);
    Ok(u64::try_from(u128::from(atoms) / lot).unwrap_or(u64::MAX).max(1))
}

/// Sends a market order.
pub fn take(floor: &mut Floor, account: usize, market: usize, side: Side, lots: u64) -> Result<Taken> {
    let row = floor.row(market)?;
    let mark = u64::from(row.mark.get());
    let reach = mark * SLIPPAGE / PPM;
    let worst = match side {
        Side::Bid => (mark + reach).min(u64::from(row.price_max.get())),
        Side::Ask => mark - reach,
    };
    let worst = Ticks::new(u32::try_from(worst).unwrap_or(u32::MAX));
    let order = Ticket::of(side, worst, Lots::new(lots)).market().match_limit(MATCH_LIMIT).build();
    let worth = worth(floor, market, lots)?;
    let filled = floor.take(account, market, &order)?;
    let taken = Taken { filled: filled.unwrap_or(0), refused: filled.is_none() };
    floor.journal.taken(lots, taken.filled, taken.refused, worth);
    Ok(taken)
}

/// The same, with whatever collateral it needs deposited before.
pub fn take_funded(floor: &mut Floor, account: usize, market: usize, side: Side, lots: u64) -> Result<Taken> {
    let worth = worth(floor, market, lots)?;
    floor.fund_order(account, market, QuoteAtoms::new(u64::try_from(worth).unwrap_or(u64::MAX)))?;
    take(floor, account, market, side, lots)
}
