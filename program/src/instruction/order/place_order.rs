//! `PlaceOrder`: takes what crosses, rests the remainder, checks margin once at the end.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//!
//! Fails with `InstructionExpired` after `valid_until`, `FieldInvalid` for bytes that mean nothing, and as
//! [`super::trade`] and [`quantdesk_engine::book::Trading::place_order`].

use super::trade;
use crate::{
    error::Refusal,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{ProgramResult, error::ProgramError};
use quantdesk_engine::{
    Generation, Lots, Side, Ticks, UnixSeconds,
    book::{NewOrder, OrderKind, SelfTrade},
};

/// Arguments, 56 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PlaceOrder {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// Limit price; for a market order the worst price accepted.
    pub price: Ticks,
    /// Size.
    pub lots: Lots,
    /// The trader's own id; 0 for none.
    pub client_id: u64,
    /// Last second at which the order may be filled; 0 for no end.
    pub expires_at: UnixSeconds,
    /// Last second at which this instruction may run; 0 for no end.
    pub valid_until: UnixSeconds,
    /// A [`Side`].
    pub side: u8,
    /// An [`OrderKind`].
    pub kind: u8,
    /// A [`SelfTrade`].
    pub self_trade: u8,
    /// 1 if it may only reduce the position, else 0.
    pub reduce_only: u8,
    /// Most resting orders it may meet, 1 to 255.
    pub match_limit: u8,
    pad: [u8; 3],
    /// Distance of a pegged order from the index, in ticks; 0 for other kinds.
    pub peg_offset: i32,
    pad2: [u8; 4],
}

const _: () = assert!(size_of::<PlaceOrder>() == 56);

impl PlaceOrder {
    /// Encodes an order.
    pub fn new(generation: Generation, order: &NewOrder, valid_until: UnixSeconds) -> Self {
        #[expect(clippy::as_conversions, reason = "discriminants of fieldless repr(u8) enums")]
        let (kind, self_trade) = (order.kind as u8, order.self_trade as u8);
        Self {
            generation,
            price: order.price,
            lots: order.lots,
            client_id: order.client_id,
            expires_at: order.expires_at,
            valid_until,
            side: order.side.byte(),
            kind,
            self_trade,
            reduce_only: u8::from(order.reduce_only),
            match_limit: order.match_limit,
            pad: [0; 3],
            peg_offset: order.peg_offset,
            pad2: [0; 4],
        }
    }

    #[inline(always)]
    fn order(&self) -> Result<NewOrder, ProgramError> {
        expect(self.pad == [0; 3] && self.pad2 == [0; 4] && self.reduce_only <= 1)?;
        let kind = OrderKind::from_byte(self.kind).ok_or(Refusal::FieldInvalid)?;
        expect(self.peg_offset == 0 || kind == OrderKind::Pegged)?;
        Ok(NewOrder {
            side: Side::from_byte(self.side).ok_or(Refusal::FieldInvalid)?,
            kind,
            price: self.price,
            lots: self.lots,
            client_id: self.client_id,
            expires_at: self.expires_at,
            self_trade: SelfTrade::from_byte(self.self_trade).ok_or(Refusal::FieldInvalid)?,
            reduce_only: self.reduce_only == 1,
            match_limit: self.match_limit,
            peg_offset: self.peg_offset,
        })
    }
}

/// Runs the instruction.
#[inline(always)]
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: PlaceOrder = context.arguments()?;
    let order = arguments.order()?;
    let valid_until = arguments.valid_until;
    let late = trade(context, arguments.generation, |trading, trader| {
        if !valid_until.is_zero() && trading.now.unix_seconds > valid_until {
            return Ok(true);
        }
        trading.place_order(trader, &order).map(|_| false)
    })?;
    if late { Err(Refusal::InstructionExpired.into()) } else { Ok(()) }
}
