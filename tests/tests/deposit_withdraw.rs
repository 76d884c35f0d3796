//! `Deposit` and `Withdraw`: tokens and cash move together, to the atom, and only the owner's.

use quantdesk_client::{
    Address, Refusal, address,
    engine::{EngineError, Generation, money::TOTAL_MAX, risk::funding, state::CashEventKind},
    instruction::Trader,
};
use quantdesk_tests::{
    fails, read, refuses,
    scene::{self, CAPITAL, LEDGER, MARK, POCKET, PRICE, Party, Scene, TOKEN_2022, ask, bid, edit_token},
    snapshot::{Frame, Snapshot},
    token_error,
};
use solana_instruction::Instruction;
use spl_token_interface::state::AccountState;

/// What a movement of the party's cash may change.
fn frame(scene: &Scene, party: &Party) -> Frame {
    let venue = scene.desk.venue;
    // And 24 bytes before it what was paid in.
    let cash = LEDGER.cell(party.trader.cell).start + 72;
    Frame::new()
        .tokens(party.tokens)
        .tokens(venue.vault)
        .bytes(venue.ledger, cash..cash + 8)
        .bytes(venue.ledger, cash - 24..cash - 16)
        .bytes(venue.ledger, read::LedgerMap::total())
        .bytes(venue.ledger, read::LedgerMap::outflow())
        .bytes(venue.ledger, read::LedgerMap::events_written())
        .bytes(venue.ledger, LEDGER.event(read::header(&scene.desk).events_written.get()))
}

#[test]
fn moves_exactly_what_was_asked() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    for atoms in [1, 777, POCKET - 778] {
        let (before, money) = (Snapshot::of(&scene.desk.chain), read::money(&scene.desk));
        let (cash, held) = (read::cash(&scene.desk, &alice.trader), scene.desk.chain.tokens(&alice.tokens).unwrap());
        scene.desk.chain.send(scene.deposit(&alice, atoms)).unwrap();
        assert_eq!(read::money(&scene.desk), (money.0 + atoms as i64, 0, money.2 + atoms));
        assert_eq!(read::cash(&scene.desk, &alice.trader), cash + atoms as i64);
        assert_eq!(scene.desk.chain.tokens(&alice.tokens).unwrap(), held - atoms);
        before.only(&scene.desk.chain, &frame(&scene, &alice));
        let event = *read::cash_events(&scene.desk).last().unwrap();
        assert_eq!((event.kind(), event.amount), (Some(CashEventKind::Deposited), atoms as i64));
        assert_eq!(event.balance, cash + atoms as i64);
        assert_eq!((event.trader, event.generation), (alice.trader.cell, alice.trader.generation));

        let before = Snapshot::of(&scene.desk.chain);
        scene.desk.chain.send(scene.withdraw(&alice, atoms)).unwrap();
        assert_eq!(read::money(&scene.desk), money);
        assert_eq!(read::cash(&scene.desk, &alice.trader), cash);
        assert_eq!(scene.desk.chain.tokens(&alice.tokens).unwrap(), held);
        before.only(&scene.desk.chain, &frame(&scene, &alice));
        let event = *read::cash_events(&scene.desk).last().unwrap();
        assert_eq!((event.kind(), event.amount), (Some(CashEventKind::Withdrawn), atoms as i64));
        assert_eq!((event.trader, event.balance), (alice.trader.cell, cash));
        scene.desk.check().unwrap();
    }
}

#[test]
fn withdrawing_undoes_a_deposit_byte_for_byte() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let before = Snapshot::of(&scene.desk.chain);
    let written = read::header(&scene.desk).events_written.get();
    scene.desk.chain.send(scene.deposit(&alice, 12_345)).unwrap();
    scene.desk.chain.send(scene.withdraw(&alice, 12_345)).unwrap();
    // M7: only the audit trail and the outflow limiter remember.
    let ledger = scene.desk.venue.ledger;
    let frame = Frame::new()
        .bytes(ledger, read::LedgerMap::outflow())
        .bytes(ledger, read::LedgerMap::events_written())
        .bytes(ledger, LEDGER.event(written + 1))
        .bytes(ledger, LEDGER.event(written + 2));
    before.only(&scene.desk.chain, &frame);
}

#[test]
fn amounts_of_zero_and_too_much() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    for instruction in [scene.deposit(&alice, 0), scene.withdraw(&alice, 0)] {
        refuses(&mut scene.desk.chain, instruction, EngineError::AmountZero);
    }
    let instruction = scene.deposit(&alice, POCKET + 1);
    fails(&mut scene.desk.chain, instruction, token_error::INSUFFICIENT_FUNDS);
    for atoms in [CAPITAL + 1, i64::MAX as u64, u64::MAX] {
        let instruction = scene.withdraw(&alice, atoms);
        refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    }
    scene.desk.chain.send(scene.withdraw(&alice, CAPITAL)).unwrap();
    let instruction = scene.withdraw(&alice, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
}

#[test]
fn the_total_stays_within_2_to_the_62() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    edit_token(&mut scene.desk.chain, alice.tokens, |token| token.amount = u64::MAX / 2);
    let room = TOTAL_MAX as u64 - 2 * CAPITAL;
    for atoms in [room + 1, i64::MAX as u64, u64::MAX] {
        let instruction = scene.deposit(&alice, atoms);
        refuses(&mut scene.desk.chain, instruction, EngineError::DepositTooLarge);
    }
    scene.desk.chain.send(scene.deposit(&alice, room)).unwrap();
    let instruction = scene.deposit(&alice, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::DepositTooLarge);
    assert_eq!(read::money(&scene.desk).0, TOTAL_MAX);
    scene.desk.check().unwrap();
}

/// `instruction` of the party with another account at `place`.
fn with_account(mut instruction: Instruction, place: usize, address: Address) -> Instruction {
    instruction.accounts[place].pubkey = address;
    instruction
}

#[test]
fn token_accounts_are_checked() {
    let scene = Scene::new();
    let alice = scene.alice;
    let both = [scene.deposit(&alice, 1), scene.withdraw(&alice, 1)];
    let case = |edit: fn(&mut spl_token_interface::state::Account), refusal: Refusal| {
        for instruction in both.clone() {
            let mut chain = scene.desk.chain.clone();
            edit_token(&mut chain, alice.tokens, edit);
            refuses(&mut chain, instruction, refusal);
        }
    };
    case(|token| token.mint = [9; 32].into(), Refusal::WrongMint);
    case(|token| token.state = AccountState::Frozen, Refusal::TokenAccountInvalid);
    case(|token| token.state = AccountState::Uninitialized, Refusal::TokenAccountInvalid);
    let cases: [fn(&mut solana_account::Account); 4] = [
        |account| account.owner = TOKEN_2022,
        |account| account.data.push(0),
        |account| account.data.truncate(82),
        |account| account.data.clear(),
    ];
    for edit in cases {
        for instruction in both.clone() {
            let mut chain = scene.desk.chain.clone();
            scene::edit_account(&mut chain, alice.tokens, edit);
            refuses(&mut chain, instruction, Refusal::TokenAccountInvalid);
        }
    }
    for instruction in both {
        let mut chain = scene.desk.chain.clone();
        edit_token(&mut chain, scene.desk.venue.vault, |token| token.state = AccountState::Frozen);
        refuses(&mut chain, instruction, Refusal::TokenAccountInvalid);
    }
}

#[test]
fn programs_and_the_vault_are_checked() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let admin = scene.desk.admin;
    let (other, ()) = scene::beside(&mut scene.desk, 2, admin, |_| ());
    edit_token(&mut scene.desk.chain, other.venue.vault, |vault| vault.amount = CAPITAL);
    let (deposit, withdraw) = (scene.deposit(&alice, 1), scene.withdraw(&alice, 1));
    let authority = address::vault_authority(&other.venue.program, &other.venue.ledger);
    let cases = [
        (with_account(deposit.clone(), 3, other.venue.vault), Refusal::WrongVault),
        (with_account(withdraw.clone(), 3, other.venue.vault), Refusal::WrongVault),
        (with_account(withdraw.clone(), 4, authority), Refusal::WrongAddress),
        (with_account(withdraw.clone(), 4, alice.trader.authority), Refusal::WrongAddress),
        (with_account(deposit.clone(), 4, TOKEN_2022), Refusal::WrongTokenProgram),
        (with_account(withdraw.clone(), 5, TOKEN_2022), Refusal::WrongTokenProgram),
        (with_account(deposit.clone(), 4, scene.desk.venue.program), Refusal::WrongTokenProgram),
    ];
    for (instruction, refusal) in cases {
        refuses(&mut scene.desk.chain, instruction, refusal);
    }
    for instruction in [deposit, withdraw] {
        for place in 1..4 {
            let mut instruction = instruction.clone();
            instruction.accounts[place].is_writable = false;
            refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
        }
    }
}

#[test]
fn the_same_owner_in_two_exchanges_keeps_them_apart() {
    let mut scene = Scene::new();
    let (alice, admin) = (scene.alice, scene.desk.admin);
    let owner = alice.trader.authority;
    // The same cell and the same incarnation of the same owner in the other ledger.
    let (other, twin) = scene::beside(&mut scene.desk, 2, admin, |desk| scene::party_of(desk, owner, 0));
    assert_eq!(twin.trader, alice.trader);
    for (instruction, ledger) in [(scene.deposit(&alice, 1), 1), (scene.withdraw(&alice, 1), 1)] {
        let crossed = with_account(instruction.clone(), ledger, other.venue.ledger);
        refuses(&mut scene.desk.chain, crossed, Refusal::WrongVault);
        let half = with_account(instruction, 3, other.venue.vault);
        refuses(&mut scene.desk.chain, half, Refusal::WrongVault);
    }
    // Ledger and vault of the other exchange with the authority of this one.
    let crossed = with_account(with_account(scene.withdraw(&alice, 1), 1, other.venue.ledger), 3, other.venue.vault);
    refuses(&mut scene.desk.chain, crossed, Refusal::WrongAddress);
}

#[test]
fn only_the_owner_moves_cash() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let thief = Trader { authority: bob.trader.authority, ..alice.trader };
    let as_thief = Party { trader: thief, tokens: bob.tokens };
    for instruction in [scene.deposit(&as_thief, 1), scene.withdraw(&as_thief, 1)] {
        refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    }
    for instruction in [scene.deposit(&alice, 1), scene.withdraw(&alice, 1)] {
        let mut unsigned = instruction;
        unsigned.accounts[0].is_signer = false;
        refuses(&mut scene.desk.chain, unsigned, Refusal::SignatureMissing);
    }
    // A delegate trades, and no more.
    assert_eq!(scene::delegate(&mut scene.desk, &alice.trader, bob.trader.authority), thief);
    for instruction in [scene.deposit(&as_thief, 1), scene.withdraw(&as_thief, 1)] {
        refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    }
    let generation = Generation::new(alice.trader.generation.get() + 1);
    let stale = Party { trader: Trader { generation, ..alice.trader }, ..alice };
    for instruction in [scene.deposit(&stale, 1), scene.withdraw(&stale, 1)] {
        refuses(&mut scene.desk.chain, instruction, EngineError::TraderNotFound);
    }
}

#[test]
fn others_tokens_are_out_of_reach() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    // Deposit from an account that Alice does not own: the token program refuses her signature.
    let instruction = with_account(scene.deposit(&alice, 1), 2, bob.tokens);
    fails(&mut scene.desk.chain, instruction, token_error::OWNER_MISMATCH);
    // Withdraw to one: not even as a present.
    let instruction = with_account(scene.withdraw(&alice, 1), 2, bob.tokens);
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongTokenOwner);
    // A delegation by Bob's token account lets Alice deposit his tokens as hers: that is what he signed.
    edit_token(&mut scene.desk.chain, bob.tokens, |token| {
        token.delegate = Some(alice.trader.authority.to_bytes().into()).into();
        token.delegated_amount = 5;
    });
    scene.desk.chain.send(with_account(scene.deposit(&alice, 5), 2, bob.tokens)).unwrap();
    assert_eq!(read::cash(&scene.desk, &alice.trader), CAPITAL as i64 + 5);
}

#[test]
fn margin_of_positions_and_orders_stays() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    // 10 SOL at 200: $2,000, margin $100; Bob paid $1 in fees.
    scene.trade(10_000);
    let fee = 1_000_000;
    let free = CAPITAL - fee - 100_000_000;
    let instruction = scene.withdraw(&bob, free + 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    // An order for 5 more: $50 more, at the mark, wherever it rests.
    scene.accept(&bob, &bid(100_000, 5_000).build());
    let instruction = scene.withdraw(&bob, free - 50_000_000 + 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    // One on the other side is covered by the position.
    scene.accept(&bob, &ask(210_000, 10_000).build());
    scene.desk.chain.send(scene.withdraw(&bob, free - 50_000_000)).unwrap();
    let instruction = scene.withdraw(&bob, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    // Alice was paid a rebate of $0.20 and is short as much.
    let instruction = scene.withdraw(&alice, CAPITAL + 200_000 - 100_000_000 + 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    scene.desk.chain.send(scene.withdraw(&alice, CAPITAL + 200_000 - 100_000_000)).unwrap();
    scene.desk.check().unwrap();
}

#[test]
fn unrealised_losses_count_and_profits_do_not() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.trade(10_000);
    // +5%: Bob gained $100, Alice lost it; margin is $105 for each. While the mark was behind the index, she owed funding.
    scene.desk.settle_price(0, PRICE / 100 * 105).unwrap();
    let (_, short) = read::position(&scene.desk, &alice.trader, 0).unwrap();
    let due = funding::due(&read::row(&scene.desk, 0), &short).unwrap().get().unsigned_abs();
    assert!(due > 0 && due < 1_000_000, "{due}");
    for (party, free) in [(bob, CAPITAL - 1_000_000 - 105_000_000), (alice, CAPITAL + 200_000 - 205_000_000 - due)] {
        let instruction = scene.withdraw(&party, free + 1);
        refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
        scene.desk.chain.send(scene.withdraw(&party, free)).unwrap();
    }
    scene.desk.check().unwrap();
}

#[test]
fn exposed_withdrawals_need_a_fresh_price() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let carol = scene::party(&mut scene.desk, 0);
    scene.accept(&alice, &bid(MARK - 1_000, 10).build());
    scene.wait(31);
    // An order is exposure enough.
    let instruction = scene.withdraw(&alice, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
    // L2: without any, neither a stale nor a dead price holds anyone.
    scene.desk.chain.send(scene.withdraw(&bob, 1)).unwrap();
    scene.wait(100_000);
    scene.desk.chain.send(scene.withdraw(&carol, CAPITAL)).unwrap();
    let instruction = scene.withdraw(&alice, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
    // Cancelling always works, and then withdrawing does.
    let (node, sequence) = read::handles(&scene.desk, &alice.trader, 0)[0];
    let market = scene.market();
    scene.desk.chain.send(scene.desk.venue.cancel_order(&alice.trader, &market, node, sequence)).unwrap();
    scene.desk.chain.send(scene.withdraw(&alice, CAPITAL)).unwrap();
    scene.desk.check().unwrap();
}
