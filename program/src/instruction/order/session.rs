//! Order instructions that a session key signs: `[signer, market (writable), ledger (writable), session (writable)]`.
//!
//! The session is examined, then the instruction runs as if its owner had signed it, then what it has done is examined. So
//! there is one code for each instruction. `PlaceOrder` is examined on its way, from the sums that its margin needs anyway.
//!
//! Fails with `SessionMismatch`, `TraderNotFound`, as [`Session::begin`], as the instruction, and as [`Session::end`].

use super::{
    Named,
    amend_order::AmendOrder,
    place_orders::{OrderEntry, PlaceOrders},
    place_trigger::PlaceTrigger,
    replace_quotes::ReplaceQuotes,
};
use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, trading},
    tag::Tag,
};
use bytemuck::Pod;
use pinocchio::{ProgramResult, error::ProgramError};
use quantdesk_engine::{
    book::{Quote, Trading},
    session::{Action, Asked, asked_by_trigger},
    state::Session,
};

/// Accounts of an order instruction that a session key signs.
pub const ACCOUNTS_WITH_SESSION: usize = 4;

/// What a session has to be allowed for an instruction; `None` if it takes none in this way.
pub fn action_of(tag: u8) -> Option<Action> {
    let is = |tags: &[Tag]| tags.iter().any(|listed| listed.byte() == tag);
    let cancels = [Tag::CancelOrder, Tag::CancelAll, Tag::CancelOrders, Tag::CancelByClientId, Tag::CancelTrigger];
    if is(&cancels) {
        Some(Action::Cancel)
    } else if is(&[Tag::PlaceOrders, Tag::AmendOrder]) {
        Some(Action::Place)
    } else if is(&[Tag::ReplaceQuotes]) {
        Some(Action::Quote)
    } else if is(&[Tag::PlaceTrigger]) {
        Some(Action::Trigger)
    } else {
        None
    }
}

/// Runs an instruction that needs this action with `run`, between the two examinations.
pub fn process(context: &mut Context<'_>, action: Action, run: fn(&mut Context<'_>) -> ProgramResult) -> ProgramResult {
    // A replacement of quotes by none only cancels, too.
    let nothing = action == Action::Quote && context.arguments.len() == size_of::<ReplaceQuotes>();
    let risky = action != Action::Cancel && !nothing;
    begin(context, action, risky)?;
    let (head, arguments, program_id) = (context.head, context.arguments, context.program_id);
    let [own @ .., _] = &mut *context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    run(&mut Context { program_id, accounts: own, head, arguments, in_session: true })?;
    if risky { end(context) } else { Ok(()) }
}

fn begin(context: &mut Context<'_>, action: Action, risky: bool) -> ProgramResult {
    let [authority, market, ledger, session] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let authority = signer(authority)?;
    let address = *ledger.address();
    let (mut market, mut ledger) = (own_mut(market, context.program_id)?, own_mut(ledger, context.program_id)?);
    let mut session = own_mut(session, context.program_id)?;
    let trading = trading(&mut market, &mut ledger, &address)?;
    let session = Session::load_mut(&mut session).map_err(engine)?;
    // The instruction compares its own generation with that of the cell.
    let (trader, generation) = (context.head.trader, session.generation);
    Named { trader, generation, signer: authority }.check(session, &trading.ledger, &trading.market.header.ledger)?;
    session.begin(&trading, action, risky).map_err(engine)
}

fn end(context: &mut Context<'_>) -> ProgramResult {
    let [_, market, ledger, session] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let address = *ledger.address();
    let (mut market, mut ledger) = (own_mut(market, context.program_id)?, own_mut(ledger, context.program_id)?);
    let mut session = own_mut(session, context.program_id)?;
    let trading = trading(&mut market, &mut ledger, &address)?;
    let session = Session::load_mut(&mut session).map_err(engine)?;
    let asked = asked(context.head.tag, context.arguments, &trading, session)?;
    session.end(&trading.ledger.view(), asked).map_err(engine)
}

/// What an instruction that was accepted asked for.
fn asked(tag: u8, arguments: &[u8], trading: &Trading<'_>, session: &Session) -> Result<Asked, ProgramError> {
    let ledger = trading.ledger.view();
    let row = ledger.row(trading.market.header.index).map_err(engine)?;
    let mut asked = Asked::default();
    if tag == Tag::PlaceOrders.byte() {
        for order in listed::<PlaceOrders, OrderEntry>(arguments) {
            asked.add(row, order.price, order.lots);
        }
    } else if tag == Tag::ReplaceQuotes.byte() {
        for quote in listed::<ReplaceQuotes, Quote>(arguments) {
            asked.add(row, quote.price, quote.lots);
        }
    } else if tag == Tag::AmendOrder.byte() {
        let amended: AmendOrder = read(arguments)?;
        asked.add(row, amended.price, amended.lots);
    } else {
        let placed: PlaceTrigger = read(arguments)?;
        let terms = (placed.price, placed.limit, placed.lots);
        asked = asked_by_trigger(&ledger, session.trader, row, terms).map_err(engine)?;
    }
    Ok(asked)
}

/// What follows the arguments `A`, entry by entry.
fn listed<A, E: Pod>(arguments: &[u8]) -> impl Iterator<Item = E> {
    let entries = arguments.get(size_of::<A>()..).unwrap_or(&[]);
    entries.chunks_exact(size_of::<E>()).map(bytemuck::pod_read_unaligned)
}

fn read<T: Pod>(arguments: &[u8]) -> Result<T, ProgramError> {
    bytemuck::try_pod_read_unaligned(arguments).map_err(|_| Refusal::DataLength.into())
}
