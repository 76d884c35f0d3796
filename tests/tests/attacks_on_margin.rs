//! Attacks on margin, liquidation, the pool and funding, through the program. Each ends in an exact refusal with nothing
//! changed, or in the attacker's loss. Numbers are those of the attack catalogue.

use quantdesk_client::{
    budget::Budget,
    engine::{
        EngineError, Lots, Ppm, QuoteAtoms, Side,
        risk::{margin, price::Validity},
        state::{MarketRow, MarketStatus},
    },
    instruction::Trader,
};
use quantdesk_sim::desk::{Desk, DeskConfig, MarketSpec, Sources};
use quantdesk_tests::{
    failing::{self, Failing, health, initial, party_with, walk},
    read::{self, cash, lots},
    refused_at, refuses,
    scene::{self, CAPITAL, MARK, PICO, PRICE, Party, Scene, ask, bid, party_of, patch_row},
    snapshot::Snapshot,
};
use solana_instruction::Instruction;
use std::mem::offset_of;

fn update(scene: &Scene, market: usize) -> Instruction {
    let listed = &scene.desk.markets[market];
    scene.desk.venue.update_price(&listed.address, listed.index, &listed.feeds)
}

fn free(scene: &Scene, party: &Party) -> u64 {
    let ledger = scene.desk.ledger_view().unwrap();
    let now = read::now(&scene.desk.chain).unix_seconds;
    margin::withdrawable(&ledger, ledger.trader(party.trader.cell).unwrap(), now).unwrap().0.get()
}

/// 48: a gain against the mark, made by a trade with an accomplice, is not there to be withdrawn.
#[test]
fn attack_trading_below_the_mark_and_withdrawing_the_gain() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let before = free(&scene, &bob);
    let sell = scene.order(&alice, &ask(190_000, 1_000).build());
    let buy = scene.order(&bob, &bid(190_000, 1_000).immediate_or_cancel().build());
    let trade = [sell, buy];
    let after = {
        let mut scene = scene.clone();
        scene.desk.chain.send_all(&trade).unwrap();
        assert!(health(&scene.desk, &bob).equity.get() > CAPITAL as i64 + 9_800_000, "ten dollars up at the mark");
        free(&scene, &bob)
    };
    assert_eq!(after, before - 10_000_000 - 95_000, "margin and the fee are gone, and nothing is gained");
    let snapshot = Snapshot::of(&scene.desk.chain);
    for atoms in [before, after + 1] {
        let sent = scene.desk.chain.send_all(&[trade[0].clone(), trade[1].clone(), scene.withdraw(&bob, atoms)]);
        refused_at(sent, 2, EngineError::WithdrawExceedsAvailable);
        snapshot.unchanged(&scene.desk.chain);
    }
    // Nor does it move within the exchange, to the pool or to a sibling.
    scene.desk.chain.send_all(&trade).unwrap();
    let sibling = party_of(&mut scene.desk, bob.trader.authority, 1);
    scene.desk.chain.give_lamports(bob.trader.authority, 1 << 40).unwrap();
    let (venue, atoms) = (scene.desk.venue, QuoteAtoms::new(after + 1));
    for instruction in [
        venue.transfer_cash(&bob.trader, &sibling.trader, atoms),
        venue.stake_pool(&bob.trader, atoms),
        venue.fund_pool(&bob.trader, atoms),
    ] {
        refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    }
}

/// 49: tiers are those of an account, so splitting a position over accounts saves their slope. What grows with the market
/// as a whole does not depend on how many accounts hold it, and each part answers for itself.
#[test]
fn attack_splitting_a_position_over_accounts() {
    let spec = scene::sol();
    let mut risk = spec.risk;
    (risk.interest_scale_lower, risk.interest_scale_upper) = (Lots::new(1_000), Lots::new(2_000));
    let mut scene = Scene::on(&MarketSpec { risk, ..spec });
    let (bob, owner) = (scene.bob, scene.alice.trader.authority);
    let whole = scene.alice;
    let parts = [1, 2].map(|number| party_of(&mut scene.desk, owner, number));
    failing::open(&mut scene, Side::Bid, &whole, &bob, 1_000);
    for part in parts {
        failing::open(&mut scene, Side::Bid, &part, &bob, 500);
    }
    let required = |scene: &Scene, party: &Party| initial(&scene.desk, party).required.get();
    scene.wait(5);
    scene.desk.set_price(0, PRICE).unwrap();
    assert_eq!(read::row(&scene.desk, 0).margin_scale, Ppm::new(2_000_000), "2,000 lots are open");
    assert_eq!(required(&scene, &whole), 20_000_000, "10% instead of 5%");
    let split: u64 = parts.iter().map(|part| required(&scene, part)).sum();
    assert_eq!(split, 20_000_000, "whoever holds them");
    // A part that fails is closed although its sibling is rich.
    let poor = party_with(&mut scene.desk, 20_200_000);
    failing::open(&mut scene, Side::Bid, &poor, &bob, 1_000);
    let rich = party_of(&mut scene.desk, poor.trader.authority, 1);
    walk(&mut scene, 182_000);
    let take = scene.desk.venue.take_over(&bob.trader, &scene.market(), failing::target(&poor), Lots::new(9));
    scene.desk.chain.send(take).unwrap();
    assert_eq!(cash(&scene.desk, &rich.trader), CAPITAL as i64);
}

/// 50: what a cancel for risk frees is margin that was missing, not money.
#[test]
fn attack_being_cancelled_to_withdraw() {
    let mut failing = Failing::new(Side::Bid, 1_000, 12_000_000);
    let target = failing.target;
    failing.scene.accept(&target, &bid(150_000, 150).build());
    failing.walk(198_500);
    assert!(!initial(&failing.scene.desk, &target).is_met());
    let cancel = failing.scene.desk.venue.cancel_for_risk(&failing.scene.market(), failing.named(), 9);
    let withdraw = failing.scene.withdraw(&target, 1_000_000);
    let before = Snapshot::of(&failing.scene.desk.chain);
    let sent = failing.scene.desk.chain.send_all(&[cancel, withdraw]);
    refused_at(sent, 1, EngineError::WithdrawExceedsAvailable);
    before.unchanged(&failing.scene.desk.chain);
}

/// 52: with one of an account's prices dead nothing is computed from the others, and nobody profits from the gap.
#[test]
fn attack_liquidating_while_another_price_is_dead() {
    let (mut scene, bitcoin) = Scene::with_bitcoin();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.desk.set_price(bitcoin, 100_000 * PICO).unwrap();
    let target = party_with(&mut scene.desk, 12_000_000);
    scene.desk.place(&bob.trader, bitcoin, &ask(1_000_000, 10).build()).unwrap();
    scene.desk.place(&target.trader, bitcoin, &bid(1_000_000, 10).build()).unwrap();
    failing::open(&mut scene, Side::Bid, &target, &bob, 1_000);
    scene.wait(601);
    walk(&mut scene, 189_000);
    let (venue, market, named) = (scene.desk.venue, scene.market(), failing::target(&target));
    scene.accept(&bob, &bid(188_990, 9_000).reduce_only().build());
    for instruction in [
        venue.cancel_for_risk(&market, named, 9),
        venue.liquidate(&alice.trader, &market, named, 9),
        venue.take_over(&alice.trader, &market, named, Lots::new(9)),
        venue.absorb_shortfall(scene.desk.markets[0].index, named),
        venue.deleverage(&market, named, 9),
        scene.withdraw(&target, 1),
    ] {
        refuses(&mut scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
    }
    scene.desk.set_price(bitcoin, 100_000 * PICO).unwrap();
    scene.desk.chain.send(venue.liquidate(&alice.trader, &market, named, 9)).unwrap();
}

/// 35, 53: an account that fails at an older price and not at the newest is not liquidated by showing the older one.
#[test]
fn attack_liquidating_at_the_older_of_two_prices() {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_500_000);
    failing.walk(194_600);
    let (bob, keeper) = (failing.scene.bob, failing.keeper);
    failing.scene.accept(&bob, &bid(194_000, 9_000).build());
    assert!(failing.health(&failing.target).is_met());
    failing.scene.wait(5);
    let now = failing.scene.desk.chain.unix_seconds();
    failing.scene.desk.set_price(0, 195 * PICO).unwrap();
    // Published a second earlier than what is known, and low enough: both are genuine.
    failing.scene.desk.publish_at(0, 193 * PICO, 0, now - 1).unwrap();
    let market = failing.scene.market();
    let liquidate = failing.scene.desk.venue.liquidate(&keeper.trader, &market, failing.named(), 9);
    let before = Snapshot::of(&failing.scene.desk.chain);
    let sent = failing.scene.desk.chain.send_all(&[update(&failing.scene, 0), liquidate.clone()]);
    refused_at(sent, 0, EngineError::OracleRegressed);
    before.unchanged(&failing.scene.desk.chain);
    refuses(&mut failing.scene.desk.chain, liquidate, EngineError::AccountHealthy);
}

/// 37, F2: whatever the oracles show, however long nobody looked, and however often one asks, an account that was margined
/// is not bankrupt after one step: it can be liquidated.
#[test]
fn attack_price_jump_past_bankruptcy() {
    for (side, shown) in
        [(Side::Bid, PRICE / 2), (Side::Bid, PRICE / 1_000), (Side::Ask, PRICE * 2), (Side::Ask, PRICE * 19)]
    {
        let mut failing = Failing::new(side, 1_000, 10_500_000);
        // As close to failing as it gets.
        failing.walk(if side == Side::Bid { 194_500 } else { 205_200 });
        let (keeper, target) = (failing.keeper, failing.target);
        let maker = party_with(&mut failing.scene.desk, 1 << 50);
        let before = failing.health(&target);
        assert!(before.is_met() && before.equity.get() < before.required.get() as i64 + 120_000, "{before:?}");
        for quiet in [5, 3_600] {
            let mut failing = failing.clone();
            failing.scene.wait(quiet);
            failing.scene.desk.publish(0, shown, 0).unwrap();
            let mark = read::row(&failing.scene.desk, 0).mark.get();
            let updates = vec![update(&failing.scene, 0); 8];
            failing.scene.desk.chain.send_all(&updates).unwrap();
            let row = read::row(&failing.scene.desk, 0);
            assert_eq!(u64::from(row.mark.get().abs_diff(mark)), u64::from(mark) * 6_500 / 1_000_000, "one step");
            let after = failing.health(&target);
            assert!(!after.is_met() && after.equity.get() > 0, "{after:?}");
            // And it pays what closing it costs.
            let mark = row.mark.get();
            let order = if side == Side::Bid { bid(mark - 5, 1_000) } else { ask(mark + 5, 1_000) };
            failing.scene.accept(&maker, &order.build());
            let market = failing.scene.market();
            let liquidate = failing.scene.desk.venue.liquidate(&keeper.trader, &market, failing.named(), 9);
            failing.scene.desk.chain.send(liquidate).unwrap();
            let after = failing.health(&target);
            assert!(after.is_met() || lots(&failing.scene.desk, &target.trader, 0) == 0, "{after:?}");
            failing.scene.desk.check().unwrap();
        }
    }
}

/// 53, 9: an account that keeps for itself, or for a sibling, gains nothing by it and may not take over.
#[test]
fn attack_being_keeper_and_target() {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_500_000);
    failing.walk(192_500);
    let (bob, target) = (failing.scene.bob, failing.target);
    failing.scene.accept(&bob, &bid(192_490, 9_000).build());
    let (venue, market, named) = (failing.scene.desk.venue, failing.scene.market(), failing.named());
    let take = venue.take_over(&target.trader, &market, named, Lots::new(9));
    refuses(&mut failing.scene.desk.chain, take, EngineError::SelfTakeOver);
    let by_other = {
        let mut other = failing.clone();
        let keeper = other.keeper;
        other.scene.desk.chain.send(venue.liquidate(&keeper.trader, &market, named, 9)).unwrap();
        health(&other.scene.desk, &target).equity
    };
    failing.scene.desk.chain.send(venue.liquidate(&target.trader, &market, named, 9)).unwrap();
    assert_eq!(failing.health(&target).equity, by_other, "not an atom more than at a stranger's hands");
}

/// 53: a keeper that closes a position in pieces gets each piece's tip. No piece is paid more than the market's largest
/// tip, and all of them together no more than half of the fee: the rest is the pool's, whoever cuts how.
#[test]
fn attack_splitting_a_liquidation_for_the_tip() {
    const LARGEST: i64 = 50_000_000;
    let mut scene = Scene::new();
    let (maker, keeper) = (party_with(&mut scene.desk, 1 << 40), party_with(&mut scene.desk, 0));
    let target = party_with(&mut scene.desk, 10_500_000_000);
    failing::open(&mut scene, Side::Bid, &target, &maker, 1_000_000);
    walk(&mut scene, 193_500);
    for step in 0..5 {
        scene.accept(&maker, &bid(193_490 - step, 100_000).build());
    }
    let (venue, market) = (scene.desk.venue, scene.market());
    let run = |scene: &Scene, limit: u8| {
        let mut scene = scene.clone();
        let mut tips = Vec::new();
        loop {
            let before = cash(&scene.desk, &keeper.trader);
            let liquidate = venue.liquidate(&keeper.trader, &market, failing::target(&target), limit);
            if scene.desk.chain.send(liquidate).is_err() {
                break;
            }
            scene.desk.chain.next_slot();
            tips.push(cash(&scene.desk, &keeper.trader) - before);
        }
        scene.desk.check().unwrap();
        (tips, read::header(&scene.desk).pool.get().get(), health(&scene.desk, &target).equity.get())
    };
    let (whole, pool, equity) = run(&scene, 255);
    assert_eq!(whole, [LARGEST], "one piece, one tip");
    let (pieces, less, same) = run(&scene, 1);
    assert!(pieces.len() > 1 && pieces.iter().all(|tip| *tip <= LARGEST), "{pieces:?}");
    let tips: i64 = pieces.iter().sum();
    assert!(tips <= less, "{tips} and {less}");
    assert!(tips + less <= LARGEST + pool, "the account pays no more fee for it");
    assert!(same >= equity, "and ends where it may no longer be closed, with more left");
}

/// 54: what a liquidation leaves is worth another one, or nothing is left.
#[test]
fn attack_leaving_dust() {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_500_000);
    failing.walk(193_500);
    let (bob, keeper, target) = (failing.scene.bob, failing.keeper, failing.target);
    patch_row(&mut failing.scene.desk, 0, offset_of!(MarketRow, lots_min), &700u64.to_le_bytes());
    failing.scene.accept(&bob, &bid(193_490, 9_000).build());
    let market = failing.scene.market();
    let liquidate = failing.scene.desk.venue.liquidate(&keeper.trader, &market, failing.named(), 9);
    failing.scene.desk.chain.send(liquidate).unwrap();
    assert_eq!(
        lots(&failing.scene.desk, &target.trader, 0),
        0,
        "335 would do, but 665 are fewer than the smallest order"
    );
}

/// 55: nothing an owner does keeps its account from being liquidated.
#[test]
fn attack_blocking_ones_liquidation() {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_500_000);
    let (bob, keeper, target) = (failing.scene.bob, failing.keeper, failing.target);
    // Reduce-only asks that claim the whole position.
    for step in 0..2 {
        failing.scene.accept(&target, &ask(206_000 + step, 1_000).reduce_only().build());
    }
    failing.walk(193_500);
    failing.scene.accept(&bob, &bid(193_300, 9_000).build());
    let (venue, market) = (failing.scene.desk.venue, failing.scene.market());
    let close = venue.close_trader(&target.trader);
    refuses(&mut failing.scene.desk.chain, close, EngineError::TraderNotEmpty);
    // A frozen token account is no obstacle: no token moves.
    scene::edit_token(&mut failing.scene.desk.chain, target.tokens, |tokens| {
        tokens.state = spl_token_interface::state::AccountState::Frozen;
    });
    failing.scene.desk.chain.send(venue.liquidate(&keeper.trader, &market, failing.named(), 9)).unwrap();
    assert!(failing.health(&target).is_met());
    assert!(read::handles(&failing.scene.desk, &target.trader, 0).is_empty());
}

/// 55, 59: a deleveraging that somebody starts and leaves is anybody's to finish: whatever the price and the market have
/// become, and whichever account is named.
#[test]
fn attack_leaving_a_deleveraging_half_done() {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_500_000);
    failing.walk(189_000);
    let (venue, market, admin) = (failing.scene.desk.venue, failing.scene.market(), failing.scene.desk.admin);
    failing.scene.desk.chain.send(venue.deleverage(&market, failing.named(), 1)).unwrap();
    // The price dies; the market is to end, which has to wait for this.
    let index = failing.scene.desk.markets[0].index;
    let reduce = venue.set_market_status(admin, index, MarketStatus::ReduceOnly);
    failing.scene.desk.chain.send(reduce).unwrap();
    failing.scene.wait(90_000);
    let settle = venue.settle_market(&market);
    refuses(&mut failing.scene.desk.chain, settle.clone(), EngineError::DeleverageRunning);
    // The target cannot withdraw from it, and its cell cannot be freed.
    let target = failing.target;
    let withdraw = failing.scene.withdraw(&target, 1);
    refuses(&mut failing.scene.desk.chain, withdraw, EngineError::AccountBankrupt);
    let close = venue.close_trader(&target.trader);
    refuses(&mut failing.scene.desk.chain, close, EngineError::TraderNotEmpty);
    let nobody = failing::target(&failing.keeper);
    while read::market_header(&failing.scene.desk, 0).deleverage.is_running() {
        failing.scene.desk.chain.send(venue.deleverage(&market, nobody, 7)).unwrap();
        failing.scene.desk.chain.next_slot();
    }
    assert_eq!((lots(&failing.scene.desk, &target.trader, 0), cash(&failing.scene.desk, &target.trader)), (0, 0));
    failing.scene.desk.chain.send(settle).unwrap();
    failing.scene.desk.check().unwrap();
}

/// 59: a counterparty that is bankrupt itself bears its part like everybody, and is resolved by anybody afterwards.
#[test]
fn attack_bankrupt_accounts_against_each_other() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    // Both long and short at $200 with hardly more than margin; Alice is the other side of what they do not match.
    let long = party_with(&mut scene.desk, 10_500_000);
    let short = party_with(&mut scene.desk, 10_500_000);
    failing::open(&mut scene, Side::Bid, &long, &short, 1_000);
    walk(&mut scene, 189_000);
    // The short earned $11. A forged debt takes it all: it is bankrupt, and the only counterparty.
    let start = scene::LEDGER.cell(short.trader.cell).start;
    let (ledger, debt) = (scene.desk.venue.ledger, 60_000_000i64);
    let (owned, rich) = (cash(&scene.desk, &short.trader), cash(&scene.desk, &alice.trader));
    for (party, atoms) in [(short, owned - debt), (alice, rich + debt)] {
        let cell = scene::LEDGER.cell(party.trader.cell).start;
        scene::patch(&mut scene.desk.chain, ledger, cell + 72, &atoms.to_le_bytes());
    }
    scene.desk.check().unwrap();
    assert!(health(&scene.desk, &short).equity.get() < 0 && start > 0);
    let (venue, market) = (scene.desk.venue, scene.market());
    scene.desk.chain.send(venue.absorb_shortfall(scene.desk.markets[0].index, failing::target(&short))).unwrap();
    scene.desk.chain.send(venue.deleverage(&market, failing::target(&long), 9_999)).unwrap();
    assert_eq!((lots(&scene.desk, &long.trader, 0), lots(&scene.desk, &short.trader, 0)), (0, 0));
    assert_eq!(cash(&scene.desk, &long.trader), 0);
    assert_eq!(read::header(&scene.desk).bankrupts, 1, "the other one still owes");
    // With what the pool gets it is resolved.
    let gift = venue.fund_pool(&alice.trader, QuoteAtoms::new(100_000_000));
    scene.desk.chain.send(gift).unwrap();
    scene.desk.chain.next_slot();
    scene.desk.chain.send(venue.absorb_shortfall(scene.desk.markets[0].index, failing::target(&short))).unwrap();
    assert_eq!((read::header(&scene.desk).bankrupts, cash(&scene.desk, &short.trader)), (0, 0));
    scene.desk.check().unwrap();
}

/// 56, F7: a loss cannot be put on the pool by trading far from the mark with an accomplice.
#[test]
fn attack_dumping_a_loss_on_the_pool() {
    let mut scene = Scene::new();
    let (winner, rich) = (scene.bob, scene.alice);
    let loser = party_with(&mut scene.desk, 10_800_000);
    let gift = scene.desk.venue.fund_pool(&rich.trader, QuoteAtoms::new(100_000_000));
    scene.desk.chain.send(gift).unwrap();
    let pool = |scene: &Scene| read::header(&scene.desk).pool.get().get();
    let equity = |scene: &Scene, party: &Party| health(&scene.desk, party).equity.get();
    let before = equity(&scene, &winner) + equity(&scene, &loser);
    scene.accept(&winner, &ask(210_000, 1_000).build());
    let order = scene.order(&loser, &bid(210_000, 1_000).immediate_or_cancel().build());
    refuses(&mut scene.desk.chain, order, EngineError::BelowInitialMargin);
    scene.accept(&loser, &bid(210_000, 500).immediate_or_cancel().build());
    walk(&mut scene, 192_500);
    // Somebody makes the market in which the loser is liquidated.
    scene.accept(&rich, &bid(192_490, 9_000).build());
    let liquidate = scene.desk.venue.liquidate(&winner.trader, &scene.market(), failing::target(&loser), 9);
    scene.desk.chain.send(liquidate).unwrap();
    scene.desk.check().unwrap();
    assert!(pool(&scene) >= 100_000_000, "it earned fees and paid nothing");
    assert!(equity(&scene, &winner) + equity(&scene, &loser) < before);
}

/// 62: quotes far from the index move the mark within its reach of the index, by the staircase, and cost their funding.
#[test]
fn attack_pushing_the_mark_with_a_thin_book() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.trade(1_000);
    scene.accept(&alice, &bid(214_000, 1).build());
    scene.accept(&alice, &ask(214_010, 1).build());
    for _ in 0..400 {
        scene.wait(5);
        scene.desk.set_price(0, PRICE).unwrap();
        let mark = read::row(&scene.desk, 0).mark.get();
        assert!((MARK..=MARK / 1_000 * 1_005).contains(&mark), "{mark}");
    }
    let row = read::row(&scene.desk, 0);
    assert!(row.mark.get() > MARK, "it did move");
    // For 2,000 seconds at most half a percent a day, less the dead zone.
    let paid = row.funding_index.get() >> 20;
    assert!(paid > 0 && paid <= i64::from(MARK) / 1_000 * 5 * 2_000 / 86_400, "{paid}");
    assert!(health(&scene.desk, &bob).is_met());
    scene.desk.check().unwrap();
}

/// 63: an outage, or two updates in a second, cost no funding that was not due; opening a position after the update and
/// closing it before the next one neither pays nor earns.
#[test]
fn attack_funding_over_an_outage_and_twice_in_a_second() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.trade(1_000);
    // The mark is above the index while it goes down the stairs.
    scene.wait(5);
    scene.desk.set_price(0, PRICE / 100 * 97).unwrap();
    let row = read::row(&scene.desk, 0);
    let premium = i64::from(row.mark.get() - row.index_price.get());
    assert!(premium > 4_000);
    let index = row.funding_index;
    let again = vec![update(&scene, 0); 5];
    scene.desk.chain.send_all(&again).unwrap();
    assert_eq!(read::row(&scene.desk, 0).funding_index, index, "in the same second nothing accrues");
    scene.wait(86_400);
    scene.desk.set_price(0, PRICE / 100 * 97).unwrap();
    let accrued = (read::row(&scene.desk, 0).funding_index.get() - index.get()) >> 20;
    // The price was fresh for 30 seconds of the day.
    assert!(accrued <= premium * 31 / 86_400 + 1, "{accrued} for a premium of {premium}");
    assert_eq!(read::row(&scene.desk, 0).validity(read::now(&scene.desk.chain).unix_seconds), Validity::Fresh);
    // A position of no duration.
    let fresh = party_with(&mut scene.desk, CAPITAL);
    let mark = read::row(&scene.desk, 0).mark.get();
    scene.accept(&alice, &bid(mark, 10).build());
    scene.accept(&fresh, &ask(mark, 10).immediate_or_cancel().build());
    scene.accept(&alice, &ask(mark, 10).build());
    scene.accept(&fresh, &bid(mark, 10).immediate_or_cancel().build());
    let (_, position) = read::position(&scene.desk, &fresh.trader, 0).unwrap();
    assert_eq!((position.base.get(), position.funding_paid.get()), (0, 0));
    assert!(lots(&scene.desk, &bob.trader, 0) > 0);
    scene.desk.check().unwrap();
}

/// Markets that one account can hold positions in.
const MARKETS: usize = 32;
/// Orders of one account in a market.
const ORDERS: u32 = 128;

/// 55, 71: the largest account there is, in every market with an order in each and 128 in this one, against as many orders
/// as one liquidation may meet, each at a price of its own, within 60% of what a transaction may use.
#[test]
fn attack_largest_account_is_still_liquidated() {
    let (mut scene, target, keeper) = largest();
    let market = scene.market();
    let liquidate = scene.desk.venue.liquidate(&keeper, &market, failing::target(&target), 255);
    let budget = Budget { compute_units: 840_000, unit_price: 0, loaded_bytes: 8 << 20 };
    let before = lots(&scene.desk, &target.trader, 0);
    let mut instructions = budget.instructions().to_vec();
    instructions.push(liquidate);
    let used = scene.desk.chain.send_all(&instructions).unwrap().compute_units;
    println!("{used} compute units");
    assert!(used < 840_000, "{used}");
    assert_eq!(before - lots(&scene.desk, &target.trader, 0), 255, "a lot of each");
    scene.desk.check().unwrap();
}

fn largest() -> (Scene, Party, Trader) {
    let mut desk = Desk::new(DeskConfig { cells: 400, ..DeskConfig::default() }).unwrap();
    desk.list(&MarketSpec { side_capacity: 1_024, ..MarketSpec::sol() }).unwrap();
    for number in 1..MARKETS {
        let symbol = format!("M{number:02}-PERP");
        let spec = MarketSpec { symbol, side_capacity: 8, sources: Sources::Pyth, ..MarketSpec::sol() };
        desk.list(&spec).unwrap();
    }
    let price_all = |desk: &mut Desk| {
        for market in 1..MARKETS {
            desk.set_price(market, PRICE).unwrap();
        }
    };
    desk.set_price(0, PRICE).unwrap();
    price_all(&mut desk);
    let (alice, bob) = (scene::party(&mut desk, 0), scene::party(&mut desk, 0));
    let mut scene = Scene { desk, alice, bob };
    let target = party_with(&mut scene.desk, 24_000_000);
    // The market that fails first, so that it is the last in the list of positions.
    failing::open(&mut scene, Side::Bid, &target, &bob, 2_000);
    for market in 1..MARKETS {
        scene.desk.place(&bob.trader, market, &ask(MARK, 1).build()).unwrap();
        scene.desk.place(&target.trader, market, &bid(MARK, 1).immediate_or_cancel().build()).unwrap();
        scene.desk.place(&target.trader, market, &bid(1_000, 1).build()).unwrap();
    }
    for step in 0..ORDERS {
        scene.place(&target, &ask(208_000 + step, 10).reduce_only().build()).unwrap();
    }
    walk(&mut scene, 191_500);
    price_all(&mut scene.desk);
    for step in 0..255 {
        let maker = if step % 2 == 0 { alice } else { bob };
        scene.place(&maker, &bid(191_499 - step, 1).build()).unwrap();
    }
    scene.desk.check().unwrap();
    let keeper = alice.trader;
    (scene, target, keeper)
}
