//! E1: whatever half of all owners do together, with an oracle that tells the truth, they take out no more than they
//! brought in and what others lost in trades they had agreed to, or what the pool paid for recorded shortfalls.
//!
//! Every atom of every account is explained by records: fills at prices within the account's own limits, fees, funding,
//! the rungs of the ladder it was on. So there is no other way to lose one, and an account that does nothing and holds
//! nothing loses none (R6).

use super::{
    OPS, OPS_PER_RUN, Run, Venue,
    model::{
        Event, Model,
        pair::{Did, Op},
    },
    support::random::setting,
};
use quantdesk_engine::{
    Side,
    book::{NewOrder, OrderKind},
    state::{CashEventKind, TradeEventKind},
};
use std::collections::BTreeMap;

/// What a group has done so far.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    /// Tokens brought in and taken out.
    brought: i128,
    taken: i128,
    /// Cash got from trades, fees, funding and the ladder.
    earned: i128,
    /// Cash from the pool for shortfalls, less what was given back.
    absorbed: i128,
    /// Cash from the pool for shares, less what was paid for them or given.
    unstaked: i128,
}

/// The accounts of two groups: a coalition, and everybody else.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    coalition: Group,
    others: Group,
    fees_collected: i128,
    /// Limits of orders that rest, by market and number, and whether they may trade at better prices.
    limits: BTreeMap<(usize, u64), (i128, bool)>,
}

type Explained = Result<(), String>;

fn is_in_coalition(owner: u64) -> bool {
    owner % 2 == 1 && owner < 99
}

/// Cash, what open size has cost, and tips put aside.
fn assets(model: &Model, trader: usize) -> i128 {
    let account = model.trader(trader);
    let triggers = model.markets.iter().flat_map(|market| &market.triggers);
    let tips: i128 = triggers.filter(|trigger| trigger.trader == trader).map(|trigger| trigger.tip).sum();
    account.cash + tips + account.positions.iter().flatten().map(|held| held.quote).sum::<i128>()
}

/// Changes of assets by trader.
type Flows = BTreeMap<usize, i128>;

impl Audit {
    fn group(&mut self, owner: u64) -> &mut Group {
        if is_in_coalition(owner) { &mut self.coalition } else { &mut self.others }
    }

    /// Every change of anybody's assets, and of the pool, is in the records of the operation.
    pub fn explain(&mut self, op: &Op, did: &Did, before: &Model, after: &Model) -> Explained {
        if matches!(did, Did::Refused(_)) {
            return Ok(());
        }
        let mut flows = Flows::new();
        let mut pool = after.pool - before.pool;
        self.money(before, after, &mut flows, &mut pool);
        let trades = self.trades(op, before, after, &mut pool)?;
        for (trader, flow) in trades {
            self.group(owner_of(before, after, trader)).earned += flow;
            *flows.entry(trader).or_default() += flow;
        }
        for (id, _) in after.live() {
            let opened = before.traders.get(id).is_none_or(Option::is_none);
            let change = assets(after, id) - if opened { 0 } else { assets(before, id) };
            let explained = flows.get(&id).copied().unwrap_or(0);
            if change != explained {
                return Err(format!("E1: trader {id}'s assets changed by {change}, records say {explained}"));
            }
        }
        if pool == 0 { Ok(()) } else { Err(format!("M4: {pool} atoms of the pool came or went without a record")) }
    }

    fn money(&mut self, before: &Model, after: &Model, flows: &mut Flows, pool: &mut i128) {
        for (kind, cell, amount, _) in &after.cash_trail {
            let found = before.live().chain(after.live()).find(|(_, trader)| trader.cell == *cell);
            let Some((id, owner)) = found.map(|(id, trader)| (id, trader.owner)) else {
                match kind {
                    CashEventKind::PoolFunded => *pool -= amount,
                    CashEventKind::FeesCollected => self.fees_collected += amount,
                    _ => {}
                }
                continue;
            };
            let group = self.group(owner);
            let (assets, pooled) = match kind {
                CashEventKind::Deposited => {
                    group.brought += amount;
                    (*amount, 0)
                }
                CashEventKind::Withdrawn => {
                    group.taken += amount;
                    (-amount, 0)
                }
                CashEventKind::WithdrawalPaid => {
                    group.taken += amount;
                    (0, 0)
                }
                CashEventKind::WithdrawalQueued => (-amount, 0),
                CashEventKind::WithdrawalReturned | CashEventKind::CashTransferred => (*amount, 0),
                CashEventKind::PoolStaked | CashEventKind::PoolFunded => {
                    group.unstaked -= amount;
                    (-amount, *amount)
                }
                CashEventKind::PoolUnstaked => {
                    group.unstaked += amount;
                    (*amount, -amount)
                }
                CashEventKind::BuilderPaid | CashEventKind::ReferrerPaid => {
                    group.earned += amount;
                    (*amount, 0)
                }
                // A tip is the trader's until it is paid.
                CashEventKind::TipsReturned => (0, 0),
                CashEventKind::ShortfallAbsorbed => {
                    group.absorbed += amount;
                    (*amount, -amount)
                }
                CashEventKind::ShortfallRepaid => {
                    group.absorbed -= amount;
                    (-amount, *amount)
                }
                _ => (0, 0),
            };
            *flows.entry(id).or_default() += assets;
            *pool -= pooled;
        }
    }

    /// What trades and the ladder moved, with funding; checks that nobody was filled beyond a limit, and that whoever is
    /// closed was failing.
    fn trades(&mut self, op: &Op, before: &Model, after: &Model, pool: &mut i128) -> Result<Flows, String> {
        let mut flows = Flows::new();
        for (id, trader) in before.live().filter(|(id, _)| after.traders[*id].is_some()) {
            for (market, held) in trader.positions.iter().enumerate() {
                let paid = held.map_or(0, |held| held.funding_paid);
                *flows.entry(id).or_default() -= after.position(id, market).funding_paid - paid;
            }
        }
        let Some(market) = market_of(op) else { return Ok(flows) };
        let id_of =
            |cell: u32| before.live().find(|(_, trader)| trader.cell == cell).map_or(usize::MAX, |found| found.0);
        for event in &after.trail {
            let (maker, taker) = (id_of(event.maker), id_of(event.taker));
            let mut move_assets = |trader: usize, atoms: i128| *flows.entry(trader).or_default() += atoms;
            let value = before.markets[market].value(event.price, event.lots);
            let received = if event.side == Side::Ask { value } else { -value };
            match event.kind {
                TradeEventKind::Placed
                | TradeEventKind::Replaced
                | TradeEventKind::PegPlaced
                | TradeEventKind::LadderSet => {
                    let better = matches!(event.kind, TradeEventKind::PegPlaced | TradeEventKind::LadderSet);
                    self.limits.insert((market, event.order), (event.price, better));
                }
                TradeEventKind::Filled => {
                    self.check_limits(op, before, market, event)?;
                    move_assets(maker, received - event.maker_fee);
                    move_assets(taker, -received - event.taker_fee);
                }
                TradeEventKind::TriggerFired => {
                    move_assets(maker, -event.taker_fee);
                    move_assets(taker, event.taker_fee);
                }
                TradeEventKind::Liquidated => {
                    check_failing(before, taker)?;
                    move_assets(taker, -event.taker_fee);
                    move_assets(maker, -event.maker_fee);
                    *pool -= event.taker_fee + event.maker_fee;
                }
                TradeEventKind::TakenOver => {
                    check_failing(before, taker)?;
                    let quote = i128::from(event.client_id) * before.position(taker, market).base.signum();
                    move_assets(taker, quote - event.taker_fee);
                    move_assets(maker, -quote);
                    *pool -= event.taker_fee;
                }
                TradeEventKind::Deleveraged => {
                    let quote = i128::from(event.client_id) * if event.side == Side::Bid { 1 } else { -1 };
                    move_assets(taker, quote);
                    move_assets(maker, -quote);
                    let against = before.position(maker, market).base * before.position(taker, market).base;
                    if against >= 0 {
                        return Err(format!("R5: trader {maker} is no counterparty of trader {taker}"));
                    }
                }
                _ => {}
            }
        }
        Ok(flows)
    }

    /// A resting order fills at its own price, a pegged one or a ladder at its limit or better, a taking one at its limit or
    /// better; a liquidation has no limit of its owner's.
    fn check_limits(&self, op: &Op, before: &Model, market: usize, event: &Event) -> Explained {
        let resting = self.limits.get(&(market, event.order));
        let kept = resting.is_some_and(|(limit, better)| match event.side {
            _ if !better => event.price == *limit,
            Side::Bid => event.price <= *limit,
            Side::Ask => event.price >= *limit,
        });
        if !kept {
            return Err(format!("an order at {resting:?} filled at {}", event.price));
        }
        if before.markets[market].terms.taker_delay > 0 && waited_for(before, market, event) {
            return Ok(());
        }
        let orders = match op {
            Op::Place { order, .. } | Op::PlaceGuarded { order, .. } => std::slice::from_ref(order),
            Op::PlaceOrders { orders, .. } => orders,
            _ => return Ok(()),
        };
        let allows = |order: &NewOrder| {
            let limit = i128::from(order.price.get());
            let within = if order.side == Side::Bid { event.price <= limit } else { event.price >= limit };
            within && order.side != event.side && order.kind != OrderKind::PostOnly
        };
        if orders.iter().any(allows) { Ok(()) } else { Err(format!("{orders:?} filled at {}", event.price)) }
    }

    /// E1, once everybody has left.
    fn check(&self, pool_left: i128) -> Explained {
        let Self { coalition, others, fees_collected, .. } = *self;
        let sum = |of: fn(&Group) -> i128| of(&coalition) + of(&others);
        if sum(|group| group.brought) != sum(|group| group.taken) + fees_collected + pool_left {
            return Err(format!("M1: what came in is not what went out: {self:?}, {pool_left} left"));
        }
        if sum(|group| group.earned) > 0 {
            return Err(format!("M3: together traders earned something: {coalition:?} {others:?}"));
        }
        let gain = coalition.taken - coalition.brought;
        let lost_by_others = -others.earned;
        if gain <= lost_by_others + coalition.absorbed + coalition.unstaked {
            return Ok(());
        }
        Err(format!("E1: the coalition gained {gain}: {coalition:?}, others {others:?}"))
    }
}

fn owner_of(before: &Model, after: &Model, trader: usize) -> u64 {
    let account = after.traders[trader].as_ref().or(before.traders[trader].as_ref());
    account.map_or(0, |account| account.owner)
}

fn market_of(op: &Op) -> Option<usize> {
    match op {
        Op::Place { market, .. }
        | Op::PlaceGuarded { market, .. }
        | Op::PlaceOrders { market, .. }
        | Op::Amend { market, .. }
        | Op::RunDelayed { market, .. }
        | Op::SetLadder { market, .. }
        | Op::MoveLadder { market, .. }
        | Op::ExecuteTriggers { market, .. }
        | Op::Liquidate { market, .. }
        | Op::TakeOver { market, .. }
        | Op::Deleverage { market, .. } => Some(*market),
        _ => None,
    }
}

/// Whether the taker of a fill had a waiting order whose limit allows it.
fn waited_for(before: &Model, market: usize, event: &Event) -> bool {
    before.markets[market].waiting.iter().flatten().any(|waiting| {
        let order = &waiting.order;
        let within = if order.side == Side::Bid { event.price <= order.price } else { event.price >= order.price };
        before.trader(order.trader).cell == event.taker && order.side != event.side && within
    })
}

/// Nobody is closed who could have met maintenance margin, unless he is being wound up.
fn check_failing(before: &Model, trader: usize) -> Explained {
    let health = before.health(trader);
    let failing = health.equity < health.required || before.trader(trader).bankrupt;
    if failing { Ok(()) } else { Err(format!("R3: trader {trader} was closed at {health:?}")) }
}

#[test]
fn inv_e1_a_coalition_takes_no_more_than_it_brought_and_was_given() {
    let (first, ops) = (setting("QUANTDESK_SEED", 7_001), setting("QUANTDESK_OPS", OPS) / 4);
    let mut seen = Group::default();
    for number in 0..ops.div_ceil(OPS_PER_RUN) {
        let mut run = Run::new(first.wrapping_add(number), Venue::small());
        (run.honest_oracle, run.audit) = (true, Some(Audit::default()));
        run.run(OPS_PER_RUN);
        let audit = run.audit.as_ref().expect("an audit");
        audit.check(run.pair.model.pool).unwrap_or_else(|text| panic!("seed {}: {text}", run.seed));
        seen.absorbed += audit.coalition.absorbed + audit.others.absorbed;
        seen.earned += audit.coalition.earned.abs();
    }
    println!(
        "seeds from {first}: {ops} operations, the coalition's trades {}, absorbed {}",
        seen.earned, seen.absorbed
    );
}
