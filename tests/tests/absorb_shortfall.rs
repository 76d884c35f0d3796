//! `AbsorbShortfall`: what the pool pays, out of which budget, how often, and to whom it comes back.

use quantdesk_client::{
    engine::{
        EngineError, Generation, MarketIndex, QuoteAtoms, Side,
        risk::listing::RiskParameters,
        state::{CashEventKind, LedgerHeader, MarketRow},
    },
    error::ProgramError,
    instruction::Target,
};
use quantdesk_tests::{
    failing::{self, Failing, Native, written},
    read::{self, LedgerMap, cash, lots},
    refuses,
    scene::{self, CAPITAL, LEDGER, Scene, ask, bid, party_of, patch_row},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

fn absorb(failing: &Failing) -> Instruction {
    failing.scene.desk.venue.absorb_shortfall(failing.scene.desk.markets[0].index, failing.named())
}

/// Long 1 SOL bought at $200 with $10.5; at $189 it lacks $0.6. The pool holds `pool` atoms.
fn bankrupt(pool: u64) -> Failing {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_500_000);
    let alice = failing.scene.alice;
    if pool > 0 {
        let gift = failing.scene.desk.venue.fund_pool(&alice.trader, QuoteAtoms::new(pool));
        failing.scene.desk.chain.send(gift).unwrap();
    }
    failing.walk(189_000);
    assert_eq!(failing.health(&failing.target).equity.get(), -600_000);
    failing
}

fn pool(failing: &Failing) -> i64 {
    read::header(&failing.scene.desk).pool.get().get()
}

/// Kinds and amounts of the ledger's records since then.
fn records(failing: &Failing, since: u64) -> Vec<(CashEventKind, i64)> {
    failing::cash_events_since(&failing.scene, since).iter().map(|it| (it.kind().unwrap(), it.amount)).collect()
}

#[test]
fn pays_exactly_what_is_missing_and_notes_it() {
    let mut failing = bankrupt(2_000_000);
    let target = failing.target;
    let (before, since) = (Snapshot::of(&failing.scene.desk.chain), written(&failing.scene).1);
    let total = read::money(&failing.scene.desk);
    failing.scene.desk.chain.send(absorb(&failing)).unwrap();
    assert_eq!(pool(&failing), 1_400_000);
    assert_eq!(cash(&failing.scene.desk, &target.trader), 10_400_000 + 600_000);
    assert_eq!(failing.health(&target).equity.get(), 0);
    assert_eq!(read::header(&failing.scene.desk).bankrupts, 1);
    let ledger = failing.scene.desk.ledger_view().unwrap();
    let trader = *ledger.trader(target.trader.cell).unwrap();
    assert_eq!((trader.is_bankrupt(), trader.absorbed.get()), (true, 600_000));
    assert_eq!(read::money(&failing.scene.desk), total, "no atom came or went");
    let expected = [(CashEventKind::Bankrupt, -600_000), (CashEventKind::ShortfallAbsorbed, 600_000)];
    assert_eq!(records(&failing, since), expected);
    let ledger = failing.scene.desk.venue.ledger;
    let bankrupts = offset_of!(LedgerHeader, bankrupts);
    let frame = Frame::new()
        .bytes(ledger, LedgerMap::pool())
        .bytes(ledger, LedgerMap::events_written())
        .bytes(ledger, bankrupts..bankrupts + 4)
        .bytes(ledger, LedgerMap::row(0))
        .bytes(ledger, LEDGER.cell(target.trader.cell))
        .bytes(ledger, LEDGER.event(since + 1))
        .bytes(ledger, LEDGER.event(since + 2));
    before.only(&failing.scene.desk.chain, &frame);
    failing.scene.desk.check().unwrap();
    // Once.
    let again = absorb(&failing);
    refuses(&mut failing.scene.desk.chain, again, EngineError::NothingToAbsorb);
    // Deeper down it is the difference.
    failing.walk(188_500);
    failing.scene.desk.chain.send(absorb(&failing)).unwrap();
    assert_eq!(pool(&failing), 900_000);
}

#[test]
fn without_a_pool_it_only_marks() {
    let mut failing = bankrupt(0);
    let since = written(&failing.scene).1;
    failing.scene.desk.chain.send(absorb(&failing)).unwrap();
    assert_eq!(records(&failing, since), [(CashEventKind::Bankrupt, -600_000)]);
    assert_eq!(read::header(&failing.scene.desk).bankrupts, 1);
    let again = absorb(&failing);
    refuses(&mut failing.scene.desk.chain, again, EngineError::NothingToAbsorb);
}

#[test]
fn the_markets_budget_bounds_what_it_pays_in_a_day() {
    let mut failing = bankrupt(2_000_000);
    let budget = offset_of!(MarketRow, risk) + offset_of!(RiskParameters, pool_budget);
    patch_row(&mut failing.scene.desk, 0, budget, &400_000u64.to_le_bytes());
    failing.scene.desk.chain.send(absorb(&failing)).unwrap();
    assert_eq!(pool(&failing), 1_600_000);
    let again = absorb(&failing);
    refuses(&mut failing.scene.desk.chain, again.clone(), EngineError::NothingToAbsorb);
    failing.scene.wait(21_600);
    failing.scene.desk.set_price(0, 189 * scene::PICO).unwrap();
    failing.scene.desk.chain.send(again).unwrap();
    let paid = 1_600_000 - pool(&failing);
    assert!((100_000..100_300).contains(&paid), "a quarter of a day, a quarter of the budget: {paid}");
    failing.scene.desk.check().unwrap();
}

#[test]
fn what_the_pool_paid_comes_back_before_the_owner_gets_anything() {
    let mut failing = bankrupt(2_000_000);
    let (bob, target) = (failing.scene.bob, failing.target);
    failing.scene.desk.chain.send(absorb(&failing)).unwrap();
    failing.walk(195_000);
    // The price came back: $6 of equity, of which the pool gave 0.6. The owner may close, and nothing else.
    let second = party_of(&mut failing.scene.desk, target.trader.authority, 1);
    let venue = failing.scene.desk.venue;
    for instruction in [
        failing.scene.order(&target, &bid(190_000, 1).build()),
        failing.scene.withdraw(&target, 1),
        venue.transfer_cash(&target.trader, &second.trader, QuoteAtoms::new(1)),
        venue.transfer_cash(&second.trader, &target.trader, QuoteAtoms::new(1)),
        venue.stake_pool(&target.trader, QuoteAtoms::new(1)),
        venue.fund_pool(&target.trader, QuoteAtoms::new(1)),
    ] {
        failing.scene.desk.chain.give_lamports(target.trader.authority, 1 << 40).unwrap();
        refuses(&mut failing.scene.desk.chain, instruction, EngineError::AccountBankrupt);
    }
    let close = venue.close_trader(&target.trader);
    refuses(&mut failing.scene.desk.chain, close, EngineError::TraderNotEmpty);
    failing.scene.accept(&bob, &bid(195_000, 1_000).build());
    failing.scene.accept(&target, &ask(195_000, 1_000).reduce_only().immediate_or_cancel().build());
    assert_eq!(lots(&failing.scene.desk, &target.trader, 0), 0);
    let since = written(&failing.scene).1;
    failing.scene.desk.chain.send(absorb(&failing)).unwrap();
    assert_eq!(pool(&failing), 2_000_000);
    assert_eq!(records(&failing, since), [(CashEventKind::ShortfallRepaid, 600_000), (CashEventKind::Resolved, 0)]);
    // $10.4 less $5 of loss and the fee of 97,500.
    assert_eq!(cash(&failing.scene.desk, &target.trader), 5_400_000 - 97_500);
    assert_eq!(read::header(&failing.scene.desk).bankrupts, 0);
    failing.scene.desk.chain.send(failing.scene.withdraw(&target, 5_302_500)).unwrap();
    failing.scene.desk.check().unwrap();
}

#[test]
fn a_debt_without_size_is_paid_and_resolved_at_once() {
    let mut failing = bankrupt(0);
    let (alice, target) = (failing.scene.alice, failing.target);
    // Counterparties lose nothing: the pool is filled, then all is wound up.
    let gift = failing.scene.desk.venue.fund_pool(&alice.trader, QuoteAtoms::new(1_000_000));
    failing.scene.desk.chain.send(gift).unwrap();
    let mut native = Native::of(&failing.scene.desk, 0);
    native.trading(|it| it.deleverage(target.trader.cell, 9_999)).unwrap();
    let market = failing.scene.market();
    failing.scene.desk.chain.send(failing.scene.desk.venue.deleverage(&market, failing.named(), 9_999)).unwrap();
    native.assert_same(&failing.scene.desk);
    assert_eq!((pool(&failing), cash(&failing.scene.desk, &target.trader)), (400_000, 0));
    assert_eq!(read::header(&failing.scene.desk).bankrupts, 0);
    let again = absorb(&failing);
    refuses(&mut failing.scene.desk.chain, again, EngineError::AccountHealthy);
    assert_eq!(cash(&failing.scene.desk, &alice.trader), CAPITAL as i64 - 1_000_000);
    failing.scene.desk.check().unwrap();
}

#[test]
fn a_pool_used_up_begins_a_new_epoch() {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_500_000);
    let alice = failing.scene.alice;
    failing.scene.desk.chain.give_lamports(alice.trader.authority, 1 << 40).unwrap();
    let venue = failing.scene.desk.venue;
    failing.scene.desk.chain.send(venue.stake_pool(&alice.trader, QuoteAtoms::new(500_000))).unwrap();
    failing.walk(189_000);
    failing.scene.desk.chain.send(absorb(&failing)).unwrap();
    let header = read::header(&failing.scene.desk);
    assert_eq!((header.pool.get().get(), header.pool_shares, header.pool_epoch), (0, 0, 1));
    failing.scene.desk.check().unwrap();
    let request = venue.request_unstake(&alice.trader, 1);
    refuses(&mut failing.scene.desk.chain, request, EngineError::StakeTooLarge);
}

#[test]
fn refusals_in_order() {
    let (scene, bitcoin) = Scene::with_bitcoin();
    let mut failing = Failing::on(scene, Side::Bid, 1_000, 10_500_000);
    failing.scene.desk.set_price(bitcoin, 100_000 * scene::PICO).unwrap();
    let instruction = absorb(&failing);
    refuses(&mut failing.scene.desk.chain, instruction.clone(), EngineError::AccountHealthy);
    // Below maintenance margin is not enough.
    failing.walk(193_000);
    refuses(&mut failing.scene.desk.chain, instruction.clone(), EngineError::AccountHealthy);
    failing.walk(189_000);
    let (venue, named) = (failing.scene.desk.venue, failing.named());
    let nobody = Target { generation: Generation::new(77), ..named };
    let market = MarketIndex::new;
    let alice = failing::target(&failing.scene.alice);
    let cases: [(Instruction, ProgramError); 4] = [
        (venue.absorb_shortfall(market(9), nobody), EngineError::TraderNotFound.into()),
        (venue.absorb_shortfall(market(9), alice), EngineError::AccountHealthy.into()),
        (venue.absorb_shortfall(market(9), named), EngineError::MarketNotFound.into()),
        // A market there is, but not one it ever traded in: its budget is not for this loss.
        (venue.absorb_shortfall(market(1), named), EngineError::MarketNotFound.into()),
    ];
    for (instruction, error) in cases {
        refuses(&mut failing.scene.desk.chain, instruction, error);
    }
    failing.scene.wait(700);
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
}
