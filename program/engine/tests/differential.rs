//! Random operations on engine and model in lockstep, then a drain to zero.
//!
//! `QUANTDESK_SEED` and `QUANTDESK_OPS` set the seed and the number of operations; a failure prints the seed of its run
//! and the operation, and `QUANTDESK_SEED=<that seed> QUANTDESK_OPS=1` repeats exactly that run.

#[allow(dead_code, reason = "every test binary uses its part")]
mod model;
#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use model::pair::{Did, Op, Pair};
use quantdesk_engine::{
    EngineError, Lots, NodeIndex, PicoPrice, Result, Side, Ticks, UnixSeconds,
    book::{NewOrder, OrderKind, SelfTrade, Sides},
    risk::{listing::ListingParameters, price::SourcePrice},
    slab::free_list::Slot,
    state::{Cell, OrderNode},
};
use std::collections::BTreeMap;
use support::{
    listing,
    random::{Random, setting},
    world::order,
};

const OPS: u64 = 120_000;
const OPS_PER_RUN: u64 = 1_000;
const OWNERS: u64 = 8;
const TRADERS: usize = 12;
/// Cells of the arena: too few, or enough for all traders in all markets.
const CELLS: [u32; 3] = [34, 64, 64];

/// A market to run on: the mark it starts at, how far apart prices are, the largest usual order.
struct Ground {
    listing: ListingParameters,
    mark: i64,
    step: i64,
    lots: u64,
}

/// Three markets, and the power of ten of their traders' wealth.
struct Venue {
    grounds: [Ground; 3],
    wealth: [i64; 2],
}

/// What a run leans towards: swarm testing, so that rare mixtures are somebody's daily business.
struct Habits {
    trade: u64,
    money: u64,
    price: u64,
    aggression: i64,
    reduce_only: u64,
    client_ids: u64,
    expiries: u64,
    few_matches: u64,
    mistakes: u64,
    wealth: u32,
}

/// How often everything happened.
type Tally = BTreeMap<String, u64>;

struct Run {
    seed: u64,
    venue: Venue,
    random: Random,
    habits: Habits,
    pair: Pair,
    marks: [i64; 3],
    tally: Tally,
}

impl Venue {
    /// Small numbers, where everything rounds and collides.
    fn small() -> Self {
        let ground = |listing, mark, step, lots| Ground { listing, mark, step, lots };
        let (usual, dust, fine) = (listing::usual(), listing::dust(), listing::fine());
        let grounds = [ground(usual, 100, 1, 8), ground(dust, 12, 1, 7), ground(fine, 50_000, 120, 400)];
        Self { grounds, wealth: [5, 8] }
    }

    /// The largest numbers a listing allows, beside a usual market.
    fn vast() -> Self {
        let vast = |mark, step, lots| Ground { listing: listing::vast(), mark, step, lots };
        let usual = Ground { listing: listing::usual(), mark: 100, step: 1, lots: 8 };
        Self { grounds: [vast(60_000, 500, 1 << 44), usual, vast(50_000, 900, 1 << 45)], wealth: [16, 17] }
    }
}

impl Habits {
    fn new(random: &mut Random, wealth: [i64; 2]) -> Self {
        Self {
            trade: random.pick(&[75, 80, 85]),
            money: random.pick(&[3, 6, 10]),
            price: random.pick(&[2, 5]),
            aggression: random.pick(&[-2, -1, 0, 0, 1]),
            reduce_only: random.pick(&[0, 5, 20, 50]),
            client_ids: random.pick(&[0, 20, 60]),
            expiries: random.pick(&[0, 10, 60]),
            few_matches: random.pick(&[0, 10, 50]),
            mistakes: random.pick(&[0, 2, 8]),
            wealth: random.range(wealth[0], wealth[1]) as u32,
        }
    }
}

impl Run {
    fn new(seed: u64, venue: Venue) -> Self {
        let mut random = Random::new(seed);
        let habits = Habits::new(&mut random, venue.wealth);
        let pair = Pair::new(&venue.grounds.each_ref().map(|ground| ground.listing), random.pick(&CELLS));
        let marks = venue.grounds.each_ref().map(|ground| ground.mark);
        Self { seed, venue, random, habits, pair, marks, tally: Tally::new() }
    }

    fn apply(&mut self, number: u64, op: &Op) -> Did {
        match self.pair.apply(op) {
            Ok(did) => {
                self.count(&did);
                did
            }
            Err(difference) => panic!("seed {} operation {number}: {op:?}\n{difference}", self.seed),
        }
    }

    /// What happened, so that a run that tests nothing shows.
    fn count(&mut self, did: &Did) {
        let mut add = |name: String| *self.tally.entry(name).or_default() += 1;
        add("operations".into());
        if let Did::Refused(error) = did {
            add(format!("{error:?}"));
        }
        self.pair.model.trail.iter().for_each(|event| add(format!("event {:?}", event.kind)));
    }

    fn live(&mut self) -> Option<usize> {
        let live: Vec<usize> = self.pair.model.live().map(|(id, _)| id).collect();
        (!live.is_empty()).then(|| self.random.pick(&live))
    }

    fn next_op(&mut self) -> Op {
        let Some(trader) = self.live() else { return self.open() };
        if let Some(atoms) = self.pocket_money(trader) {
            return Op::Deposit { trader, atoms };
        }
        let stale = (0..3).find(|market| self.pair.model.quality(*market) != model::price::Quality::Fresh);
        if let Some(market) = stale.filter(|_| self.random.chance(20)) {
            return self.price(market);
        }
        let kind = self.random.below(100);
        let Habits { trade, money, price, .. } = self.habits;
        match kind {
            _ if kind < trade => self.trade(trader),
            _ if kind < trade + money => self.money(trader),
            _ if kind < trade + money + price => {
                let market = self.random.index(3);
                self.price(market)
            }
            _ => match self.random.below(12) {
                0 | 1 => Op::Pass { seconds: self.random.range(0, 20) },
                2 => Op::Close { trader },
                3 if self.random.chance(20) => {
                    let fees = self.pair.model.fees as u64;
                    Op::CollectFees { atoms: self.random.pick(&[0, 1, fees / 2, fees, fees + 1]) }
                }
                3 if self.random.chance(10) => Op::Grow { cells: self.random.below(3) as u32 },
                4 | 5 => {
                    let closed = (0..3).find(|market| self.pair.model.markets[*market].status != 1);
                    match closed {
                        Some(market) => Op::Status { market, status: 1 },
                        None if self.random.chance(30) => {
                            Op::Status { market: self.random.index(3), status: self.random.pick(&[2, 2, 0, 3]) }
                        }
                        None => Op::Pass { seconds: 1 },
                    }
                }
                _ if self.pair.model.live().count() < TRADERS => self.open(),
                _ => self.trade(trader),
            },
        }
    }

    fn open(&mut self) -> Op {
        Op::Open { owner: 1 + self.random.below(OWNERS), sub_account: self.random.below(3) as u16 }
    }

    fn trade(&mut self, trader: usize) -> Op {
        let market = self.random.index(3);
        match self.random.below(10) {
            0 => self.cancel(trader, market),
            1 => {
                let sides = self.random.pick(&[Sides::Both, Sides::Bids, Sides::Asks]);
                let limit = self.random.pick(&[0, 1, 2, 255]);
                Op::CancelAll { trader, market, sides, limit }
            }
            _ => {
                let order = self.order(trader, market);
                let known = !self.random.chance(self.habits.mistakes / 5);
                Op::Place { trader: known.then_some(trader), market, order }
            }
        }
    }

    /// Mostly a live order of the trader, sometimes another's or one that is gone.
    fn cancel(&mut self, trader: usize, market: usize) -> Op {
        let own: Vec<u64> = self.pair.model.markets[market].orders_of(trader).map(|order| order.sequence).collect();
        let placed = self.pair.model.markets[market].orders_placed;
        let sequence = if own.is_empty() || self.random.chance(20) {
            self.random.below(placed + 2)
        } else {
            self.random.pick(&own)
        };
        let known = self.pair.handles.get(&(market, sequence)).copied();
        let stray = NodeIndex::new(self.random.below(40) as u32);
        let handle = if self.random.chance(5) { stray } else { known.unwrap_or(stray) };
        Op::Cancel { trader, market, handle, sequence }
    }

    fn order(&mut self, trader: usize, market: usize) -> NewOrder {
        let reduce_only = self.random.chance(self.habits.reduce_only);
        let closing = match self.pair.model.position(trader, market).base {
            base if base > 0 => Side::Ask,
            _ => Side::Bid,
        };
        let any = self.random.pick(&[Side::Bid, Side::Ask]);
        let side = if reduce_only && self.random.chance(80) { closing } else { any };
        let kinds = [
            OrderKind::Limit,
            OrderKind::Limit,
            OrderKind::Limit,
            OrderKind::PostOnly,
            OrderKind::ImmediateOrCancel,
            OrderKind::FillOrKill,
            OrderKind::Market,
        ];
        let away = self.random.range(-3, 3) - self.habits.aggression;
        let away = if side == Side::Bid { -away } else { away } * self.venue.grounds[market].step;
        let price = (self.marks[market] + away).max(1) as u32;
        let lots_max = self.venue.grounds[market].lots;
        let kind = self.random.pick(&kinds);
        let mut order = order(side, kind, price, 1 + self.random.below(lots_max));
        order.reduce_only = reduce_only;
        order.self_trade = self.random.pick(&[
            SelfTrade::CancelMaker,
            SelfTrade::CancelTaker,
            SelfTrade::CancelBoth,
            SelfTrade::Decrement,
        ]);
        let now = self.pair.model.now;
        if self.random.chance(self.habits.client_ids) {
            order.client_id = 1 + self.random.below(4);
        }
        if self.random.chance(self.habits.expiries) {
            order.expires_at = UnixSeconds::new(now + self.random.range(1, 30));
        }
        if self.random.chance(self.habits.few_matches) {
            order.match_limit = 1 + self.random.below(3) as u8;
        }
        if self.random.chance(self.habits.mistakes) {
            self.spoil(market, &mut order);
        }
        order
    }

    /// An order at or just past one of the bounds it must keep.
    fn spoil(&mut self, market: usize, order: &mut NewOrder) {
        let terms = &self.pair.model.markets[market].terms;
        let (mark, reach) = (self.pair.model.markets[market].mark, terms.band);
        let reach = mark * reach / model::PPM;
        let edge = if order.side == Side::Bid { mark + reach } else { mark - reach };
        let prices = [0, terms.price_max, terms.price_max + 1, edge, edge + 1, edge - 1];
        let lots = [0, 1, terms.lots_min - 1, terms.lots_min, terms.lots_max, terms.lots_max + 1];
        match self.random.below(4) {
            0 => order.price = Ticks::new(self.random.pick(&prices).max(0) as u32),
            1 => order.lots = Lots::new(self.random.pick(&lots) as u64),
            2 => order.match_limit = 0,
            _ => order.expires_at = UnixSeconds::new(self.pair.model.now - self.random.range(-1, 1)),
        }
    }

    /// Somebody without anything mostly gets something.
    fn pocket_money(&mut self, trader: usize) -> Option<u64> {
        let empty = self.pair.model.trader(trader).cash == 0 && self.random.chance(60);
        empty.then(|| 1 + self.random.below(10u64.pow(self.habits.wealth) * 9))
    }

    fn money(&mut self, trader: usize) -> Op {
        let scale = 10u64.pow(self.random.range(2, self.habits.wealth.into()) as u32);
        let atoms = match self.random.below(40) {
            0 => 0,
            1 => self.random.pick(&[1, 1 << 62, u64::MAX]),
            _ => 1 + self.random.below(scale * 10),
        };
        if self.random.chance(55) || self.pair.model.trader(trader).cash <= 0 {
            return Op::Deposit { trader, atoms };
        }
        let available = self.pair.model.withdrawable(trader).0 as u64;
        let atoms = match self.random.below(4) {
            0 => atoms,
            1 => available,
            2 => available + 1,
            _ => available / 2,
        };
        Op::Withdraw { trader, atoms }
    }

    /// Mostly good readings near the last mark, sometimes everything that can be wrong with one.
    fn price(&mut self, market: usize) -> Op {
        let terms = &self.pair.model.markets[market].terms;
        let ground = &self.venue.grounds[market];
        let (tick, sources) = (terms.tick_size as u64, ground.listing.sources_len);
        let (low, high) = (ground.mark * 3 / 4, ground.mark * 5 / 4);
        let high = high.min(terms.price_max as i64);
        let step = self.random.range(-3, 3) * ground.step;
        let back = (ground.mark - self.marks[market]).signum() * self.random.range(0, 1);
        let mark = (self.marks[market] + step + back).clamp(low, high);
        let now = self.pair.model.now;
        let mut readings = Vec::new();
        for _ in 0..sources {
            let price = mark as u64 * tick + self.random.below(tick / 2);
            let confidence = PicoPrice::new(price / 1_000);
            let mut reading = SourcePrice {
                price: PicoPrice::new(price),
                confidence,
                publish_time: UnixSeconds::new(now - self.random.pick(&[0, 0, 0, 0, 0, 0, 1, 3])),
            };
            let mut result = Ok(());
            if self.random.chance(8) {
                match self.random.below(7) {
                    0 => reading.confidence = PicoPrice::new(price / 99),
                    1 => reading.price = PicoPrice::new(price + price / 40),
                    2 => reading.publish_time = UnixSeconds::new(now + self.random.range(9, 11)),
                    3 => reading.publish_time = UnixSeconds::new(now - self.random.range(59, 62)),
                    4 => reading.price = PicoPrice::new(self.random.pick(&[0, 1, u64::MAX])),
                    5 => reading.publish_time = UnixSeconds::new(now - 30),
                    _ => result = Err(EngineError::OracleSamplesTooFew),
                }
            }
            readings.push(result.map(|()| reading));
        }
        Op::Price { market, readings }
    }

    fn refresh(&mut self, number: u64) {
        for market in 0..3 {
            let terms = &self.pair.model.markets[market].terms;
            let reading = SourcePrice {
                price: PicoPrice::new(terms.tick_size as u64 * self.marks[market] as u64),
                confidence: PicoPrice::ZERO,
                publish_time: UnixSeconds::new(self.pair.model.now),
            };
            let readings: Vec<Result<SourcePrice>> =
                vec![Ok(reading); usize::from(self.venue.grounds[market].listing.sources_len)];
            self.apply(number, &Op::Price { market, readings });
        }
    }

    fn follow_marks(&mut self) {
        for market in 0..3 {
            self.marks[market] = self.pair.model.markets[market].mark as i64;
        }
    }

    fn run(&mut self, ops: u64) {
        self.refresh(0);
        for _ in 0..8 {
            let op = self.open();
            self.apply(0, &op);
        }
        for number in 1..=ops {
            let op = self.next_op();
            self.apply(number, &op);
            self.follow_marks();
            if number % 16 == 0 {
                let margins = self.pair.check_margins();
                margins.unwrap_or_else(|text| panic!("seed {} operation {number}: {text}", self.seed));
            }
        }
        self.drain(ops);
    }
}

/// The drain: whatever state a run ends in, everybody can leave, and nothing is left behind but the fees, which are collected last.
impl Run {
    fn drain(&mut self, number: u64) {
        for market in 0..3 {
            self.apply(number, &Op::Status { market, status: 1 });
        }
        // Later than every time a source may have published.
        self.apply(number, &Op::Pass { seconds: 20 });
        self.refresh(number);
        self.follow_marks();
        let live: Vec<usize> = self.pair.model.live().map(|(id, _)| id).collect();
        for (trader, market) in live.iter().flat_map(|trader| (0..3).map(|market| (*trader, market))) {
            self.apply(number, &Op::CancelAll { trader, market, sides: Sides::Both, limit: 255 });
        }
        for trader in live {
            let atoms = (self.pair.model.withdrawable(trader).0 as u64).max(1);
            self.apply(number, &Op::Withdraw { trader, atoms });
        }
        self.apply(number, &Op::Grow { cells: 4 });
        let Did::Opened(closer) = self.apply(number, &Op::Open { owner: 99, sub_account: 0 }) else {
            panic!("seed {}: no cell after growing", self.seed);
        };
        let atoms = (((1 << 62) - self.pair.model.total) / 2) as u64;
        self.apply(number, &Op::Deposit { trader: closer, atoms });
        for market in 0..3 {
            self.flatten(number, market, closer);
        }
        for (trader, _) in self.pair.model.clone().live() {
            self.leave(number, trader);
        }
        let fees = self.pair.model.fees as u64;
        if fees > 0 {
            assert_eq!(self.apply(number, &Op::CollectFees { atoms: fees }), Did::Nothing, "seed {}", self.seed);
        }
        self.check_empty();
    }

    /// Closes all positions of a market at the mark, long and short in turn, against one account that ends flat.
    fn flatten(&mut self, number: u64, market: usize, closer: usize) {
        loop {
            let held = self.pair.model.position(closer, market).base;
            let Some((trader, base)) = self.holder(market, held > 0, closer) else { break };
            let terms = &self.pair.model.markets[market].terms;
            let lots = base.abs().min(self.venue.grounds[market].lots.into());
            let (side, taken) = (if base > 0 { Side::Ask } else { Side::Bid }, lots.max(terms.lots_min));
            let mark = self.marks[market] as u32;
            let mut leaving = order(side, OrderKind::PostOnly, mark, lots as u64);
            leaving.reduce_only = true;
            let taking = order(side.opposite(), OrderKind::ImmediateOrCancel, mark, taken as u64);
            self.expect_placed(number, Op::Place { trader: Some(trader), market, order: leaving });
            self.expect_placed(number, Op::Place { trader: Some(closer), market, order: taking });
        }
        assert_eq!(self.pair.model.position(closer, market).base, 0, "seed {}: positions add up", self.seed);
    }

    /// Somebody who is short, or long, in this market, and how much.
    fn holder(&self, market: usize, short: bool, except: usize) -> Option<(usize, i128)> {
        let model = &self.pair.model;
        let mut bases = model.live().map(|(id, _)| (id, model.position(id, market).base));
        bases.find(|(id, base)| *id != except && if short { *base < 0 } else { *base > 0 })
    }

    fn expect_placed(&mut self, number: u64, op: Op) {
        let did = self.apply(number, &op);
        assert!(matches!(did, Did::Placed(_)), "seed {}: {op:?} {did:?}", self.seed);
    }

    /// A bankrupt account is made good from outside; then everything is withdrawn and the account closed.
    fn leave(&mut self, number: u64, trader: usize) {
        let cash = self.pair.model.trader(trader).cash;
        if cash < 0 {
            self.apply(number, &Op::Deposit { trader, atoms: cash.unsigned_abs() as u64 });
        } else if cash > 0 {
            let did = self.apply(number, &Op::Withdraw { trader, atoms: cash as u64 });
            assert_eq!(did, Did::Nothing, "seed {}: a flat account may take all its cash", self.seed);
        }
        assert_eq!(self.apply(number, &Op::Close { trader }), Did::Nothing, "seed {}", self.seed);
    }

    fn check_empty(&self) {
        let (view, seed) = (self.pair.world.view(), self.seed);
        let header = view.header;
        let left = header.residue.get().get();
        assert_eq!(header.total.get().get(), left, "seed {seed}: the residue is all that is left");
        assert_eq!(self.pair.world.vault, left as u64, "seed {seed}: and it is in the vault");
        assert_eq!(header.cells.in_use(), 0, "seed {seed}: all cells are free");
        for cell in view.cells.iter().take(header.cells.high_water() as usize) {
            assert_eq!(cell.next_free().map(Cell::released), Some(*cell), "seed {seed}: a released cell is zero");
        }
        for index in 0..3 {
            let market = self.pair.world.market(index);
            assert_eq!(view.rows[index].open_interest, Lots::ZERO, "seed {seed}: no open interest");
            assert_eq!(market.header.nodes.in_use(), 0, "seed {seed}: books are empty");
            assert!(
                self.pair.world.entries(index).iter().all(|byte| *byte == 0),
                "seed {seed}: unused entries are zero"
            );
            for node in market.nodes.iter().take(market.header.nodes.high_water() as usize) {
                assert_eq!(node.next_free().map(OrderNode::released), Some(*node), "seed {seed}: a free node is zero");
            }
        }
    }
}

/// Runs `of` lanes' share number `lane` of all runs. The seed of the first run is `QUANTDESK_SEED`.
fn lane(lane: u64, of: u64, ops: u64, venue: fn() -> Venue) {
    let first = setting("QUANTDESK_SEED", 1);
    let runs = ops.div_ceil(OPS_PER_RUN);
    let mut tally = Tally::new();
    for number in (lane..runs).step_by(of as usize) {
        let mut run = Run::new(first.wrapping_add(number), venue());
        run.run(OPS_PER_RUN);
        for (name, times) in run.tally {
            *tally.entry(name).or_insert(0) += times;
        }
    }
    println!("seeds {first}..{}, lane {lane}: {tally:?}", first.wrapping_add(runs));
}

#[test]
fn engine_equals_model_after_every_operation_lane_0() {
    lane(0, 3, setting("QUANTDESK_OPS", OPS), Venue::small);
}

#[test]
fn engine_equals_model_after_every_operation_lane_1() {
    lane(1, 3, setting("QUANTDESK_OPS", OPS), Venue::small);
}

#[test]
fn engine_equals_model_after_every_operation_lane_2() {
    lane(2, 3, setting("QUANTDESK_OPS", OPS), Venue::small);
}

/// Every bound a listing proves is relied on here: nothing overflows, nothing wraps.
#[test]
fn engine_equals_model_at_the_largest_listable_sizes() {
    lane(0, 1, setting("QUANTDESK_OPS", OPS) / 5, Venue::vast);
}
