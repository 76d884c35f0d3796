//! An independent model of the engine: naive, slow, obviously right.
//!
//! Books are `BTreeMap`s, amounts are `i128` (both test profiles trap overflow), and every operation works on a clone
//! that is thrown away on an error. It predicts the exact outcome of every call, the error included, and every record
//! of the audit trail. It shares types of arguments and errors with the engine, and no code.

pub mod compare;
pub mod matching;
pub mod pair;
pub mod price;
pub mod risk;

use quantdesk_engine::{
    EngineError, Result, Side,
    book::Sides,
    risk::listing::ListingParameters,
    state::{CashEventKind, TradeEventKind},
};
use std::collections::BTreeMap;

pub const PPM: i128 = 1_000_000;
pub const NOBODY: u32 = u32::MAX;

/// What a market was listed with.
#[derive(Clone, Debug)]
pub struct Terms {
    pub tick_size: i128,
    pub tick_value: i128,
    pub price_max: i128,
    pub lots_min: i128,
    pub lots_max: i128,
    pub position_max: i128,
    pub open_interest_max: i128,
    pub band: i128,
    pub taker_fee: i128,
    pub maker_fee: i128,
    pub maintenance: i128,
    pub confidence_max: i128,
    pub divergence_max: i128,
    pub fresh_seconds: i64,
    pub dead_seconds: i64,
    pub sources_min: usize,
    pub side_capacity: usize,
    pub tiers: Vec<(i128, i128)>,
}

/// A resting order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub sequence: u64,
    pub trader: usize,
    pub side: Side,
    pub price: i128,
    pub lots: i128,
    pub client_id: u64,
    pub expires_at: i64,
    pub reduce_only: bool,
}

/// Best first: the price turned so that smaller is better, then the sequence.
pub type Queue = BTreeMap<(i128, u64), Order>;

#[derive(Clone, Debug)]
pub struct Market {
    pub terms: Terms,
    pub status: u8,
    pub bids: Queue,
    pub asks: Queue,
    pub orders_placed: u64,
    pub events: u64,
    pub last_trade_price: i128,
    pub mark: i128,
    pub publish_time: i64,
    pub condition: u8,
    pub source_times: [i64; 4],
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    pub base: i128,
    pub quote: i128,
    pub realised: i128,
    pub fees_paid: i128,
    pub bid_bound: i128,
    pub ask_bound: i128,
}

/// A trader's resting orders in one market: how many, and lots by side.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open {
    pub orders: usize,
    pub bids: i128,
    pub asks: i128,
}

#[derive(Clone, Debug)]
pub struct Trader {
    /// The engine's cell: a label here.
    pub cell: u32,
    pub owner: u64,
    pub sub_account: u16,
    pub generation: u32,
    pub cash: i128,
    pub positions: Vec<Option<Position>>,
}

/// A record of the trading trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub kind: TradeEventKind,
    pub side: Side,
    pub order: u64,
    pub client_id: u64,
    pub lots: i128,
    pub price: i128,
    pub maker: u32,
    pub taker: u32,
    pub taker_fee: i128,
    pub maker_fee: i128,
}

/// A record of the cash trail: kind, cell, amount, cash afterwards.
pub type CashEntry = (CashEventKind, u32, i128, i128);

/// What a placed order did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub filled: i128,
    pub quote: i128,
    pub fee: i128,
    pub resting: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub now: i64,
    pub markets: Vec<Market>,
    pub traders: Vec<Option<Trader>>,
    pub fees: i128,
    pub total: i128,
    pub capacity: u32,
    pub generation: u32,
    pub cash_events: u64,
    /// Records of the last call, in its market and in the ledger.
    pub trail: Vec<Event>,
    pub cash_trail: Vec<CashEntry>,
}

/// Rounded towards −∞.
pub fn floor_div(dividend: i128, divisor: i128) -> i128 {
    dividend.div_euclid(divisor)
}

/// Rounded towards +∞.
pub fn ceil_div(dividend: i128, divisor: i128) -> i128 {
    -(-dividend).div_euclid(divisor)
}

impl Terms {
    pub fn new(parameters: &ListingParameters) -> Self {
        let tiers = parameters.tiers.iter().take(usize::from(parameters.tiers_len));
        Self {
            tick_size: parameters.tick_size.get().into(),
            tick_value: parameters.tick_value.get().into(),
            price_max: parameters.price_max.get().into(),
            lots_min: parameters.lots_min.get().into(),
            lots_max: parameters.lots_max.get().into(),
            position_max: parameters.position_max.get().into(),
            open_interest_max: parameters.open_interest_max.get().into(),
            band: parameters.band.get().into(),
            taker_fee: parameters.taker_fee.get().into(),
            maker_fee: parameters.maker_fee.get().into(),
            maintenance: parameters.maintenance.get().into(),
            confidence_max: parameters.confidence_max.get().into(),
            divergence_max: parameters.divergence_max.get().into(),
            fresh_seconds: parameters.fresh_seconds.into(),
            dead_seconds: parameters.dead_seconds.into(),
            sources_min: usize::from(parameters.sources_min),
            side_capacity: parameters.side_capacity as usize,
            tiers: tiers.map(|tier| (tier.notional_max.get().into(), tier.rate.get().into())).collect(),
        }
    }
}

impl Market {
    fn new(parameters: &ListingParameters) -> Self {
        Self {
            terms: Terms::new(parameters),
            status: 1,
            bids: Queue::new(),
            asks: Queue::new(),
            orders_placed: 0,
            events: 0,
            last_trade_price: 0,
            mark: 0,
            publish_time: 0,
            condition: 0,
            source_times: [0; 4],
        }
    }

    pub fn queue(&self, side: Side) -> &Queue {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    pub fn queue_mut(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.bids.values().chain(self.asks.values())
    }

    pub fn orders_of(&self, trader: usize) -> impl Iterator<Item = &Order> {
        self.orders().filter(move |order| order.trader == trader)
    }

    pub fn find(&self, sequence: u64) -> Option<&Order> {
        self.orders().find(|order| order.sequence == sequence)
    }

    /// What a trader has resting.
    pub fn open(&self, trader: usize) -> Open {
        let mut open = Open::default();
        for order in self.orders().filter(|order| order.trader == trader) {
            open.orders += 1;
            match order.side {
                Side::Bid => open.bids += order.lots,
                Side::Ask => open.asks += order.lots,
            }
        }
        open
    }

    pub fn value(&self, price: i128, lots: i128) -> i128 {
        price * lots * self.terms.tick_value
    }
}

/// Where an order stands in its queue.
pub fn rank(side: Side, price: i128, sequence: u64) -> (i128, u64) {
    match side {
        Side::Bid => (-price, sequence),
        Side::Ask => (price, sequence),
    }
}

impl Model {
    pub fn new(listings: &[ListingParameters], cells: u32, now: i64) -> Self {
        Self {
            now,
            markets: listings.iter().map(Market::new).collect(),
            traders: Vec::new(),
            fees: 0,
            total: 0,
            capacity: cells,
            generation: 0,
            cash_events: 0,
            trail: Vec::new(),
            cash_trail: Vec::new(),
        }
    }

    /// Runs `call` and undoes it all on an error.
    pub fn attempt<R>(&mut self, call: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        self.note_nothing();
        let before = self.clone();
        let result = call(self);
        if result.is_err() {
            *self = before;
        }
        result
    }

    /// Forgets the records of the last call.
    pub fn note_nothing(&mut self) {
        self.trail.clear();
        self.cash_trail.clear();
    }

    pub fn trader(&self, trader: usize) -> &Trader {
        self.traders[trader].as_ref().expect("a live trader")
    }

    pub fn trader_mut(&mut self, trader: usize) -> &mut Trader {
        self.traders[trader].as_mut().expect("a live trader")
    }

    pub fn position(&self, trader: usize, market: usize) -> Position {
        self.trader(trader).positions[market].unwrap_or_default()
    }

    pub fn position_mut(&mut self, trader: usize, market: usize) -> &mut Position {
        self.trader_mut(trader).positions[market].as_mut().expect("a position")
    }

    /// Traders that are open.
    pub fn live(&self) -> impl Iterator<Item = (usize, &Trader)> {
        self.traders.iter().enumerate().filter_map(|(id, trader)| Some((id, trader.as_ref()?)))
    }

    pub fn cells_in_use(&self) -> u32 {
        self.live().map(|(_, trader)| 1 + trader.positions.iter().flatten().count() as u32).sum()
    }

    pub fn take_cell(&self) -> Result<()> {
        if self.cells_in_use() < self.capacity { Ok(()) } else { Err(EngineError::LedgerFull) }
    }

    pub fn open_interest(&self, market: usize) -> i128 {
        let bases = self.live().map(|(id, _)| self.position(id, market).base);
        bases.map(|base| base.max(0)).sum()
    }

    fn note(&mut self, kind: CashEventKind, trader: usize, amount: i128) {
        let entry = (kind, self.trader(trader).cell, amount, self.trader(trader).cash);
        self.cash_trail.push(entry);
        self.cash_events += 1;
    }

    /// Opens a trader and returns its number. The caller sets its cell.
    pub fn open(&mut self, owner: u64, sub_account: u16, cell: Option<u32>) -> Result<usize> {
        self.attempt(|model| {
            model.take_cell()?;
            model.generation += 1;
            let positions = vec![None; model.markets.len()];
            let cell = cell.unwrap_or(NOBODY);
            let trader = Trader { cell, owner, sub_account, generation: model.generation, cash: 0, positions };
            model.traders.push(Some(trader));
            let id = model.traders.len() - 1;
            model.note(CashEventKind::TraderOpened, id, sub_account.into());
            Ok(id)
        })
    }

    pub fn close(&mut self, trader: usize) -> Result<()> {
        self.attempt(|model| {
            let flat = model.trader(trader).positions.iter().flatten().all(|held| held.base == 0 && held.quote == 0);
            let quiet = model.markets.iter().all(|market| market.orders_of(trader).next().is_none());
            if model.trader(trader).cash != 0 || !flat || !quiet {
                return Err(EngineError::TraderNotEmpty);
            }
            model.note(CashEventKind::TraderClosed, trader, 0);
            model.traders[trader] = None;
            Ok(())
        })
    }

    pub fn deposit(&mut self, trader: usize, atoms: u64) -> Result<()> {
        self.attempt(|model| {
            if atoms == 0 {
                return Err(EngineError::AmountZero);
            }
            if model.total + i128::from(atoms) > 1 << 62 {
                return Err(EngineError::DepositTooLarge);
            }
            model.total += i128::from(atoms);
            model.trader_mut(trader).cash += i128::from(atoms);
            model.note(CashEventKind::Deposited, trader, atoms.into());
            Ok(())
        })
    }

    pub fn withdraw(&mut self, trader: usize, atoms: u64) -> Result<()> {
        self.attempt(|model| {
            if atoms == 0 {
                return Err(EngineError::AmountZero);
            }
            let (available, worst) = model.withdrawable(trader);
            if worst != price::Quality::Fresh {
                return Err(EngineError::PriceNotValidForAction);
            }
            if i128::from(atoms) > available {
                return Err(EngineError::WithdrawExceedsAvailable);
            }
            model.total -= i128::from(atoms);
            model.trader_mut(trader).cash -= i128::from(atoms);
            model.note(CashEventKind::Withdrawn, trader, atoms.into());
            Ok(())
        })
    }

    pub fn collect_fees(&mut self, atoms: u64) -> Result<()> {
        self.attempt(|model| {
            if atoms == 0 {
                return Err(EngineError::AmountZero);
            }
            if i128::from(atoms) > model.fees {
                return Err(EngineError::WithdrawExceedsAvailable);
            }
            model.total -= i128::from(atoms);
            model.fees -= i128::from(atoms);
            model.cash_trail.push((CashEventKind::FeesCollected, NOBODY, atoms.into(), 0));
            model.cash_events += 1;
            Ok(())
        })
    }

    pub fn grow(&mut self, cells: u32) -> Result<()> {
        self.attempt(|model| {
            if cells == 0 {
                return Err(EngineError::CapacityInvalid);
            }
            model.capacity += cells;
            Ok(())
        })
    }

    pub fn cancel(&mut self, trader: usize, market: usize, sequence: Option<u64>) -> Result<()> {
        self.attempt(|model| {
            let order = sequence.and_then(|sequence| model.markets[market].find(sequence));
            let order = order.filter(|order| order.trader == trader).cloned().ok_or(EngineError::OrderNotFound)?;
            model.drop_order(market, &order, TradeEventKind::Cancelled, NOBODY);
            Ok(())
        })
    }

    pub fn cancel_all(&mut self, trader: usize, market: usize, sides: Sides, limit: u8) -> Result<u8> {
        self.attempt(|model| {
            let wanted = |side| match sides {
                Sides::Both => true,
                Sides::Bids => side == Side::Bid,
                Sides::Asks => side == Side::Ask,
            };
            let mut orders: Vec<Order> = model.markets[market].orders_of(trader).cloned().collect();
            orders.sort_by_key(|order| std::cmp::Reverse(order.sequence));
            orders.retain(|order| wanted(order.side));
            orders.truncate(limit.into());
            for order in &orders {
                model.drop_order(market, order, TradeEventKind::Cancelled, NOBODY);
            }
            Ok(orders.len() as u8)
        })
    }
}
