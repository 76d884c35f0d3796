//! `Liquidate`: how much is closed, at which prices, who pays and who is paid, and what is refused.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError, Generation, Lots, QuoteAtoms, Side,
        state::{CashEventKind, MarketStatus, TradeEventKind},
    },
    error::ProgramError,
    instruction::{Target, Trader},
};
use quantdesk_tests::{
    failing::{self, Failing, Native, party_with, trading_frame, written},
    read::{self, book, cash, lots},
    refuses,
    scene::{self, ask, bid, mark_bankrupt},
    snapshot::Snapshot,
};
use solana_instruction::Instruction;

fn liquidate(failing: &Failing, keeper: &Trader, match_limit: u8) -> Instruction {
    failing.scene.desk.venue.liquidate(keeper, &failing.scene.market(), failing.named(), match_limit)
}

/// Long 1 SOL bought at $200 with $10.5; at $193.5 there are $3.9 against a requirement of $4.84.
fn long() -> Failing {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_500_000);
    failing.walk(193_500);
    failing
}

#[test]
fn closes_the_fewest_lots_that_restore_the_account() {
    let mut failing = long();
    let (bob, keeper, target) = (failing.scene.bob, failing.keeper, failing.target);
    failing.scene.accept(&bob, &bid(193_490, 5_000).client_id(7).build());
    let health = failing.health(&target);
    assert_eq!((health.equity.get(), health.required.get()), (3_900_000, 4_837_500));
    let (before, since) = (Snapshot::of(&failing.scene.desk.chain), written(&failing.scene));
    let (fees, pool) = (read::money(&failing.scene.desk).1, read::header(&failing.scene.desk).pool.get().get());
    let bobs = cash(&failing.scene.desk, &bob.trader);
    let mut native = Native::of(&failing.scene.desk, 0);
    let done = native.trading(|it| it.liquidate(keeper.trader.cell, target.trader.cell, 9)).unwrap();

    failing.scene.desk.chain.send(liquidate(&failing, &keeper.trader, 9)).unwrap();
    native.assert_same(&failing.scene.desk);
    // A lot costs 10 + 96.745 + 967.45 and frees 1.1 × 2.5% of 193,500; 1,421,250 are missing.
    assert_eq!((done.lots, done.quote), (Lots::new(335), QuoteAtoms::new(64_819_150)));
    assert_eq!((done.fee, done.tip), (QuoteAtoms::new(324_096), QuoteAtoms::new(162_048)));
    let desk = &failing.scene.desk;
    assert_eq!((lots(desk, &target.trader, 0), lots(desk, &bob.trader, 0)), (665, -665));
    assert_eq!(read::row(desk, 0).open_interest.get(), 665);
    // 335 thousandths of what the position has cost, the price, the taker's fee, the liquidation fee.
    assert_eq!(cash(desk, &target.trader), 10_400_000 - 67_000_000 + 64_819_150 - 32_410 - 324_096);
    assert_eq!(cash(desk, &keeper.trader), 162_048);
    assert_eq!(read::header(desk).pool.get().get(), pool + 162_048);
    assert_eq!(read::money(desk).1, fees + 32_410 - 6_481);
    // Bob bought back what he had sold at 200,000.
    assert_eq!(cash(desk, &bob.trader), bobs + 67_000_000 - 64_819_150 + 6_481);
    let health = failing.health(&target);
    assert_eq!((health.equity.get(), health.required.get()), (3_540_144, 3_216_938));
    assert!(health.equity.get() >= 3_216_938 * 11 / 10, "restored with the buffer");
    assert!(health.equity.get() < 3_216_938 * 11 / 10 + 5_322, "and not by a lot more");

    let events = failing::trade_events_since(&failing.scene, since.0);
    let [fill, record] = &events[..] else { panic!("{events:?}") };
    assert_eq!((fill.kind(), fill.lots.get(), fill.price.get()), (Some(TradeEventKind::Filled), 335, 193_490));
    assert_eq!((fill.maker, fill.taker, fill.client_id), (bob.trader.cell, target.trader.cell, 7));
    assert_eq!((fill.taker_fee.get(), fill.maker_fee.get()), (32_410, -6_481));
    assert_eq!((record.kind(), record.lots.get()), (Some(TradeEventKind::Liquidated), 335));
    assert_eq!((record.price.get(), record.client_id), (193_490, 64_819_150));
    assert_eq!((record.maker, record.taker), (keeper.trader.cell, target.trader.cell));
    assert_eq!((record.taker_fee.get(), record.maker_fee.get()), (324_096, -162_048));
    assert_eq!(written(&failing.scene).1, since.1, "nothing in the ledger's ring");
    before.only(&failing.scene.desk.chain, &trading_frame(&failing.scene, &[bob, keeper, target], since));
    failing.scene.desk.check().unwrap();
    let again = liquidate(&failing, &keeper.trader, 9);
    refuses(&mut failing.scene.desk.chain, again, EngineError::AccountHealthy);
}

#[test]
fn closes_a_short_through_the_asks() {
    let mut failing = Failing::new(Side::Ask, 1_000, 10_500_000);
    failing.walk(206_500);
    let (bob, keeper, target) = (failing.scene.bob, failing.keeper, failing.target);
    failing.scene.accept(&bob, &ask(206_510, 5_000).build());
    let health = failing.health(&target);
    assert_eq!((health.equity.get(), health.required.get()), (3_900_000, 5_162_500));
    let mut native = Native::of(&failing.scene.desk, 0);
    let done = native.trading(|it| it.liquidate(keeper.trader.cell, target.trader.cell, 1)).unwrap();
    failing.scene.desk.chain.send(liquidate(&failing, &keeper.trader, 1)).unwrap();
    native.assert_same(&failing.scene.desk);
    // A lot costs 10 + 103.255 + 1,032.55 and frees 5,678.75; 1,778,750 are missing.
    assert_eq!((done.lots.get(), lots(&failing.scene.desk, &target.trader, 0)), (393, -607));
    assert!(failing.health(&target).is_met());
    failing.scene.desk.check().unwrap();
}

#[test]
fn takes_price_levels_until_it_is_enough_or_its_limit_is_reached() {
    let mut failing = long();
    let (bob, keeper, target) = (failing.scene.bob, failing.keeper, failing.target);
    for (price, size) in [(193_500, 50), (193_490, 30), (193_490, 20), (193_400, 5_000)] {
        failing.scene.accept(&bob, &bid(price, size).build());
    }
    for (limit, orders) in [(1, vec![(193_490, 30), (193_490, 20)]), (2, vec![(193_490, 20)]), (3, vec![]), (9, vec![])]
    {
        let mut failing = failing.clone();
        let mut native = Native::of(&failing.scene.desk, 0);
        let done = native.trading(|it| it.liquidate(keeper.trader.cell, target.trader.cell, limit)).unwrap();
        failing.scene.desk.chain.send(liquidate(&failing, &keeper.trader, limit)).unwrap();
        native.assert_same(&failing.scene.desk);
        failing.scene.desk.check().unwrap();
        let left = book(&failing.scene.desk, 0, Side::Bid);
        assert_eq!(left[..left.len() - 1], orders);
        assert_eq!(failing.health(&target).is_met(), limit == 9);
        assert_eq!(done.lots.get(), 1_000 - lots(&failing.scene.desk, &target.trader, 0).unsigned_abs());
        // Whoever comes next goes on from there.
        if limit < 9 {
            failing.scene.desk.chain.send(liquidate(&failing, &keeper.trader, 9)).unwrap();
            assert!(failing.health(&target).is_met());
        }
    }
}

#[test]
fn own_orders_go_first_whatever_they_are() {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_500_000);
    let (bob, keeper, target) = (failing.scene.bob, failing.keeper, failing.target);
    failing.scene.accept(&target, &ask(206_000, 400).reduce_only().build());
    failing.walk(193_500);
    failing.scene.accept(&bob, &bid(193_490, 5_000).build());
    let since = written(&failing.scene);
    failing.scene.desk.chain.send(liquidate(&failing, &keeper.trader, 9)).unwrap();
    let kinds: Vec<_> =
        failing::trade_events_since(&failing.scene, since.0).iter().map(|event| event.kind().unwrap()).collect();
    assert_eq!(kinds, [TradeEventKind::RiskCancelled, TradeEventKind::Filled, TradeEventKind::Liquidated]);
    assert_eq!(book(&failing.scene.desk, 0, Side::Ask), []);
    failing.scene.desk.check().unwrap();
}

#[test]
fn what_nobody_buys_at_a_price_that_helps_is_not_sold() {
    let mut failing = long();
    let (bob, keeper) = (failing.scene.bob, failing.keeper);
    let instruction = liquidate(&failing, &keeper.trader, 9);
    refuses(&mut failing.scene.desk.chain, instruction.clone(), EngineError::NoLiquidity);
    failing.scene.accept(&bob, &bid(185_000, 5_000).build());
    refuses(&mut failing.scene.desk.chain, instruction.clone(), EngineError::NoLiquidity);
    failing.scene.accept(&bob, &bid(193_400, 3).build());
    failing.scene.desk.chain.send(instruction.clone()).unwrap();
    assert_eq!(book(&failing.scene.desk, 0, Side::Bid), [(185_000, 5_000)]);
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::NoLiquidity);
}

#[test]
fn a_keeper_of_the_same_owner_gets_nothing() {
    let failing = {
        let mut failing = long();
        let bob = failing.scene.bob;
        failing.scene.accept(&bob, &bid(193_490, 5_000).build());
        failing
    };
    let mut sibling = failing.clone();
    let owner = failing.target.trader.authority;
    let (second, _) = sibling.scene.desk.open(owner, 1, 0).unwrap();
    sibling.scene.desk.chain.send(liquidate(&sibling, &second, 9)).unwrap();
    assert_eq!(cash(&sibling.scene.desk, &second), 0);
    assert_eq!(read::header(&sibling.scene.desk).pool.get().get(), 324_096, "all of the fee is the pool's");
    // The account itself, too: it may do for itself what anybody may.
    let mut own = failing.clone();
    own.scene.desk.chain.send(liquidate(&own, &failing.target.trader, 9)).unwrap();
    assert_eq!(read::header(&own.scene.desk).pool.get().get(), 324_096);
    assert!(own.health(&failing.target).is_met());
    own.scene.desk.check().unwrap();
}

#[test]
fn refusals_in_order() {
    let mut failing = long();
    let (alice, bob, keeper) = (failing.scene.alice, failing.scene.bob, failing.keeper);
    let market = failing.scene.market();
    let (venue, named) = (failing.scene.desk.venue, failing.named());
    let foreign = failing::foreign_market(&mut failing.scene);
    let thief = Trader { authority: bob.trader.authority, ..keeper.trader };
    let stale = Trader { generation: Generation::new(77), ..keeper.trader };
    let nobody = Target { generation: Generation::new(77), ..named };
    let cases: [(Instruction, ProgramError); 8] = [
        (venue.liquidate(&keeper.trader, &foreign, named, 9), Refusal::WrongLedger.into()),
        (venue.liquidate(&stale, &market, named, 9), EngineError::TraderNotFound.into()),
        (venue.liquidate(&thief, &market, nobody, 0), Refusal::NotAuthorized.into()),
        (venue.liquidate(&keeper.trader, &market, nobody, 0), EngineError::TraderNotFound.into()),
        (venue.liquidate(&keeper.trader, &market, named, 0), EngineError::MatchLimitOutOfRange.into()),
        (venue.liquidate(&keeper.trader, &market, failing::target(&alice), 9), EngineError::NothingToClose.into()),
        (venue.liquidate(&keeper.trader, &market, failing::target(&bob), 9), EngineError::AccountHealthy.into()),
        (venue.liquidate(&keeper.trader, &market, named, 9), EngineError::NoLiquidity.into()),
    ];
    for (instruction, error) in cases {
        refuses(&mut failing.scene.desk.chain, instruction, error);
    }
    let instruction = venue.liquidate(&keeper.trader, &market, named, 9);
    // Too old for new risk, young enough to liquidate; too old for anything.
    failing.scene.wait(60);
    refuses(&mut failing.scene.desk.chain, instruction.clone(), EngineError::NoLiquidity);
    failing.scene.wait(600);
    refuses(&mut failing.scene.desk.chain, instruction.clone(), EngineError::PriceNotValidForAction);
    failing::settle(&mut failing.scene);
    assert_eq!(read::row(&failing.scene.desk, 0).status(), Some(MarketStatus::Settled));
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::MarketNotActive);
}

#[test]
fn without_equity_it_is_the_pools_and_the_counterparties() {
    let mut failing = long();
    let (bob, keeper) = (failing.scene.bob, failing.keeper);
    failing.walk(189_500);
    failing.scene.accept(&bob, &bid(189_490, 5_000).build());
    let health = failing.health(&failing.target);
    assert_eq!(health.equity.get(), -100_000);
    let instruction = liquidate(&failing, &keeper.trader, 9);
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::NoEquity);
}

#[test]
fn no_liquidation_while_the_market_is_deleveraged() {
    let mut failing = long();
    let (alice, keeper, target) = (failing.scene.alice, failing.keeper, failing.target);
    let other = party_with(&mut failing.scene.desk, 10_300_000);
    failing::open(&mut failing.scene, Side::Bid, &other, &alice, 1_000);
    failing.walk(189_000);
    let (venue, market) = (failing.scene.desk.venue, failing.scene.market());
    failing.scene.desk.chain.send(venue.deleverage(&market, failing.named(), 1)).unwrap();
    assert!(read::market_header(&failing.scene.desk, 0).deleverage.is_running());
    for party in [target, other] {
        let instruction = venue.liquidate(&keeper.trader, &market, failing::target(&party), 9);
        refuses(&mut failing.scene.desk.chain, instruction, EngineError::DeleverageRunning);
    }
    let instruction = venue.take_over(&alice.trader, &market, failing::target(&other), Lots::new(9));
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::DeleverageRunning);
}

/// A bankrupt account that has equity again is wound up all the same, and what the pool paid goes back first.
#[test]
fn a_bankrupt_account_is_wound_up_whole() {
    let mut failing = long();
    let (bob, keeper, target) = (failing.scene.bob, failing.keeper, failing.target);
    mark_bankrupt(&mut failing.scene.desk, &target.trader);
    failing.walk(199_000);
    failing.scene.accept(&bob, &bid(198_990, 5_000).build());
    assert!(failing.health(&target).is_met());
    let since = written(&failing.scene);
    let mut native = Native::of(&failing.scene.desk, 0);
    native.trading(|it| it.liquidate(keeper.trader.cell, target.trader.cell, 9)).unwrap();
    failing.scene.desk.chain.send(liquidate(&failing, &keeper.trader, 9)).unwrap();
    native.assert_same(&failing.scene.desk);
    assert_eq!(lots(&failing.scene.desk, &target.trader, 0), 0);
    let header = read::header(&failing.scene.desk);
    assert_eq!(header.bankrupts, 0, "nothing was absorbed, so it is resolved");
    let [resolved] = failing::cash_events_since(&failing.scene, since.1)[..] else { panic!() };
    assert_eq!((resolved.kind(), resolved.amount), (Some(CashEventKind::Resolved), 0));
    failing.scene.desk.check().unwrap();
}

/// Whoever trades for an account may also keep for it: the tip is the account's.
#[test]
fn a_delegate_keeps_for_its_owner() {
    let mut failing = long();
    let (alice, bob, keeper) = (failing.scene.alice, failing.scene.bob, failing.keeper);
    failing.scene.accept(&bob, &bid(193_490, 5_000).build());
    let delegate = scene::delegate(&mut failing.scene.desk, &keeper.trader, alice.trader.authority);
    failing.scene.desk.chain.send(liquidate(&failing, &delegate, 9)).unwrap();
    assert_eq!(cash(&failing.scene.desk, &keeper.trader), 162_048);
}
