//! Attacks on accounts, tokens, life cycles and administration. Numbers are those of the attack catalogue.

use quantdesk_client::{
    Address, Refusal, address,
    engine::{EngineError, MarketIndex, QuoteAtoms, UnixSeconds, state::market::market_size},
    instruction::{TOKEN_PROGRAM, Trader, Venue},
    view::key_of,
};
use quantdesk_sim::{chain::PROGRAM, desk::POLICY};
use quantdesk_tests::{
    fails, read, refused_at, refuses,
    scene::{self, CAPITAL, EVENTS, MARK, PRICE, Party, Scene, TOKEN_2022, bid, blank_venue, edit_account, edit_token},
    snapshot::Snapshot,
    token_error,
};
use solana_account::Account;
use solana_clock::Clock;
use solana_instruction::{AccountMeta, Instruction};
use solana_transaction::versioned::VersionedTransaction;

/// The clock sysvar.
const CLOCK: Address = Address::from_str_const("SysvarC1ock11111111111111111111111111111111");
/// The memo program, first version.
const MEMO: Address = Address::from_str_const("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo");
/// Where a trader cell keeps its owner and where its delegate is to be found.
const OWNER: usize = 8;
const ACCESS: usize = 40;

fn with_account(mut instruction: Instruction, place: usize, address: Address) -> Instruction {
    instruction.accounts[place].pubkey = address;
    instruction
}

/// 27.
#[test]
fn attack_donation_to_the_vault_changes_no_claim() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.trade(100);
    let ledger = scene.desk.chain.data(&scene.desk.venue.ledger).unwrap();
    edit_token(&mut scene.desk.chain, scene.desk.venue.vault, |vault| vault.amount += 777);
    scene.desk.check().unwrap();
    assert_eq!(scene.desk.chain.data(&scene.desk.venue.ledger).unwrap(), ledger);
    // Neither a deposit nor a withdrawal books any of it, and the fees do not grow by it.
    for instruction in [scene.deposit(&alice, 10), scene.withdraw(&bob, 10)] {
        scene.desk.chain.send(instruction).unwrap();
        let (total, _, vault) = read::money(&scene.desk);
        assert_eq!(vault as i64, total + 777);
    }
    let admin = scene.desk.admin;
    let target = scene.desk.fund(&admin, 0).unwrap();
    let fees = read::money(&scene.desk).1 as u64;
    let instruction = scene.desk.venue.collect_fees(admin, target, QuoteAtoms::new(fees + 1));
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    scene.desk.check().unwrap();
}

/// 28.
#[test]
fn attack_vault_on_both_ends() {
    let mut scene = Scene::new();
    let (alice, vault) = (scene.alice, scene.desk.venue.vault);
    for instruction in [scene.deposit(&alice, 1), scene.withdraw(&alice, 1)] {
        refuses(&mut scene.desk.chain, with_account(instruction, 2, vault), Refusal::AccountTwice);
    }
    let admin = scene.desk.admin;
    let instruction = scene.desk.venue.collect_fees(admin, vault, QuoteAtoms::new(1));
    refuses(&mut scene.desk.chain, instruction, Refusal::AccountTwice);
    // The trader's own account on both ends is no vault.
    for instruction in [scene.deposit(&alice, 1), scene.withdraw(&alice, 1)] {
        refuses(&mut scene.desk.chain, with_account(instruction, 3, alice.tokens), Refusal::WrongVault);
    }
}

/// 28: a vault of one exchange, which its authority owns, is a token account like any other; still not the trader's.
#[test]
fn attack_paying_from_one_vault_into_another() {
    let mut scene = Scene::new();
    let (alice, admin) = (scene.alice, scene.desk.admin);
    let (other, ()) = scene::beside(&mut scene.desk, 2, admin, |_| ());
    let instruction = with_account(scene.withdraw(&alice, 1), 2, other.venue.vault);
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongTokenOwner);
    edit_token(&mut scene.desk.chain, other.venue.vault, |vault| vault.amount = 10);
    let instruction = with_account(scene.deposit(&alice, 1), 2, other.venue.vault);
    fails(&mut scene.desk.chain, instruction, token_error::OWNER_MISMATCH);
}

/// 29, 24.
#[test]
fn attack_withdrawing_for_somebody_else() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let instruction = with_account(scene.withdraw(&alice, 1), 2, bob.tokens);
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongTokenOwner);
    // Bob names Alice's cell with his signature and his account.
    let thief = Party { trader: Trader { authority: bob.trader.authority, ..alice.trader }, tokens: bob.tokens };
    for instruction in [scene.withdraw(&thief, 1), scene.desk.venue.close_trader(&thief.trader)] {
        refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    }
    // Alice's token account, whose owner field Bob had himself written into, is not hers any more.
    edit_token(&mut scene.desk.chain, alice.tokens, |token| token.owner = bob.trader.authority.to_bytes().into());
    let instruction = scene.withdraw(&alice, 1);
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongTokenOwner);
}

/// 30.
#[test]
fn attack_frozen_accounts_stop_only_their_owner() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let frozen = spl_token_interface::state::AccountState::Frozen;
    edit_token(&mut scene.desk.chain, alice.tokens, |token| token.state = frozen);
    let instruction = scene.withdraw(&alice, 1);
    refuses(&mut scene.desk.chain, instruction, Refusal::TokenAccountInvalid);
    // Trading with her, and everybody else's withdrawals, go on.
    scene.trade(10);
    scene.desk.chain.send(scene.withdraw(&bob, 1)).unwrap();
    let fresh = scene.desk.fund(&alice.trader.authority, 0).unwrap();
    scene.desk.chain.send(with_account(scene.withdraw(&alice, 1), 2, fresh)).unwrap();
    scene.desk.check().unwrap();
}

/// 19.
#[test]
fn attack_prefunded_exchange_address_blocks_nothing() {
    let mut desk = scene::small_desk();
    let venue = blank_venue(&mut desk, 5);
    // Enough to be rent-exempt without data, and dust that is not.
    for lamports in [1, 890_880, 1_000_000_000] {
        let mut chain = desk.chain.clone();
        chain.give_lamports(venue.exchange, lamports).unwrap();
        chain.send(venue.create_exchange(desk.admin, 5, EVENTS, &POLICY)).unwrap();
        assert_eq!(read::exchange(&chain, &venue.exchange).admin, key_of(&desk.admin));
    }
}

/// 18: blank accounts that wait for their owner's next transaction are nobody else's to use.
#[test]
fn attack_taking_blank_accounts_of_others() {
    let mut scene = Scene::new();
    let attacker = scene.desk.name(b"attacker");
    scene.desk.chain.give_lamports(attacker, 1 << 40).unwrap();
    let venue = blank_venue(&mut scene.desk, 2);
    let mut instruction = venue.create_exchange(attacker, 2, EVENTS, &POLICY);
    instruction.accounts[2].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);

    let parameters = scene.desk.markets[0].parameters;
    let size = market_size(parameters.side_capacity, parameters.events_capacity);
    let waiting = scene.desk.name(b"market");
    scene.desk.chain.create_account(waiting, size, PROGRAM).unwrap();
    let (other, ()) = scene::beside(&mut scene.desk, 3, attacker, |_| ());
    let mut instruction = other.venue.list_market(attacker, waiting, &parameters);
    instruction.accounts[3].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);
}

/// 18.
#[test]
fn attack_initialising_again() {
    let mut scene = Scene::new();
    scene.trade(10);
    let attacker = scene.desk.name(b"attacker");
    scene.desk.chain.give_lamports(attacker, 1 << 40).unwrap();
    let venue = scene.desk.venue;
    let mut blank = blank_venue(&mut scene.desk, 2);
    // The live exchange with the live ledger, or with a blank one; another exchange with the live ledger.
    let instruction = venue.create_exchange(attacker, 1, EVENTS, &POLICY);
    refuses(&mut scene.desk.chain, instruction, EngineError::AccountNotBlank);
    let mixed = Venue { exchange: venue.exchange, ..blank };
    let instruction = mixed.create_exchange(attacker, 1, EVENTS, &POLICY);
    refuses(&mut scene.desk.chain, instruction, EngineError::AccountNotBlank);
    let mixed = Venue { exchange: blank.exchange, ..venue };
    let instruction = mixed.create_exchange(attacker, 2, EVENTS, &POLICY);
    refuses(&mut scene.desk.chain, instruction, EngineError::AccountNotBlank);
    // A live market as ledger.
    blank.ledger = scene.market();
    let authority = address::vault_authority(&PROGRAM, &blank.ledger);
    edit_token(&mut scene.desk.chain, blank.vault, |vault| vault.owner = authority.to_bytes().into());
    let instruction = blank.create_exchange(attacker, 2, EVENTS, &POLICY);
    refuses(&mut scene.desk.chain, instruction, EngineError::AccountNotBlank);
}

/// 18, 8.
#[test]
fn attack_listing_accounts_in_use() {
    let mut desk = scene::small_desk();
    desk.list(&scene::sol()).unwrap();
    let (admin, venue, parameters) = (desk.admin, desk.venue, desk.markets[0].parameters);
    let list = |market: Address| venue.list_market(admin, market, &parameters);
    let (other, ()) = scene::beside(&mut desk, 2, admin, |desk| {
        desk.list(&scene::sol()).unwrap();
        scene::party(desk, 0);
    });
    // Its own market again, another exchange's market.
    for market in [desk.markets[0].address, other.markets[0].address] {
        let instruction = list(market);
        refuses(&mut desk.chain, instruction, EngineError::AccountNotBlank);
    }
    // Its own and the other's ledger and exchange.
    let cases = [
        (venue.ledger, Refusal::AccountTwice.into()),
        (venue.exchange, Refusal::AccountTwice.into()),
        (other.venue.ledger, quantdesk_client::error::ProgramError::from(EngineError::CapacityInvalid)),
        (other.venue.exchange, EngineError::CapacityInvalid.into()),
        (venue.vault, Refusal::WrongOwner.into()),
    ];
    for (market, error) in cases {
        let instruction = list(market);
        refuses(&mut desk.chain, instruction, error);
    }
    // The market an admin lists twice in one transaction.
    let fresh = desk.name(b"market");
    let size = market_size(parameters.side_capacity, parameters.events_capacity);
    desk.chain.create_account(fresh, size, PROGRAM).unwrap();
    let before = Snapshot::of(&desk.chain);
    let twice = [list(fresh), list(fresh)];
    refused_at(desk.chain.send_all(&twice), 1, EngineError::AccountNotBlank);
    before.unchanged(&desk.chain);
    desk.check().unwrap();
}

/// 8.
#[test]
fn attack_trading_in_another_exchanges_market() {
    let mut scene = Scene::new();
    let admin = scene.desk.admin;
    let owner = scene.alice.trader.authority;
    // A cheap exchange of the attacker's own, where SOL costs a dollar and its cell has the same number.
    let (other, twin) = scene::beside(&mut scene.desk, 2, admin, |desk| {
        let market = desk.list(&scene::sol()).unwrap();
        desk.set_price(market, scene::PICO).unwrap();
        scene::party_of(desk, owner, 0)
    });
    let foreign = other.markets[0].address;
    let order = bid(1_000, 1).build();
    for (venue, market) in [(scene.desk.venue, foreign), (other.venue, scene.market())] {
        let instruction = venue.place_order(&twin.trader, &market, &order, UnixSeconds::ZERO);
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongLedger);
    }
    // Its prices do not reach this ledger either.
    let feeds = &other.markets[0].feeds;
    for venue in [
        Venue { ledger: other.venue.ledger, ..scene.desk.venue },
        Venue { exchange: other.venue.exchange, ..scene.desk.venue },
    ] {
        let instruction = venue.update_price(&foreign, MarketIndex::new(0), feeds);
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongLedger);
    }
    let instruction = scene.desk.venue.update_price(&scene.market(), MarketIndex::new(0), feeds);
    refuses(&mut scene.desk.chain, instruction, Refusal::OracleWrongFeed);
}

/// 12, 36: there is no place for a clock in any instruction, and the program asks the runtime.
#[test]
fn attack_fake_clock() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let fake = scene.desk.name(b"fake clock");
    let mut data = vec![0u8; 40];
    data[32..].copy_from_slice(&(scene.desk.chain.unix_seconds()).to_le_bytes());
    edit_account(&mut scene.desk.chain, fake, |account| {
        *account = Account { lamports: 1_000_000, data, owner: CLOCK, ..Account::default() };
    });
    assert_eq!(size_of::<Clock>(), 40);
    scene.wait(60);
    let stale = scene.order(&alice, &bid(MARK, 1).build());
    refuses(&mut scene.desk.chain, stale.clone(), EngineError::PriceNotValidForAction);
    for clock in [fake, CLOCK] {
        let mut instruction = stale.clone();
        instruction.accounts.push(AccountMeta::new(clock, false));
        // A fourth account is a session; a fifth is none. The runtime makes sysvars read-only.
        let refusal = if clock == CLOCK { Refusal::NotWritable } else { Refusal::WrongOwner };
        refuses(&mut scene.desk.chain, instruction.clone(), refusal);
        instruction.accounts.push(AccountMeta::new_readonly(clock, false));
        refuses(&mut scene.desk.chain, instruction, Refusal::AccountsCount);
    }
    scene.desk.set_price(0, PRICE).unwrap();
    scene.desk.chain.send(stale).unwrap();
}

/// 13, 14: programs where data or other programs belong.
#[test]
fn attack_fake_programs() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    for fake in [TOKEN_2022, PROGRAM, Address::default(), alice.tokens] {
        let instruction = with_account(scene.deposit(&alice, 1), 4, fake);
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongTokenProgram);
        let instruction = with_account(scene.withdraw(&alice, 1), 5, fake);
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongTokenProgram);
    }
    for fake in [PROGRAM, TOKEN_PROGRAM] {
        let instruction = with_account(scene.desk.venue.grow_ledger(scene.desk.admin, 1), 3, fake);
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongSystemProgram);
        // A program is never writable in a transaction that calls it.
        let instruction = with_account(scene.order(&alice, &bid(MARK, 1).build()), 1, PROGRAM);
        refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
        let instruction = with_account(scene.desk.venue.grow_ledger(scene.desk.admin, 1), 1, fake);
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongOwner);
    }
}

/// 13: should the token program ever report a transfer that did not take place, nothing is booked. The memo program takes
/// any data that is valid UTF-8 and does nothing; here it stands at the token program's address.
#[test]
fn attack_token_program_that_moves_nothing() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    scene.trade(10);
    let admin = scene.desk.admin;
    let target = scene.desk.fund(&admin, 0).unwrap();
    let memo = scene.desk.chain.account(&MEMO).unwrap();
    scene.desk.chain.set_account(TOKEN_PROGRAM, memo).unwrap();
    for instruction in [
        scene.deposit(&alice, 1),
        scene.withdraw(&alice, 1),
        scene.desk.venue.collect_fees(admin, target, QuoteAtoms::new(2)),
    ] {
        refuses(&mut scene.desk.chain, instruction, Refusal::VaultMismatch);
    }
}

/// 26: every Token-2022 feature comes in accounts that another program owns.
#[test]
fn attack_token_2022() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    for length in [165, 166, 170, 355] {
        let mut chain = scene.desk.chain.clone();
        edit_account(&mut chain, alice.tokens, |account| {
            account.owner = TOKEN_2022;
            account.data.resize(length, 2);
        });
        for instruction in [scene.deposit(&alice, 1), scene.withdraw(&alice, 1)] {
            refuses(&mut chain, instruction, Refusal::TokenAccountInvalid);
        }
    }
    let venue = blank_venue(&mut scene.desk, 2);
    edit_account(&mut scene.desk.chain, venue.mint, |mint| mint.owner = TOKEN_2022);
    let instruction = venue.create_exchange(scene.desk.admin, 2, EVENTS, &POLICY);
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongMint);
}

/// 25: nobody but the vault authority may ever move or close a vault.
#[test]
fn attack_vaults_with_a_second_master() {
    let mut desk = scene::small_desk();
    let venue = blank_venue(&mut desk, 2);
    let master = desk.name(b"attacker");
    let edits: [fn(&mut spl_token_interface::state::Account, Address); 3] = [
        |vault, master| vault.delegate = Some(master.to_bytes().into()).into(),
        |vault, master| vault.close_authority = Some(master.to_bytes().into()).into(),
        |vault, master| vault.owner = master.to_bytes().into(),
    ];
    for edit in edits {
        let mut chain = desk.chain.clone();
        edit_token(&mut chain, venue.vault, |vault| edit(vault, master));
        refuses(&mut chain, venue.create_exchange(desk.admin, 2, EVENTS, &POLICY), Refusal::VaultNotExclusive);
    }
    // A vault that already serves an exchange answers to another ledger's authority.
    let taken = Venue { vault: desk.venue.vault, ..venue };
    let instruction = taken.create_exchange(desk.admin, 2, EVENTS, &POLICY);
    refuses(&mut desk.chain, instruction, Refusal::VaultNotExclusive);
}

/// 77, 18: an unset delegate is the zero key. It is a point of small order on the curve, for which anyone could write
/// signatures under the plain equation; the runtime's verification is the strict one and takes none.
#[test]
fn attack_signing_for_the_unset_delegate() {
    // Encodings of the points of small order, as R; with s = 0 the equation is R = −h·A, true for some of them.
    let mut forged = 0;
    for first in [[0u8; 32], one(1), minus_one(), one_with_sign(0), one_with_sign(1)] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&first);
        for message in 0..64u32 {
            let mut transaction = VersionedTransaction::default();
            transaction.signatures.push(bytes.into());
            forged += u32::from(transaction.signatures[0].verify(&[0; 32], &message.to_le_bytes()));
        }
    }
    assert_eq!(forged, 0);
    // And a stranger is no delegate.
    let mut scene = Scene::new();
    let alice = scene.alice;
    let trader = Trader { authority: scene.desk.name(b"stranger"), ..alice.trader };
    let instruction = scene.order(&Party { trader, ..alice }, &bid(MARK, 1).build());
    refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    let start = scene::LEDGER.cell(alice.trader.cell).start;
    let cell = &scene.desk.chain.bytes(&scene.desk.venue.ledger).unwrap()[start..];
    assert_eq!(cell[OWNER..OWNER + 32], alice.trader.authority.to_bytes());
    assert_eq!(cell[ACCESS..ACCESS + 4], [255; 4]);
}

fn one(number: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = number;
    bytes
}

fn one_with_sign(number: u8) -> [u8; 32] {
    let mut bytes = one(number);
    bytes[31] = 0x80;
    bytes
}

/// p − 1, little-endian: the point of order two.
fn minus_one() -> [u8; 32] {
    let mut bytes = [0xff; 32];
    (bytes[0], bytes[31]) = (0xec, 0x7f);
    bytes
}

/// A delegate trades and does nothing else; the next owner of the cell has none.
#[test]
fn attack_delegate_outlives_nothing() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let trader = scene::delegate(&mut scene.desk, &alice.trader, bob.trader.authority);
    let as_bob = Party { trader, tokens: bob.tokens };
    scene.accept(&as_bob, &bid(MARK - 1, 1).build());
    for instruction in
        [scene.withdraw(&as_bob, 1), scene.deposit(&as_bob, 1), scene.desk.venue.close_trader(&as_bob.trader)]
    {
        refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    }
    let market = scene.market();
    let both = quantdesk_client::engine::book::Sides::Both;
    scene.desk.chain.send(scene.desk.venue.cancel_all(&as_bob.trader, &market, both, 9)).unwrap();
    scene.desk.chain.send(scene.withdraw(&alice, CAPITAL)).unwrap();
    scene.desk.chain.send(scene.desk.venue.close_trader(&alice.trader)).unwrap();
    scene.desk.chain.send(scene.desk.venue.open_trader(alice.trader.authority, 0)).unwrap();
    let reopened = scene::find(&scene.desk, &alice.trader.authority, 0).unwrap();
    assert_eq!(reopened.cell, alice.trader.cell);
    let trader = Trader { authority: bob.trader.authority, ..reopened };
    let instruction = scene.order(&Party { trader, ..alice }, &bid(MARK, 1).build());
    refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
}

/// 71: however large, an exchange's accounts load within a transaction's default limits.
#[test]
fn attack_largest_ledger_still_trades() {
    let mut scene = Scene::new();
    let config = quantdesk_sim::desk::DeskConfig { cells: 81_000, ..Default::default() };
    let mut desk = quantdesk_sim::desk::Desk::new(config).unwrap();
    let market = desk.list(&scene::sol()).unwrap();
    desk.set_price(market, PRICE).unwrap();
    assert!(desk.chain.bytes(&desk.venue.ledger).unwrap().len() > 10_000_000);
    let alice = scene::party(&mut desk, 0);
    let order = bid(MARK, 1).build();
    let large = desk.place(&alice.trader, 0, &order).unwrap().compute_units;
    let small = scene.desk.place(&scene.alice.trader, 0, &order).unwrap().compute_units;
    assert!(large.abs_diff(small) < 50, "{large} and {small} units");
}

/// 10: surplus accounts are refused, also more than the entry point looks at.
#[test]
fn attack_surplus_accounts() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let good = [
        scene.order(&alice, &bid(MARK, 1).build()),
        scene.withdraw(&alice, 1),
        scene.desk.venue.open_trader(alice.trader.authority, 1),
    ];
    for instruction in good {
        // An order takes one more, if that is a session.
        for surplus in [1, 2, 5, 6, 7, 20].into_iter().filter(|surplus| *surplus > 1 || instruction.accounts.len() != 3)
        {
            let mut instruction = instruction.clone();
            for _ in 0..surplus {
                let address = scene.desk.name(b"surplus");
                instruction.accounts.push(AccountMeta::new_readonly(address, false));
            }
            refuses(&mut scene.desk.chain, instruction, Refusal::AccountsCount);
        }
    }
}
