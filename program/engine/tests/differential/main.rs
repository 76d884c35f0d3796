//! Random operations on engine and model in lockstep, then a drain to zero.
//!
//! `QUANTDESK_SEED` and `QUANTDESK_OPS` set the seed and the number of operations; a failure prints the seed of its run
//! and the operation, and `QUANTDESK_SEED=<that seed> QUANTDESK_OPS=1` repeats exactly that run.

mod coalition;
mod drain;
mod fees;
mod guard;
mod ladder;
#[allow(dead_code, reason = "every test binary uses its part")]
#[path = "../model/mod.rs"]
mod model;
mod money;
mod orders;
mod quote_ladders;
#[allow(dead_code, reason = "every test binary uses its part")]
#[path = "../support/mod.rs"]
mod support;
mod triggers;

use model::pair::{Did, Op, Pair};
use quantdesk_engine::{
    PicoPrice, Ppm, QuoteAtoms, Result, UnixSeconds,
    risk::{listing::ListingParameters, price::SourcePrice},
    state::{fees::FeeSchedule, ledger::Policy},
};
use std::collections::BTreeMap;
use support::{
    listing,
    random::{Random, setting},
    world::GENEROUS,
};

/// The slow profile gets fewer.
const OPS: u64 = if cfg!(debug_assertions) { 40_000 } else { 240_000 };
const OPS_PER_RUN: u64 = 1_000;
const OWNERS: u64 = 8;
const TRADERS: usize = 12;
/// Slots that takers wait in a market where they do.
const DELAY: u8 = 3;
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
    ladder: u64,
    triggers: u64,
    /// How often somebody acts when an account is below maintenance margin.
    vigilance: u64,
    /// How often somebody withdraws all he can.
    greed: u64,
    /// Where prices are heading, in steps an update.
    drift: [i64; 3],
    aggression: i64,
    reduce_only: u64,
    client_ids: u64,
    expiries: u64,
    pegs: u64,
    few_matches: u64,
    /// How often the market waits for those who wait.
    patience: u64,
    mistakes: u64,
    /// How often an order names a builder, a guard, or comes with others.
    special: u64,
    /// How often the guardian does something.
    guard: u64,
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
    /// Whether every reading of a price is a good one.
    honest_oracle: bool,
    /// Accounts for every atom of everybody, where a test asks for it.
    audit: Option<coalition::Audit>,
    /// The market whose price is updated next.
    due: Option<usize>,
    tally: Tally,
}

impl Venue {
    /// Small numbers, where everything rounds and collides.
    fn small() -> Self {
        let ground = |listing, mark, step, lots| Ground { listing, mark, step, lots };
        let (usual, dust, fine) = (listing::usual(), listing::dust(), listing::fine());
        // Takers wait in one of them.
        let usual = listing::delayed(usual, DELAY);
        let grounds = [ground(usual, 100, 1, 8), ground(dust, 12, 1, 7), ground(fine, 50_000, 120, 400)];
        Self { grounds, wealth: [4, 7] }
    }

    /// The largest numbers a listing allows, beside a usual market.
    fn vast() -> Self {
        let vast = |mark, step, lots| Ground { listing: listing::vast(), mark, step, lots };
        let listing = listing::delayed(listing::usual(), DELAY);
        let usual = Ground { listing, mark: 100, step: 1, lots: 8 };
        Self { grounds: [vast(60_000, 500, 1 << 44), usual, vast(50_000, 900, 1 << 45)], wealth: [15, 17] }
    }
}

impl Habits {
    fn new(random: &mut Random, wealth: [i64; 2]) -> Self {
        Self {
            trade: random.pick(&[55, 65, 75]),
            money: random.pick(&[3, 6, 10]),
            price: random.pick(&[3, 6, 12]),
            ladder: random.pick(&[2, 5, 10]),
            triggers: random.pick(&[0, 15, 40]),
            vigilance: random.pick(&[0, 10, 30, 60]),
            greed: random.pick(&[0, 10, 40]),
            drift: [(); 3].map(|()| random.pick(&[-3, -1, 0, 0, 1, 3])),
            aggression: random.pick(&[-2, -1, 0, 0, 1]),
            reduce_only: random.pick(&[0, 5, 20, 50]),
            client_ids: random.pick(&[0, 20, 60]),
            expiries: random.pick(&[0, 10, 60]),
            pegs: random.pick(&[0, 10, 50]),
            few_matches: random.pick(&[0, 10, 50]),
            patience: random.pick(&[2, 15, 50]),
            mistakes: random.pick(&[0, 2, 8]),
            special: random.pick(&[0, 10, 40]),
            guard: random.pick(&[0, 0, 1, 3]),
            wealth: random.range(wealth[0], wealth[1]) as u32,
        }
    }
}

/// Everything is paid at once, or little is and the rest waits an hour.
fn policy(random: &mut Random) -> Policy {
    if random.chance(40) {
        return GENEROUS;
    }
    Policy {
        outflow_rate: Ppm::new(random.pick(&[1_000, 20_000, 200_000])),
        queue_seconds: 3_600,
        outflow_floor: QuoteAtoms::new(random.pick(&[0, 10_000, 1_000_000])),
        pool_fee_share: Ppm::new(random.pick(&[0, 250_001, 1_000_000])),
        unstake_seconds: 86_400,
        fees: FeeSchedule::NONE,
    }
}

impl Run {
    fn new(seed: u64, venue: Venue) -> Self {
        let mut random = Random::new(seed);
        let habits = Habits::new(&mut random, venue.wealth);
        let policy = Policy { fees: fees::schedule(&mut random, habits.wealth), ..policy(&mut random) };
        let pair = Pair::new(&venue.grounds.each_ref().map(|ground| ground.listing), random.pick(&CELLS), policy);
        let marks = venue.grounds.each_ref().map(|ground| ground.mark);
        Self {
            seed,
            venue,
            random,
            habits,
            pair,
            marks,
            honest_oracle: false,
            audit: None,
            due: None,
            tally: Tally::new(),
        }
    }

    fn apply(&mut self, number: u64, op: &Op) -> Did {
        let before = self.audit.is_some().then(|| self.pair.model.clone());
        match self.pair.apply(op) {
            Ok(did) => {
                self.count(op, &did);
                if let (Some(audit), Some(before)) = (&mut self.audit, before) {
                    let explained = audit.explain(op, &did, &before, &self.pair.model);
                    explained.unwrap_or_else(|text| panic!("seed {} operation {number}: {op:?}\n{text}", self.seed));
                }
                did
            }
            Err(difference) => panic!("seed {} operation {number}: {op:?}\n{difference}", self.seed),
        }
    }

    /// What happened, so that a run that tests nothing shows.
    fn count(&mut self, op: &Op, did: &Did) {
        let mut add = |name: String| *self.tally.entry(name).or_default() += 1;
        add("operations".into());
        match did {
            Did::Refused(error) => add(format!("{error:?}")),
            _ => {
                let name = format!("{op:?}");
                add(format!("op {}", name.split([' ', '{']).next().unwrap_or_default()));
            }
        }
        self.pair.model.trail.iter().for_each(|event| add(format!("event {:?}", event.kind)));
        self.pair.model.cash_trail.iter().for_each(|entry| add(format!("record {:?}", entry.0)));
    }

    fn live(&mut self) -> Option<usize> {
        let live: Vec<usize> = self.pair.model.live().map(|(id, _)| id).collect();
        (!live.is_empty()).then(|| self.random.pick(&live))
    }

    fn next_op(&mut self) -> Op {
        let Some(trader) = self.live() else { return self.open() };
        if let Some(market) = self.due.take() {
            return self.price(market);
        }
        if let Some(atoms) = self.pocket_money(trader) {
            return Op::Deposit { trader, atoms };
        }
        let stale = (0..3).find(|market| self.pair.model.quality(*market) != model::price::Quality::Fresh);
        if let Some(market) = stale.filter(|_| self.random.chance(20)) {
            return self.price(market);
        }
        if let Some(op) = self.go_on_deleveraging(trader) {
            return op;
        }
        if let Some(op) = self.watch(trader) {
            return op;
        }
        if let Some(op) = self.keep(trader) {
            return op;
        }
        if let Some(op) = self.restrict() {
            return op;
        }
        let greedy = self.random.chance(self.habits.greed / 4);
        if let Some(atoms) = greedy.then(|| self.pair.model.withdrawable(trader).0 as u64).filter(|atoms| *atoms > 0) {
            return Op::Withdraw { trader, atoms };
        }
        let kind = self.random.below(100);
        let Habits { trade, money, price, ladder, .. } = self.habits;
        match kind {
            _ if kind < trade && self.random.chance(self.habits.triggers) => self.triggers(trader),
            _ if kind < trade => self.trade(trader),
            _ if kind < trade + money => self.money(trader),
            _ if kind < trade + money + price => {
                // Prices only move when time has passed.
                self.due = Some(self.random.index(3));
                Op::Pass { seconds: self.random.pick(&[0, 1, 3, 5, 5, 10, 20]) }
            }
            _ if kind < trade + money + price + ladder => self.ladder(trader),
            _ => self.rare(trader),
        }
    }

    fn rare(&mut self, trader: usize) -> Op {
        match self.random.below(14) {
            0..=2 => Op::Pass { seconds: self.random.range(0, 20) },
            3 => Op::Close { trader },
            4 if self.random.chance(20) => {
                let fees = self.pair.model.fees as u64;
                Op::CollectFees { atoms: self.random.pick(&[0, 1, fees / 2, fees, fees + 1]) }
            }
            4 if self.random.chance(10) => Op::Grow { cells: self.random.below(3) as u32 },
            4 if self.random.chance(20) => Op::Pass { seconds: self.random.pick(&[400, 3_600, 86_400]) },
            4 => Op::PassSlots { slots: self.random.below(4) },
            5 if self.random.chance(40) => self.partners(trader),
            5 => Op::Sweep { cells: self.random.pick(&[0, 1, 7, 30, 200]) },
            6 | 7 => self.pool(trader),
            8 => Op::Process { usable: self.random.chance(80) },
            9 | 10 => {
                let closed = (0..3).find(|market| self.pair.model.markets[*market].status != 1);
                match closed {
                    Some(market) => Op::Status { market, status: 1 },
                    None if self.random.chance(30) => {
                        Op::Status { market: self.random.index(3), status: self.random.pick(&[2, 2, 0, 3]) }
                    }
                    None => Op::Pass { seconds: 5 },
                }
            }
            _ if self.pair.model.live().count() < TRADERS => self.open(),
            _ => self.trade(trader),
        }
    }

    fn open(&mut self) -> Op {
        Op::Open { owner: 1 + self.random.below(OWNERS), sub_account: self.random.below(3) as u16 }
    }

    /// All sources of all markets agree on the last mark.
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
