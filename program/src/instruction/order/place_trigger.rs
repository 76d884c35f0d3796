//! `PlaceTrigger`: places a conditional order and puts its tip aside.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//! 3. `[writable]` that session, if a session key signs
//!
//! Fails with `InstructionExpired` after `valid_until`, `NotAuthorized` for a tip unless the owner signs, `FieldInvalid` for
//! bytes that mean nothing, and as [`super::trade`] and [`quantdesk_engine::book::Trading::place_trigger`].

use super::trade;
use crate::{
    error::Refusal,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{ProgramResult, error::ProgramError};
use quantdesk_engine::{
    Generation, Lots, Ppm, QuoteAtoms, Side, Ticks, UnixSeconds,
    book::NewTrigger,
    state::{Condition, Reference},
};

/// Arguments, 88 bytes; see [`NewTrigger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PlaceTrigger {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// Trigger price.
    pub price: Ticks,
    /// Size in lots.
    pub lots: Lots,
    /// Most that keepers get, in atoms.
    pub tip: QuoteAtoms,
    /// The trader's own id; 0 for none.
    pub client_id: u64,
    /// Client id of the order that arms it; 0 for none.
    pub parent: u64,
    /// Last second at which it may fire; 0 for no end.
    pub expires_at: UnixSeconds,
    /// Last second at which this instruction may run; 0 for no end.
    pub valid_until: UnixSeconds,
    /// Distance of a trailing one.
    pub distance: Ticks,
    /// Price of the limit order it becomes; 0 if it takes.
    pub limit: Ticks,
    /// How far from the reference it may take.
    pub slippage: Ppm,
    /// Size as a part of the position.
    pub share: Ppm,
    /// Group of which one cancels the others; 0 for none.
    pub group: u32,
    /// Seconds between slices.
    pub interval: u32,
    /// Slices.
    pub slices: u16,
    /// A [`Condition`].
    pub condition: u8,
    /// A [`Reference`].
    pub reference: u8,
    /// A [`Side`].
    pub side: u8,
    /// 1 if it may only reduce the position, else 0.
    pub reduce_only: u8,
    pad: [u8; 2],
}

const _: () = assert!(size_of::<PlaceTrigger>() == 88);

impl PlaceTrigger {
    /// Encodes a trigger.
    pub fn new(generation: Generation, trigger: &NewTrigger, valid_until: UnixSeconds) -> Self {
        Self {
            generation,
            price: trigger.price,
            lots: trigger.lots,
            tip: trigger.tip,
            client_id: trigger.client_id,
            parent: trigger.parent,
            expires_at: trigger.expires_at,
            valid_until,
            distance: trigger.distance,
            limit: trigger.limit,
            slippage: trigger.slippage,
            share: trigger.share,
            group: trigger.group,
            interval: trigger.interval,
            slices: trigger.slices,
            condition: trigger.condition.byte(),
            reference: trigger.reference.byte(),
            side: trigger.side.byte(),
            reduce_only: u8::from(trigger.reduce_only),
            pad: [0; 2],
        }
    }

    fn trigger(&self) -> Result<NewTrigger, ProgramError> {
        expect(self.pad == [0; 2] && self.reduce_only <= 1)?;
        Ok(NewTrigger {
            condition: Condition::from_byte(self.condition).ok_or(Refusal::FieldInvalid)?,
            reference: Reference::from_byte(self.reference).ok_or(Refusal::FieldInvalid)?,
            side: Side::from_byte(self.side).ok_or(Refusal::FieldInvalid)?,
            reduce_only: self.reduce_only == 1,
            price: self.price,
            distance: self.distance,
            limit: self.limit,
            slippage: self.slippage,
            lots: self.lots,
            share: self.share,
            tip: self.tip,
            client_id: self.client_id,
            parent: self.parent,
            group: self.group,
            expires_at: self.expires_at,
            interval: self.interval,
            slices: self.slices,
        })
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: PlaceTrigger = context.arguments()?;
    let trigger = arguments.trigger()?;
    let valid_until = arguments.valid_until;
    let signer = context.accounts.first().map(|account| *account.address());
    let refused = trade(context, arguments.generation, |trading, trader| {
        if !valid_until.is_zero() && trading.now.unix_seconds > valid_until {
            return Ok(Some(Refusal::InstructionExpired));
        }
        // WHY: a tip goes to whoever executes the trigger, so it is a way out for cash, and neither a delegate nor a session has
        // one.
        let owner = trading.ledger.trader(trader)?.owner;
        if !trigger.tip.is_zero() && !signer.is_some_and(|signer| owner.matches(signer.as_array())) {
            return Ok(Some(Refusal::NotAuthorized));
        }
        trading.place_trigger(trader, &trigger).map(|_| None)
    })?;
    refused.map_or(Ok(()), |refusal| Err(refusal.into()))
}
