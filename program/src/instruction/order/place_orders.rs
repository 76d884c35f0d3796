//! `PlaceOrders`: places up to 16 orders of one trader in one market, all or none, each as `PlaceOrder` does.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//! 3. `[writable]` that session, if a session key signs
//!
//! Fails with `DataLength` unless as many orders follow as are announced, with `FieldInvalid` for none, more than 16, or bytes
//! that mean nothing, with `InstructionExpired`, `BookMoved`, and as [`super::trade`] and
//! [`quantdesk_engine::book::Trading::place_orders`].

use super::{place_order::BookGuard, trade};
use crate::{
    error::Refusal,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{ProgramResult, error::ProgramError};
use quantdesk_engine::{
    Generation, Lots, Side, Ticks, UnixSeconds,
    book::{NewOrder, ORDERS_MAX, OrderKind, SelfTrade},
};

/// Arguments before the orders, 32 bytes; as many [`OrderEntry`]s as counted follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PlaceOrders {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// Orders that follow, 1 to 16.
    pub count: u8,
    pad: [u8; 3],
    /// Last second at which the orders may be filled; 0 for no end.
    pub expires_at: UnixSeconds,
    /// Last second at which this instruction may run; 0 for no end.
    pub valid_until: UnixSeconds,
    /// Most events that the market may have written when it runs; 0 for any number.
    pub book_sequence_max: u64,
}

/// One order, 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OrderEntry {
    /// Size.
    pub lots: Lots,
    /// The trader's own id; 0 for none.
    pub client_id: u64,
    /// Limit price; for a market order the worst price accepted.
    pub price: Ticks,
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
}

/// Bytes of an order.
const ENTRY_SIZE: usize = size_of::<OrderEntry>();
const _: () = assert!(size_of::<PlaceOrders>() == 32 && ENTRY_SIZE == 32);

impl PlaceOrders {
    /// Arguments before so many orders.
    pub const fn new(generation: Generation, count: u8, expires_at: UnixSeconds, guard: &BookGuard) -> Self {
        let BookGuard { valid_until, book_sequence_max } = *guard;
        Self { generation, count, pad: [0; 3], expires_at, valid_until, book_sequence_max }
    }
}

impl OrderEntry {
    /// Encodes an order; its expiry is that of all of them.
    pub fn new(order: &NewOrder) -> Self {
        #[expect(clippy::as_conversions, reason = "discriminants of fieldless repr(u8) enums")]
        let (kind, self_trade) = (order.kind as u8, order.self_trade as u8);
        Self {
            lots: order.lots,
            client_id: order.client_id,
            price: order.price,
            side: order.side.byte(),
            kind,
            self_trade,
            reduce_only: u8::from(order.reduce_only),
            match_limit: order.match_limit,
            pad: [0; 3],
            peg_offset: order.peg_offset,
        }
    }

    /// Fails with `FieldInvalid`.
    fn order(&self, expires_at: UnixSeconds) -> Result<NewOrder, ProgramError> {
        expect(self.pad == [0; 3] && self.reduce_only <= 1)?;
        let kind = OrderKind::from_byte(self.kind).ok_or(Refusal::FieldInvalid)?;
        expect(self.peg_offset == 0 || kind == OrderKind::Pegged)?;
        Ok(NewOrder {
            side: Side::from_byte(self.side).ok_or(Refusal::FieldInvalid)?,
            kind,
            price: self.price,
            lots: self.lots,
            client_id: self.client_id,
            expires_at,
            self_trade: SelfTrade::from_byte(self.self_trade).ok_or(Refusal::FieldInvalid)?,
            reduce_only: self.reduce_only == 1,
            match_limit: self.match_limit,
            peg_offset: self.peg_offset,
        })
    }
}

/// An order that stands where none is given.
const NO_ORDER: NewOrder = NewOrder {
    side: Side::Bid,
    kind: OrderKind::Limit,
    price: Ticks::ZERO,
    lots: Lots::ZERO,
    client_id: 0,
    expires_at: UnixSeconds::ZERO,
    self_trade: SelfTrade::CancelMaker,
    reduce_only: false,
    match_limit: 0,
    peg_offset: 0,
};

/// Runs the instruction.
#[inline(never)]
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let (arguments, rest) = context.arguments.split_at_checked(size_of::<PlaceOrders>()).ok_or(Refusal::DataLength)?;
    let arguments: PlaceOrders = bytemuck::try_pod_read_unaligned(arguments).map_err(|_| Refusal::DataLength)?;
    let count = usize::from(arguments.count);
    let (bytes, surplus) = rest.as_chunks::<ENTRY_SIZE>();
    if bytes.len() != count || !surplus.is_empty() {
        return Err(Refusal::DataLength.into());
    }
    expect(arguments.pad == [0; 3] && count > 0 && count <= ORDERS_MAX)?;
    let mut orders = [NO_ORDER; ORDERS_MAX];
    for (place, bytes) in orders.iter_mut().zip(bytes) {
        let entry: OrderEntry = bytemuck::pod_read_unaligned(bytes);
        *place = entry.order(arguments.expires_at)?;
    }
    let orders = orders.get(..count).unwrap_or(&[]);
    let late = trade(context, arguments.generation, |trading, trader| {
        if !arguments.valid_until.is_zero() && trading.now.unix_seconds > arguments.valid_until {
            return Ok(true);
        }
        trading.require_unmoved(arguments.book_sequence_max)?;
        trading.place_orders(trader, orders).map(|()| false)
    })?;
    if late { Err(Refusal::InstructionExpired.into()) } else { Ok(()) }
}
