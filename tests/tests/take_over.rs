//! `TakeOver`: how much moves at which price, what both sides are left with, and what is refused.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError, Generation, Lots, QuoteAtoms, Side,
        state::{CashEventKind, MarketRow, TradeEventKind},
    },
    error::ProgramError,
    instruction::{Target, Trader},
};
use quantdesk_tests::{
    failing::{self, Failing, Native, party_with, trading_frame, written},
    read::{self, book, cash, lots},
    refuses,
    scene::{CAPITAL, PICO, Party, ask, bid, mark_bankrupt, party_of, patch_row},
    snapshot::Snapshot,
};
use solana_instruction::Instruction;
use std::mem::offset_of;

fn take_over(failing: &Failing, liquidator: &Party, most: u64) -> Instruction {
    let market = failing.scene.market();
    failing.scene.desk.venue.take_over(&liquidator.trader, &market, failing.named(), Lots::new(most))
}

/// Long 1 SOL bought at $200 with $10.15; at $193 there are $3.05 against a requirement of $4.825, two thirds of which are
/// $3.22.
fn long() -> Failing {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_150_000);
    failing.walk(193_000);
    failing
}

#[test]
fn moves_what_restores_the_account_at_the_programs_price() {
    let mut failing = long();
    let (alice, target) = (failing.scene.alice, failing.target);
    let health = failing.health(&target);
    assert_eq!((health.equity.get(), health.required.get()), (3_050_000, 4_825_000));
    let (before, since) = (Snapshot::of(&failing.scene.desk.chain), written(&failing.scene));
    let fees = read::money(&failing.scene.desk).1;
    let mut native = Native::of(&failing.scene.desk, 0);
    let done = native.trading(|it| it.take_over(alice.trader.cell, target.trader.cell, Lots::new(u64::MAX))).unwrap();
    failing.scene.desk.chain.send(take_over(&failing, &alice, u64::MAX)).unwrap();
    native.assert_same(&failing.scene.desk);

    // At 1% below the mark a lot costs 1,930 + 955.35 and frees 1.1 × 2.5% of 193,000; 2,257,500 are missing.
    assert_eq!((done.lots, done.quote), (Lots::new(933), QuoteAtoms::new(933 * 191_070)));
    assert_eq!((done.fee, done.tip), (QuoteAtoms::new(891_342), QuoteAtoms::ZERO));
    let desk = &failing.scene.desk;
    assert_eq!((lots(desk, &target.trader, 0), lots(desk, &alice.trader, 0)), (67, 933));
    assert_eq!(cash(desk, &target.trader), 10_050_000 - 186_600_000 + 178_268_310 - 891_342);
    assert_eq!(cash(desk, &alice.trader), CAPITAL as i64, "no fee for the liquidator");
    assert_eq!(failing.health(&alice).equity.get(), CAPITAL as i64 + 933 * 1_930, "the discount is hers at once");
    assert_eq!(read::header(desk).pool.get().get(), 891_342);
    assert_eq!(read::money(desk).1, fees);
    assert_eq!(read::row(desk, 0).open_interest.get(), 1_000);
    let health = failing.health(&target);
    let (equity, required) = (health.equity.get(), health.required.get() as i64);
    assert!(equity * 10 >= required * 11 && equity * 10 < required * 11 + 53_100, "{equity} of {required}");

    let events = failing::trade_events_since(&failing.scene, since.0);
    let [record] = &events[..] else { panic!("{events:?}") };
    assert_eq!((record.kind(), record.lots.get()), (Some(TradeEventKind::TakenOver), 933));
    assert_eq!((record.price.get(), record.client_id), (191_070, 178_268_310));
    assert_eq!((record.maker, record.taker), (alice.trader.cell, target.trader.cell));
    assert_eq!((record.taker_fee.get(), record.maker_fee.get()), (891_342, 0));
    // Her first position opens a cell.
    let frame = trading_frame(&failing.scene, &[alice, target], since)
        .bytes(failing.scene.desk.venue.ledger, read::LedgerMap::free_list());
    before.only(&failing.scene.desk.chain, &frame);
    failing.scene.desk.check().unwrap();
    let again = take_over(&failing, &alice, 1);
    refuses(&mut failing.scene.desk.chain, again, EngineError::AccountHealthy);
}

#[test]
fn a_short_moves_above_the_mark() {
    let mut failing = Failing::new(Side::Ask, 1_000, 10_150_000);
    failing.walk(207_000);
    let (bob, target) = (failing.scene.bob, failing.target);
    let mut native = Native::of(&failing.scene.desk, 0);
    let done = native.trading(|it| it.take_over(bob.trader.cell, target.trader.cell, Lots::new(400))).unwrap();
    failing.scene.desk.chain.send(take_over(&failing, &bob, 400)).unwrap();
    native.assert_same(&failing.scene.desk);
    assert_eq!(done.quote.get(), 400 * (207_000 + 2_070), "no more than asked for");
    assert_eq!(lots(&failing.scene.desk, &target.trader, 0), -600);
    // Bob was long: what he takes over closes it, and open interest shrinks.
    assert_eq!(
        (lots(&failing.scene.desk, &bob.trader, 0), read::row(&failing.scene.desk, 0).open_interest.get()),
        (600, 600)
    );
    failing.scene.desk.check().unwrap();
}

#[test]
fn near_bankruptcy_the_price_is_that_of_bankruptcy() {
    let mut failing = long();
    failing.walk(190_500);
    let (alice, target) = (failing.scene.alice, failing.target);
    assert_eq!(failing.health(&target).equity.get(), 550_000);
    let mut native = Native::of(&failing.scene.desk, 0);
    let done = native.trading(|it| it.take_over(alice.trader.cell, target.trader.cell, Lots::new(9_999))).unwrap();
    failing.scene.desk.chain.send(take_over(&failing, &alice, 9_999)).unwrap();
    native.assert_same(&failing.scene.desk);
    // 1% is 1,905, but there are 550 for each lot.
    assert_eq!((done.lots.get(), done.quote.get(), done.fee), (1_000, 1_000 * 189_950, QuoteAtoms::ZERO));
    assert_eq!((cash(&failing.scene.desk, &target.trader), lots(&failing.scene.desk, &target.trader, 0)), (0, 0));
    failing.scene.desk.check().unwrap();
}

#[test]
fn own_orders_of_the_account_go_first() {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_150_000);
    let (alice, target) = (failing.scene.alice, failing.target);
    failing.scene.accept(&target, &ask(206_000, 400).reduce_only().build());
    failing.walk(193_000);
    let since = written(&failing.scene);
    failing.scene.desk.chain.send(take_over(&failing, &alice, 5)).unwrap();
    let events = failing::trade_events_since(&failing.scene, since.0);
    let kinds: Vec<_> = events.iter().map(|event| event.kind().unwrap()).collect();
    assert_eq!(kinds, [TradeEventKind::RiskCancelled, TradeEventKind::TakenOver]);
    assert_eq!(book(&failing.scene.desk, 0, Side::Ask), []);
}

#[test]
fn refusals_in_order() {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_150_000);
    let (alice, bob, target) = (failing.scene.alice, failing.scene.bob, failing.target);
    let sibling = party_of(&mut failing.scene.desk, target.trader.authority, 1);
    let poor = party_with(&mut failing.scene.desk, 1_000);
    let broke = party_with(&mut failing.scene.desk, 1_000_000_000);
    mark_bankrupt(&mut failing.scene.desk, &broke.trader);
    // Above two thirds of maintenance it is still the book's.
    failing.walk(194_000);
    assert!(!failing.health(&target).is_met());
    let instruction = take_over(&failing, &alice, 9);
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::AccountHealthy);
    failing.walk(193_000);
    let foreign = failing::foreign_market(&mut failing.scene);
    let (venue, market, named) = (failing.scene.desk.venue, failing.scene.market(), failing.named());
    let thief = Trader { authority: bob.trader.authority, ..alice.trader };
    let stale = Trader { generation: Generation::new(77), ..alice.trader };
    let nobody = Target { generation: Generation::new(77), ..named };
    let some = Lots::new(9);
    let cases: [(Instruction, ProgramError); 10] = [
        (venue.take_over(&alice.trader, &foreign, named, some), Refusal::WrongLedger.into()),
        (venue.take_over(&stale, &market, named, some), EngineError::TraderNotFound.into()),
        (venue.take_over(&thief, &market, nobody, some), Refusal::NotAuthorized.into()),
        (venue.take_over(&alice.trader, &market, nobody, some), EngineError::TraderNotFound.into()),
        (venue.take_over(&alice.trader, &market, failing::target(&poor), some), EngineError::NothingToClose.into()),
        (venue.take_over(&sibling.trader, &market, named, some), EngineError::SelfTakeOver.into()),
        (venue.take_over(&target.trader, &market, named, some), EngineError::SelfTakeOver.into()),
        (venue.take_over(&broke.trader, &market, named, some), EngineError::AccountBankrupt.into()),
        (venue.take_over(&alice.trader, &market, named, Lots::ZERO), EngineError::NothingToClose.into()),
        (venue.take_over(&poor.trader, &market, named, some), EngineError::BelowInitialMargin.into()),
    ];
    for (instruction, error) in cases {
        refuses(&mut failing.scene.desk.chain, instruction, error);
    }
    let instruction = take_over(&failing, &alice, 9);
    // With a price too old for new risk the liquidator cannot be shown to carry it.
    failing.scene.wait(60);
    refuses(&mut failing.scene.desk.chain, instruction.clone(), EngineError::PriceNotValidForAction);
    failing.scene.desk.set_price(0, 193 * PICO).unwrap();
    failing.walk(189_500);
    refuses(&mut failing.scene.desk.chain, instruction.clone(), EngineError::NoEquity);
    failing::settle(&mut failing.scene);
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::MarketNotActive);
}

/// What would take the liquidator's position past the market's bound is refused whole.
#[test]
fn limits_of_the_market_hold_for_the_liquidator() {
    let mut failing = long();
    let alice = failing.scene.alice;
    let offset = offset_of!(MarketRow, position_max);
    patch_row(&mut failing.scene.desk, 0, offset, &100u64.to_le_bytes());
    let instruction = take_over(&failing, &alice, 101);
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::PositionTooLarge);
    failing.scene.desk.chain.send(take_over(&failing, &alice, 100)).unwrap();
}

/// A bankrupt account that has no size left is resolved by whatever took the last of it.
#[test]
fn the_last_lots_resolve_a_bankrupt_account() {
    let mut failing = long();
    let (alice, target) = (failing.scene.alice, failing.target);
    mark_bankrupt(&mut failing.scene.desk, &target.trader);
    failing.walk(190_500);
    let since = written(&failing.scene);
    failing.scene.desk.chain.send(take_over(&failing, &alice, 9_999)).unwrap();
    let events = failing::cash_events_since(&failing.scene, since.1);
    assert_eq!(events.iter().map(|event| event.kind()).collect::<Vec<_>>(), [Some(CashEventKind::Resolved)]);
    assert_eq!(read::header(&failing.scene.desk).bankrupts, 0);
    failing.scene.accept(&target, &bid(1, 1).immediate_or_cancel().build());
}
