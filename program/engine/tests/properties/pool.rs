//! The protection pool: shares are worth what is there, nobody gains by joining or leaving, losses are everybody's.

use crate::{
    cases,
    support::{
        World, listing,
        world::{GENEROUS, key},
    },
};
use proptest::prelude::*;
use quantdesk_engine::{
    CellIndex, EngineError, Lots, QuoteAtoms, QuoteDelta, Result,
    money::{self, TOTAL_MAX},
    pool::{self, UNSTAKE_WINDOW_SECONDS, VIRTUAL},
    risk::shortfall,
    state::{CashEventKind, PoolStake, ledger::trader_mut},
};

/// A pool with stakers, each with a trading account, and one more account that gets into trouble.
struct Pool {
    world: World,
    traders: Vec<CellIndex>,
    stakes: Vec<PoolStake>,
    debtor: CellIndex,
}

/// What each staker has.
const WEALTH: u64 = 1 << 50;

impl Pool {
    fn new(stakers: u64) -> Self {
        let mut world = World::new(&[listing::usual()], 16);
        world.set_policy(GENEROUS);
        let traders = (0..stakers).map(|owner| world.funded(owner + 10, WEALTH)).collect();
        let stakes = (0..stakers).map(|owner| PoolStake::new(key(900), key(owner + 10), 255)).collect();
        let debtor = world.open(9, 0).unwrap();
        let mut pool = Self { world, traders, stakes, debtor };
        pool.budget(u64::MAX);
        pool
    }

    /// What the pool may pay for the market in a day.
    fn budget(&mut self, atoms: u64) {
        let set = self.world.ledger(|ledger, _| {
            ledger.rows[0].risk.pool_budget = QuoteAtoms::new(atoms);
            Ok(())
        });
        set.unwrap();
    }

    /// A call on somebody's stake as a transaction.
    fn staked<R>(
        &mut self,
        who: usize,
        call: impl FnOnce(&mut quantdesk_engine::state::Ledger<'_>, &mut PoolStake, quantdesk_engine::Now) -> Result<R>,
    ) -> Result<R> {
        let mut stake = self.stakes[who];
        let result = self.world.ledger(|ledger, now| call(ledger, &mut stake, now));
        if result.is_ok() {
            self.stakes[who] = stake;
        }
        result
    }

    fn stake(&mut self, who: usize, atoms: u64) -> Result<()> {
        let trader = self.traders[who];
        self.staked(who, |ledger, stake, now| pool::stake(ledger, stake, now, trader, QuoteAtoms::new(atoms)))
    }

    fn request(&mut self, who: usize, shares: u64) -> Result<()> {
        let trader = self.traders[who];
        self.staked(who, |ledger, stake, now| pool::request_unstake(ledger, stake, now, trader, shares))
    }

    fn unstake(&mut self, who: usize) -> Result<()> {
        let trader = self.traders[who];
        self.staked(who, |ledger, stake, now| pool::unstake(ledger, stake, now, trader))
    }

    /// Asks for shares, waits, takes them.
    fn leave(&mut self, who: usize, shares: u64) -> Result<()> {
        self.request(who, shares)?;
        self.world.pass(i64::from(GENEROUS.unstake_seconds));
        self.unstake(who)
    }

    fn fund(&mut self, who: usize, atoms: u64) -> Result<()> {
        let trader = self.traders[who];
        self.world.ledger(|ledger, now| pool::fund(ledger, now, trader, QuoteAtoms::new(atoms)))
    }

    /// The debtor loses `atoms` to the first staker's account.
    fn lose(&mut self, atoms: u64) {
        let (debtor, winner) = (self.debtor, self.traders[0]);
        let lost = self.world.ledger(|ledger, _| {
            let pair = ledger.cells.get_disjoint_mut([debtor.as_usize(), winner.as_usize()]).unwrap();
            let [debtor, winner] = pair.map(|cell| cell.trader_mut().unwrap());
            money::post(&mut debtor.cash, &mut winner.cash, QuoteAtoms::new(atoms))
        });
        lost.unwrap();
    }

    fn absorb(&mut self, atoms: u64) -> u64 {
        let debtor = self.debtor;
        let paid = self.world.ledger(|ledger, now| {
            let cell = trader_mut(ledger.cells, debtor)?;
            let wanted = QuoteAtoms::new(atoms);
            pool::absorb(ledger.header, &mut ledger.rows[0], cell, wanted, now.unix_seconds)
        });
        paid.unwrap().get()
    }

    fn repay(&mut self) -> u64 {
        let debtor = self.debtor;
        let paid = self.world.ledger(|ledger, _| pool::repay(ledger.header, trader_mut(ledger.cells, debtor)?));
        paid.unwrap().get()
    }

    fn atoms(&self) -> u64 {
        self.world.view().header.pool.get().get().unsigned_abs()
    }

    fn shares(&self) -> u64 {
        self.world.view().header.pool_shares
    }

    fn epoch(&self) -> u32 {
        self.world.view().header.pool_epoch
    }

    /// Shares a staker has now.
    fn held(&self, who: usize) -> u64 {
        let stake = &self.stakes[who];
        if stake.epoch == self.epoch() { stake.shares } else { 0 }
    }

    fn worth(&self, who: usize) -> u64 {
        pool::worth(self.world.view().header, self.held(who)).unwrap().get()
    }

    fn cash(&self, who: usize) -> u64 {
        self.world.cash(self.traders[who]).unsigned_abs()
    }

    /// M6 in full: shares are those of the stakes, and together worth no more than the pool.
    fn check(&self) {
        // With the mark that the ladder would have set on the debtor, and that would have kept stakes in.
        let mut marked = self.world.clone();
        marked.ledger(|ledger, now| shortfall::mark_bankrupt(ledger, now, self.debtor, QuoteDelta::ZERO)).unwrap();
        assert_eq!(marked.check(), Ok(()));
        let all = 0..self.stakes.len();
        assert_eq!(all.clone().map(|who| self.held(who)).sum::<u64>(), self.shares(), "shares are somebody's");
        assert!(all.map(|who| self.worth(who)).sum::<u64>() <= self.atoms(), "everybody can be paid");
        for stake in &self.stakes {
            assert!(stake.requested <= stake.shares);
        }
    }

    /// Kind and amount of the last record.
    fn last_event(&self) -> (Option<CashEventKind>, i64) {
        let view = self.world.view();
        let newest = view.events.iter().max_by_key(|event| event.sequence).unwrap();
        (newest.kind(), newest.amount)
    }
}

/// Price of a share in atoms, as a fraction.
fn price(pool: &Pool) -> (u128, u128) {
    (u128::from(pool.atoms()) + u128::from(VIRTUAL), u128::from(pool.shares()) + u128::from(VIRTUAL))
}

proptest! {
    #![proptest_config(cases(300))]

    /// M6: the price of a share only falls when the pool pays for a loss.
    #[test]
    fn inv_m6_the_price_of_a_share_falls_by_losses_alone(
        steps in prop::collection::vec((0u8..8, 0usize..4, 1u64..1 << 30, 0u32..30), 1..50),
    ) {
        let mut pool = Pool::new(4);
        for (action, who, amount, smaller) in steps {
            let amount = (amount >> smaller).max(1);
            let (before, epoch) = (price(&pool), pool.epoch());
            let mut loss = false;
            match action {
                0..=2 => {
                    let result = pool.stake(who, amount);
                    prop_assert!(matches!(result, Ok(()) | Err(EngineError::StakeTooSmall)));
                }
                3 | 4 => {
                    let shares = pool.held(who).min(amount);
                    match pool.leave(who, shares) {
                        Ok(()) => {}
                        Err(EngineError::AmountZero) => prop_assert_eq!(shares, 0),
                        Err(error) => prop_assert_eq!(error, EngineError::StakeTooSmall),
                    }
                }
                5 => pool.fund(who, amount).unwrap(),
                6 => {
                    pool.lose(amount);
                    loss = pool.absorb(amount) > 0;
                }
                _ => {
                    let trader = pool.debtor;
                    pool.world.deposit(trader, amount).unwrap();
                    pool.repay();
                }
            }
            if epoch == pool.epoch() && !loss {
                let (before, after) = (before, price(&pool));
                prop_assert!(after.0 * before.1 >= before.0 * after.1, "{before:?} became {after:?}");
            }
            pool.check();
        }
    }

    /// X1: whoever joins and leaves again, at once or in pieces, has no more than before; nor has anybody else less.
    #[test]
    fn x1_joining_and_leaving_never_gains_an_atom(
        first in 1u64..1 << 40, gift in 0u64..1 << 40, loss in 0u64..1 << 40, own in 1u64..1 << 40, pieces in 1u64..5,
    ) {
        let mut pool = Pool::new(3);
        pool.stake(0, first).unwrap();
        if gift > 0 {
            pool.fund(2, gift).unwrap();
        }
        pool.lose(loss);
        pool.absorb(loss.min(pool.atoms() - 1));
        let (cash, others) = (pool.cash(1), pool.worth(0));
        if pool.stake(1, own).is_ok() {
            prop_assert!(pool.worth(1) <= own);
            prop_assert!(pool.worth(0) >= others, "{} became {}", others, pool.worth(0));
            let shares = pool.held(1);
            for piece in (1..=pieces).rev() {
                let part = pool.held(1) / piece;
                if part > 0 && pool.leave(1, part).is_err() {
                    break;
                }
            }
            prop_assert!(shares > 0 && pool.cash(1) <= cash);
            prop_assert!(pool.worth(0) >= others);
        }
        pool.check();
    }

    /// A large stake in a sound pool comes back whole but for less than a share's worth.
    #[test]
    fn stake_comes_back_but_for_rounding(first in 0u64..1 << 40, own in 1u64 << 20..1 << 40) {
        let mut pool = Pool::new(2);
        if first > 0 {
            pool.stake(0, first).unwrap();
        }
        pool.stake(1, own).unwrap();
        prop_assert_eq!(pool.worth(1), own, "a share costs an atom");
    }
}

#[test]
fn the_first_staker_cannot_inflate_the_price_of_a_share() {
    let mut pool = Pool::new(2);
    // One atom of stake, then a gift that makes its share dear: rounding would cost the next staker everything.
    pool.stake(0, 1).unwrap();
    let gift = 1_000_000_000;
    pool.fund(0, gift).unwrap();
    let own = 1_000_000;
    pool.stake(1, own).unwrap();
    let taken = own - pool.worth(1);
    assert!(taken <= gift / VIRTUAL + 1, "lost {taken}");
    // The attacker has lost the gift but for a millionth, and what it took.
    assert!(pool.worth(0) <= (gift + own) / VIRTUAL + 1, "has {}", pool.worth(0));
    // A stake that rounding would swallow is refused.
    assert_eq!(pool.stake(1, 1), Err(EngineError::StakeTooSmall));
    pool.check();
}

#[test]
fn a_gift_to_an_empty_pool_is_not_the_next_stakers() {
    let mut pool = Pool::new(2);
    pool.fund(0, 1_000_000_000_000).unwrap();
    assert_eq!(pool.last_event(), (Some(CashEventKind::PoolFunded), 1_000_000_000_000));
    let own = 1_000_000_000;
    pool.stake(1, own).unwrap();
    assert!(pool.worth(1) <= own);
    pool.check();
}

#[test]
fn a_gift_is_everybodys() {
    let mut pool = Pool::new(3);
    pool.stake(0, 300_000_000_000).unwrap();
    pool.stake(1, 100_000_000_000).unwrap();
    let before = (pool.worth(0), pool.worth(1));
    pool.fund(2, 40_000_000_000).unwrap();
    let gained = (pool.worth(0) - before.0, pool.worth(1) - before.1);
    assert!(gained.0.abs_diff(30_000_000_000) < 100_000 && gained.1.abs_diff(10_000_000_000) < 100_000, "{gained:?}");
    pool.check();
}

#[test]
fn a_loss_is_everybodys_also_of_those_who_have_asked() {
    let mut pool = Pool::new(2);
    pool.stake(0, 300_000_000_000).unwrap();
    pool.stake(1, 100_000_000_000).unwrap();
    let shares = pool.held(1);
    pool.request(1, shares).unwrap();
    pool.lose(200_000_000_000);
    assert_eq!(pool.absorb(200_000_000_000), 200_000_000_000);
    pool.world.pass(i64::from(GENEROUS.unstake_seconds));
    let cash = pool.cash(1);
    pool.unstake(1).unwrap();
    assert_eq!(pool.cash(1) - cash, 50_000_000_000);
    assert_eq!(pool.last_event(), (Some(CashEventKind::PoolUnstaked), 50_000_000_000));
    assert_eq!((pool.worth(0), pool.epoch()), (150_000_000_000, 0));
    pool.check();
}

#[test]
fn who_leaves_a_lossy_pool_first_takes_no_more_than_its_part() {
    let mut pool = Pool::new(2);
    pool.stake(0, 1_000_000).unwrap();
    pool.stake(1, 1_000_000).unwrap();
    pool.lose(1_999_990);
    pool.absorb(1_999_990);
    // Priced with the virtual atoms alone, half of the shares would be worth all that is left.
    let shares = pool.held(1);
    let cash = pool.cash(1);
    pool.leave(1, shares).unwrap();
    assert_eq!((pool.cash(1) - cash, pool.atoms(), pool.worth(0)), (5, 5, 5));
    pool.check();
}

#[test]
fn shares_worth_nothing_are_not_paid_out() {
    let mut pool = Pool::new(2);
    pool.stake(0, 1_000_000).unwrap();
    pool.stake(1, 1_000_000).unwrap();
    pool.lose(1_999_990);
    pool.absorb(1_999_990);
    // Ten atoms for two million shares.
    assert_eq!(pool.leave(1, 199_999), Err(EngineError::StakeTooSmall));
    assert_eq!((pool.held(1), pool.atoms()), (1_000_000, 10));
    pool.leave(1, 200_000).unwrap();
    assert_eq!((pool.held(1), pool.atoms()), (800_000, 9));
    pool.check();
}

#[test]
fn a_pool_that_paid_its_last_atom_starts_anew() {
    let mut pool = Pool::new(2);
    pool.stake(0, 5_000_000).unwrap();
    let shares = pool.held(0);
    pool.request(0, shares).unwrap();
    pool.lose(8_000_000);
    assert_eq!(pool.absorb(8_000_000), 5_000_000);
    assert_eq!((pool.atoms(), pool.shares(), pool.epoch()), (0, 0, 1));
    assert_eq!(pool.absorb(3_000_000), 0, "an empty pool pays nothing and starts no further epoch");
    assert_eq!(pool.epoch(), 1);
    // What was asked for before is void, and cannot be asked for again.
    pool.world.pass(i64::from(GENEROUS.unstake_seconds));
    assert_eq!(pool.unstake(0), Err(EngineError::UnstakeNotDue));
    assert_eq!(pool.request(0, 1), Err(EngineError::StakeTooLarge));
    // The next staker is alone, and so are the atoms.
    pool.stake(1, 7_000_000).unwrap();
    assert_eq!((pool.shares(), pool.worth(1)), (7_000_000, 7_000_000));
    assert_eq!(pool.unstake(0), Err(EngineError::UnstakeNotDue));
    // Who comes back has the new shares only.
    pool.stake(0, 1_000_000).unwrap();
    assert_eq!((pool.held(0), pool.worth(0)), (1_000_000, 1_000_000));
    pool.check();
}

#[test]
fn what_is_given_back_late_is_not_the_void_shares() {
    let mut pool = Pool::new(2);
    pool.stake(0, 5_000_000).unwrap();
    pool.lose(5_000_000);
    assert_eq!(pool.absorb(5_000_000), 5_000_000);
    assert_eq!(pool.world.trader(pool.debtor).absorbed, QuoteAtoms::new(5_000_000));
    pool.world.deposit(pool.debtor, 4_000_000).unwrap();
    assert_eq!(pool.repay(), 4_000_000);
    assert_eq!((pool.atoms(), pool.shares(), pool.epoch(), pool.worth(0)), (4_000_000, 0, 1, 0));
    assert_eq!(pool.world.trader(pool.debtor).absorbed, QuoteAtoms::new(1_000_000));
    // Nor does it fall to whoever stakes first.
    pool.stake(1, 1_000_000).unwrap();
    assert!(pool.worth(1) <= 1_000_000);
    pool.check();
}

#[test]
fn giving_back_takes_no_more_than_was_paid_and_is_there() {
    let mut pool = Pool::new(1);
    pool.stake(0, 10_000).unwrap();
    pool.lose(3_000);
    assert_eq!(pool.repay(), 0, "nothing was paid");
    assert_eq!(pool.absorb(2_000), 2_000);
    assert_eq!(pool.repay(), 0, "1,000 are still missing");
    pool.world.deposit(pool.debtor, 1_500).unwrap();
    assert_eq!(pool.repay(), 500);
    pool.world.deposit(pool.debtor, 9_000).unwrap();
    assert_eq!(pool.repay(), 1_500);
    assert_eq!((pool.world.cash(pool.debtor), pool.atoms()), (7_500, 10_000));
    assert_eq!(pool.repay(), 0);
    pool.check();
}

#[test]
fn the_budget_of_a_day_bounds_what_is_paid() {
    let mut pool = Pool::new(1);
    pool.stake(0, 100_000).unwrap();
    pool.budget(864);
    pool.lose(5_000);
    assert_eq!(pool.absorb(500), 500);
    assert_eq!(pool.absorb(500), 364);
    assert_eq!(pool.absorb(500), 0);
    pool.world.pass(100);
    assert_eq!(pool.absorb(500), 1, "a hundredth of an atom a second");
    pool.world.pass(86_400);
    assert_eq!(pool.absorb(5_000), 864);
    pool.budget(0);
    pool.world.pass(86_400);
    assert_eq!(pool.absorb(1), 0);
    assert_eq!((pool.world.trader(pool.debtor).absorbed.get(), pool.epoch()), (864 + 865, 0));
    pool.check();
}

#[test]
fn stake_is_paid_in_its_week_and_once() {
    let mut pool = Pool::new(2);
    pool.stake(0, 1_000_000).unwrap();
    pool.stake(1, 1_000_000).unwrap();
    assert_eq!(pool.unstake(0), Err(EngineError::UnstakeNotDue), "nothing was asked for");
    assert_eq!(pool.request(0, 0), Err(EngineError::AmountZero));
    assert_eq!(pool.request(0, 1_000_001), Err(EngineError::StakeTooLarge));
    pool.request(0, 400_000).unwrap();
    assert_eq!(pool.last_event(), (Some(CashEventKind::UnstakeRequested), 400_000));
    let wait = i64::from(GENEROUS.unstake_seconds);
    pool.world.pass(wait - 1);
    assert_eq!(pool.unstake(0), Err(EngineError::UnstakeNotDue));
    // Asking again starts again.
    pool.request(0, 300_000).unwrap();
    pool.world.pass(1);
    assert_eq!(pool.unstake(0), Err(EngineError::UnstakeNotDue));
    pool.world.pass(wait - 1);
    pool.unstake(0).unwrap();
    assert_eq!((pool.held(0), pool.shares()), (700_000, 1_700_000));
    assert_eq!(pool.unstake(0), Err(EngineError::UnstakeNotDue), "once");
    // The last second of the week, and the one after.
    pool.request(0, 700_000).unwrap();
    pool.world.pass(wait + i64::from(UNSTAKE_WINDOW_SECONDS) + 1);
    assert_eq!(pool.unstake(0), Err(EngineError::UnstakeNotDue));
    pool.request(0, 700_000).unwrap();
    pool.world.pass(wait + i64::from(UNSTAKE_WINDOW_SECONDS));
    pool.unstake(0).unwrap();
    assert_eq!((pool.held(0), pool.atoms()), (0, 1_000_000));
    pool.check();
}

#[test]
fn nobody_leaves_while_a_loss_may_be_open() {
    let mut pool = Pool::new(1);
    pool.stake(0, 1_000_000).unwrap();
    pool.request(0, 1_000_000).unwrap();
    pool.world.pass(i64::from(GENEROUS.unstake_seconds));
    let closed = |pool: &mut Pool, change: fn(&mut quantdesk_engine::state::Ledger<'_>)| {
        let before = pool.world.clone();
        pool.world
            .ledger(|ledger, _| {
                change(ledger);
                Ok(())
            })
            .unwrap();
        assert_eq!(pool.unstake(0), Err(EngineError::PoolClosed));
        pool.world = before;
    };
    closed(&mut pool, |ledger| ledger.header.bankrupts = 1);
    // The market's price is old: that matters as soon as somebody holds a position.
    closed(&mut pool, |ledger| ledger.rows[0].open_interest = Lots::new(1));
    pool.world.set_price(0, 100);
    closed(&mut pool, |ledger| {
        ledger.rows[0].open_interest = Lots::new(1);
        const LAGGING_OFFSET: usize = 39;
        bytemuck::bytes_of_mut(&mut ledger.rows[0])[LAGGING_OFFSET] = 1;
    });
    pool.world
        .ledger(|ledger, _| {
            ledger.rows[0].open_interest = Lots::new(1);
            Ok(())
        })
        .unwrap();
    pool.unstake(0).unwrap();
}

#[test]
fn stakes_are_of_free_cash() {
    let mut pool = Pool::new(1);
    let free = pool.cash(0);
    assert_eq!(pool.stake(0, 0), Err(EngineError::AmountZero));
    assert_eq!(pool.stake(0, free + 1), Err(EngineError::WithdrawExceedsAvailable));
    assert_eq!(pool.fund(0, 0), Err(EngineError::AmountZero));
    assert_eq!(pool.fund(0, free + 1), Err(EngineError::WithdrawExceedsAvailable));
    pool.stake(0, free).unwrap();
    assert_eq!(pool.last_event(), (Some(CashEventKind::PoolStaked), free as i64));
    assert_eq!((pool.cash(0), pool.worth(0)), (0, free));
    pool.check();
}

#[test]
fn all_the_money_there_can_be_is_a_stake() {
    let mut pool = Pool::new(1);
    let rest = TOTAL_MAX.unsigned_abs() - WEALTH;
    pool.world.deposit(pool.traders[0], rest).unwrap();
    pool.stake(0, TOTAL_MAX.unsigned_abs()).unwrap();
    assert_eq!(pool.worth(0), TOTAL_MAX.unsigned_abs());
    let shares = pool.held(0);
    pool.leave(0, shares).unwrap();
    assert_eq!(pool.cash(0), TOTAL_MAX.unsigned_abs());
    pool.check();
}

#[test]
fn shares_never_outgrow_what_their_worth_can_be_computed_with() {
    let mut pool = Pool::new(1);
    // All but an atom is lost again and again: each time a share costs less, until shares run out.
    let mut refused = None;
    for _ in 0..8 {
        match pool.stake(0, 1 << 40) {
            Ok(()) => {}
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
        let loss = pool.atoms() - 1;
        pool.lose(loss);
        assert_eq!(pool.absorb(loss), loss);
        pool.check();
    }
    assert_eq!(refused, Some(EngineError::Overflow));
    // Who is in can still leave, and a gift makes room again.
    pool.fund(0, 1 << 40).unwrap();
    pool.stake(0, 1 << 20).unwrap();
    let shares = pool.held(0);
    pool.leave(0, shares).unwrap();
    assert_eq!(pool.shares(), 0);
    pool.check();
}

#[test]
fn the_last_shares_leave_room_for_the_virtual_ones() {
    let mut pool = Pool::new(2);
    pool.stake(0, WEALTH).unwrap();
    // An atom buys 16,383 shares.
    for (room, expected) in [(16_383, Ok(())), (16_382, Err(EngineError::Overflow)), (0, Err(EngineError::Overflow))] {
        let shares = u64::MAX - VIRTUAL - room;
        pool.world
            .ledger(|ledger, _| {
                ledger.header.pool_shares = shares;
                Ok(())
            })
            .unwrap();
        assert_eq!(pool.stake(1, 1), expected, "{room}");
        assert!(pool::worth(pool.world.view().header, shares).unwrap().get() <= pool.atoms());
    }
}
