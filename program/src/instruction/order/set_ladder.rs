//! `SetLadder`: a maker says how its quotes lie around its own middle, how much they may fill and how far they may go. From
//! then on `MoveLadder` moves them. Without levels, takes its ladder away.
//!
//! The number is the u64 at byte 8 of the data; an older or equal one does nothing.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//!
//! Fails with `DataLength` unless exactly `bids + asks` levels follow, with `FieldInvalid` for more than 8 a side or padding,
//! with `InstructionExpired`, `LadderInvalid`, `AccountBankrupt`, `LaddersFull`, the order and margin errors, and as
//! [`super::trade`].

use super::trade;
use crate::{
    error::Refusal,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    Generation, Lots, Ticks, UnixSeconds,
    book::{NewLadder, NewLadderSide},
    state::{Key, LadderLevel, annex::LEVELS_MAX},
};

/// Arguments before the levels, 88 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SetLadder {
    /// The maker's own number, counted together with that of `ReplaceQuotes`.
    pub sequence: u64,
    /// Incarnation of the trader.
    pub generation: Generation,
    /// The maker's middle; 0 for nothing for sale until the first move.
    pub mid: Ticks,
    /// Last second at which this instruction may run; 0 for no end.
    pub valid_until: UnixSeconds,
    /// Who may move the ladder.
    pub quoter: Key,
    /// Lots the bids may fill in all.
    pub bid_reserve: Lots,
    /// Lots the asks may fill in all.
    pub ask_reserve: Lots,
    /// Bids never trade above it.
    pub bid_limit: Ticks,
    /// Asks never trade below it.
    pub ask_limit: Ticks,
    /// Levels of bids that follow, at most 8.
    pub bids: u8,
    /// Levels of asks that follow those, at most 8.
    pub asks: u8,
    pad: [u8; 6],
}

const _: () = assert!(size_of::<SetLadder>() == 88 && size_of::<LadderLevel>() == 16);

impl SetLadder {
    /// Arguments for this ladder.
    pub fn new(generation: Generation, wanted: &NewLadder<'_>, valid_until: UnixSeconds) -> Self {
        let count = |side: &NewLadderSide<'_>| u8::try_from(side.levels.len()).unwrap_or(u8::MAX);
        Self {
            sequence: wanted.sequence,
            generation,
            mid: wanted.mid,
            valid_until,
            quoter: wanted.quoter,
            bid_reserve: wanted.bids.reserve,
            ask_reserve: wanted.asks.reserve,
            bid_limit: wanted.bids.limit,
            ask_limit: wanted.asks.limit,
            bids: count(&wanted.bids),
            asks: count(&wanted.asks),
            pad: [0; 6],
        }
    }
}

/// Runs the instruction.
#[inline(never)]
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let (arguments, rest) = context.arguments.split_at_checked(size_of::<SetLadder>()).ok_or(Refusal::DataLength)?;
    let arguments: SetLadder = bytemuck::try_pod_read_unaligned(arguments).map_err(|_| Refusal::DataLength)?;
    let (bids, asks) = (usize::from(arguments.bids), usize::from(arguments.asks));
    expect(arguments.pad == [0; 6] && bids <= LEVELS_MAX && asks <= LEVELS_MAX)?;
    let mut levels = [LadderLevel::zeroed(); 2 * LEVELS_MAX];
    let (bytes, surplus) = rest.as_chunks::<{ size_of::<LadderLevel>() }>();
    if bytes.len() != bids.wrapping_add(asks) || !surplus.is_empty() {
        return Err(Refusal::DataLength.into());
    }
    for (place, level) in levels.iter_mut().zip(bytes) {
        *place = bytemuck::pod_read_unaligned(level);
        expect(place.is_padded())?;
    }
    let (bids, rest) = levels.split_at_checked(bids).ok_or(Refusal::DataLength)?;
    let wanted = NewLadder {
        sequence: arguments.sequence,
        quoter: arguments.quoter,
        mid: arguments.mid,
        bids: NewLadderSide { limit: arguments.bid_limit, reserve: arguments.bid_reserve, levels: bids },
        asks: NewLadderSide {
            limit: arguments.ask_limit,
            reserve: arguments.ask_reserve,
            levels: rest.get(..asks).unwrap_or(&[]),
        },
    };
    let late = trade(context, arguments.generation, |trading, trader| {
        if !arguments.valid_until.is_zero() && trading.now.unix_seconds > arguments.valid_until {
            return Ok(true);
        }
        trading.set_ladder(trader, &wanted).map(|_| false)
    })?;
    if late { Err(Refusal::InstructionExpired.into()) } else { Ok(()) }
}
