//! `Deleverage`: exact division, any number of steps by anybody, what stands still meanwhile, and what is refused.

use quantdesk_client::{
    Refusal,
    engine::{
        CellIndex, EngineError, Generation, QuoteAtoms, Side,
        book::Sides,
        state::{CashEventKind, LedgerHeader, MarketHeader, TradeEventKind},
    },
    error::ProgramError,
    instruction::Target,
};
use quantdesk_tests::{
    failing::{self, Failing, Native, party_with, trading_frame, walk, written},
    read::{self, cash, lots},
    refuses,
    scene::{self, CAPITAL, PICO, Party, Scene, ask, bid},
    snapshot::Snapshot,
};
use solana_instruction::Instruction;
use std::mem::offset_of;

fn deleverage(scene: &Scene, target: &Party, steps: u16) -> Instruction {
    scene.desk.venue.deleverage(&scene.market(), failing::target(target), steps)
}

/// The target is long 1 SOL against Alice, Bob and Carol, who are short 500, 300 and 200 lots, all bought at $200.
/// At $189 the target lacks $0.6.
struct Crowd {
    scene: Scene,
    target: Party,
    others: [Party; 3],
}

fn crowd() -> Crowd {
    let mut scene = Scene::new();
    let target = party_with(&mut scene.desk, 10_500_000);
    let carol = scene::party(&mut scene.desk, 0);
    let others = [scene.alice, scene.bob, carol];
    for (other, size) in others.iter().zip([500, 300, 200]) {
        failing::open(&mut scene, Side::Bid, &target, other, size);
    }
    walk(&mut scene, 189_000);
    assert_eq!(failing::health(&scene.desk, &target).equity.get(), -600_000);
    Crowd { scene, target, others }
}

fn bases(crowd: &Crowd) -> [i64; 4] {
    let [a, b, c] = crowd.others.map(|other| lots(&crowd.scene.desk, &other.trader, 0));
    [lots(&crowd.scene.desk, &crowd.target.trader, 0), a, b, c]
}

#[test]
fn closes_against_all_in_proportion_to_the_atom() {
    let mut crowd = crowd();
    let since = written(&crowd.scene);
    let before = Snapshot::of(&crowd.scene.desk.chain);
    let cash_before = crowd.others.map(|other| cash(&crowd.scene.desk, &other.trader));
    let mut native = Native::of(&crowd.scene.desk, 0);
    assert!(native.trading(|it| it.deleverage(crowd.target.trader.cell, 9_999)).unwrap());
    crowd.scene.desk.chain.send(deleverage(&crowd.scene, &crowd.target, 9_999)).unwrap();
    native.assert_same(&crowd.scene.desk);
    assert_eq!(bases(&crowd), [0, 0, 0, 0]);
    assert_eq!(cash(&crowd.scene.desk, &crowd.target.trader), 0, "exactly at the price of bankruptcy, 189.6");
    assert_eq!(read::row(&crowd.scene.desk, 0).open_interest.get(), 0);
    for ((other, before), lots) in crowd.others.iter().zip(cash_before).zip([500, 300, 200]) {
        assert_eq!(cash(&crowd.scene.desk, &other.trader) - before, lots * (200_000 - 189_600));
    }
    let header = read::header(&crowd.scene.desk);
    assert_eq!((header.bankrupts, read::market_header(&crowd.scene.desk, 0).deleverage.is_running()), (0, false));

    let events = failing::trade_events_since(&crowd.scene, since.0);
    let target = crowd.target.trader.cell;
    let seen: Vec<_> =
        events.iter().map(|it| (it.kind().unwrap(), it.maker, it.lots.get(), it.client_id, it.order.get())).collect();
    let [a, b, c] = crowd.others.map(|other| other.trader.cell);
    let part = TradeEventKind::Deleveraged;
    assert_eq!(
        seen,
        [
            (TradeEventKind::DeleverageStarted, CellIndex::NIL, 1_000, 189_600_000, 1),
            (part, a, 500, 94_800_000, 1),
            (part, b, 300, 56_880_000, 1),
            (part, c, 200, 37_920_000, 1),
            (TradeEventKind::DeleverageFinished, CellIndex::NIL, 1_000, 189_600_000, 1),
        ]
    );
    assert!(events.iter().all(|it| it.taker == target && it.price.get() == 189_600));
    let kinds: Vec<_> =
        failing::cash_events_since(&crowd.scene, since.1).iter().map(|it| (it.kind().unwrap(), it.amount)).collect();
    assert_eq!(kinds, [(CashEventKind::Bankrupt, -600_000), (CashEventKind::Resolved, 0)]);
    let [a, b, c] = crowd.others;
    let bankrupts = offset_of!(LedgerHeader, bankrupts);
    let frame = trading_frame(&crowd.scene, &[crowd.target, a, b, c], since)
        .bytes(crowd.scene.desk.venue.ledger, bankrupts..bankrupts + 4)
        .bytes(crowd.scene.market(), offset_of!(MarketHeader, deleverage)..offset_of!(MarketHeader, deleverage) + 80);
    before.only(&crowd.scene.desk.chain, &frame);
    crowd.scene.desk.check().unwrap();
    // 60: once.
    let again = deleverage(&crowd.scene, &crowd.target, 9_999);
    refuses(&mut crowd.scene.desk.chain, again, EngineError::NothingToClose);
}

/// 59: neither who sends the steps nor how long they are makes any difference, to the byte.
#[test]
fn any_steps_by_anybody_leave_the_same_bytes() {
    let start = crowd();
    let whole = {
        let mut scene = start.scene.clone();
        scene.desk.chain.send(deleverage(&scene, &start.target, u16::MAX)).unwrap();
        scene
    };
    for steps in [[1, 1, 1], [3, 40, 2], [33, 1, 70], [7, 200, 9]] {
        let mut scene = start.scene.clone();
        let mut count = 0;
        let named = [start.target, start.others[0], start.others[2]];
        while count == 0 || read::market_header(&scene.desk, 0).deleverage.is_running() {
            // Whatever account is named, once it runs the one under way goes on.
            let target = if count == 0 { start.target } else { named[count % 3] };
            scene.desk.chain.send(deleverage(&scene, &target, steps[count % 3])).unwrap();
            scene.desk.check().unwrap();
            count += 1;
        }
        assert!(count > 1);
        for address in [scene.desk.venue.ledger, scene.market()] {
            assert!(
                scene.desk.chain.bytes(&address).unwrap() == whole.desk.chain.bytes(&address).unwrap(),
                "{steps:?}"
            );
        }
    }
}

#[test]
fn those_in_profit_go_first() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let target = party_with(&mut scene.desk, 10_500_000);
    failing::open(&mut scene, Side::Bid, &target, &bob, 1_000);
    walk(&mut scene, 189_000);
    // Alice sells to Carol where the price is now: closing at 189.6 would be her loss.
    let carol = scene::party(&mut scene.desk, 0);
    failing::open(&mut scene, Side::Bid, &carol, &alice, 700);
    scene.desk.chain.send(deleverage(&scene, &target, 9_999)).unwrap();
    let of = |party: &Party| lots(&scene.desk, &party.trader, 0);
    assert_eq!((of(&target), of(&bob), of(&alice), of(&carol)), (0, 0, -700, 700));
    scene.desk.check().unwrap();
}

#[test]
fn the_pool_pays_first() {
    let mut crowd = crowd();
    let alice = crowd.others[0];
    let gift = crowd.scene.desk.venue.fund_pool(&alice.trader, QuoteAtoms::new(10_000_000));
    crowd.scene.desk.chain.send(gift).unwrap();
    let before = crowd.others.map(|other| cash(&crowd.scene.desk, &other.trader));
    crowd.scene.desk.chain.send(deleverage(&crowd.scene, &crowd.target, 9_999)).unwrap();
    for ((other, before), lots) in crowd.others.iter().zip(before).zip([500, 300, 200]) {
        assert_eq!(cash(&crowd.scene.desk, &other.trader) - before, lots * 11_000, "closed at the mark");
    }
    assert_eq!(read::header(&crowd.scene.desk).pool.get().get(), 9_400_000);
    crowd.scene.desk.check().unwrap();
}

#[test]
fn the_market_stands_still_meanwhile() {
    let mut crowd = crowd();
    let [alice, bob, carol] = crowd.others;
    crowd.scene.accept(&carol, &bid(150_000, 3).build());
    crowd.scene.desk.chain.send(deleverage(&crowd.scene, &crowd.target, 1)).unwrap();
    let running = read::market_header(&crowd.scene.desk, 0).deleverage;
    assert!(running.is_running());
    let venue = crowd.scene.desk.venue;
    let market = crowd.scene.market();
    for instruction in [
        crowd.scene.order(&alice, &bid(189_000, 1).reduce_only().immediate_or_cancel().build()),
        crowd.scene.order(&bob, &ask(189_000, 1).build()),
        crowd.scene.order(&bob, &ask(250_000, 1).post_only().build()),
    ] {
        refuses(&mut crowd.scene.desk.chain, instruction, EngineError::DeleverageRunning);
    }
    // Prices go on, without funding, and so do cancels and other markets.
    let (funding, index) = (read::row(&crowd.scene.desk, 0).funding_index, 200 * PICO);
    for _ in 0..3 {
        crowd.scene.wait(5);
        crowd.scene.desk.set_price(0, index).unwrap();
    }
    let row = read::row(&crowd.scene.desk, 0);
    assert!(row.mark.get() > 189_000 && row.is_lagging());
    assert_eq!(row.funding_index, funding);
    crowd.scene.desk.chain.send(venue.cancel_all(&carol.trader, &market, Sides::Both, 9)).unwrap();
    // What it started with is what it ends with, wherever the price is by then.
    crowd.scene.desk.chain.send(deleverage(&crowd.scene, &crowd.target, 9_999)).unwrap();
    assert_eq!((bases(&crowd), cash(&crowd.scene.desk, &crowd.target.trader)), ([0; 4], 0));
    crowd.scene.accept(&alice, &bid(189_000, 1).build());
}

#[test]
fn a_short_is_closed_below_the_mark() {
    let mut failing = Failing::new(Side::Ask, 1_000, 10_500_000);
    failing.walk(211_000);
    assert_eq!(failing.health(&failing.target).equity.get(), -600_000);
    let (bob, target) = (failing.scene.bob, failing.target);
    let before = cash(&failing.scene.desk, &bob.trader);
    let mut native = Native::of(&failing.scene.desk, 0);
    native.trading(|it| it.deleverage(target.trader.cell, 9_999)).unwrap();
    failing.scene.desk.chain.send(deleverage(&failing.scene, &target, 9_999)).unwrap();
    native.assert_same(&failing.scene.desk);
    assert_eq!(cash(&failing.scene.desk, &target.trader), 0);
    assert_eq!(cash(&failing.scene.desk, &bob.trader) - before, 1_000 * (210_400 - 200_000));
    failing.scene.desk.check().unwrap();
}

/// More than a ring of records takes is not closed in one instruction; the next one goes on.
#[test]
fn every_counterparty_has_its_record() {
    let mut crowd = crowd();
    let mut sent = 0;
    while bases(&crowd)[0] != 0 {
        crowd.scene.desk.chain.send(deleverage(&crowd.scene, &crowd.target, 40)).unwrap();
        sent += 1;
    }
    assert!(sent > 1);
    let parts = read::trade_events(&crowd.scene.desk, 0);
    let parts = parts.iter().filter(|it| it.kind() == Some(TradeEventKind::Deleveraged));
    assert_eq!(parts.map(|it| it.lots.get()).sum::<u64>(), 1_000);
}

#[test]
fn refusals_in_order() {
    let mut crowd = crowd();
    let foreign = failing::foreign_market(&mut crowd.scene);
    let venue = crowd.scene.desk.venue;
    let (market, named) = (crowd.scene.market(), failing::target(&crowd.target));
    let nobody = Target { generation: Generation::new(77), ..named };
    let empty = party_with(&mut crowd.scene.desk, 0);
    let alice = failing::target(&crowd.others[0]);
    let cases: [(Instruction, ProgramError); 5] = [
        (venue.deleverage(&foreign, nobody, 0), Refusal::FieldInvalid.into()),
        (venue.deleverage(&foreign, nobody, 1), Refusal::WrongLedger.into()),
        (venue.deleverage(&market, nobody, 1), EngineError::TraderNotFound.into()),
        (venue.deleverage(&market, failing::target(&empty), 1), EngineError::NothingToClose.into()),
        (venue.deleverage(&market, alice, 1), EngineError::AccountHealthy.into()),
    ];
    for (instruction, error) in cases {
        refuses(&mut crowd.scene.desk.chain, instruction, error);
    }
    // Liquidations may use a price that is a little old; this may not.
    crowd.scene.wait(31);
    let instruction = deleverage(&crowd.scene, &crowd.target, 9);
    refuses(&mut crowd.scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
    walk(&mut crowd.scene, 189_700);
    let instruction = deleverage(&crowd.scene, &crowd.target, 9);
    refuses(&mut crowd.scene.desk.chain, instruction, EngineError::AccountHealthy);
    assert_eq!(cash(&crowd.scene.desk, &crowd.others[2].trader), CAPITAL as i64 + 4_000, "its rebate, nothing else");
}
