//! The outflow limiter and the queue: no more leaves than the bucket lets out, nobody overtakes, nobody waits for ever.

use crate::{
    cases,
    support::{
        World, listing,
        world::{GENEROUS, key, order},
    },
};
use proptest::prelude::*;
use quantdesk_engine::{
    CellIndex, EngineError, QuoteAtoms, Side, UnixSeconds,
    account::{self, Withdrawal},
    book::OrderKind,
    outflow::{self, Bucket, WINDOW_SECONDS},
    state::{CashEventKind, fees::FeeSchedule, ledger::Policy},
    units::Ppm,
};
use std::collections::VecDeque;

/// 1% of the total an hour, a floor of 100 atoms, a day in the queue, a fifth of fees for the pool.
const STRICT: Policy = Policy {
    outflow_rate: Ppm::new(10_000),
    queue_seconds: 86_400,
    outflow_floor: QuoteAtoms::new(100),
    pool_fee_share: Ppm::new(200_000),
    unstake_seconds: 86_400,
    fees: FeeSchedule::NONE,
};

/// A limited world with this many traders of 10,000 atoms each, every one of another owner.
fn limited(traders: u64) -> (World, Vec<CellIndex>) {
    let mut world = World::new(&[], 2 * traders as u32 + 2);
    let cells = (0..traders).map(|owner| world.funded(owner + 1, 10_000)).collect();
    world.set_policy(STRICT);
    (world, cells)
}

/// Traders whose withdrawals wait, in order.
fn waiting(world: &World) -> Vec<(CellIndex, u64)> {
    outflow::waiting(&world.view()).map(|(_, waiting)| (waiting.trader, waiting.atoms.get())).collect()
}

/// Kind and amount of the last record.
fn last_event(world: &World) -> (Option<CashEventKind>, i64) {
    let view = world.view();
    let newest = view.events.iter().max_by_key(|event| event.sequence).unwrap();
    (newest.kind(), newest.amount)
}

/// `call` is refused with `error` and changes nothing.
#[track_caller]
fn refused<R: std::fmt::Debug + PartialEq>(
    world: &mut World,
    error: EngineError,
    call: impl FnOnce(&mut World) -> quantdesk_engine::Result<R>,
) {
    let before: Vec<Vec<u64>> = world.accounts().map(<[u64]>::to_vec).collect();
    assert_eq!(call(world), Err(error));
    assert!(world.accounts().eq(before.iter().map(Vec::as_slice)), "a refusal changes nothing");
}

/// Marks an account bankrupt.
fn bankrupt(world: &mut World, trader: CellIndex) {
    const BANKRUPT_OFFSET: usize = 86;
    let marked = world.ledger(|ledger, _| {
        bytemuck::bytes_of_mut(&mut ledger.cells[trader.as_usize()])[BANKRUPT_OFFSET] = 1;
        ledger.header.bankrupts += 1;
        Ok(())
    });
    marked.unwrap();
    assert!(world.trader(trader).is_bankrupt());
}

proptest! {
    #![proptest_config(cases(1_000))]

    /// Between any two moments no more leaves than the capacity and what flows in meanwhile.
    #[test]
    fn a_bucket_lets_out_its_capacity_and_what_flows_in(
        capacity in 1u64..1 << 40, window in 1u32..1 << 20, steps in prop::collection::vec((0u32..5_000, 0u64..1 << 41), 1..40),
    ) {
        let mut bucket = Bucket::default();
        let (mut now, mut spent) = (UnixSeconds::new(1_700_000_000), Vec::new());
        for (seconds, wish) in steps {
            now = now.plus(seconds).unwrap();
            let amount = bucket.available(capacity, window, now).unwrap().min(wish);
            prop_assert!(amount <= capacity);
            bucket.spend(amount, capacity, window, now).unwrap();
            spent.push((now, i128::from(amount)));
            for (place, (since, _)) in spent.iter().enumerate() {
                let out: i128 = spent[place..].iter().map(|(_, amount)| amount).sum();
                let (capacity, seconds) = (i128::from(capacity), i128::from(now.since(*since)));
                prop_assert!(out * i128::from(window) <= capacity * (i128::from(window) + seconds));
            }
        }
    }

    /// Whatever was spent and however the capacity changed, a window later all of it is there again.
    #[test]
    fn a_bucket_is_empty_after_a_window(
        spent in any::<u64>(), before in any::<u64>(), after in any::<u64>(), window in any::<u32>(), late in any::<u32>(),
    ) {
        prop_assume!(window > 0);
        let mut bucket = Bucket::default();
        let start = UnixSeconds::new(1_700_000_000);
        bucket.spend(spent, before, window, start).unwrap();
        prop_assert_eq!(bucket.available(before, window, start).unwrap(), before.saturating_sub(spent));
        let then = start.plus(window).unwrap().plus(late).unwrap();
        prop_assert_eq!(bucket.available(after, window, then).unwrap(), after);
    }

    /// Asking and spending nothing in between never adds anything.
    #[test]
    fn a_bucket_that_is_asked_often_lets_out_no_more(
        spent in 0u64..1 << 40, capacity in 1u64..1 << 40, window in 1u32..10_000, pauses in prop::collection::vec(0u32..500, 1..20),
    ) {
        let mut often = Bucket::default();
        let mut now = UnixSeconds::new(1_700_000_000);
        often.spend(spent, capacity, window, now).unwrap();
        let once = often;
        for pause in pauses {
            now = now.plus(pause).unwrap();
            often.spend(0, capacity, window, now).unwrap();
            prop_assert!(often.available(capacity, window, now).unwrap() <= once.available(capacity, window, now).unwrap());
        }
    }

    /// The queue against a plain list: in order, each once, paid when the bucket allows or the wait is over.
    #[test]
    fn e2_the_queue_is_first_in_first_out(
        steps in prop::collection::vec((0u8..6, 0usize..5, 1u64..4_000, 0i64..9_000), 1..60),
    ) {
        let (mut world, traders) = limited(5);
        let mut expected: VecDeque<(CellIndex, u64, i64)> = VecDeque::new();
        for (action, who, atoms, seconds) in steps {
            let trader = traders[who];
            let now = world.now.unix_seconds.get();
            match action {
                0 | 1 => {
                    let view = world.view();
                    let free = view.header.outflow.available(
                        outflow::capacity(view.header).unwrap(), WINDOW_SECONDS, world.now.unix_seconds).unwrap();
                    let at_once = expected.is_empty() && atoms <= free;
                    match world.withdraw_or_queue(trader, atoms) {
                        Ok(Withdrawal::Paid) => prop_assert!(at_once),
                        Ok(Withdrawal::Queued) => {
                            prop_assert!(!at_once);
                            expected.push_back((trader, atoms, now));
                        }
                        Err(EngineError::WithdrawalWaiting) => {
                            prop_assert!(expected.iter().any(|(waiting, _, _)| *waiting == trader));
                        }
                        Err(error) => prop_assert_eq!(error, EngineError::WithdrawExceedsAvailable),
                    }
                }
                2 | 3 => {
                    let vault = world.vault;
                    match world.process_queue(action == 2) {
                        Ok((trader, atoms)) => {
                            let (first, wanted, _) = expected.pop_front().unwrap();
                            prop_assert_eq!((trader, atoms), (first, wanted));
                            prop_assert_eq!(vault - world.vault, if action == 2 { atoms } else { 0 });
                        }
                        Err(error) => {
                            prop_assert_eq!(error, EngineError::QueueNotDue);
                            let waited = expected.front().map(|(_, _, since)| now - since);
                            prop_assert!(waited.is_none_or(|waited| waited < i64::from(STRICT.queue_seconds)));
                        }
                    }
                }
                4 => world.deposit(trader, atoms).unwrap(),
                _ => world.pass(seconds),
            }
            let listed: Vec<_> = expected.iter().map(|(trader, atoms, _)| (*trader, *atoms)).collect();
            prop_assert_eq!(waiting(&world), listed);
            prop_assert_eq!(world.check(), Ok(()));
        }
    }
}

#[test]
fn policies_are_bounded() {
    let bounds = |rate, queue, share, unstake| Policy {
        outflow_rate: Ppm::new(rate),
        queue_seconds: queue,
        outflow_floor: QuoteAtoms::ZERO,
        pool_fee_share: Ppm::new(share),
        unstake_seconds: unstake,
        fees: FeeSchedule::NONE,
    };
    let (lowest, highest) = (bounds(1_000, 3_600, 0, 86_400), bounds(1_000_000, 604_800, 1_000_000, 2_592_000));
    for policy in [lowest, highest, GENEROUS, STRICT, Policy { outflow_floor: QuoteAtoms::MAX, ..lowest }] {
        assert_eq!(policy.check(), Ok(()));
    }
    for (rate, queue, share, unstake) in [
        (999, 3_600, 0, 86_400),
        (0, 3_600, 0, 86_400),
        (1_000_001, 3_600, 0, 86_400),
        (1_000, 3_599, 0, 86_400),
        (1_000, 0, 0, 86_400),
        (1_000, 604_801, 0, 86_400),
        (1_000, 3_600, 1_000_001, 86_400),
        (1_000, 3_600, 0, 86_399),
        (1_000, 3_600, 0, 0),
        (1_000, 3_600, 0, 2_592_001),
        (u32::MAX, u32::MAX, u32::MAX, u32::MAX),
    ] {
        assert_eq!(
            bounds(rate, queue, share, unstake).check(),
            Err(EngineError::PolicyInvalid),
            "{rate} {queue} {share}"
        );
    }
    assert_eq!(Policy::default().check(), Err(EngineError::PolicyInvalid));
}

#[test]
fn the_capacity_is_a_share_of_the_total_and_at_least_the_floor() {
    let (mut world, traders) = limited(2);
    assert_eq!(outflow::capacity(world.view().header), Ok(200));
    world.deposit(traders[0], 99).unwrap();
    assert_eq!(outflow::capacity(world.view().header), Ok(200), "rounded down");
    world.deposit(traders[0], 1).unwrap();
    assert_eq!(outflow::capacity(world.view().header), Ok(201));
    world.set_policy(Policy { outflow_floor: QuoteAtoms::new(300), ..STRICT });
    assert_eq!(outflow::capacity(world.view().header), Ok(300));
}

#[test]
fn what_does_not_fit_waits_and_is_paid_in_order() {
    let (mut world, traders) = limited(3);
    // 1% of 30,000 may leave.
    assert_eq!(world.withdraw_or_queue(traders[0], 301), Ok(Withdrawal::Queued));
    assert_eq!(last_event(&world), (Some(CashEventKind::WithdrawalQueued), 301));
    assert_eq!((world.vault, world.cash(traders[0])), (30_000, 9_699));
    assert_eq!(world.view().header.withdraw_queue.get().get(), 301);
    assert_eq!(world.withdraw_or_queue(traders[1], 300), Ok(Withdrawal::Queued));
    // More than the bucket ever lets out waits its time.
    refused(&mut world, EngineError::QueueNotDue, |world| world.process_queue(true));
    world.pass(86_399);
    refused(&mut world, EngineError::QueueNotDue, |world| world.process_queue(true));
    world.pass(1);
    assert_eq!(world.process_queue(true), Ok((traders[0], 301)));
    assert_eq!(last_event(&world), (Some(CashEventKind::WithdrawalPaid), 301));
    // It has emptied the bucket, and the next one's time has come too.
    assert_eq!(world.process_queue(true), Ok((traders[1], 300)));
    refused(&mut world, EngineError::QueueNotDue, |world| world.process_queue(true));
    assert_eq!((world.vault, world.view().header.withdraw_queue.is_zero()), (30_000 - 601, true));
    assert_eq!(world.check(), Ok(()));
    // The forced payments have left nothing, and an hour brings all of it back, not less.
    assert_eq!(world.withdraw_or_queue(traders[2], 1), Ok(Withdrawal::Queued));
    world.pass(3_600);
    assert_eq!(world.process_queue(true), Ok((traders[2], 1)));
    assert_eq!(world.withdraw_or_queue(traders[2], 292), Ok(Withdrawal::Paid));
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn a_small_withdrawal_cannot_overtake_the_queue() {
    let (mut world, traders) = limited(3);
    world.withdraw_or_queue(traders[0], 5_000).unwrap();
    assert_eq!(world.withdraw_or_queue(traders[1], 1), Ok(Withdrawal::Queued), "although the bucket has room for it");
    assert_eq!(waiting(&world), [(traders[0], 5_000), (traders[1], 1)]);
    refused(&mut world, EngineError::QueueNotDue, |world| world.process_queue(true));
    world.pass(86_400);
    assert_eq!(world.process_queue(true), Ok((traders[0], 5_000)));
    assert_eq!(world.process_queue(true), Ok((traders[1], 1)));
}

#[test]
fn the_longest_wait_is_honoured_although_the_bucket_is_empty() {
    let (mut world, traders) = limited(4);
    for (trader, atoms) in [(traders[0], 9_000), (traders[1], 9_000), (traders[2], 9_000)] {
        assert_eq!(world.withdraw_or_queue(trader, atoms), Ok(Withdrawal::Queued));
    }
    world.pass(86_400);
    for trader in &traders[..3] {
        assert_eq!(world.process_queue(true), Ok((*trader, 9_000)), "all at once, each for more than the capacity");
    }
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn a_forced_payment_fills_the_bucket_and_no_more() {
    let (mut world, traders) = limited(3);
    world.withdraw_or_queue(traders[0], 10_000).unwrap();
    world.pass(86_400);
    world.process_queue(true).unwrap();
    // However large it was, it counts for no more than the capacity of that moment, 300, of which half has faded in half an
    // hour; the capacity is 200 now.
    world.pass(1_800);
    assert_eq!(world.withdraw_or_queue(traders[1], 50), Ok(Withdrawal::Paid));
    assert_eq!(world.withdraw_or_queue(traders[2], 1), Ok(Withdrawal::Queued));
}

#[test]
fn one_waits_per_trader() {
    let (mut world, traders) = limited(2);
    world.withdraw_or_queue(traders[0], 500).unwrap();
    refused(&mut world, EngineError::WithdrawalWaiting, |world| world.withdraw_or_queue(traders[0], 1));
    world.pass(86_400);
    world.process_queue(true).unwrap();
    world.withdraw_or_queue(traders[0], 500).unwrap();
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn a_full_arena_has_no_room_to_wait() {
    let mut world = World::new(&[], 3);
    let traders = [1, 2].map(|owner| world.funded(owner, 10_000));
    world.set_policy(STRICT);
    world.withdraw_or_queue(traders[0], 500).unwrap();
    refused(&mut world, EngineError::LedgerFull, |world| world.withdraw_or_queue(traders[1], 500));
    // What may leave at once needs no cell; the cell of one that was paid is free again.
    world.pass(86_400);
    world.process_queue(true).unwrap();
    world.pass(3_600);
    assert_eq!(world.withdraw_or_queue(traders[1], 100), Ok(Withdrawal::Paid));
    assert_eq!(world.withdraw_or_queue(traders[1], 500), Ok(Withdrawal::Queued));
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn a_target_that_cannot_be_paid_does_not_hold_up_the_others() {
    let (mut world, traders) = limited(2);
    world.withdraw_or_queue(traders[0], 500).unwrap();
    world.withdraw_or_queue(traders[1], 500).unwrap();
    world.pass(86_400);
    let vault = world.vault;
    assert_eq!(world.process_queue(false), Ok((traders[0], 500)));
    assert_eq!(last_event(&world), (Some(CashEventKind::WithdrawalReturned), 500));
    assert_eq!((world.vault, world.cash(traders[0])), (vault, 10_000));
    assert_eq!(world.process_queue(true), Ok((traders[1], 500)));
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn an_account_whose_withdrawal_waits_stays_open() {
    let (mut world, traders) = limited(1);
    world.withdraw_or_queue(traders[0], 10_000).unwrap();
    refused(&mut world, EngineError::TraderNotEmpty, |world| world.close(traders[0]));
    world.pass(86_400);
    world.process_queue(true).unwrap();
    world.close(traders[0]).unwrap();
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn a_bankrupt_account_gives_nothing_away_and_stays_open() {
    let (mut world, traders) = limited(1);
    let [rich, empty] = [10_000, 0].map(|cash| {
        let trader = world.open(1, 9).unwrap();
        if cash > 0 {
            world.deposit(trader, cash).unwrap();
        }
        trader
    });
    for trader in [rich, empty] {
        bankrupt(&mut world, trader);
    }
    refused(&mut world, EngineError::AccountBankrupt, |world| world.withdraw_or_queue(rich, 1));
    let transfer = |world: &mut World, from, to, atoms| {
        world.ledger(|ledger, now| account::transfer(ledger, now, from, to, QuoteAtoms::new(atoms)))
    };
    refused(&mut world, EngineError::AccountBankrupt, |world| transfer(world, rich, traders[0], 1));
    refused(&mut world, EngineError::AccountBankrupt, |world| transfer(world, traders[0], rich, 1));
    refused(&mut world, EngineError::TraderNotEmpty, |world| world.close(empty));
    world.deposit(rich, 5).unwrap();
}

#[test]
fn transfers_stay_with_the_owner_and_leave_margin_behind() {
    let mut world = World::new(&[listing::usual()], 12);
    world.set_price(0, 100);
    let (maker, taker) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    let (sibling, stranger) = (world.open(2, 7).unwrap(), world.open(3, 0).unwrap());
    world.place(0, maker, &order(Side::Ask, OrderKind::Limit, 100, 20)).unwrap();
    world.place(0, taker, &order(Side::Bid, OrderKind::ImmediateOrCancel, 100, 20)).unwrap();
    let transfer = |world: &mut World, from, to, atoms| {
        world.ledger(|ledger, now| account::transfer(ledger, now, from, to, QuoteAtoms::new(atoms)))
    };
    refused(&mut world, EngineError::AmountZero, |world| transfer(world, taker, sibling, 0));
    for target in [taker, stranger, maker] {
        refused(&mut world, EngineError::TransferInvalid, |world| transfer(world, taker, target, 1));
    }
    let view = world.view();
    let now = world.now.unix_seconds;
    let (free, _) = quantdesk_engine::risk::margin::withdrawable(&view, view.trader(taker).unwrap(), now).unwrap();
    let (free, cash) = (free.get(), world.cash(taker));
    assert!(free > 0 && (free as i64) < cash, "some of it is margin");
    refused(&mut world, EngineError::WithdrawExceedsAvailable, |world| transfer(world, taker, sibling, free + 1));
    transfer(&mut world, taker, sibling, free).unwrap();
    assert_eq!((world.cash(taker), world.cash(sibling)), (cash - free as i64, free as i64));
    assert_eq!(last_event(&world), (Some(CashEventKind::CashTransferred), free as i64));
    refused(&mut world, EngineError::WithdrawExceedsAvailable, |world| transfer(world, taker, sibling, 1));
    assert_eq!(world.check(), Ok(()));
    // Nor does it work on a price that is not fresh; what has no exposure needs none.
    world.pass(61);
    refused(&mut world, EngineError::PriceNotValidForAction, |world| transfer(world, taker, sibling, 1));
    transfer(&mut world, sibling, taker, 1).unwrap();
    // No bucket limits it.
    world.set_policy(STRICT);
    transfer(&mut world, sibling, taker, free - 1).unwrap();
    assert_eq!(world.check(), Ok(()));
}

/// A limited world in which 10,000 atoms of fees were earned.
fn earned() -> (World, Vec<CellIndex>) {
    let (mut world, traders) = limited(2);
    let trader = traders[0];
    let earned = world.ledger(|ledger, _| {
        let cell = ledger.cells[trader.as_usize()].trader_mut().unwrap();
        quantdesk_engine::money::post(&mut cell.cash, &mut ledger.header.fees, QuoteAtoms::new(10_000))
    });
    earned.unwrap();
    (world, traders)
}

#[test]
fn fees_cannot_jump_the_limiter() {
    let (mut world, traders) = earned();
    // 200 may leave: 80% of 250.
    refused(&mut world, EngineError::OutflowLimited, |world| world.collect_fees(252));
    world.collect_fees(250).unwrap();
    assert_eq!((world.vault, world.view().header.pool.get().get()), (19_800, 50));
    refused(&mut world, EngineError::OutflowLimited, |world| world.collect_fees(10));
    // Nor the queue, although the bucket is full again.
    world.withdraw_or_queue(traders[1], 9_000).unwrap();
    world.pass(3_600);
    refused(&mut world, EngineError::OutflowLimited, |world| world.collect_fees(10));
    refused(&mut world, EngineError::WithdrawExceedsAvailable, |world| world.collect_fees(9_751));
    refused(&mut world, EngineError::AmountZero, |world| world.collect_fees(0));
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn the_pools_share_of_fees_is_rounded_up_and_needs_no_limiter() {
    let (mut world, _) = earned();
    world.collect_fees(1).unwrap();
    let pool = |world: &World| world.view().header.pool.get().get();
    assert_eq!((world.vault, pool(&world)), (20_000, 1), "⌈0.2⌉ of one atom");
    assert_eq!(last_event(&world), (Some(CashEventKind::PoolFunded), 1));
    world.collect_fees(11).unwrap();
    assert_eq!((world.vault, pool(&world)), (20_000 - 8, 4), "⌈2.2⌉ of eleven");
    world.set_policy(Policy { pool_fee_share: Ppm::new(1_000_000), ..STRICT });
    world.collect_fees(9_000).unwrap();
    assert_eq!((world.vault, pool(&world)), (20_000 - 8, 9_004));
    world.set_policy(Policy { pool_fee_share: Ppm::ZERO, ..STRICT });
    world.collect_fees(100).unwrap();
    assert_eq!((world.vault, pool(&world)), (20_000 - 108, 9_004));
    assert_eq!(last_event(&world), (Some(CashEventKind::FeesCollected), 100));
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn targets_are_remembered() {
    let (mut world, traders) = limited(1);
    world.withdraw_or_queue(traders[0], 500).unwrap();
    let view = world.view();
    let (cell, waiting) = outflow::waiting(&view).next().unwrap();
    assert_eq!((waiting.target, waiting.requested_at), (key(u64::from(traders[0].get())), world.now.unix_seconds));
    assert_eq!((view.header.queue_first, view.header.queue_last, view.header.queue_len), (cell, cell, 1));
    assert_eq!(view.trader(traders[0]).unwrap().withdrawal, cell);
}
