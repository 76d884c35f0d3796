//! Takers: market orders, with a worst price not far from the index.

use super::PPM;
use crate::floor::Floor;
use anyhow::Result;
use quantdesk_client::{
    engine::{Lots, QuoteAtoms, Side, Ticks, state::MarketRow},
    order::Ticket,
};

/// How far from the index a taker follows the book, in ppm, as long as that is within the price band of the mark.
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

/// Highest bid or lowest ask that a market accepts, from its price band.
pub fn limit(row: &MarketRow, side: Side) -> u32 {
    let mark = u64::from(row.mark.get());
    let reach = mark * u64::from(row.band.get()) / PPM;
    let limit = match side {
        Side::Bid => (mark + reach).min(u64::from(row.price_max.get())),
        Side::Ask => (mark - reach).max(1),
    };
    u32::try_from(limit).unwrap_or(u32::MAX)
}

/// Worst price a taker accepts.
pub fn worst(row: &MarketRow, side: Side) -> Ticks {
    let index = u64::from(row.index_price.get());
    let reach = index * SLIPPAGE / PPM;
    let limit = u64::from(limit(row, side));
    let worst = match side {
        Side::Bid => (index + reach).min(limit),
        Side::Ask => (index - reach).max(limit),
    };
    Ticks::new(u32::try_from(worst).unwrap_or(u32::MAX))
}

/// Sends a market order and books what became of it.
pub fn take(floor: &mut Floor, account: usize, market: usize, side: Side, lots: u64) -> Result<Taken> {
    let worth = worth(floor, market, lots)?;
    let taken = send(floor, account, market, side, lots)?;
    floor.journal.taken(lots, taken.filled, taken.refused, worth);
    Ok(taken)
}

/// Sends a market order.
pub fn send(floor: &mut Floor, account: usize, market: usize, side: Side, lots: u64) -> Result<Taken> {
    let worst = worst(floor.row(market)?, side);
    let order = Ticket::of(side, worst, Lots::new(lots)).market().match_limit(MATCH_LIMIT).build();
    let filled = floor.take(account, market, &order)?;
    Ok(Taken { filled: filled.unwrap_or(0), refused: filled.is_none() })
}

/// The same, with whatever collateral it needs deposited before.
pub fn take_funded(floor: &mut Floor, account: usize, market: usize, side: Side, lots: u64) -> Result<Taken> {
    let worth = worth(floor, market, lots)?;
    floor.fund_order(account, market, QuoteAtoms::new(u64::try_from(worth).unwrap_or(u64::MAX)))?;
    take(floor, account, market, side, lots)
}
