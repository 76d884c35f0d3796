//! The outflow limiter and the queue of withdrawals: what leaves, when, and in which order.

use quantdesk_client::{
    Address, Refusal, address,
    engine::{
        EngineError, Ppm, QuoteAtoms,
        outflow::{self, WINDOW_SECONDS},
        state::{CashEventKind, WithdrawalCell, fees::FeeSchedule, ledger::Policy},
    },
};
use quantdesk_tests::{
    fails, read,
    read::LedgerMap,
    refused, refused_at, refuses,
    scene::{self, CAPITAL, LEDGER, MARK, Party, Scene, TOKEN_2022, ask, bid, edit_account, edit_token},
    snapshot::{Frame, Snapshot},
    token_error,
};
use solana_account::Account;
use solana_instruction::Instruction;
use spl_token_interface::state::{Account as TokenAccount, AccountState};

/// 1% of the total an hour, a day in the queue.
const TIGHT: Policy = Policy {
    outflow_rate: Ppm::new(10_000),
    queue_seconds: 86_400,
    outflow_floor: QuoteAtoms::new(1_000),
    pool_fee_share: Ppm::new(200_000),
    unstake_seconds: 86_400,
    fees: FeeSchedule::NONE,
};
/// What may leave an hour while Alice's and Bob's capital is there.
const HOURLY: u64 = 2 * CAPITAL / 100;
/// More than that.
const LARGE: u64 = CAPITAL / 2;

fn tight() -> Scene {
    Scene::with_policy(TIGHT)
}

/// `ProcessWithdrawQueue` for the party's token account.
fn process(scene: &Scene, party: &Party) -> Instruction {
    scene.desk.venue.process_withdraw_queue(party.tokens)
}

/// Withdrawals that wait, in order.
fn waiting(scene: &Scene) -> Vec<WithdrawalCell> {
    outflow::waiting(&scene.desk.ledger_view().unwrap()).map(|(_, waiting)| *waiting).collect()
}

/// Sends a withdrawal that must be accepted; returns what arrived.
#[track_caller]
fn withdraw(scene: &mut Scene, party: &Party, atoms: u64) -> u64 {
    let before = scene.desk.chain.tokens(&party.tokens).unwrap();
    scene.desk.chain.send(scene.withdraw(party, atoms)).unwrap();
    scene.desk.check().unwrap();
    scene.desk.chain.tokens(&party.tokens).unwrap() - before
}

/// Pays the first of the queue, which must be the party's; returns what arrived.
#[track_caller]
fn pay(scene: &mut Scene, party: &Party) -> u64 {
    let before = scene.desk.chain.tokens(&party.tokens).unwrap();
    scene.desk.chain.send(process(scene, party)).unwrap();
    scene.desk.check().unwrap();
    scene.desk.chain.tokens(&party.tokens).unwrap() - before
}

/// Kind, amount and balance of the last record.
fn last_event(scene: &Scene) -> (CashEventKind, i64, i64) {
    let event = *read::cash_events(&scene.desk).last().unwrap();
    (event.kind().unwrap(), event.amount, event.balance)
}

/// What queueing, paying or returning a withdrawal of the party may change in the ledger.
fn queue_frame(scene: &Scene, party: &Party) -> Frame {
    let ledger = scene.desk.venue.ledger;
    let cell = scene.desk.ledger_view().unwrap().traders().count() as u32 + 1;
    let all = (0..cell + 8).map(|cell| LEDGER.cell(quantdesk_client::engine::CellIndex::new(cell)));
    let free = all.filter(|range| {
        let bytes = scene.desk.chain.bytes(&ledger).unwrap();
        bytes[range.start] == 3 || bytes[range.start] == 0
    });
    let own = LEDGER.cell(party.trader.cell).start;
    let frame = Frame::new()
        .bytes(ledger, own + 48..own + 56)
        .bytes(ledger, own + 72..own + 80)
        .bytes(ledger, own + 96..own + 100)
        .bytes(ledger, LedgerMap::withdraw_queue())
        .bytes(ledger, LedgerMap::queue())
        .bytes(ledger, LedgerMap::free_list())
        .bytes(ledger, LedgerMap::events_written())
        .bytes(ledger, LEDGER.event(read::header(&scene.desk).events_written.get()));
    free.fold(frame, |frame, range| frame.bytes(ledger, range))
}

#[test]
fn a_withdrawal_larger_than_the_bucket_waits_and_is_paid_in_order() {
    let mut scene = tight();
    let (alice, bob) = (scene.alice, scene.bob);
    assert_eq!(withdraw(&mut scene, &alice, HOURLY), HOURLY, "exactly what may leave");
    let (before, money) = (Snapshot::of(&scene.desk.chain), read::money(&scene.desk));
    assert_eq!(withdraw(&mut scene, &alice, LARGE), 0);
    before.only(&scene.desk.chain, &queue_frame(&scene, &alice));
    assert_eq!(read::money(&scene.desk), money, "the tokens are still there and owed");
    let left = (CAPITAL - HOURLY - LARGE) as i64;
    assert_eq!(last_event(&scene), (CashEventKind::WithdrawalQueued, LARGE as i64, left));
    assert_eq!(read::header(&scene.desk).withdraw_queue.get().get(), LARGE as i64);
    assert_eq!(withdraw(&mut scene, &bob, 5), 0);
    let order: Vec<_> = waiting(&scene).iter().map(|waiting| (waiting.trader, waiting.atoms.get())).collect();
    assert_eq!(order, [(alice.trader.cell, LARGE), (bob.trader.cell, 5)]);

    scene.wait(86_400);
    // Bob cannot be paid first.
    let instruction = process(&scene, &bob);
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongTarget);
    let before = Snapshot::of(&scene.desk.chain);
    assert_eq!(pay(&mut scene, &alice), LARGE);
    let venue = scene.desk.venue;
    let frame = queue_frame(&scene, &alice)
        .tokens(alice.tokens)
        .tokens(venue.vault)
        .bytes(venue.ledger, LedgerMap::total())
        .bytes(venue.ledger, LedgerMap::outflow());
    before.only(&scene.desk.chain, &frame);
    assert_eq!(last_event(&scene), (CashEventKind::WithdrawalPaid, LARGE as i64, left));
    assert_eq!(pay(&mut scene, &bob), 5);
    let instruction = process(&scene, &alice);
    refuses(&mut scene.desk.chain, instruction, EngineError::QueueNotDue);
}

#[test]
fn the_bucket_fills_again_within_the_hour() {
    let mut scene = tight();
    let (alice, bob) = (scene.alice, scene.bob);
    assert_eq!(withdraw(&mut scene, &alice, HOURLY), HOURLY);
    assert_eq!(withdraw(&mut scene, &bob, HOURLY / 2), 0);
    // The capacity has shrunk with the total, and half an hour brings half of it.
    let instruction = process(&scene, &bob);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::QueueNotDue);
    scene.wait(i64::from(WINDOW_SECONDS) / 2 - 10);
    refuses(&mut scene.desk.chain, instruction, EngineError::QueueNotDue);
    scene.wait(60);
    assert_eq!(pay(&mut scene, &bob), HOURLY / 2);
}

#[test]
fn attack_a_small_withdrawal_cannot_overtake_the_queue() {
    let mut scene = tight();
    let (alice, bob) = (scene.alice, scene.bob);
    assert_eq!(withdraw(&mut scene, &alice, LARGE), 0);
    // Bob's single atom would fit into the bucket. So would it after a deposit, and through another account of his.
    assert_eq!(withdraw(&mut scene, &bob, 1), 0);
    let sibling = scene::party_of(&mut scene.desk, bob.trader.authority, 1);
    assert_eq!(withdraw(&mut scene, &sibling, 1), 0);
    let order: Vec<_> = waiting(&scene).iter().map(|waiting| waiting.trader).collect();
    assert_eq!(order, [alice.trader.cell, bob.trader.cell, sibling.trader.cell]);
    for party in [bob, sibling] {
        let instruction = process(&scene, &party);
        refuses(&mut scene.desk.chain, instruction, EngineError::QueueNotDue);
    }
    scene.wait(86_400);
    for party in [bob, sibling] {
        let instruction = process(&scene, &party);
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongTarget);
    }
    let paid: Vec<_> = [alice, bob, sibling].iter().map(|party| pay(&mut scene, party)).collect();
    assert_eq!(paid, [LARGE, 1, 1]);
}

#[test]
fn attack_queue_spam_is_one_withdrawal_per_trader() {
    let mut scene = tight();
    let (alice, bob) = (scene.alice, scene.bob);
    assert_eq!(withdraw(&mut scene, &alice, LARGE), 0);
    for atoms in [1, LARGE] {
        let instruction = scene.withdraw(&alice, atoms);
        refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawalWaiting);
    }
    // A transaction cannot hold two either.
    let twice = [scene.withdraw(&bob, 1), scene.withdraw(&bob, 1)];
    let before = Snapshot::of(&scene.desk.chain);
    refused_at(scene.desk.chain.send_all(&twice), 1, EngineError::WithdrawalWaiting);
    before.unchanged(&scene.desk.chain);
    assert_eq!(waiting(&scene).len(), 1);
}

#[test]
fn a_full_ledger_has_no_room_to_wait() {
    let mut scene = tight();
    let alice = scene.alice;
    let owner = alice.trader.authority;
    let mut opened = 0;
    while scene.desk.chain.send(scene.desk.venue.open_trader(owner, 7)).is_ok() {
        opened += 1;
    }
    assert_eq!(opened, 46);
    let instruction = scene.withdraw(&alice, LARGE);
    refuses(&mut scene.desk.chain, instruction, EngineError::LedgerFull);
    assert_eq!(withdraw(&mut scene, &alice, HOURLY), HOURLY, "what may leave at once needs no cell");
}

#[test]
fn attack_a_target_that_cannot_be_paid_does_not_block_the_queue() {
    let edits: [fn(&mut Account); 4] = [
        |account| *account = Account::default(),
        |account| account.owner = TOKEN_2022,
        |account| account.data.push(0),
        |account| account.data.fill(0),
    ];
    let token_edits: [fn(&mut TokenAccount); 3] = [
        |token| token.state = AccountState::Frozen,
        |token| token.mint = [9; 32].into(),
        // Somebody else's by now: what was asked for was a payment to the trader's owner.
        |token| token.owner = [9; 32].into(),
    ];
    let mut scene = tight();
    let (alice, bob) = (scene.alice, scene.bob);
    assert_eq!(withdraw(&mut scene, &alice, LARGE), 0);
    assert_eq!(withdraw(&mut scene, &bob, LARGE), 0);
    scene.wait(86_400);
    let broken = edits.into_iter().map(|edit| {
        let mut scene = scene.clone();
        edit_account(&mut scene.desk.chain, alice.tokens, edit);
        scene
    });
    let changed = token_edits.into_iter().map(|edit| {
        let mut scene = scene.clone();
        edit_token(&mut scene.desk.chain, alice.tokens, edit);
        scene
    });
    for mut scene in broken.chain(changed) {
        let (before, money) = (Snapshot::of(&scene.desk.chain), read::money(&scene.desk));
        scene.desk.chain.send(process(&scene, &alice)).unwrap();
        before.only(&scene.desk.chain, &queue_frame(&scene, &alice));
        assert_eq!(last_event(&scene), (CashEventKind::WithdrawalReturned, LARGE as i64, CAPITAL as i64));
        assert_eq!(read::money(&scene.desk), money);
        scene.desk.check().unwrap();
        assert_eq!(pay(&mut scene, &bob), LARGE);
    }
}

#[test]
fn a_returned_withdrawal_is_no_shorter_wait() {
    let mut scene = tight();
    let alice = scene.alice;
    assert_eq!(withdraw(&mut scene, &alice, LARGE), 0);
    edit_token(&mut scene.desk.chain, alice.tokens, |token| token.state = AccountState::Frozen);
    let instruction = process(&scene, &alice);
    refuses(&mut scene.desk.chain, instruction, EngineError::QueueNotDue);
}

#[test]
fn the_longest_wait_is_honoured_with_an_exhausted_bucket() {
    let mut scene = tight();
    let (alice, bob) = (scene.alice, scene.bob);
    let carol = scene::party(&mut scene.desk, 0);
    assert_eq!(withdraw(&mut scene, &alice, CAPITAL), 0);
    scene.wait(1);
    assert_eq!(withdraw(&mut scene, &bob, CAPITAL), 0);
    assert_eq!(withdraw(&mut scene, &carol, CAPITAL), 0);
    scene.wait(86_398);
    let instruction = process(&scene, &alice);
    refuses(&mut scene.desk.chain, instruction, EngineError::QueueNotDue);
    scene.wait(1);
    assert_eq!(pay(&mut scene, &alice), CAPITAL);
    // Each by its own time, whatever went before it.
    let instruction = process(&scene, &bob);
    refuses(&mut scene.desk.chain, instruction, EngineError::QueueNotDue);
    scene.wait(1);
    assert_eq!(pay(&mut scene, &bob), CAPITAL);
    assert_eq!(pay(&mut scene, &carol), CAPITAL);
    assert_eq!(read::money(&scene.desk), (0, 0, 0));
}

#[test]
fn attack_fees_cannot_jump_the_limiter() {
    let mut scene = tight();
    let (carol, dave) = (scene::party(&mut scene.desk, 0), scene::party(&mut scene.desk, 0));
    scene.trade(10);
    let admin = scene.desk.admin;
    let target = scene.desk.fund(&admin, 0).unwrap();
    let collect = |scene: &Scene, atoms| scene.desk.venue.collect_fees(admin, target, QuoteAtoms::new(atoms));
    assert_eq!(read::money(&scene.desk).1, 800);
    // All but 100 atoms of the bucket: 160 of 200 would go to the admin.
    let capacity = outflow::capacity(scene.desk.ledger_view().unwrap().header).unwrap();
    assert_eq!(withdraw(&mut scene, &carol, capacity - 100), capacity - 100);
    let instruction = collect(&scene, 200);
    refuses(&mut scene.desk.chain, instruction, EngineError::OutflowLimited);
    scene.wait(i64::from(WINDOW_SECONDS));
    scene.desk.chain.send(collect(&scene, 200)).unwrap();
    assert_eq!(scene.desk.chain.tokens(&target).unwrap(), 160);
    // While somebody waits nothing goes to the admin, however full the bucket.
    assert_eq!(withdraw(&mut scene, &dave, LARGE), 0);
    scene.wait(i64::from(WINDOW_SECONDS));
    let instruction = collect(&scene, 2);
    refuses(&mut scene.desk.chain, instruction, EngineError::OutflowLimited);
    // Of a single atom the pool gets all: nothing leaves.
    scene.desk.chain.send(collect(&scene, 1)).unwrap();
    assert_eq!(scene.desk.chain.tokens(&target).unwrap(), 160);
    scene.desk.check().unwrap();
}

#[test]
fn attack_trade_and_withdraw_in_one_transaction() {
    let mut scene = tight();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 1_000).build());
    let vault = read::money(&scene.desk).2;
    // Whatever a trade makes of it, in the same transaction no more leaves than the bucket lets out.
    let taken = scene.order(&bob, &bid(MARK, 1_000).immediate_or_cancel().build());
    scene.desk.chain.send_all(&[taken, scene.withdraw(&bob, LARGE)]).unwrap();
    assert_eq!((read::money(&scene.desk).2, waiting(&scene).len()), (vault, 1));
    scene.desk.check().unwrap();
    // What waits is not margin any more: an order that needs it is refused.
    let too_large = scene.order(&bob, &bid(MARK, 60_000).build());
    refuses(&mut scene.desk.chain, too_large, EngineError::BelowInitialMargin);
    // A withdrawal and then an order that needs the money, and the other way round.
    let (margin, order) = (scene.withdraw(&alice, CAPITAL / 2), scene.order(&alice, &ask(MARK, 60_000).build()));
    let before = Snapshot::of(&scene.desk.chain);
    refused_at(scene.desk.chain.send_all(&[margin.clone(), order.clone()]), 1, EngineError::BelowInitialMargin);
    before.unchanged(&scene.desk.chain);
    refused_at(scene.desk.chain.send_all(&[order, margin]), 1, EngineError::WithdrawExceedsAvailable);
    before.unchanged(&scene.desk.chain);
}

#[test]
fn attack_a_donation_to_the_vault_does_not_widen_the_bucket() {
    let mut scene = tight();
    let alice = scene.alice;
    edit_token(&mut scene.desk.chain, scene.desk.venue.vault, |vault| vault.amount *= 1_000);
    assert_eq!(withdraw(&mut scene, &alice, HOURLY + 1), 0);
    assert_eq!(waiting(&scene).len(), 1);
}

#[test]
fn attack_deposits_do_not_empty_the_bucket() {
    let mut scene = tight();
    let (alice, bob) = (scene.alice, scene.bob);
    assert_eq!(withdraw(&mut scene, &alice, HOURLY), HOURLY);
    // What comes in makes the capacity larger by its share, and frees nothing else.
    scene.desk.chain.send(scene.deposit(&alice, HOURLY)).unwrap();
    assert_eq!(withdraw(&mut scene, &bob, 1), 0);
}

#[test]
fn an_account_whose_withdrawal_waits_cannot_close() {
    let mut scene = tight();
    let alice = scene.alice;
    assert_eq!(withdraw(&mut scene, &alice, CAPITAL), 0);
    assert_eq!(read::cash(&scene.desk, &alice.trader), 0);
    let close = scene.desk.venue.close_trader(&alice.trader);
    refuses(&mut scene.desk.chain, close.clone(), EngineError::TraderNotEmpty);
    scene.wait(86_400);
    refuses(&mut scene.desk.chain, close.clone(), EngineError::TraderNotEmpty);
    assert_eq!(pay(&mut scene, &alice), CAPITAL);
    scene.desk.chain.send(close).unwrap();
    scene.desk.check().unwrap();
}

#[test]
fn a_bankrupt_account_withdraws_nothing() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    scene::mark_bankrupt(&mut scene.desk, &alice.trader);
    let instruction = scene.withdraw(&alice, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::AccountBankrupt);
    let close = scene.desk.venue.close_trader(&alice.trader);
    refuses(&mut scene.desk.chain, close, EngineError::TraderNotEmpty);
    scene.desk.chain.send(scene.deposit(&alice, 1)).unwrap();
}

#[test]
fn accounts_of_the_queue_are_checked() {
    let mut scene = tight();
    let (alice, admin) = (scene.alice, scene.desk.admin);
    let empty = process(&scene, &alice);
    refuses(&mut scene.desk.chain, empty, EngineError::QueueNotDue);
    assert_eq!(withdraw(&mut scene, &alice, LARGE), 0);
    scene.wait(86_400);
    let (other, ()) = scene::beside(&mut scene.desk, 2, admin, |_| ());
    let authority = address::vault_authority(&other.venue.program, &other.venue.ledger);
    let instruction = process(&scene, &alice);
    let with = |place: usize, address: Address| {
        let mut instruction = instruction.clone();
        instruction.accounts[place].pubkey = address;
        instruction
    };
    let cases = [
        (with(0, other.venue.ledger), Refusal::WrongVault),
        (with(0, alice.tokens), Refusal::WrongOwner),
        (with(1, scene.bob.tokens), Refusal::WrongTarget),
        (with(1, alice.trader.authority), Refusal::WrongTarget),
        (with(1, scene.desk.venue.vault), Refusal::AccountTwice),
        (with(1, scene.desk.venue.ledger), Refusal::WrongTarget),
        (with(2, other.venue.vault), Refusal::WrongVault),
        (with(3, authority), Refusal::WrongAddress),
        (with(4, TOKEN_2022), Refusal::WrongTokenProgram),
    ];
    for (instruction, refusal) in cases {
        refuses(&mut scene.desk.chain, instruction, refusal);
    }
    for place in 0..3 {
        let mut instruction = instruction.clone();
        instruction.accounts[place].is_writable = false;
        refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
    }
    // A vault that its mint's authority has frozen, or that lacks tokens, cannot pay; nothing is lost.
    let vault = scene.desk.venue.vault;
    let mut frozen = scene.desk.chain.clone();
    edit_token(&mut frozen, vault, |token| token.state = AccountState::Frozen);
    refuses(&mut frozen, instruction.clone(), Refusal::TokenAccountInvalid);
    let mut short = scene.desk.chain.clone();
    edit_token(&mut short, vault, |token| token.amount = LARGE - 1);
    fails(&mut short, instruction.clone(), token_error::INSUFFICIENT_FUNDS);
    // Nobody has to sign.
    assert!(instruction.accounts.iter().all(|meta| !meta.is_signer));
    scene.desk.chain.send(instruction.clone()).unwrap();
    refused(scene.desk.chain.send(instruction), EngineError::QueueNotDue);
}
