//! Delegates, fee limits, and accounts whose cash leaves to known targets alone.

#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use quantdesk_engine::{
    CellIndex, EngineError, Generation, Ppm, QuoteAtoms, Result, Side, Ticks, UnixSeconds, access,
    account::{self, Withdrawal},
    book::{Builder, NewTrigger, OrderKind, Quote, Replacement, Sides},
    partner, pool,
    state::{AccessCell, Condition, Key, PoolStake, Reference, ledger::Policy},
};
use support::{
    World, listing,
    world::{GENEROUS, key, order},
};

const CAPITAL: u64 = 10_000_000;
const HOUR: u32 = 3_600;
const HOME: u64 = 500;
const THIEF: u64 = 666;

fn world() -> (World, CellIndex) {
    let mut listing = listing::usual();
    listing.side_capacity = 20;
    let mut world = World::new(&[listing], 40);
    world.set_price(0, 100);
    let trader = world.funded(1, CAPITAL);
    (world, trader)
}

/// An account with a delay of an hour and a target that is allowed.
fn guarded() -> (World, CellIndex) {
    let (mut world, trader) = world();
    allow(&mut world, trader, HOME).unwrap();
    delay(&mut world, trader, HOUR);
    (world, trader)
}

fn delay(world: &mut World, trader: CellIndex, seconds: u32) {
    world.ledger(|ledger, now| access::set_withdraw_delay(ledger, now, trader, seconds)).unwrap();
    assert_eq!(world.check(), Ok(()));
}

fn allow(world: &mut World, trader: CellIndex, target: u64) -> Result<()> {
    let done = world.ledger(|ledger, now| access::allow_target(ledger, now, trader, key(target)));
    assert_eq!(world.check(), Ok(()));
    done
}

fn strike(world: &mut World, trader: CellIndex, target: u64) -> Result<()> {
    let done = world.ledger(|ledger, now| access::disallow_target(ledger, now, trader, key(target)));
    assert_eq!(world.check(), Ok(()));
    done
}

fn delegate(world: &mut World, trader: CellIndex, delegate: Key) -> Result<()> {
    world.ledger(|ledger, now| access::set_delegate(ledger, now, trader, delegate))
}

fn withdraw(world: &mut World, trader: CellIndex, target: u64) -> Result<Withdrawal> {
    let done = world.ledger(|ledger, now| account::withdraw(ledger, now, trader, QuoteAtoms::new(1), &key(target)));
    world.vault -= u64::from(done == Ok(Withdrawal::Paid));
    assert_eq!(world.check(), Ok(()));
    done
}

fn transfer(world: &mut World, from: CellIndex, to: CellIndex) -> Result<()> {
    world.ledger(|ledger, now| account::transfer(ledger, now, from, to, QuoteAtoms::new(1)))
}

fn cell(world: &World, trader: CellIndex) -> Option<AccessCell> {
    world.view().access(&world.trader(trader)).unwrap().copied()
}

fn in_use(world: &World) -> u32 {
    world.view().header.cells.in_use()
}

#[test]
fn inv_a5_a_cell_is_there_while_something_is_in_it() {
    let (mut world, trader) = world();
    let before = in_use(&world);
    assert!(world.trader(trader).access.is_nil() && cell(&world, trader).is_none());
    delegate(&mut world, trader, key(9)).unwrap();
    assert_eq!((in_use(&world), cell(&world, trader).unwrap().delegate), (before + 1, key(9)));
    allow(&mut world, trader, HOME).unwrap();
    delay(&mut world, trader, HOUR);
    delegate(&mut world, trader, Key::ZERO).unwrap();
    assert_eq!(in_use(&world), before + 1);
    strike(&mut world, trader, HOME).unwrap();
    delay(&mut world, trader, 0);
    assert_eq!(in_use(&world), before + 1, "the delay runs");
    world.pass(HOUR.into());
    delay(&mut world, trader, 0);
    assert_eq!((in_use(&world), world.trader(trader).access), (before, CellIndex::NIL));
    // It goes with its trader, and what comes into either cell next has nothing of it.
    delegate(&mut world, trader, key(9)).unwrap();
    world.withdraw(trader, CAPITAL).unwrap();
    world.close(trader).unwrap();
    assert_eq!((in_use(&world), world.check()), (before - 1, Ok(())));
    let next = world.open(1, 0).unwrap();
    assert_eq!((next, cell(&world, next)), (trader, None));
}

#[test]
fn a_full_ledger_has_no_cell() {
    let (mut world, trader) = world();
    while world.open(7, 0).is_ok() {}
    assert_eq!(delegate(&mut world, trader, key(9)), Err(EngineError::LedgerFull));
    assert_eq!(allow(&mut world, trader, HOME), Err(EngineError::LedgerFull));
    // Nothing has to be kept for that.
    delay(&mut world, trader, 0);
    assert_eq!(delegate(&mut world, trader, Key::ZERO), Ok(()));
}

#[test]
fn targets_are_two_and_wait_the_delay() {
    let (mut world, trader) = guarded();
    assert_eq!(allow(&mut world, trader, HOME), Err(EngineError::TargetListed));
    assert_eq!(strike(&mut world, trader, 2), Err(EngineError::TargetNotFound));
    assert_eq!(strike(&mut world, trader, 0), Err(EngineError::TargetNotFound));
    allow(&mut world, trader, THIEF).unwrap();
    assert_eq!(allow(&mut world, trader, 3), Err(EngineError::TargetsFull));
    assert_eq!(withdraw(&mut world, trader, HOME), Ok(Withdrawal::Paid));
    world.pass(i64::from(HOUR) - 1);
    world.set_price(0, 100);
    assert_eq!(withdraw(&mut world, trader, THIEF), Err(EngineError::TargetNotAllowed));
    world.pass(1);
    assert_eq!(withdraw(&mut world, trader, THIEF), Ok(Withdrawal::Paid));
    strike(&mut world, trader, THIEF).unwrap();
    assert_eq!(withdraw(&mut world, trader, THIEF), Err(EngineError::TargetNotAllowed));
    // Named again it waits again.
    allow(&mut world, trader, THIEF).unwrap();
    assert_eq!(withdraw(&mut world, trader, THIEF), Err(EngineError::TargetNotAllowed));
    let stranger = world.open(2, 0).unwrap();
    assert_eq!(strike(&mut world, stranger, HOME), Err(EngineError::TargetNotFound));
}

#[test]
fn a_longer_delay_holds_at_once_and_a_shorter_one_later() {
    let (mut world, trader) = guarded();
    let in_force = |world: &World| cell(world, trader).map_or(0, |cell| cell.delay(world.now.unix_seconds));
    delay(&mut world, trader, 2 * HOUR);
    assert_eq!(in_force(&world), 2 * HOUR);
    delay(&mut world, trader, 0);
    assert_eq!(in_force(&world), 2 * HOUR);
    world.pass(i64::from(HOUR));
    // Asked for again it begins anew; the present one ends it.
    delay(&mut world, trader, 60);
    world.pass(i64::from(2 * HOUR) - 1);
    assert_eq!(in_force(&world), 2 * HOUR);
    assert_eq!(withdraw(&mut world, trader, THIEF), Err(EngineError::TargetNotAllowed));
    world.pass(1);
    assert_eq!(in_force(&world), 60);
    delay(&mut world, trader, 0);
    delay(&mut world, trader, 60);
    world.pass(61);
    assert_eq!(in_force(&world), 60, "the end was taken back");
    delay(&mut world, trader, 0);
    world.pass(60);
    assert_eq!(withdraw(&mut world, trader, THIEF), Ok(Withdrawal::Paid));
}

/// A target that is named while the delay is about to end waits the whole of it.
#[test]
fn attack_naming_a_target_while_the_delay_ends() {
    let (mut world, trader) = guarded();
    delay(&mut world, trader, 1);
    world.pass(i64::from(HOUR) - 1);
    allow(&mut world, trader, THIEF).unwrap();
    world.pass(i64::from(HOUR) - 1);
    world.set_price(0, 100);
    assert_eq!(withdraw(&mut world, trader, THIEF), Err(EngineError::TargetNotAllowed));
}

#[test]
fn attack_bypassing_the_guard_by_a_sub_account() {
    let (mut world, trader) = guarded();
    let sibling = world.open(1, 1).unwrap();
    let refused = Err(EngineError::AccountGuarded);
    assert_eq!(transfer(&mut world, trader, sibling), refused, "not guarded");
    delay(&mut world, sibling, HOUR - 1);
    assert_eq!(transfer(&mut world, trader, sibling), refused, "a shorter delay");
    delay(&mut world, sibling, HOUR);
    assert_eq!(transfer(&mut world, trader, sibling), Ok(()));
    // A target that was named when the sibling had no delay, or is on its way.
    allow(&mut world, sibling, THIEF).unwrap();
    assert_eq!(transfer(&mut world, trader, sibling), refused, "another target");
    strike(&mut world, sibling, THIEF).unwrap();
    allow(&mut world, sibling, HOME).unwrap();
    assert_eq!(transfer(&mut world, trader, sibling), Ok(()), "the same target, later");
    // Its delay about to end.
    delay(&mut world, sibling, 0);
    assert_eq!(transfer(&mut world, trader, sibling), refused, "about to be free");
    world.pass(i64::from(HOUR));
    assert_eq!(transfer(&mut world, trader, sibling), refused, "free");
    delay(&mut world, sibling, HOUR);
    assert_eq!(transfer(&mut world, trader, sibling), Ok(()));
    // The same target, but earlier than here.
    strike(&mut world, trader, HOME).unwrap();
    allow(&mut world, trader, HOME).unwrap();
    assert_eq!(transfer(&mut world, trader, sibling), refused, "allowed there already");
    // Into it anything may come.
    let free = world.funded(1, 1_000);
    assert_eq!(transfer(&mut world, free, trader), Ok(()));
}

#[test]
fn attack_bypassing_the_guard_by_stake_gifts_tips_and_builders() {
    let (mut world, trader) = guarded();
    let (some, refused) = (QuoteAtoms::new(1_000), EngineError::AccountGuarded);
    let mut stake = PoolStake::new(key(900), key(1), 255);
    let staked = world.ledger(|ledger, now| pool::stake(ledger, &mut stake, now, trader, some));
    assert_eq!(staked, Err(refused));
    assert_eq!(world.ledger(|ledger, now| pool::fund(ledger, now, trader, some)), Err(refused));
    let tipped = NewTrigger {
        condition: Condition::Above,
        reference: Reference::Mark,
        side: Side::Bid,
        reduce_only: false,
        price: Ticks::new(110),
        distance: Ticks::ZERO,
        limit: Ticks::ZERO,
        slippage: Ppm::ZERO,
        lots: quantdesk_engine::Lots::new(1),
        share: Ppm::ZERO,
        tip: some,
        client_id: 0,
        parent: 0,
        group: 0,
        expires_at: UnixSeconds::ZERO,
        interval: 0,
        slices: 0,
    };
    assert_eq!(world.trading(0, |trading| trading.place_trigger(trader, &tipped)), Err(refused));
    let friend = world.funded(2, CAPITAL);
    let generation: Generation = world.trader(friend).generation;
    world.ledger(|ledger, now| partner::set_builder_max(ledger, now, trader, 1_000)).unwrap();
    let builder = Builder { trader: friend, generation, fee: Ppm::new(1_000) };
    let buy = order(Side::Bid, OrderKind::Limit, 100, 1);
    assert_eq!(world.trading(0, |trading| trading.place_order_for(trader, &buy, &builder)), Err(refused));
    // Unguarded all of that is possible.
    delay(&mut world, trader, 0);
    world.pass(i64::from(HOUR));
    world.set_price(0, 100);
    world.ledger(|ledger, now| pool::stake(ledger, &mut stake, now, trader, some)).unwrap();
    world.ledger(|ledger, now| pool::fund(ledger, now, trader, some)).unwrap();
    world.trading(0, |trading| trading.place_trigger(trader, &tipped)).unwrap();
    world.trading(0, |trading| trading.place_order_for(trader, &buy, &builder)).unwrap();
    assert_eq!(world.check(), Ok(()));
}

/// The queue looks at the target when the time has come, not only when it was asked for.
#[test]
fn attack_a_withdrawal_that_waits_while_its_target_is_struck_off() {
    let (mut world, trader) = guarded();
    world.set_policy(Policy { outflow_rate: Ppm::new(1_000), outflow_floor: QuoteAtoms::ZERO, ..GENEROUS });
    let all = QuoteAtoms::new(CAPITAL / 2);
    let queued = world.ledger(|ledger, now| account::withdraw(ledger, now, trader, all, &key(HOME)));
    assert_eq!(queued, Ok(Withdrawal::Queued));
    let may_pay = |world: &World| {
        let (view, now) = (world.view(), world.now.unix_seconds);
        access::may_pay(&view, view.trader(trader).unwrap(), &key(HOME), now).unwrap()
    };
    assert!(may_pay(&world));
    strike(&mut world, trader, HOME).unwrap();
    assert!(!may_pay(&world));
    assert_eq!(world.close(trader), Err(EngineError::TraderNotEmpty));
    let paid_in = world.trader(trader).paid_in;
    world.pass(86_400);
    assert_eq!(world.process_queue(false), Ok((trader, CAPITAL / 2)));
    assert_eq!(world.trader(trader).paid_in.get() - paid_in.get(), CAPITAL as i64 / 2);
    assert_eq!((world.cash(trader), world.check()), (CAPITAL as i64, Ok(())));
}

#[test]
fn orders_are_for_markets_that_cost_no_more_than_the_limit() {
    let (mut world, trader) = world();
    let fee_max = |world: &mut World, ppm: u32| {
        world.ledger(|ledger, now| access::set_fee_max(ledger, now, trader, Ppm::new(ppm))).unwrap();
    };
    fee_max(&mut world, 450);
    let placed = world.place(0, trader, &order(Side::Bid, OrderKind::PostOnly, 90, 2)).unwrap();
    fee_max(&mut world, 449);
    for kind in [OrderKind::Limit, OrderKind::PostOnly, OrderKind::ImmediateOrCancel, OrderKind::Pegged] {
        let mut order = order(Side::Bid, kind, 99, 1);
        order.peg_offset = if kind == OrderKind::Pegged { -2 } else { 0 };
        assert_eq!(world.place(0, trader, &order), Err(EngineError::FeeTooHigh), "{kind:?}");
    }
    let quotes = [Quote::new(Side::Bid, Ticks::new(90), quantdesk_engine::Lots::new(1))];
    let expires_at = UnixSeconds::ZERO;
    let wanted = Replacement { sequence: 1, sides: Some(Sides::Both), expires_at, quotes: &quotes };
    let replaced = world.trading(0, |trading| trading.replace_quotes(trader, &wanted));
    assert_eq!(replaced, Err(EngineError::FeeTooHigh));
    // What rests stays and is filled, and can be taken back.
    let friend = world.funded(2, CAPITAL);
    world.place(0, friend, &order(Side::Ask, OrderKind::ImmediateOrCancel, 90, 1)).unwrap();
    assert_eq!(world.base(0, trader), 1);
    let (node, sequence) = placed.resting.unwrap();
    world.cancel(0, trader, node, sequence).unwrap();
    assert_eq!(world.check(), Ok(()));
}
