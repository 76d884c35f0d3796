//! Engine and model in lockstep: every operation runs on both, and everything must agree afterwards.

use super::{
    Model, compare,
    fees::Named,
    ladder::{Closed, WATCH_PLACES, Watched},
    pool::Stake,
    quote_ladder::Wanted,
    risk::{Health, Initial},
};
use crate::support::{World, world::key};
use quantdesk_engine::{
    CellIndex, Generation, Lots, NodeIndex, Ppm, QuoteAtoms, Result, Sequence, Slot, Ticks, UnixSeconds, access,
    account,
    account::Withdrawal,
    book::{Builder, Liquidated, NewOrder, NewTrigger, OrderHandle, Placed, Sides, TriggerHandle},
    governance::guard::{self, Tightening},
    partner, pool,
    risk::{listing::ListingParameters, margin, price::SourcePrice, scan, shortfall},
    state::{PoolStake, TradeEventKind, ledger::Policy},
};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
};

/// One operation. Traders are named by their number in the model.
#[derive(Clone, Debug)]
pub enum Op {
    /// `trader: None` names a cell that is no trader.
    Place {
        trader: Option<usize>,
        market: usize,
        order: NewOrder,
    },
    /// With a builder and a guard.
    PlaceGuarded {
        trader: Option<usize>,
        market: usize,
        order: NewOrder,
        builder: Option<Named>,
        guard: u64,
    },
    PlaceOrders {
        trader: usize,
        market: usize,
        orders: Vec<NewOrder>,
        guard: u64,
    },
    SetBuilderMax {
        trader: usize,
        ppm: u16,
    },
    SetFeeMax {
        trader: usize,
        ppm: u32,
    },
    /// The referrer by cell and generation.
    SetReferrer {
        trader: usize,
        cell: u32,
        generation: u32,
    },
    Cancel {
        trader: usize,
        market: usize,
        handle: NodeIndex,
        sequence: u64,
    },
    CancelAll {
        trader: usize,
        market: usize,
        sides: Sides,
        limit: u8,
    },
    /// Orders by node and number.
    CancelOrders {
        trader: usize,
        market: usize,
        named: Vec<(NodeIndex, u64)>,
    },
    CancelByClientId {
        trader: usize,
        market: usize,
        client_id: u64,
    },
    Amend {
        trader: usize,
        market: usize,
        named: (NodeIndex, u64),
        price: u32,
        lots: u64,
    },
    RunDelayed {
        market: usize,
        limit: u8,
    },
    /// A ladder of levels (distance, lots) a side.
    SetLadder {
        trader: usize,
        market: usize,
        wanted: Wanted,
    },
    /// `quoter` signs.
    MoveLadder {
        market: usize,
        number: u32,
        position: u32,
        quoter: u64,
        sequence: u64,
        mid: u32,
    },
    DropExpired {
        market: usize,
        named: Vec<(NodeIndex, u64)>,
    },
    PlaceTrigger {
        trader: usize,
        market: usize,
        trigger: NewTrigger,
    },
    /// A trigger by cell and number.
    CancelTrigger {
        trader: usize,
        market: usize,
        named: (u32, u64),
    },
    CancelTriggerByClientId {
        trader: usize,
        market: usize,
        client_id: u64,
    },
    /// Triggers by cell and number.
    ExecuteTriggers {
        keeper: usize,
        market: usize,
        named: Vec<(u32, u64)>,
    },
    Heartbeat {
        trader: usize,
        seconds: u32,
    },
    EnforceDeadman {
        target: usize,
        market: usize,
        limit: u8,
    },
    Deposit {
        trader: usize,
        atoms: u64,
    },
    Withdraw {
        trader: usize,
        atoms: u64,
    },
    CollectFees {
        atoms: u64,
    },
    Open {
        owner: u64,
        sub_account: u16,
    },
    Close {
        trader: usize,
    },
    Price {
        market: usize,
        readings: Vec<Result<SourcePrice>>,
    },
    Pass {
        seconds: i64,
    },
    /// Seconds pass without slots: the chain stands still.
    Stand {
        seconds: i64,
    },
    Guard {
        wanted: Tightening,
    },
    /// Slots pass within a second.
    PassSlots {
        slots: u64,
    },
    Grow {
        cells: u32,
    },
    Status {
        market: usize,
        status: u8,
    },
    Transfer {
        trader: usize,
        target: usize,
        atoms: u64,
    },
    /// Pays or returns the first withdrawal in the queue.
    Process {
        usable: bool,
    },
    CancelForRisk {
        target: usize,
        market: usize,
        limit: u8,
    },
    /// `keeper: None` names a cell that is no trader.
    Liquidate {
        keeper: Option<usize>,
        target: usize,
        market: usize,
        steps: u8,
    },
    TakeOver {
        by: Option<usize>,
        target: usize,
        market: usize,
        lots: u64,
    },
    Absorb {
        target: usize,
        market: usize,
    },
    Deleverage {
        target: usize,
        market: usize,
        steps: u16,
    },
    Sweep {
        cells: u16,
    },
    Stake {
        trader: usize,
        atoms: u64,
    },
    Fund {
        trader: usize,
        atoms: u64,
    },
    RequestUnstake {
        trader: usize,
        shares: u64,
    },
    Unstake {
        trader: usize,
    },
}

/// What happened, for the statistics and for tests that go on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    Nothing,
    Opened(usize),
    Placed(Placed),
    Cancelled(u8),
    /// Runs of takers that waited.
    Ran(u8),
    Amended(Option<u64>),
    /// Whether a ladder was set or moved: its number was new.
    Quoted(bool),
    /// The number of a new trigger.
    Triggered(u64),
    Queued,
    Closed(Closed),
    /// Whether a deleveraging is finished.
    Deleveraged(bool),
    Refused(quantdesk_engine::EngineError),
}

#[derive(Clone, Debug)]
pub struct Pair {
    pub world: World,
    pub model: Model,
    /// Stake accounts by owner.
    pub stakes: BTreeMap<u64, PoolStake>,
    /// Handles of all orders that ever rested, by market and sequence.
    pub handles: HashMap<(usize, u64), NodeIndex>,
    /// Standings after the last operation, unless the world has moved since.
    standings: Option<Vec<Standing>>,
}

/// Excess over initial margin and fees paid so far; `None` for a closed trader.
type Standing = Option<(i128, i128)>;

pub(super) fn agree<T: PartialEq + Debug>(
    engine: Result<T>,
    model: Result<T>,
) -> std::result::Result<Result<T>, String> {
    if engine == model { Ok(engine) } else { Err(format!("outcome: engine {engine:?}, model {model:?}")) }
}

/// Who placed an order in an operation, and who was filled in one that places several.
struct Acted {
    takers: Vec<usize>,
    makers: Vec<usize>,
}

/// R1 for whoever acts. For everybody else: being filled, cancelled or evicted costs no margin but the maker fee,
/// because the worst case was reserved.
fn check_excess(
    op: &Op,
    delays: bool,
    acted: &Acted,
    before: &[Standing],
    after: &[Standing],
) -> std::result::Result<(), String> {
    let failing = match op {
        Op::Liquidate { target, .. } | Op::TakeOver { target, .. } => Some(*target),
        _ => None,
    };
    for (id, (before, after)) in before.iter().zip(after).enumerate().filter(|(id, _)| failing != Some(*id)) {
        let (Some((excess, fees)), Some((excess_after, fees_after))) = (before, after) else { continue };
        let fees = (fees_after - fees).max(0);
        // What reduces waits without margin of its own; what it reserves is not asked for by anybody.
        if acted.takers.contains(&id) && delays && may_wait_reducing(op) {
            continue;
        }
        let allowed = match (acted.takers.contains(&id), acted.makers.contains(&id)) {
            // What waited costs its fee when it runs, also if its owner's next order runs it.
            (true, filled) if filled || delays => 0.min(*excess) - fees,
            (true, _) => 0.min(*excess),
            (false, _) => excess - fees,
        };
        if *excess_after < allowed {
            return Err(format!("R1: trader {id} fell from excess {excess} to {excess_after}"));
        }
    }
    Ok(())
}

fn may_wait_reducing(op: &Op) -> bool {
    match op {
        Op::Place { order, .. } | Op::PlaceGuarded { order, .. } => order.reduce_only,
        Op::PlaceOrders { orders, .. } => orders.iter().any(|order| order.reduce_only),
        // A trigger's order may reduce.
        Op::ExecuteTriggers { .. } => true,
        _ => false,
    }
}

pub(super) fn did<T>(outcome: Result<T>, say: impl FnOnce(T) -> Did) -> Did {
    match outcome {
        Ok(value) => say(value),
        Err(error) => Did::Refused(error),
    }
}

fn quiet(outcome: Result<()>) -> Did {
    did(outcome, |()| Did::Nothing)
}

impl Pair {
    pub fn new(listings: &[ListingParameters], cells: u32, policy: Policy) -> Self {
        let mut world = World::new(listings, cells);
        world.set_policy(policy);
        let model = Model::new(listings, cells, policy, world.now.unix_seconds.get(), world.now.slot.get());
        Self { world, model, stakes: BTreeMap::new(), handles: HashMap::new(), standings: None }
    }

    pub fn cell(&self, trader: usize) -> CellIndex {
        CellIndex::new(self.model.trader(trader).cell)
    }

    /// Runs one operation on both and compares everything. The error says what disagrees.
    pub fn apply(&mut self, op: &Op) -> std::result::Result<Did, String> {
        let (traded, base) = match op {
            Op::Place { trader, market, .. } | Op::PlaceGuarded { trader, market, .. } => {
                (Some(*market), trader.map_or(0, |trader| self.model.position(trader, *market).base))
            }
            Op::PlaceOrders { market, .. }
            | Op::Cancel { market, .. }
            | Op::CancelAll { market, .. }
            | Op::CancelOrders { market, .. }
            | Op::CancelByClientId { market, .. }
            | Op::Amend { market, .. }
            | Op::SetLadder { market, .. }
            | Op::MoveLadder { market, .. }
            | Op::PlaceTrigger { market, .. }
            | Op::CancelTrigger { market, .. }
            | Op::CancelTriggerByClientId { market, .. }
            | Op::ExecuteTriggers { market, .. }
            | Op::DropExpired { market, .. }
            | Op::RunDelayed { market, .. }
            | Op::EnforceDeadman { market, .. }
            | Op::CancelForRisk { market, .. }
            | Op::Liquidate { market, .. }
            | Op::TakeOver { market, .. } => (Some(*market), 0),
            _ => (None, 0),
        };
        let known = self.standings.take();
        let before = traded.map(|_| known.unwrap_or_else(|| self.standings()));
        let others = Bystanders::of(op, &self.model);
        let takers = self.takers(op);
        let sizes = market_of_trade(op).map(|market| (market, self.sizes(market)));
        let did = self.run(op)?;
        self.follow_waiting(op);
        let market = match op {
            Op::Deleverage { market, .. } => Some(*market),
            _ => traded,
        };
        compare::equal(&self.model, &self.world, market)?;
        others.check(&self.model)?;
        if let Some((market, sizes)) = sizes {
            self.check_debts(market, &sizes)?;
        }
        if !matches!(did, Did::Refused(_)) {
            self.check_ladder(op)?;
        }
        self.world.check().map_err(|violation| format!("{violation:?}"))?;
        if let Some(before) = before {
            let after = self.standings();
            let delays = traded.is_some_and(|market| self.model.markets[market].terms.taker_delay > 0);
            let acted = Acted { takers, makers: self.makers(op) };
            check_excess(op, delays, &acted, &before, &after)?;
            self.standings = Some(after);
            if !delays {
                self.check_reduce_only(op, base)?;
            }
        }
        Ok(did)
    }

    fn run(&mut self, op: &Op) -> std::result::Result<Did, String> {
        Ok(match op {
            Op::Transfer { .. }
            | Op::Process { .. }
            | Op::Deposit { .. }
            | Op::Withdraw { .. }
            | Op::CollectFees { .. } => self.run_money(op)?,
            Op::Stake { .. } | Op::Fund { .. } | Op::RequestUnstake { .. } | Op::Unstake { .. } => self.run_pool(op)?,
            Op::Sweep { cells } => self.sweep(*cells)?,
            Op::CancelForRisk { .. }
            | Op::Liquidate { .. }
            | Op::TakeOver { .. }
            | Op::Absorb { .. }
            | Op::Deleverage { .. } => self.run_ladder(op)?,
            Op::Place { trader, market, order } => self.place(*trader, *market, order)?,
            Op::PlaceGuarded { .. }
            | Op::PlaceOrders { .. }
            | Op::SetBuilderMax { .. }
            | Op::SetFeeMax { .. }
            | Op::SetReferrer { .. } => self.run_fees(op)?,
            Op::SetLadder { .. } | Op::MoveLadder { .. } => self.run_quote_ladder(op)?,
            Op::CancelOrders { .. }
            | Op::CancelByClientId { .. }
            | Op::Amend { .. }
            | Op::DropExpired { .. }
            | Op::RunDelayed { .. }
            | Op::Heartbeat { .. }
            | Op::EnforceDeadman { .. } => self.run_resting(op)?,
            Op::PlaceTrigger { .. }
            | Op::CancelTrigger { .. }
            | Op::CancelTriggerByClientId { .. }
            | Op::ExecuteTriggers { .. } => self.run_triggers(op)?,
            Op::Cancel { trader, market, handle, sequence } => {
                let known = self.handles.get(&(*market, *sequence)) == Some(handle);
                let engine = self.world.cancel(*market, self.cell(*trader), *handle, Sequence::new(*sequence));
                quiet(agree(engine, self.model.cancel(*trader, *market, known.then_some(*sequence)))?)
            }
            Op::CancelAll { trader, market, sides, limit } => {
                let engine = self.world.cancel_all(*market, self.cell(*trader), *sides, *limit);
                did(agree(engine, self.model.cancel_all(*trader, *market, *sides, *limit))?, Did::Cancelled)
            }
            Op::Open { owner, sub_account } => self.open(*owner, *sub_account)?,
            Op::Close { trader } => {
                let engine = self.world.close(self.cell(*trader));
                quiet(agree(engine, self.model.close(*trader))?)
            }
            Op::Price { market, readings } => {
                let engine = self.world.update_price(*market, readings);
                did(agree(engine, self.model.update_price(*market, readings))?, |_| Did::Nothing)
            }
            Op::Grow { cells } => quiet(agree(self.world.grow(*cells as usize), self.model.grow(*cells))?),
            Op::Pass { .. } | Op::Stand { .. } | Op::PassSlots { .. } => self.run_time(op),
            Op::Guard { wanted } => {
                let engine = self.world.ledger(|ledger, now| guard::tighten(ledger, now, wanted));
                quiet(agree(engine, self.model.guard(wanted))?)
            }
            Op::Status { market, status } => {
                self.world.set_status(*market, *status);
                self.model.note_nothing();
                self.model.markets[*market].status = *status;
                Did::Nothing
            }
        })
    }

    fn run_time(&mut self, op: &Op) -> Did {
        self.model.note_nothing();
        match op {
            Op::Pass { seconds } => {
                self.world.pass(*seconds);
                self.model.now += seconds;
                self.model.slot = self.world.now.slot.get();
            }
            Op::Stand { seconds } => {
                let stood = self.world.now.unix_seconds.get() + seconds;
                self.world.now.unix_seconds = UnixSeconds::new(stood);
                self.model.now = stood;
            }
            Op::PassSlots { slots } => {
                self.world.now.slot = Slot::new(self.world.now.slot.get() + slots);
                self.model.slot += slots;
            }
            _ => unreachable!("{op:?} is no time"),
        }
        Did::Nothing
    }

    /// What has waited and rests has another number, in the same node.
    fn follow_waiting(&mut self, op: &Op) {
        let Some(market) = market_of_trade(op) else { return };
        for event in &self.model.trail {
            if event.kind == TradeEventKind::Replaced {
                let node = self.handles[&(market, event.client_id)];
                self.handles.insert((market, event.order), node);
            }
        }
    }

    /// Where the orders are that no outcome named.
    fn learn_handles(&mut self, market: usize) {
        let book = self.world.market(market);
        let live = book.nodes.iter().zip(0..).filter(|(node, _)| !node.sequence.is_zero());
        self.handles.extend(live.map(|(node, handle)| ((market, node.sequence.get()), NodeIndex::new(handle))));
    }

    /// The number, if an order with it was ever in that node.
    fn known(&self, market: usize, named: (NodeIndex, u64)) -> Option<u64> {
        (self.handles.get(&(market, named.1)) == Some(&named.0)).then_some(named.1)
    }

    fn run_resting(&mut self, op: &Op) -> std::result::Result<Did, String> {
        let handle = |(node, number): &(NodeIndex, u64)| OrderHandle::new(*node, Sequence::new(*number));
        Ok(match op {
            Op::CancelOrders { trader, market, named } => {
                let cell = self.cell(*trader);
                let known: Vec<_> = named.iter().map(|named| self.known(*market, *named)).collect();
                let handles = named.iter().map(handle);
                let engine = self.world.trading(*market, |trading| trading.cancel_orders(cell, handles));
                did(agree(engine, self.model.cancel_orders(*trader, *market, &known))?, Did::Cancelled)
            }
            Op::CancelByClientId { trader, market, client_id } => {
                let cell = self.cell(*trader);
                let engine = self.world.trading(*market, |trading| trading.cancel_by_client_id(cell, *client_id));
                quiet(agree(engine, self.model.cancel_by_client_id(*trader, *market, *client_id))?)
            }
            Op::Amend { trader, market, named, price, lots } => {
                let (cell, ticks, size) = (self.cell(*trader), Ticks::new(*price), Lots::new(*lots));
                let known = self.known(*market, *named);
                let engine =
                    self.world.trading(*market, |trading| trading.amend_order(cell, handle(named), ticks, size));
                if let Ok(Some((node, sequence))) = engine {
                    self.handles.insert((*market, sequence.get()), node);
                }
                let engine = engine.map(|resting| resting.map(|(_, sequence)| sequence.get()));
                did(agree(engine, self.model.amend(*trader, *market, known, *price, *lots))?, Did::Amended)
            }
            Op::DropExpired { market, named } => {
                let known: Vec<_> = named.iter().map(|named| self.known(*market, *named)).collect();
                let handles = named.iter().map(handle);
                let engine = self.world.trading(*market, |trading| trading.drop_expired(handles));
                did(agree(engine, self.model.drop_expired(*market, &known))?, Did::Cancelled)
            }
            Op::RunDelayed { market, limit } => {
                let engine = self.world.trading(*market, |trading| trading.run_delayed(*limit));
                did(agree(engine, self.model.run_delayed(*market, *limit))?, Did::Ran)
            }
            Op::Heartbeat { trader, seconds } => {
                let cell = self.cell(*trader);
                let engine = self.world.ledger(|ledger, now| account::heartbeat(ledger, now, cell, *seconds));
                self.model.heartbeat(*trader, *seconds);
                quiet(agree(engine, Ok(()))?)
            }
            Op::EnforceDeadman { target, market, limit } => {
                let cell = self.cell(*target);
                let engine = self.world.trading(*market, |trading| trading.enforce_deadman(cell, *limit));
                did(agree(engine, self.model.enforce_deadman(*target, *market, *limit))?, Did::Cancelled)
            }
            _ => unreachable!("{op:?} is not about resting orders"),
        })
    }

    /// The number, if a trigger with it is in that cell.
    fn known_trigger(&self, market: usize, named: (u32, u64)) -> Option<u64> {
        let triggers = &self.model.markets[market].triggers;
        triggers.iter().any(|trigger| (trigger.cell, trigger.number) == named).then_some(named.1)
    }

    fn run_triggers(&mut self, op: &Op) -> std::result::Result<Did, String> {
        let handle =
            |(cell, number): &(u32, u64)| TriggerHandle { cell: CellIndex::new(*cell), number: Sequence::new(*number) };
        Ok(match op {
            Op::PlaceTrigger { trader, market, trigger } => {
                let cell = self.cell(*trader);
                let engine = self.world.trading(*market, |trading| trading.place_trigger(cell, trigger));
                let engine = engine.map(|handle| handle.number.get());
                did(agree(engine, self.model.place_trigger(*trader, *market, trigger))?, Did::Triggered)
            }
            Op::CancelTrigger { trader, market, named } => {
                let (cell, known) = (self.cell(*trader), self.known_trigger(*market, *named));
                let engine = self.world.trading(*market, |trading| trading.cancel_trigger(cell, handle(named)));
                quiet(agree(engine, self.model.cancel_trigger(*trader, *market, known))?)
            }
            Op::CancelTriggerByClientId { trader, market, client_id } => {
                let cell = self.cell(*trader);
                let engine =
                    self.world.trading(*market, |trading| trading.cancel_trigger_by_client_id(cell, *client_id));
                quiet(agree(engine, self.model.cancel_trigger_by_client_id(*trader, *market, *client_id))?)
            }
            Op::ExecuteTriggers { keeper, market, named } => {
                let cell = self.cell(*keeper);
                let known: Vec<_> = named.iter().map(|named| self.known_trigger(*market, *named)).collect();
                let engine =
                    self.world.trading(*market, |trading| trading.execute_triggers(cell, named.iter().map(handle)));
                let outcome = agree(engine, self.model.execute_triggers(*keeper, *market, &known))?;
                self.learn_handles(*market);
                did(outcome, Did::Cancelled)
            }
            _ => unreachable!("{op:?} is not about triggers"),
        })
    }

    fn open(&mut self, owner: u64, sub_account: u16) -> std::result::Result<Did, String> {
        let engine = self.world.open(owner, sub_account);
        let model = self.model.open(owner, sub_account);
        let _ = agree(engine.map(CellIndex::get), model.map(|id| self.model.trader(id).cell))?;
        Ok(did(model, Did::Opened))
    }

    fn run_money(&mut self, op: &Op) -> std::result::Result<Did, String> {
        Ok(match op {
            Op::Deposit { trader, atoms } => {
                let engine = self.world.deposit(self.cell(*trader), *atoms);
                quiet(agree(engine, self.model.deposit(*trader, *atoms))?)
            }
            Op::Withdraw { trader, atoms } => {
                let engine = self.world.withdraw_or_queue(self.cell(*trader), *atoms);
                let outcome = agree(engine, self.model.withdraw(*trader, *atoms))?;
                did(outcome, |done| if done == Withdrawal::Paid { Did::Nothing } else { Did::Queued })
            }
            Op::CollectFees { atoms } => {
                let before = self.world.vault;
                let engine = self.world.collect_fees(*atoms).map(|()| i128::from(before - self.world.vault));
                did(agree(engine, self.model.collect_fees(*atoms))?, |_| Did::Nothing)
            }
            Op::Transfer { trader, target, atoms } => {
                let (from, to) = (self.cell(*trader), self.cell(*target));
                let atoms_moved = QuoteAtoms::new(*atoms);
                let engine = self.world.ledger(|ledger, now| account::transfer(ledger, now, from, to, atoms_moved));
                quiet(agree(engine, self.model.transfer(*trader, *target, *atoms))?)
            }
            Op::Process { usable } => {
                let engine = self.world.process_queue(*usable);
                let engine = engine.map(|(trader, atoms)| (trader.get(), i128::from(atoms)));
                did(agree(engine, self.model.process_queue(*usable))?, |_| Did::Nothing)
            }
            _ => unreachable!("{op:?} is not about money"),
        })
    }

    fn run_pool(&mut self, op: &Op) -> std::result::Result<Did, String> {
        let (trader, model) = match op {
            Op::Stake { trader, atoms } => (*trader, self.model.stake(*trader, *atoms)),
            Op::Fund { trader, atoms } => (*trader, self.model.fund(*trader, *atoms)),
            Op::RequestUnstake { trader, shares } => (*trader, self.model.request_unstake(*trader, *shares)),
            Op::Unstake { trader } => (*trader, self.model.unstake(*trader)),
            _ => unreachable!("{op:?} is not about the pool"),
        };
        let (cell, owner) = (self.cell(trader), self.model.trader(trader).owner);
        let account = self.stakes.get(&owner).copied();
        let mut account = account.unwrap_or_else(|| PoolStake::new(key(900), key(owner), 255));
        let engine = self.world.ledger(|ledger, now| match op {
            Op::Stake { atoms, .. } => pool::stake(ledger, &mut account, now, cell, QuoteAtoms::new(*atoms)),
            Op::Fund { atoms, .. } => pool::fund(ledger, now, cell, QuoteAtoms::new(*atoms)),
            Op::RequestUnstake { shares, .. } => pool::request_unstake(ledger, &mut account, now, cell, *shares),
            _ => pool::unstake(ledger, &mut account, now, cell),
        });
        // An error undoes what became of the stake account, too.
        if engine.is_ok() {
            self.stakes.insert(owner, account);
        }
        let outcome = quiet(agree(engine, model)?);
        self.check_stakes()?;
        Ok(outcome)
    }

    /// Every stake is the model's, and those of the present epoch are all shares there are.
    fn check_stakes(&self) -> std::result::Result<(), String> {
        let mut shares = 0;
        for (owner, account) in &self.stakes {
            let found = Stake {
                shares: account.shares.into(),
                epoch: account.epoch,
                requested: account.requested.into(),
                requested_at: account.requested_at.get(),
            };
            let expected = self.model.stakes.get(owner).copied().unwrap_or_default();
            if found != expected {
                return Err(format!("stake of owner {owner}: engine {found:?}, model {expected:?}"));
            }
            shares += if account.epoch == self.model.pool_epoch { i128::from(account.shares) } else { 0 };
        }
        let all = self.model.pool_shares;
        if shares == all { Ok(()) } else { Err(format!("stakes have {shares} of {all} shares")) }
    }

    fn run_ladder(&mut self, op: &Op) -> std::result::Result<Did, String> {
        let cell = |trader: Option<usize>| trader.map_or(CellIndex::NIL, |trader| self.cell(trader));
        Ok(match op {
            Op::CancelForRisk { target, market, limit } => {
                let target_cell = self.cell(*target);
                let engine = self.world.trading(*market, |trading| trading.cancel_for_risk(target_cell, *limit));
                did(agree(engine, self.model.cancel_for_risk(*target, *market, *limit))?, Did::Cancelled)
            }
            Op::Liquidate { keeper, target, market, steps } => {
                let (keeper_cell, target_cell) = (cell(*keeper), self.cell(*target));
                let engine = self.world.trading(*market, |trading| trading.liquidate(keeper_cell, target_cell, *steps));
                did(agree(engine.map(closed), self.model.liquidate(*keeper, *target, *market, *steps))?, Did::Closed)
            }
            Op::TakeOver { by, target, market, lots } => {
                let (by_cell, target_cell) = (cell(*by), self.cell(*target));
                let most = Lots::new(*lots);
                let engine = self.world.trading(*market, |trading| trading.take_over(by_cell, target_cell, most));
                did(agree(engine.map(closed), self.model.take_over(*by, *target, *market, *lots))?, Did::Closed)
            }
            Op::Absorb { target, market } => {
                let (target_cell, index) = (self.cell(*target), self.world.market(*market).header.index);
                let engine =
                    self.world.ledger(|ledger, now| shortfall::absorb_shortfall(ledger, now, target_cell, index));
                quiet(agree(engine, self.model.absorb_shortfall(*target, *market))?)
            }
            Op::Deleverage { target, market, steps } => {
                let target_cell = self.cell(*target);
                let engine = self.world.trading(*market, |trading| trading.deleverage(target_cell, *steps));
                did(agree(engine, self.model.deleverage(*target, *market, *steps))?, Did::Deleveraged)
            }
            _ => unreachable!("{op:?} is no rung of the ladder"),
        })
    }

    /// The list holds the worst of all that could be on it, worst first. Which of equally bad ones is the engine's choice,
    /// and the model follows it.
    fn sweep(&mut self, cells: u16) -> std::result::Result<Did, String> {
        let listed = self.world.ledger(|ledger, now| scan::sweep(ledger, now, cells));
        let candidates = self.model.sweep(cells);
        let view = self.world.view();
        let watch: Vec<Watched> = view
            .header
            .watch
            .iter()
            .filter(|entry| !entry.generation.is_zero())
            .map(|entry| Watched {
                trader: entry.trader,
                generation: entry.generation.get(),
                health: entry.health.get(),
            })
            .collect();
        let known = watch
            .iter()
            .enumerate()
            .all(|(place, entry)| candidates.contains(entry) && !watch[..place].contains(entry));
        let health =
            |entries: &[Watched]| -> Vec<u32> { entries.iter().take(WATCH_PLACES).map(|entry| entry.health).collect() };
        if !known || health(&watch) != health(&candidates) || listed != Ok(watch.len()) {
            return Err(format!("watch list: engine {watch:?}, candidates {candidates:?}"));
        }
        self.model.watch = watch;
        Ok(Did::Nothing)
    }

    /// Whose orders an operation places.
    fn takers(&self, op: &Op) -> Vec<usize> {
        match op {
            Op::Place { trader, .. } | Op::PlaceGuarded { trader, .. } => trader.iter().copied().collect(),
            Op::Amend { trader, .. }
            | Op::PlaceTrigger { trader, .. }
            | Op::PlaceOrders { trader, .. }
            | Op::SetLadder { trader, .. } => vec![*trader],
            Op::TakeOver { by, .. } => by.iter().copied().collect(),
            Op::ExecuteTriggers { market, named, .. } => {
                let known = named.iter().filter_map(|named| self.known_trigger(*market, *named));
                let triggers = &self.model.markets[*market].triggers;
                let owner = |number| triggers.iter().find(|trigger| trigger.number == number);
                known.filter_map(owner).map(|trigger| trigger.trader).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whom the execution of others' triggers filled besides.
    fn makers(&self, op: &Op) -> Vec<usize> {
        let filled = self.model.trail.iter().filter(|event| event.kind == TradeEventKind::Filled);
        let makers: Vec<u32> = filled.map(|event| event.maker).collect();
        let several = matches!(op, Op::ExecuteTriggers { .. });
        let filled = self.model.live().filter(|(_, trader)| several && makers.contains(&trader.cell));
        filled.map(|(id, _)| id).collect()
    }

    fn sizes(&self, market: usize) -> Vec<(usize, i128)> {
        self.model.live().map(|(id, _)| (id, self.model.position(id, market).base)).collect()
    }

    /// R4: no trade leaves an account in debt with less size than it had: its size is what the debt is recovered by.
    fn check_debts(&self, market: usize, before: &[(usize, i128)]) -> std::result::Result<(), String> {
        for (id, base) in before {
            let shrunk = self.model.position(*id, market).base.abs() < base.abs();
            let (cash, equity) = (self.model.trader(*id).cash, self.model.health(*id).equity);
            if shrunk && cash < 0 && equity < 0 {
                return Err(format!("R4: trader {id} got rid of size with cash {cash} and equity {equity}"));
            }
        }
        Ok(())
    }

    /// What each rung promises about the account it was for.
    fn check_ladder(&self, op: &Op) -> std::result::Result<(), String> {
        match op {
            Op::Liquidate { target, .. } | Op::TakeOver { target, .. } => {
                let Health { equity, .. } = self.model.health(*target);
                if equity >= 0 { Ok(()) } else { Err(format!("R3: a liquidation took more than there was: {equity}")) }
            }
            Op::Absorb { target, market } => {
                let account = self.model.trader(*target);
                let flat = account.positions.iter().flatten().all(|held| held.base == 0);
                let resolved = !account.bankrupt && account.cash >= 0 && account.absorbed == 0;
                let day = 86_400;
                let row = &self.model.markets[*market];
                let left = row.pool_spent.available(row.terms.pool_budget, day, self.model.now);
                let used_up = account.cash < 0 && (self.model.pool == 0 || left == 0);
                let said = account.bankrupt && (!flat || used_up);
                if said || (flat && resolved) { Ok(()) } else { Err(format!("R4: trader {target}: {account:?}")) }
            }
            _ => Ok(()),
        }
    }

    fn place(&mut self, trader: Option<usize>, market: usize, order: &NewOrder) -> std::result::Result<Did, String> {
        let cell = trader.map_or(CellIndex::NIL, |trader| self.cell(trader));
        let engine = self.world.place(market, cell, order);
        let _ = agree(engine.map(described), self.model.place(trader, market, order))?;
        if let Ok(Placed { resting, waiting, .. }) = engine {
            let named = resting.or(waiting).map(|(handle, sequence)| ((market, sequence.get()), handle));
            self.handles.extend(named);
        }
        Ok(did(engine, Did::Placed))
    }

    fn run_fees(&mut self, op: &Op) -> std::result::Result<Did, String> {
        Ok(match op {
            Op::PlaceGuarded { trader, market, order, builder, guard } => {
                let cell = trader.map_or(CellIndex::NIL, |trader| self.cell(trader));
                let engine = self.world.trading(*market, |trading| {
                    trading.require_unmoved(*guard)?;
                    match *builder {
                        Some((of, generation, fee)) => {
                            let (trader, generation) = (CellIndex::new(of), Generation::new(generation));
                            trading.place_order_for(cell, order, &Builder { trader, generation, fee: Ppm::new(fee) })
                        }
                        None => trading.place_order(cell, order),
                    }
                });
                let _ = agree(
                    engine.map(described),
                    self.model.place_guarded(*trader, *market, order, (*builder, *guard)),
                )?;
                if let Ok(Placed { resting, waiting, .. }) = engine {
                    let named = resting.or(waiting).map(|(handle, sequence)| ((*market, sequence.get()), handle));
                    self.handles.extend(named);
                }
                did(engine, Did::Placed)
            }
            Op::PlaceOrders { trader, market, orders, guard } => {
                let cell = self.cell(*trader);
                let engine = self.world.trading(*market, |trading| {
                    trading.require_unmoved(*guard)?;
                    trading.place_orders(cell, orders)
                });
                let outcome = agree(engine, self.model.place_orders(*trader, *market, orders, *guard))?;
                self.learn_handles(*market);
                quiet(outcome)
            }
            Op::SetBuilderMax { trader, ppm } => {
                let cell = self.cell(*trader);
                let engine = self.world.ledger(|ledger, now| partner::set_builder_max(ledger, now, cell, *ppm));
                self.model.set_builder_max(*trader, *ppm);
                quiet(agree(engine, Ok(()))?)
            }
            Op::SetFeeMax { trader, ppm } => {
                let (cell, fee_max) = (self.cell(*trader), Ppm::new(*ppm));
                let engine = self.world.ledger(|ledger, now| access::set_fee_max(ledger, now, cell, fee_max));
                self.model.set_fee_max(*trader, *ppm);
                quiet(agree(engine, Ok(()))?)
            }
            Op::SetReferrer { trader, cell, generation } => {
                let (own, of, given) = (self.cell(*trader), CellIndex::new(*cell), Generation::new(*generation));
                let engine = self.world.ledger(|ledger, now| partner::set_referrer(ledger, now, own, of, given));
                quiet(agree(engine, self.model.set_referrer(*trader, *cell, *generation))?)
            }
            _ => unreachable!("{op:?} is not about fees"),
        })
    }

    fn standings(&self) -> Vec<Standing> {
        let standing = |(id, trader): (usize, &Option<super::Trader>)| {
            let positions = trader.as_ref()?.positions.iter().flatten();
            Some((self.model.initial(id).excess(), positions.map(|position| position.fees_paid).sum()))
        };
        self.model.traders.iter().enumerate().map(standing).collect()
    }

    /// P5: a reduce-only order neither grew nor flipped its owner's position.
    fn check_reduce_only(&self, op: &Op, base: i128) -> std::result::Result<(), String> {
        match op {
            Op::Place { trader: Some(trader), market, order }
            | Op::PlaceGuarded { trader: Some(trader), market, order, .. }
                if order.reduce_only =>
            {
                let after = self.model.position(*trader, *market).base;
                let shrunk = after.abs() <= base.abs() && after * base >= 0;
                if shrunk { Ok(()) } else { Err(format!("P5: from {base} lots to {after}")) }
            }
            _ => Ok(()),
        }
    }

    /// The engine's three margin figures of every trader are the model's.
    pub fn check_margins(&self) -> std::result::Result<(), String> {
        let view = self.world.view();
        let now = self.world.now.unix_seconds;
        for (id, _) in self.model.live() {
            let cell = view.trader(self.cell(id)).map_err(|error| format!("{error:?}"))?;
            let say = |error| format!("trader {id}: {error:?}");
            let initial = margin::initial(&view, cell, now).map_err(say)?;
            let maintenance = margin::maintenance(&view, cell, now).map_err(say)?;
            let (available, validity) = margin::withdrawable(&view, cell, now).map_err(say)?;
            let Initial { equity, required, worst } = self.model.initial(id);
            let engine = (
                (i128::from(initial.equity.get()), i128::from(initial.required.get()), initial.validity as u8),
                (
                    i128::from(maintenance.equity.get()),
                    i128::from(maintenance.required.get()),
                    maintenance.validity as u8,
                ),
                (i128::from(available.get()), validity as u8),
            );
            let expected = self.model.withdrawable(id);
            let health = self.model.health(id);
            let health = (health.equity, health.required, health.worst as u8);
            let model = ((equity, required, worst as u8), health, (expected.0, expected.1 as u8));
            if engine != model {
                return Err(format!("margins of trader {id}: engine {engine:?}, model {model:?}"));
            }
        }
        Ok(())
    }
}

fn described(placed: Placed) -> super::Outcome {
    super::Outcome {
        filled: placed.filled.get().into(),
        quote: placed.quote.get().into(),
        fee: placed.fee.get().into(),
        builder_fee: placed.builder_fee.get().into(),
        resting: placed.resting.map(|(_, sequence)| sequence.get()),
        waiting: placed.waiting.map(|(_, sequence)| sequence.get()),
    }
}

fn closed(done: Liquidated) -> Closed {
    let number = |atoms: QuoteAtoms| i128::from(atoms.get());
    Closed { lots: done.lots.get().into(), quote: number(done.quote), fee: number(done.fee), tip: number(done.tip) }
}

/// R6: those whom a rung of the ladder does not concern, as they were before.
struct Bystanders(Vec<(usize, super::Trader)>);

impl Bystanders {
    /// Shortfalls concern those with size in the market, closing those who take part in it; the rest is touched by
    /// neither.
    fn of(op: &Op, model: &Model) -> Self {
        let (market, part) = match op {
            Op::Deleverage { market, target, .. } => {
                let target = model.markets[*market].deleverage.as_ref().map_or(*target, |state| state.target);
                (*market, [Some(target), None])
            }
            Op::Absorb { market, target } => (*market, [Some(*target), None]),
            Op::Liquidate { market, target, keeper, .. } => (*market, [Some(*target), *keeper]),
            Op::TakeOver { market, target, by, .. } => (*market, [Some(*target), *by]),
            Op::CancelForRisk { market, .. } => (*market, [None, None]),
            _ => return Self(Vec::new()),
        };
        let concerned = |id: usize| {
            let sized = matches!(op, Op::Deleverage { .. }) && model.position(id, market).base != 0;
            let resting = model.markets[market].orders_of(id).next().is_some();
            let resting = resting && !matches!(op, Op::Deleverage { .. } | Op::Absorb { .. });
            part.contains(&Some(id)) || sized || resting
        };
        let others = model.live().filter(|(id, _)| !concerned(*id));
        Self(others.map(|(id, trader)| (id, trader.clone())).collect())
    }

    fn check(&self, model: &Model) -> std::result::Result<(), String> {
        for (id, before) in &self.0 {
            if model.trader(*id) != before {
                return Err(format!("R6: trader {id} was {before:?} and is {:?}", model.trader(*id)));
            }
        }
        Ok(())
    }
}

fn market_of_trade(op: &Op) -> Option<usize> {
    match op {
        Op::Place { market, .. }
        | Op::Amend { market, .. }
        | Op::RunDelayed { market, .. }
        | Op::PlaceGuarded { market, .. }
        | Op::PlaceOrders { market, .. }
        | Op::ExecuteTriggers { market, .. }
        | Op::Liquidate { market, .. }
        | Op::TakeOver { market, .. } => Some(*market),
        _ => None,
    }
}
