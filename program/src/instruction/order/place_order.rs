//! `PlaceOrder`: takes what crosses, rests the remainder, checks margin once at the end.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//! 3. `[writable]` that session, if a session key signs
//!
//! Fails with `InstructionExpired` after `valid_until`, `BookMoved` if the market has written more events than
//! `book_sequence_max`, `FieldInvalid` for bytes that mean nothing, and as [`super::trade`] and
//! [`quantdesk_engine::book::Trading::place_order_for`].

use super::{session::ACCOUNTS_WITH_SESSION, tradable_trader};
use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, trading},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{ProgramResult, account::RefMut, error::ProgramError};
use quantdesk_engine::{
    CellIndex, EngineError, Generation, Lots, Ppm, QuoteDelta, Result as EngineResult, Side, Ticks, UnixSeconds,
    book::{Builder, NewOrder, OrderKind, SelfTrade, Trading},
    state::Session,
};

/// When an instruction may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookGuard {
    /// Last second at which it may; 0 for no end.
    pub valid_until: UnixSeconds,
    /// Most events that the market may have written by then; 0 for any number.
    pub book_sequence_max: u64,
}

/// Arguments, 72 bytes.
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
    /// Most events that the market may have written when it runs; 0 for any number.
    pub book_sequence_max: u64,
    /// Trading account of who brought the order. If nobody did, it, its incarnation and its fee are zero.
    pub builder: CellIndex,
    /// Its incarnation, never zero.
    pub builder_generation: Generation,
    /// Its fee in ppm of the value taken.
    pub builder_fee: u16,
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
    pad: u8,
    /// Distance of a pegged order from the index, in ticks; 0 for other kinds.
    pub peg_offset: i32,
    pad2: [u8; 4],
}

const _: () = assert!(size_of::<PlaceOrder>() == 72);

impl PlaceOrder {
    /// Encodes an order that nobody brought.
    pub fn new(generation: Generation, order: &NewOrder, guard: &BookGuard) -> Self {
        #[expect(clippy::as_conversions, reason = "discriminants of fieldless repr(u8) enums")]
        let (kind, self_trade) = (order.kind as u8, order.self_trade as u8);
        Self {
            generation,
            price: order.price,
            lots: order.lots,
            client_id: order.client_id,
            expires_at: order.expires_at,
            valid_until: guard.valid_until,
            book_sequence_max: guard.book_sequence_max,
            builder: CellIndex::new(0),
            builder_generation: Generation::ZERO,
            builder_fee: 0,
            side: order.side.byte(),
            kind,
            self_trade,
            reduce_only: u8::from(order.reduce_only),
            match_limit: order.match_limit,
            pad: 0,
            peg_offset: order.peg_offset,
            pad2: [0; 4],
        }
    }

    /// The same with who brought it. A fee that does not fit becomes one that no trader agrees to.
    pub fn brought_by(self, builder: &Builder) -> Self {
        Self {
            builder: builder.trader,
            builder_generation: builder.generation,
            builder_fee: u16::try_from(builder.fee.get()).unwrap_or(u16::MAX),
            ..self
        }
    }

    #[inline(always)]
    fn is_brought(&self) -> bool {
        self.builder.get() | self.builder_generation.get() | u32::from(self.builder_fee) != 0
    }

    fn builder(&self) -> Builder {
        let fee = Ppm::new(u32::from(self.builder_fee));
        Builder { trader: self.builder, generation: self.builder_generation, fee }
    }

    #[inline(always)]
    fn order(&self) -> Result<NewOrder, ProgramError> {
        expect(self.pad == 0 && self.pad2 == [0; 4] && self.reduce_only <= 1)?;
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
    if arguments.is_brought() {
        return process_brought(context);
    }
    place(context, &arguments, |trading, trader, order, staked| trading.submit_order(trader, order, staked))
}

/// The same with a builder. He is paid by the account, and a session has no way out for cash: it names none.
///
/// WHY: out of line and from the bytes again, or the order would have to be in memory for those without one, too.
#[cold]
#[inline(never)]
fn process_brought(context: &mut Context<'_>) -> ProgramResult {
    let arguments: PlaceOrder = context.arguments()?;
    let (builder, in_session) = (arguments.builder(), context.accounts.len() == ACCOUNTS_WITH_SESSION);
    place(context, &arguments, |trading, trader, order, _| {
        if in_session {
            return Err(EngineError::SessionAction);
        }
        trading.place_order_for(trader, order, &builder).map(|placed| placed.worst)
    })
}

/// Opens the accounts, checks that the signer may trade for the trader, and places with `act`, which returns the
/// account's worst profit then if there is a session. As [`super::trade`], and between the two examinations of a session if there is one.
#[inline(always)]
fn place(
    context: &mut Context<'_>,
    arguments: &PlaceOrder,
    act: impl FnOnce(&mut Trading<'_>, CellIndex, &NewOrder, bool) -> EngineResult<QuoteDelta>,
) -> ProgramResult {
    let order = arguments.order()?;
    let (trader, program_id, bytes) = (context.head.trader, context.program_id, context.arguments);
    let (authority, market, ledger, session) = match context.accounts {
        [authority, market, ledger] => (authority, market, ledger, None),
        [authority, market, ledger, session] => (authority, market, ledger, Some(session)),
        _ => return Err(Refusal::AccountsCount.into()),
    };
    let authority = signer(authority)?;
    let address = *ledger.address();
    let (mut market, mut ledger) = (own_mut(market, program_id)?, own_mut(ledger, program_id)?);
    let mut trading = trading(&mut market, &mut ledger, &address)?;
    let session = match session {
        None => {
            tradable_trader(&trading.ledger, trader, arguments.generation, authority, false)?;
            None
        }
        Some(session) => {
            let mut session = RefMut::try_map(own_mut(session, program_id)?, Session::load_mut)
                .map_err(|(_, error)| engine(error))?;
            session
                .begin_order(&trading, authority.as_array(), trader, arguments.generation)
                .map_err(|error| error.map_or_else(|| Refusal::SessionMismatch.into(), engine))?;
            Some(session)
        }
    };
    if !arguments.valid_until.is_zero() && trading.now.unix_seconds > arguments.valid_until {
        return Err(Refusal::InstructionExpired.into());
    }
    trading.require_unmoved(arguments.book_sequence_max).map_err(engine)?;
    let worst = act(&mut trading, trader, &order, session.is_some()).map_err(engine)?;
    match session {
        None => Ok(()),
        Some(mut session) => {
            // WHY: from the bytes again, so that whoever signs himself keeps nothing for it.
            let again: PlaceOrder = bytemuck::try_pod_read_unaligned(bytes).map_err(|_| Refusal::DataLength)?;
            session.end_order(&trading, again.price, again.lots, worst).map_err(engine)
        }
    }
}
