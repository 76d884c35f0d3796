//! Model and account bytes, side by side.

use super::{
    Event, Market, Model, Order, Position, Trader, delay::Waiting, outflow as outflow_model, quote_ladder,
    trigger::Trigger,
};
use crate::support::{World, world::key};
use quantdesk_engine::{
    CellIndex, Side, UnixSeconds, outflow,
    slab::ring,
    state::{LedgerView, MarketView, OrderNode, PositionCell, TradeEvent, TriggerCell},
};
use std::fmt::Debug;

pub(super) fn same<T: PartialEq + Debug>(what: &str, engine: T, model: T) -> Result<(), String> {
    if engine == model { Ok(()) } else { Err(format!("{what}: engine {engine:?}, model {model:?}")) }
}

/// Everything the model knows is what the bytes say.
pub fn equal(model: &Model, world: &World, traded: Option<usize>) -> Result<(), String> {
    let view = world.view();
    header(model, &view)?;
    cash_trail(model, &view)?;
    queue(model, &view)?;
    for (id, trader) in model.live() {
        account(model, &view, id, trader).map_err(|text| format!("trader {id}: {text}"))?;
    }
    for (index, market) in model.markets.iter().enumerate() {
        let book = world.market(index);
        row(model, &view, index)?;
        deleverage(model, &book, market)?;
        quote_ladder::equal(model, &view, &book, market)?;
        same("orders placed", book.header.orders_placed.get(), market.orders_placed)?;
        same("events", book.header.events_written.get(), market.events)?;
        same("last price", i128::from(book.header.last_trade_price.get()), market.last_trade_price)?;
        same("last fill", book.header.last_trade_time.get(), market.last_trade_time)?;
        same("triggers in all", book.header.triggers as usize, market.triggers.len())?;
        for side in [Side::Bid, Side::Ask] {
            orders(model, &view, &book, market, side)?;
        }
        waiting(&book, market)?;
        if traded == Some(index) {
            trail(model, &book)?;
        }
    }
    Ok(())
}

fn header(model: &Model, view: &LedgerView<'_>) -> Result<(), String> {
    let header = view.header;
    let number = |balance: quantdesk_engine::money::Balance| i128::from(balance.get().get());
    same("total", number(header.total), model.total)?;
    same("fees", number(header.fees), model.fees)?;
    same("pool", number(header.pool), model.pool)?;
    same("pool shares", i128::from(header.pool_shares), model.pool_shares)?;
    same("pool epoch", header.pool_epoch, model.pool_epoch)?;
    same("bankrupts", header.bankrupts as usize, model.bankrupts())?;
    same("queue", number(header.withdraw_queue), model.queued())?;
    let now = UnixSeconds::new(model.now);
    same("mode", header.modes.mode(now), model.modes.at(now.get()))?;
    same("sweep cursor", header.sweep_cursor.get(), model.sweep_cursor)?;
    same("traders", header.traders as usize, model.live().count())?;
    same("generation", header.generation.get(), model.generation)?;
    same("cells in use", header.cells.in_use(), model.cells_in_use())?;
    same("cells ever used", header.cells.high_water(), model.high_water)?;
    same("capacity", header.cells.capacity(), model.capacity)?;
    same("cash events", header.events_written.get(), model.cash_events)
}

fn row(model: &Model, view: &LedgerView<'_>, index: usize) -> Result<(), String> {
    let (row, market) = (&view.rows[index], &model.markets[index]);
    let ticks = |price: quantdesk_engine::Ticks| i128::from(price.get());
    let board = [row.index_price, row.mark, row.stable, row.low, row.high].map(ticks);
    let expected = [market.index, market.mark, market.stable, market.low(), market.high()];
    same("index, mark, stable, low, high", board, expected)?;
    same("basis", i128::from(row.basis), market.basis)?;
    same("mark moved", row.mark_at.get(), market.mark_at)?;
    same("stable moved", row.stable_at.get(), market.stable_at)?;
    same("lagging", row.is_lagging(), market.lagging)?;
    same("updated", row.updated_at.get(), market.updated_at)?;
    same("margin scale", i128::from(row.margin_scale.get()), market.scale)?;
    same("maintenance", i128::from(row.maintenance_now.get()), market.terms.maintenance)?;
    same("funding index", i128::from(row.funding_index.get()), market.funding_index)?;
    same("funding remainder", i128::from(row.funding_remainder), market.funding_remainder)?;
    same("funding pot", i128::from(row.funding_pot.get().get()), market.funding_pot)?;
    same("publish time", row.publish_time.get(), market.publish_time)?;
    same("source times", row.source_times.map(|time| time.get()), market.source_times)?;
    same("condition", row.condition() as u8, market.condition)?;
    same("open interest", i128::from(row.open_interest.get()), model.open_interest(index))
}

/// Withdrawals that wait, first to last.
fn queue(model: &Model, view: &LedgerView<'_>) -> Result<(), String> {
    let found: Vec<_> = outflow::waiting(view)
        .map(|(cell, waiting)| {
            let (trader, atoms) = (waiting.trader.get(), i128::from(waiting.atoms.get()));
            (cell.get(), trader, atoms, waiting.requested_at.get())
        })
        .collect();
    let trader = |waiting: &outflow_model::Waiting| model.trader(waiting.trader).cell;
    let expected = model.queue.iter().map(|waiting| (waiting.cell, trader(waiting), waiting.atoms, waiting.since));
    same("queue", found, expected.collect())
}

/// What is left of a deleveraging: whose it is, how much is closed, for how much.
fn deleverage(model: &Model, book: &MarketView<'_>, market: &Market) -> Result<(), String> {
    let state = &book.header.deleverage;
    same("deleverage runs", state.is_running(), market.deleverage.is_some())?;
    same("deleveragings", state.number, market.deleveragings)?;
    let Some(expected) = &market.deleverage else { return Ok(()) };
    let number = |lots: quantdesk_engine::Lots| i128::from(lots.get());
    let found = (state.trader.get(), number(state.lots), i128::from(state.quote.get()), number(state.closed));
    let target = model.trader(expected.target).cell;
    same("deleverage", found, (target, expected.lots, expected.quote, expected.closed))?;
    same("deleverage price", i128::from(state.price.get()), expected.price)?;
    same("deleverage cursor", state.cursor.get(), expected.cursor)
}

fn account(model: &Model, view: &LedgerView<'_>, id: usize, trader: &Trader) -> Result<(), String> {
    let cell = view.trader(CellIndex::new(trader.cell)).map_err(|error| format!("{error:?}"))?;
    same("owner", cell.owner, key(trader.owner))?;
    same("sub-account", cell.sub_account, trader.sub_account)?;
    same("generation", cell.generation.get(), trader.generation)?;
    same("cash", i128::from(cell.cash.get().get()), trader.cash)?;
    same("paid in", i128::from(cell.paid_in.get()), trader.paid_in)?;
    same("largest fee", cell.fee_max.get(), trader.fee_max)?;
    same("bankrupt", cell.is_bankrupt(), trader.bankrupt)?;
    same("absorbed", i128::from(cell.absorbed.get()), trader.absorbed)?;
    same("dead-man switch", (cell.deadman_seconds, cell.heartbeat_at.into()), trader.deadman)?;
    same("volume", i128::from(cell.volume.get()), trader.fees.volume)?;
    same("day of the volume", i64::from(cell.volume_day), trader.fees.day % 65_536)?;
    same("builder's most", cell.builder_max, trader.fees.builder_max)?;
    let referrer = cell.has_referrer().then_some((cell.referrer.get(), cell.referrer_generation.get()));
    same("referrer", referrer, trader.fees.referrer)?;
    same("waits", !cell.withdrawal.is_nil(), model.waits(id))?;
    same("positions", usize::from(cell.positions), trader.positions.iter().flatten().count())?;
    let mut found = vec![None; model.markets.len()];
    for (place, position) in view.positions(cell) {
        found[usize::from(position.market.get())] = Some((place, *position));
    }
    for (index, (found, expected)) in found.iter().zip(&trader.positions).enumerate() {
        same("position exists", found.is_some(), expected.is_some())?;
        if let (Some((place, found)), Some(expected)) = (found, expected) {
            same("cell of a position", place.get(), expected.cell)?;
            position(model, found, id, index, expected).map_err(|text| format!("in market {index}: {text}"))?;
            triggers(model, view, found, (id, index)).map_err(|text| format!("in market {index}: {text}"))?;
        }
    }
    Ok(())
}

fn position(model: &Model, found: &PositionCell, id: usize, index: usize, expected: &Position) -> Result<(), String> {
    let market = &model.markets[index];
    same("base", i128::from(found.base.get()), expected.base)?;
    same("quote", i128::from(found.quote.get().get()), expected.quote)?;
    same("realised", i128::from(found.realised.get()), expected.realised)?;
    same("fees paid", i128::from(found.fees_paid.get()), expected.fees_paid)?;
    same("funding index of a position", i128::from(found.funding_index.get()), expected.funding_index)?;
    same("funding paid", i128::from(found.funding_paid.get()), expected.funding_paid)?;
    same("bid bound", i128::from(found.bid_bound.get()), expected.bid_bound)?;
    same("ask bound", i128::from(found.ask_bound.get()), expected.ask_bound)?;
    same("number of quotes", found.quote_sequence, expected.quote_sequence)?;
    same("turns", found.turns, expected.turns)?;
    let open = market.open(id);
    same("open bid lots", i128::from(found.open_bid_lots.get()), open.bids)?;
    same("open ask lots", i128::from(found.open_ask_lots.get()), open.asks)?;
    same("orders", found.orders as usize, open.orders)
}

/// A position's triggers, newest first.
fn triggers(
    model: &Model,
    view: &LedgerView<'_>,
    position: &PositionCell,
    (id, index): (usize, usize),
) -> Result<(), String> {
    let found: Vec<Trigger> =
        view.triggers(position).map(|(cell, trigger)| described_trigger(cell, trigger, id)).collect();
    same("triggers", found, model.triggers_of(id, index))
}

fn described_trigger(cell: CellIndex, trigger: &TriggerCell, trader: usize) -> Trigger {
    let ticks = |price: quantdesk_engine::Ticks| i128::from(price.get());
    Trigger {
        cell: cell.get(),
        number: trigger.number.get(),
        trader,
        condition: trigger.condition().expect("a known condition"),
        reference: trigger.reference().expect("a known reference"),
        side: trigger.side(),
        reduce_only: trigger.is_reduce_only(),
        price: ticks(trigger.price),
        distance: ticks(trigger.distance),
        limit: ticks(trigger.limit),
        slippage: trigger.slippage.get().into(),
        lots: trigger.lots.get().into(),
        share: trigger.share.get().into(),
        tip: trigger.tip.get().get().into(),
        client_id: trigger.client_id,
        parent: trigger.parent,
        group: trigger.group,
        expires_at: trigger.expires_at.get(),
        interval: trigger.interval.into(),
        slices: trigger.slices.into(),
        next_at: trigger.next_at.get(),
        turns: trigger.turns,
    }
}

fn orders(
    model: &Model,
    view: &LedgerView<'_>,
    book: &MarketView<'_>,
    market: &Market,
    side: Side,
) -> Result<(), String> {
    let expected: Vec<Order> = market.queue(side).values().cloned().collect();
    let found: Vec<&OrderNode> = book.orders(side).map(|(_, node)| node).collect();
    listed(model, view, &found, &expected)?;
    let found: Vec<&OrderNode> = book.pegged(side).iter().rev().filter_map(|entry| book.node(entry.node)).collect();
    listed(model, view, &found, &market.pegs_of(side))
}

/// Orders, best first.
fn listed(model: &Model, view: &LedgerView<'_>, found: &[&OrderNode], expected: &[Order]) -> Result<(), String> {
    same("orders on a side", found.len(), expected.len())?;
    for (node, order) in found.iter().zip(expected) {
        let maker = view.position(node.position).map_or(u32::MAX, |position| position.trader.get());
        same("maker", maker, model.trader(order.trader).cell)?;
        same("order", described(node, order), order.clone())?;
    }
    Ok(())
}

/// Takers that wait, first to last, with the places that were left.
fn waiting(book: &MarketView<'_>, market: &Market) -> Result<(), String> {
    let (first, len) = (book.header.delayed_first as usize, book.header.delayed_len as usize);
    same("takers that wait", len, market.waiting.len())?;
    for (behind, expected) in market.waiting.iter().enumerate() {
        let entry = &book.annex.delayed[(first + behind) % book.annex.delayed.len()];
        let node = book.node(entry.node);
        same("somebody waits", node.is_some(), expected.is_some())?;
        let (Some(node), Some(expected)) = (node, expected) else { continue };
        let found = Waiting {
            order: described(node, &expected.order),
            slot: entry.slot.get(),
            kind: entry.kind().expect("a kind"),
        };
        same("taker that waits", &found, expected)?;
    }
    Ok(())
}

pub(super) fn described(node: &OrderNode, expected: &Order) -> Order {
    Order {
        sequence: node.sequence.get(),
        listed: expected.listed,
        trader: expected.trader,
        side: node.side(),
        price: node.price.get().into(),
        lots: node.lots.get().into(),
        client_id: node.client_id,
        expires_at: node.expires_at.get(),
        reduce_only: node.is_reduce_only(),
        peg: node.peg_offset().map(i128::from),
    }
}

fn event_of(event: &TradeEvent) -> Event {
    Event {
        kind: event.kind().expect("a written record"),
        side: event.side(),
        order: event.order.get(),
        client_id: event.client_id,
        lots: event.lots.get().into(),
        price: event.price.get().into(),
        maker: event.maker.get(),
        taker: event.taker.get(),
        taker_fee: event.taker_fee.get().into(),
        maker_fee: event.maker_fee.get().into(),
    }
}

/// The newest records of the market are those of the last call.
fn trail(model: &Model, book: &MarketView<'_>) -> Result<(), String> {
    let written: Vec<_> = ring::iter(book.events, book.header.events_written).collect();
    let newest = &written[written.len().saturating_sub(model.trail.len())..];
    let kept = &model.trail[model.trail.len() - newest.len()..];
    same("trail", newest.iter().map(|event| event_of(event)).collect(), kept.to_vec())
}

fn cash_trail(model: &Model, view: &LedgerView<'_>) -> Result<(), String> {
    let written: Vec<_> = ring::iter(view.events, view.header.events_written).collect();
    let newest = &written[written.len().saturating_sub(model.cash_trail.len())..];
    let found: Vec<_> = newest
        .iter()
        .map(|event| {
            let kind = event.kind().expect("a written record");
            (kind, event.trader.get(), i128::from(event.amount), i128::from(event.balance))
        })
        .collect();
    same("cash trail", found, model.cash_trail[model.cash_trail.len() - newest.len()..].to_vec())
}
