//! `MoveLadder`: a maker's ladder quotes around another middle, its levels whole again. One small write: neither the ledger
//! nor a price nor the clock is read.
//!
//! The layout is fixed for those who schedule transactions: the number is the u64 at byte 8 of the data, the market the
//! second account. Dropped, repeated or overtaken transactions do no harm: an older or equal number does nothing.
//!
//! Accounts
//! 0. `[signer]` the ladder's quoter
//! 1. `[writable]` market
//!
//! Fails with `FieldInvalid`, `AccountsCount`, `SignatureMissing`, `NotWritable`, `WrongOwner`, the engine's account errors,
//! `LadderNotFound` or `NotAuthorized`.

use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    CellIndex, Ticks,
    book::{LadderMove, Moved},
    state::Market,
};

/// Arguments, 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MoveLadder {
    /// The maker's own number.
    pub sequence: u64,
    /// The maker's middle from now on; 0 for nothing for sale.
    pub mid: Ticks,
    /// Number of the ladder in its market.
    pub ladder: u32,
    /// Position cell the ladder belongs to: its place may be another maker's by now.
    pub position: CellIndex,
    pad: u32,
}

const _: () = assert!(size_of::<MoveLadder>() == 24);

impl MoveLadder {
    /// Arguments for this ladder.
    pub const fn new(sequence: u64, mid: Ticks, ladder: u32, position: CellIndex) -> Self {
        Self { sequence, mid, ladder, position, pad: 0 }
    }
}

/// Runs the instruction.
///
/// WHY: out of line, since its locals would cost the instructions it is inlined next to more than the call does.
#[inline(never)]
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: MoveLadder = context.arguments()?;
    expect(arguments.pad == 0)?;
    let [quoter, market] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let quoter = signer(quoter)?;
    let mut market = own_mut(market, context.program_id)?;
    let mut market = Market::load(&mut market).map_err(engine)?;
    let MoveLadder { sequence, mid, ladder, position, .. } = arguments;
    let wanted = LadderMove { number: ladder, position, sequence, mid };
    match market.move_ladder(quoter.as_array(), &wanted).map_err(engine)? {
        Moved::Now | Moved::Before => Ok(()),
        Moved::NotAllowed => Err(Refusal::NotAuthorized.into()),
    }
}
