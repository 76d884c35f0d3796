//! Views over fetched account bytes.

use crate::instruction::Trader;
use quantdesk_engine::{
    Lots, MarketIndex, NodeIndex, QuoteAtoms, QuoteDelta, Result, Side, Ticks, UnixSeconds,
    book::TriggerHandle,
    risk::margin,
    state::{Key, LedgerView, MarketView, OrderNode, TraderCell, TriggerCell},
};
use solana_address::Address;

/// Account bytes in memory that is aligned as the views need it.
#[derive(Clone, Debug, Default)]
pub struct AccountBytes {
    words: Vec<u64>,
    len: usize,
}

impl AccountBytes {
    /// Copies `data`.
    pub fn new(data: &[u8]) -> Self {
        let mut words = vec![0u64; data.len().div_ceil(8)];
        bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..data.len()].copy_from_slice(data);
        Self { words, len: data.len() }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    /// As a ledger.
    pub fn ledger(&self) -> Result<LedgerView<'_>> {
        LedgerView::load(self.as_slice())
    }

    /// As a market.
    pub fn market(&self) -> Result<MarketView<'_>> {
        MarketView::load(self.as_slice())
    }
}

/// Address as the engine's key type.
pub fn key_of(address: &Address) -> Key {
    Key::new(address.as_array())
}

/// The trading account of `owner` with this label; the newest, should there be several.
pub fn find_trader(ledger: &LedgerView<'_>, owner: &Address, sub_account: u16) -> Option<Trader> {
    let key = key_of(owner);
    ledger
        .traders()
        .filter(|(_, trader)| trader.owner == key && trader.sub_account == sub_account)
        .max_by_key(|(_, trader)| trader.generation)
        .map(|(cell, trader)| Trader { authority: *owner, cell, generation: trader.generation })
}

/// One price level of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Price.
    pub price: Ticks,
    /// Lots of all orders at it, expired ones left out.
    pub lots: Lots,
    /// How many orders.
    pub orders: u32,
}

/// A side aggregated by price, best first, at most `depth` levels.
pub fn levels(market: &MarketView<'_>, side: Side, depth: usize, now: UnixSeconds) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for (_, node) in market.orders(side).filter(|(_, node)| !node.is_expired(now)) {
        if let Some(level) = levels.last_mut().filter(|level| level.price == node.price) {
            level.lots = Lots::new(level.lots.get().saturating_add(node.lots.get()));
            level.orders += 1;
        } else if levels.len() < depth {
            levels.push(Level { price: node.price, lots: node.lots, orders: 1 });
        } else {
            break;
        }
    }
    levels
}

/// The trader's resting orders in a market with their handles, newest first.
pub fn own_orders<'a>(
    ledger: &LedgerView<'a>,
    market: &MarketView<'a>,
    trader: &Trader,
) -> Result<Vec<(NodeIndex, &'a OrderNode)>> {
    let cell = live(ledger, trader)?;
    let found = ledger.positions(cell).find(|(_, position)| position.market == market.header.index);
    let mut orders = Vec::new();
    let mut next = found.map_or(NodeIndex::NIL, |(_, position)| position.first_order);
    while let Some(node) = market.node(next) {
        orders.push((next, node));
        next = node.next;
    }
    Ok(orders)
}

/// The trader's conditional orders in a market with their handles, newest first.
pub fn own_triggers<'a>(
    ledger: &LedgerView<'a>,
    market: MarketIndex,
    trader: &Trader,
) -> Result<Vec<(TriggerHandle, &'a TriggerCell)>> {
    let cell = live(ledger, trader)?;
    let found = ledger.positions(cell).filter(|(_, position)| position.market == market);
    let triggers = found.flat_map(|(_, position)| ledger.triggers(position));
    Ok(triggers.map(|(cell, trigger)| (TriggerHandle { cell, number: trigger.number }, trigger)).collect())
}

/// A trading account at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Free collateral; negative while losses are covered by unrealised profit.
    pub cash: QuoteDelta,
    /// Cash plus unrealised profit and loss at mark, less funding due.
    pub equity: QuoteDelta,
    /// The same at the worst of mark, index and stable price: what the requirement to add risk is compared with.
    pub prudent_equity: QuoteDelta,
    /// Requirement to add risk.
    pub initial_margin: QuoteAtoms,
    /// Requirement to keep positions.
    pub maintenance_margin: QuoteAtoms,
    /// What a withdrawal may take, if prices are fresh.
    pub withdrawable: QuoteAtoms,
}

/// Margin of a trading account, by the code the program runs.
pub fn summary(ledger: &LedgerView<'_>, trader: &Trader, now: UnixSeconds) -> Result<Summary> {
    let cell = live(ledger, trader)?;
    let initial = margin::initial(ledger, cell, now)?;
    let maintenance = margin::maintenance(ledger, cell, now)?;
    let (withdrawable, _) = margin::withdrawable(ledger, cell, now)?;
    Ok(Summary {
        cash: cell.cash.get(),
        equity: maintenance.equity,
        prudent_equity: initial.equity,
        initial_margin: initial.required,
        maintenance_margin: maintenance.required,
        withdrawable,
    })
}

/// Signed size of the trader's position in a market, in lots.
pub fn position_lots(ledger: &LedgerView<'_>, trader: &Trader, market: MarketIndex) -> Result<i64> {
    let cell = live(ledger, trader)?;
    let found = ledger.positions(cell).find(|(_, position)| position.market == market);
    Ok(found.map_or(0, |(_, position)| position.base.get()))
}

fn live<'a>(ledger: &LedgerView<'a>, trader: &Trader) -> Result<&'a TraderCell> {
    let cell = ledger.trader(trader.cell)?;
    if cell.generation == trader.generation { Ok(cell) } else { Err(quantdesk_engine::EngineError::TraderNotFound) }
}
