//! An independent model of the engine: naive, slow, obviously right.
//!
//! Books are `BTreeMap`s, amounts are `i128` (both test profiles trap overflow), and every operation works on a clone
//! that is thrown away on an error. It predicts the exact outcome of every call, the error included, and every record
//! of the audit trail. It shares types of arguments and errors with the engine, and no code.

pub mod accounts;
pub mod compare;
pub mod delay;
pub mod deleverage;
pub mod fees;
pub mod ladder;
pub mod matching;
pub mod mode;
pub mod outflow;
pub mod pair;
pub mod pegged;
pub mod pool;
pub mod price;
pub mod quote_ladder;
pub mod resting;
pub mod risk;
pub mod trigger;

use quantdesk_engine::{
    EngineError, Result, Side,
    risk::listing::ListingParameters,
    state::{CashEventKind, TradeEventKind, ledger::Policy},
};
use std::collections::{BTreeMap, VecDeque};

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
    pub step: i128,
    pub step_seconds: i64,
    pub stable_step: i128,
    pub basis_max: i128,
    pub dead_zone: i128,
    pub funding_cap: i128,
    pub liquidation_fee: i128,
    pub takeover_discount: i128,
    pub buffer: i128,
    pub scale_max: i128,
    pub scale_lower: i128,
    pub scale_upper: i128,
    pub pool_budget: i128,
    pub tip_max: i128,
    pub events_capacity: usize,
    /// In slots.
    pub taker_delay: u64,
}

/// A resting order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub sequence: u64,
    /// Its first number: what waited gets another one when it rests, and keeps its place in its owner's list.
    pub listed: u64,
    pub trader: usize,
    pub side: Side,
    pub price: i128,
    pub lots: i128,
    pub client_id: u64,
    pub expires_at: i64,
    pub reduce_only: bool,
    /// Ticks from the index; `price` is its limit then.
    pub peg: Option<i128>,
}

/// Best first: the price turned so that smaller is better, then the sequence.
pub type Queue = BTreeMap<(i128, u64), Order>;

#[derive(Clone, Debug)]
pub struct Market {
    pub terms: Terms,
    pub status: u8,
    pub bids: Queue,
    pub asks: Queue,
    /// Takers that wait, first to come first. One that left early leaves its place empty until it is first.
    pub waiting: VecDeque<Option<delay::Waiting>>,
    /// Orders pegged to the index, of both sides, in no order.
    pub pegs: Vec<Order>,
    pub orders_placed: u64,
    pub events: u64,
    pub last_trade_price: i128,
    pub last_trade_time: i64,
    /// Conditional orders, oldest first.
    pub triggers: Vec<trigger::Trigger>,
    pub publish_time: i64,
    pub condition: u8,
    pub source_times: [i64; 4],
    pub index: i128,
    pub mark: i128,
    pub stable: i128,
    /// In ticks × 2^16.
    pub basis: i128,
    pub mark_at: i64,
    pub stable_at: i64,
    pub lagging: bool,
    pub updated_at: i64,
    pub updated_slot: u64,
    /// Factor of initial margin, in ppm.
    pub scale: i128,
    /// Atoms × 2^20 per lot, and what is left over of the division by a day.
    pub funding_index: i128,
    pub funding_remainder: i128,
    pub funding_pot: i128,
    /// What the pool has paid for this market.
    pub pool_spent: outflow::Bucket,
    pub deleverage: Option<deleverage::Deleverage>,
    /// Deleveragings started.
    pub deleveragings: u64,
    /// Makers' ladders, by their numbers.
    pub ladders: Vec<Option<quote_ladder::Ladder>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Its place in the arena.
    pub cell: u32,
    pub base: i128,
    pub quote: i128,
    pub realised: i128,
    pub fees_paid: i128,
    pub funding_index: i128,
    pub funding_paid: i128,
    pub bid_bound: i128,
    pub ask_bound: i128,
    /// The maker's number of its last ladder.
    pub quote_sequence: u64,
    /// How often it was closed or changed its direction.
    pub turns: u32,
}

/// A trader's resting orders in one market: how many, and lots by side.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open {
    pub orders: usize,
    pub bids: i128,
    pub asks: i128,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trader {
    /// Its place in the arena.
    pub cell: u32,
    pub owner: u64,
    pub sub_account: u16,
    pub generation: u32,
    pub cash: i128,
    /// What came in from outside less what went out.
    pub paid_in: i128,
    /// Largest taker fee that it accepts.
    pub fee_max: u32,
    pub positions: Vec<Option<Position>>,
    /// Markets in the order in which it came to have positions in them.
    pub entered: Vec<usize>,
    pub bankrupt: bool,
    /// Atoms of the pool in the account.
    pub absorbed: i128,
    /// Seconds of its dead-man switch, and when it was last set.
    pub deadman: (u32, i64),
    pub fees: fees::TraderFees,
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
    pub builder_fee: i128,
    pub resting: Option<u64>,
    pub waiting: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub now: i64,
    pub slot: u64,
    pub markets: Vec<Market>,
    pub traders: Vec<Option<Trader>>,
    pub policy: Policy,
    pub fees: i128,
    pub total: i128,
    pub pool: i128,
    pub pool_shares: i128,
    pub pool_epoch: u32,
    pub stakes: BTreeMap<u64, pool::Stake>,
    pub outflow: outflow::Bucket,
    pub queue: VecDeque<outflow::Waiting>,
    pub watch: Vec<ladder::Watched>,
    pub sweep_cursor: u32,
    pub modes: mode::Modes,
    pub capacity: u32,
    /// Cells released, the last one on top, and how many were ever used.
    pub released: Vec<u32>,
    pub high_water: u32,
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
        let risk = &parameters.risk;
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
            step: risk.step.get().into(),
            step_seconds: risk.step_seconds.into(),
            stable_step: risk.stable_step.get().into(),
            basis_max: risk.basis_max.get().into(),
            dead_zone: risk.funding_dead_zone.get().into(),
            funding_cap: risk.funding_cap.get().into(),
            liquidation_fee: risk.liquidation_fee.get().into(),
            takeover_discount: risk.takeover_discount.get().into(),
            buffer: risk.liquidation_buffer.get().into(),
            scale_max: risk.interest_scale_max.get().into(),
            scale_lower: risk.interest_scale_lower.get().into(),
            scale_upper: risk.interest_scale_upper.get().into(),
            pool_budget: risk.pool_budget.get().into(),
            tip_max: risk.liquidation_tip_max.get().into(),
            events_capacity: parameters.events_capacity as usize,
            taker_delay: parameters.taker_delay.into(),
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
            waiting: VecDeque::new(),
            pegs: Vec::new(),
            orders_placed: 0,
            events: 0,
            last_trade_price: 0,
            last_trade_time: 0,
            triggers: Vec::new(),
            publish_time: 0,
            condition: 0,
            source_times: [0; 4],
            index: 0,
            mark: 0,
            stable: 0,
            basis: 0,
            mark_at: 0,
            stable_at: 0,
            lagging: false,
            updated_at: 0,
            updated_slot: 0,
            scale: PPM,
            funding_index: 0,
            funding_remainder: 0,
            funding_pot: 0,
            pool_spent: outflow::Bucket::default(),
            deleverage: None,
            deleveragings: 0,
            ladders: vec![None; quote_ladder::LADDERS],
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
        let waiting = self.waiting.iter().flatten().map(|waiting| &waiting.order);
        self.bids.values().chain(self.asks.values()).chain(&self.pegs).chain(waiting).chain(self.ladder_orders())
    }

    pub fn orders_of(&self, trader: usize) -> impl Iterator<Item = &Order> {
        self.orders().filter(move |order| order.trader == trader)
    }

    pub fn find(&self, sequence: u64) -> Option<&Order> {
        self.orders().find(|order| order.sequence == sequence)
    }

    pub fn waits(&self, sequence: u64) -> bool {
        self.waiting.iter().flatten().any(|waiting| waiting.order.sequence == sequence)
    }

    /// Nobody waits in a place that was left and is first.
    pub fn pass_left(&mut self) {
        while self.waiting.front().is_some_and(Option::is_none) {
            self.waiting.pop_front();
        }
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
    pub fn new(listings: &[ListingParameters], cells: u32, policy: Policy, now: i64, slot: u64) -> Self {
        Self {
            now,
            slot,
            markets: listings.iter().map(Market::new).collect(),
            traders: Vec::new(),
            policy,
            fees: 0,
            total: 0,
            pool: 0,
            pool_shares: 0,
            pool_epoch: 0,
            stakes: BTreeMap::new(),
            outflow: outflow::Bucket::default(),
            queue: VecDeque::new(),
            watch: Vec::new(),
            sweep_cursor: 0,
            modes: mode::Modes::default(),
            capacity: cells,
            released: Vec::new(),
            high_water: 0,
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
        self.high_water - self.released.len() as u32
    }

    /// A cell of the arena: the one released last, or a new one.
    fn take_cell(&mut self) -> Result<u32> {
        if let Some(cell) = self.released.pop() {
            return Ok(cell);
        }
        if self.high_water == self.capacity {
            return Err(EngineError::LedgerFull);
        }
        self.high_water += 1;
        Ok(self.high_water - 1)
    }

    /// The trader's position in a market, opened if there is none.
    fn enter(&mut self, trader: usize, market: usize) -> Result<()> {
        if self.trader(trader).positions[market].is_none() {
            let cell = self.take_cell()?;
            let funding_index = self.markets[market].funding_index;
            let owner = self.trader_mut(trader);
            owner.positions[market] = Some(Position { cell, funding_index, ..Position::default() });
            owner.entered.push(market);
        }
        Ok(())
    }

    pub fn open_interest(&self, market: usize) -> i128 {
        let bases = self.live().map(|(id, _)| self.position(id, market).base);
        bases.map(|base| base.max(0)).sum()
    }

    fn note(&mut self, kind: CashEventKind, trader: usize, amount: i128) {
        let entry = (kind, self.trader(trader).cell, amount, self.trader(trader).cash);
        self.note_entry(entry);
    }

    /// A record about nobody.
    fn note_of_nobody(&mut self, kind: CashEventKind, amount: i128, balance: i128) {
        self.note_entry((kind, NOBODY, amount, balance));
    }

    fn note_entry(&mut self, entry: CashEntry) {
        self.cash_trail.push(entry);
        self.cash_events += 1;
    }
}
