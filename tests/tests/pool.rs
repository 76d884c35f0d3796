//! The protection pool's instructions: stake, what it takes to get it back, gifts.

use quantdesk_client::{
    Address, Refusal, address,
    engine::{
        EngineError, Generation, QuoteAtoms,
        pool::{self, UNSTAKE_WINDOW_SECONDS, VIRTUAL},
        state::{
            AccountHeader, CashEventKind, LedgerHeader, PoolStake,
            stake::{STAKE_DISCRIMINATOR, STAKE_SIZE},
        },
    },
    instruction::{SYSTEM_PROGRAM, Trader},
    view::key_of,
};
use quantdesk_sim::{
    chain::PROGRAM,
    desk::{Desk, POLICY},
};
use quantdesk_tests::{
    fails, read,
    read::LedgerMap,
    refuses,
    scene::{self, CAPITAL, LEDGER, PRICE, Party, Scene, TOKEN_2022, edit_account, edit_token, patch},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::{Instruction, error::InstructionError};
use std::mem::offset_of;

/// Rent of a stake account at mainnet's rate.
const RENT: u64 = (STAKE_SIZE as u64 + 128) * 6_960;
/// What stakers put in, unless it matters.
const STAKE: u64 = CAPITAL / 10;
/// How long stake is bound.
const WAIT: i64 = POLICY.unstake_seconds as i64;

/// A scene whose traders can pay rent.
fn solvent() -> Scene {
    let mut scene = Scene::new();
    for party in [scene.alice, scene.bob] {
        scene.desk.chain.give_lamports(party.trader.authority, 1 << 40).unwrap();
    }
    scene
}

/// A scene in which Alice has staked.
fn staked() -> Scene {
    let mut scene = solvent();
    let alice = scene.alice;
    accept(&mut scene, |scene| stake(scene, &alice, STAKE));
    scene
}

fn stake(scene: &Scene, party: &Party, atoms: u64) -> Instruction {
    scene.desk.venue.stake_pool(&party.trader, QuoteAtoms::new(atoms))
}

fn request(scene: &Scene, party: &Party, shares: u64) -> Instruction {
    scene.desk.venue.request_unstake(&party.trader, shares)
}

fn unstake(scene: &Scene, party: &Party) -> Instruction {
    scene.desk.venue.unstake(&party.trader)
}

fn fund(scene: &Scene, party: &Party, atoms: u64) -> Instruction {
    scene.desk.venue.fund_pool(&party.trader, QuoteAtoms::new(atoms))
}

#[track_caller]
fn accept(scene: &mut Scene, instruction: impl FnOnce(&Scene) -> Instruction) {
    let instruction = instruction(scene);
    scene.desk.chain.send(instruction).unwrap();
    scene.desk.check().unwrap();
}

/// Address of a party's stake.
fn place_of(desk: &Desk, party: &Party) -> Address {
    address::stake(&PROGRAM, &desk.venue.ledger, &party.trader.authority)
}

fn stake_of(scene: &Scene, party: &Party) -> PoolStake {
    let bytes = scene.desk.chain.data(&place_of(&scene.desk, party)).unwrap();
    bytemuck::pod_read_unaligned(&bytes)
}

fn shares_of(scene: &Scene, party: &Party) -> u64 {
    stake_of(scene, party).shares
}

/// What a party's shares are worth.
fn worth(scene: &Scene, party: &Party) -> u64 {
    pool::worth(&read::header(&scene.desk), shares_of(scene, party)).unwrap().get()
}

fn cash(scene: &Scene, party: &Party) -> u64 {
    read::cash(&scene.desk, &party.trader).unsigned_abs()
}

fn atoms_of(scene: &Scene) -> u64 {
    read::header(&scene.desk).pool.get().get().unsigned_abs()
}

/// Kind, trader and amount of the last record.
fn last_event(scene: &Scene) -> (CashEventKind, u32, i64) {
    let event = *read::cash_events(&scene.desk).last().unwrap();
    (event.kind().unwrap(), event.trader.get(), event.amount)
}

/// What moving cash between the party and the pool may change in the ledger.
fn frame(scene: &Scene, party: &Party) -> Frame {
    let ledger = scene.desk.venue.ledger;
    let own = LEDGER.cell(party.trader.cell).start;
    Frame::new()
        .bytes(ledger, own + 48..own + 56)
        .bytes(ledger, own + 72..own + 80)
        .bytes(ledger, LedgerMap::pool())
        .bytes(ledger, LedgerMap::pool_shares())
        .bytes(ledger, LedgerMap::events_written())
        .bytes(ledger, LEDGER.event(read::header(&scene.desk).events_written.get() + 1))
}

fn with_account(mut instruction: Instruction, place: usize, address: Address) -> Instruction {
    instruction.accounts[place].pubkey = address;
    instruction
}

/// Alice asks for all her shares and waits until they can be paid.
fn ripe() -> Scene {
    let mut scene = staked();
    let alice = scene.alice;
    let shares = shares_of(&scene, &alice);
    accept(&mut scene, |scene| request(scene, &alice, shares));
    scene.wait(WAIT);
    scene
}

#[test]
fn the_first_stake_creates_the_account() {
    let mut scene = solvent();
    let (alice, money) = (scene.alice, read::money(&scene.desk));
    let (owner, place) = (alice.trader.authority, place_of(&scene.desk, &alice));
    let frame = frame(&scene, &alice).whole(place).lamports(owner);
    let before = Snapshot::of(&scene.desk.chain);
    accept(&mut scene, |scene| stake(scene, &alice, STAKE));
    before.only(&scene.desk.chain, &frame);
    let after = Snapshot::of(&scene.desk.chain);
    assert_eq!((after.lamports(&place), before.lamports(&owner) - after.lamports(&owner)), (RENT, RENT));
    let account = scene.desk.chain.account(&place).unwrap();
    assert_eq!((account.owner, account.data.len()), (PROGRAM, STAKE_SIZE));
    let ledger = scene.desk.venue.ledger;
    let (_, bump) = Address::find_program_address(&[b"stake", ledger.as_array(), owner.as_array()], &PROGRAM);
    let mut expected = PoolStake::new(key_of(&ledger), key_of(&owner), bump);
    assert_eq!(expected.header, AccountHeader::new(STAKE_DISCRIMINATOR, bump));
    expected.shares = STAKE;
    assert_eq!(stake_of(&scene, &alice), expected);
    assert_eq!((cash(&scene, &alice), atoms_of(&scene)), (CAPITAL - STAKE, STAKE));
    assert_eq!(read::header(&scene.desk).pool_shares, STAKE);
    assert_eq!(read::money(&scene.desk), money, "no token moves");
    assert_eq!(last_event(&scene), (CashEventKind::PoolStaked, alice.trader.cell.get(), STAKE as i64));
}

#[test]
fn further_stake_goes_to_the_same_account() {
    let mut scene = staked();
    let alice = scene.alice;
    let place = place_of(&scene.desk, &alice);
    let frame = frame(&scene, &alice).bytes(place, offset_of!(PoolStake, shares)..offset_of!(PoolStake, shares) + 8);
    let before = Snapshot::of(&scene.desk.chain);
    accept(&mut scene, |scene| stake(scene, &alice, 7));
    before.only(&scene.desk.chain, &frame);
    assert_eq!(shares_of(&scene, &alice), STAKE + 7);
    // From another account of the same owner, too.
    let sibling = scene::party_of(&mut scene.desk, alice.trader.authority, 1);
    scene.desk.chain.give_lamports(alice.trader.authority, 1 << 40).unwrap();
    accept(&mut scene, |scene| stake(scene, &sibling, 5));
    assert_eq!(shares_of(&scene, &alice), STAKE + 12);
}

#[test]
fn stake_at_an_address_that_holds_lamports() {
    for prefunded in [1, RENT - 1, RENT, RENT + 5] {
        let mut scene = solvent();
        let alice = scene.alice;
        let (owner, place) = (alice.trader.authority, place_of(&scene.desk, &alice));
        scene.desk.chain.give_lamports(place, prefunded).unwrap();
        let before = Snapshot::of(&scene.desk.chain);
        accept(&mut scene, |scene| stake(scene, &alice, STAKE));
        let after = Snapshot::of(&scene.desk.chain);
        assert_eq!(after.lamports(&place), RENT.max(prefunded));
        assert_eq!(before.lamports(&owner) - after.lamports(&owner), RENT.saturating_sub(prefunded));
        assert_eq!(shares_of(&scene, &alice), STAKE);
    }
}

#[test]
fn the_owner_pays_the_rent() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    scene.desk.chain.give_lamports(alice.trader.authority, RENT - 1).unwrap();
    let instruction = stake(&scene, &alice, STAKE);
    // The System program's error for a transfer of more than there is.
    fails(&mut scene.desk.chain, instruction, InstructionError::Custom(1));
}

#[test]
fn stake_is_free_cash() {
    let mut scene = solvent();
    let (alice, bob) = (scene.alice, scene.bob);
    for instruction in [stake(&scene, &alice, 0), fund(&scene, &alice, 0)] {
        refuses(&mut scene.desk.chain, instruction, EngineError::AmountZero);
    }
    for atoms in [CAPITAL + 1, 1 << 63, u64::MAX] {
        for instruction in [stake(&scene, &alice, atoms), fund(&scene, &alice, atoms)] {
            refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
        }
    }
    // 10 SOL at 200: margin of $100, and $1 of fees.
    scene.trade(10_000);
    let free = CAPITAL - 101_000_000;
    for instruction in [stake(&scene, &bob, free + 1), fund(&scene, &bob, free + 1)] {
        refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    }
    scene.wait(31);
    for instruction in [stake(&scene, &bob, 1), fund(&scene, &bob, 1)] {
        refuses(&mut scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
    }
    scene.desk.set_price(0, PRICE).unwrap();
    accept(&mut scene, |scene| stake(scene, &bob, free - 1));
    accept(&mut scene, |scene| fund(scene, &bob, 1));
    scene::mark_bankrupt(&mut scene.desk, &alice.trader);
    for instruction in [stake(&scene, &alice, 1), fund(&scene, &alice, 1)] {
        refuses(&mut scene.desk.chain, instruction, EngineError::AccountBankrupt);
    }
}

#[test]
fn stake_is_asked_for_and_then_paid() {
    let mut scene = staked();
    let alice = scene.alice;
    let (place, ledger) = (place_of(&scene.desk, &alice), scene.desk.venue.ledger);
    let asked = offset_of!(PoolStake, requested)..offset_of!(PoolStake, requested_at) + 8;
    let written = read::header(&scene.desk).events_written.get();
    let asking = Frame::new()
        .bytes(ledger, LedgerMap::events_written())
        .bytes(ledger, LEDGER.event(written + 1))
        .bytes(place, asked.clone());
    let before = Snapshot::of(&scene.desk.chain);
    accept(&mut scene, |scene| request(scene, &alice, STAKE / 4));
    before.only(&scene.desk.chain, &asking);
    assert_eq!(last_event(&scene), (CashEventKind::UnstakeRequested, alice.trader.cell.get(), (STAKE / 4) as i64));
    let asked_at = read::now(&scene.desk.chain).unix_seconds;
    assert_eq!((stake_of(&scene, &alice).requested, stake_of(&scene, &alice).requested_at), (STAKE / 4, asked_at));

    scene.wait(WAIT - 1);
    let early = unstake(&scene, &alice);
    refuses(&mut scene.desk.chain, early, EngineError::UnstakeNotDue);
    scene.wait(1);
    let shares = offset_of!(PoolStake, shares)..offset_of!(PoolStake, shares) + 8;
    let paying = frame(&scene, &alice).bytes(place, shares).bytes(place, asked);
    let before = Snapshot::of(&scene.desk.chain);
    accept(&mut scene, |scene| unstake(scene, &alice));
    before.only(&scene.desk.chain, &paying);
    assert_eq!((cash(&scene, &alice), atoms_of(&scene)), (CAPITAL - STAKE / 4 * 3, STAKE / 4 * 3));
    assert_eq!((shares_of(&scene, &alice), read::header(&scene.desk).pool_shares), (STAKE / 4 * 3, STAKE / 4 * 3));
    assert_eq!(last_event(&scene), (CashEventKind::PoolUnstaked, alice.trader.cell.get(), (STAKE / 4) as i64));
}

#[test]
fn attack_double_unstake() {
    let mut scene = ripe();
    let alice = scene.alice;
    let before = Snapshot::of(&scene.desk.chain);
    let twice = [unstake(&scene, &alice), unstake(&scene, &alice)];
    quantdesk_tests::refused_at(scene.desk.chain.send_all(&twice), 1, EngineError::UnstakeNotDue);
    before.unchanged(&scene.desk.chain);
    accept(&mut scene, |scene| unstake(scene, &alice));
    let again = unstake(&scene, &alice);
    refuses(&mut scene.desk.chain, again, EngineError::UnstakeNotDue);
    let more = request(&scene, &alice, 1);
    refuses(&mut scene.desk.chain, more, EngineError::StakeTooLarge);
}

#[test]
fn attack_more_shares_than_one_has() {
    let mut scene = staked();
    let (alice, bob) = (scene.alice, scene.bob);
    accept(&mut scene, |scene| stake(scene, &bob, STAKE));
    for shares in [STAKE + 1, 2 * STAKE, 1 << 63, u64::MAX] {
        let instruction = request(&scene, &alice, shares);
        refuses(&mut scene.desk.chain, instruction, EngineError::StakeTooLarge);
    }
    let instruction = request(&scene, &alice, 0);
    refuses(&mut scene.desk.chain, instruction, EngineError::AmountZero);
    let nothing = unstake(&scene, &alice);
    refuses(&mut scene.desk.chain, nothing, EngineError::UnstakeNotDue);
}

#[test]
fn attack_an_unstake_kept_ready_lapses() {
    let mut scene = ripe();
    let alice = scene.alice;
    let last = i64::from(UNSTAKE_WINDOW_SECONDS);
    scene.wait(last);
    scene.desk.chain.clone().send(unstake(&scene, &alice)).unwrap();
    scene.wait(1);
    let late = unstake(&scene, &alice);
    refuses(&mut scene.desk.chain, late, EngineError::UnstakeNotDue);
    // Asking again, also within the window, starts the wait again.
    accept(&mut scene, |scene| request(scene, &alice, 1));
    scene.wait(WAIT - 1);
    accept(&mut scene, |scene| request(scene, &alice, 2));
    scene.wait(1);
    let early = unstake(&scene, &alice);
    refuses(&mut scene.desk.chain, early, EngineError::UnstakeNotDue);
}

#[test]
fn attack_unstake_in_front_of_a_shortfall() {
    // Without having asked a day before, nobody gets out when prices fall.
    let mut scene = staked();
    let (alice, bob) = (scene.alice, scene.bob);
    let both = [request(&scene, &alice, STAKE), unstake(&scene, &alice)];
    let before = Snapshot::of(&scene.desk.chain);
    quantdesk_tests::refused_at(scene.desk.chain.send_all(&both), 1, EngineError::UnstakeNotDue);
    before.unchanged(&scene.desk.chain);
    // Who has asked does not get out once an account is bankrupt.
    let mut scene = ripe();
    scene::mark_bankrupt(&mut scene.desk, &bob.trader);
    let instruction = unstake(&scene, &alice);
    refuses(&mut scene.desk.chain, instruction, EngineError::PoolClosed);
}

#[test]
fn attack_unstake_while_a_price_is_on_its_way() {
    let mut scene = staked();
    let alice = scene.alice;
    accept(&mut scene, |scene| request(scene, &alice, STAKE));
    scene.trade(1_000);
    scene.wait(WAIT);
    // The price that positions depend on is a day old.
    let instruction = unstake(&scene, &alice);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::PoolClosed);
    // It has fallen by a third, and the mark is on its way there.
    scene.desk.set_price(0, PRICE / 3 * 2).unwrap();
    assert!(read::row(&scene.desk, 0).is_lagging());
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::PoolClosed);
    scene.desk.settle_price(0, PRICE).unwrap();
    scene.desk.chain.send(instruction).unwrap();
}

#[test]
fn attack_first_depositor_share_inflation() {
    let mut scene = solvent();
    let (alice, bob) = (scene.alice, scene.bob);
    accept(&mut scene, |scene| stake(scene, &alice, 1));
    let gift = CAPITAL - 1;
    accept(&mut scene, |scene| fund(scene, &alice, gift));
    // A share costs a thousand atoms now; what rounding would swallow is refused, the rest is worth what it cost.
    let instruction = stake(&scene, &bob, 500);
    refuses(&mut scene.desk.chain, instruction, EngineError::StakeTooSmall);
    let own = 1_000_000;
    accept(&mut scene, |scene| stake(scene, &bob, own));
    assert!(own - worth(&scene, &bob) <= CAPITAL / VIRTUAL + 1, "{}", worth(&scene, &bob));
    assert!(worth(&scene, &alice) <= CAPITAL / VIRTUAL + 1, "the gift is gone: {}", worth(&scene, &alice));
}

#[test]
fn attack_donation_to_the_vault_is_no_pool() {
    let mut scene = staked();
    let alice = scene.alice;
    let (before, shares) = (worth(&scene, &alice), read::header(&scene.desk).pool_shares);
    edit_token(&mut scene.desk.chain, scene.desk.venue.vault, |vault| vault.amount += CAPITAL);
    assert_eq!((worth(&scene, &alice), read::header(&scene.desk).pool_shares), (before, shares));
    accept(&mut scene, |scene| stake(scene, &alice, STAKE));
    assert_eq!(worth(&scene, &alice), 2 * STAKE);
}

#[test]
fn attack_donation_to_the_pool_is_not_the_next_stakers() {
    let mut scene = solvent();
    let (alice, bob) = (scene.alice, scene.bob);
    let (before, allowed) = (Snapshot::of(&scene.desk.chain), frame(&scene, &alice));
    accept(&mut scene, |scene| fund(scene, &alice, CAPITAL));
    before.only(&scene.desk.chain, &allowed);
    assert_eq!(last_event(&scene), (CashEventKind::PoolFunded, alice.trader.cell.get(), CAPITAL as i64));
    assert_eq!((atoms_of(&scene), read::header(&scene.desk).pool_shares), (CAPITAL, 0));
    accept(&mut scene, |scene| stake(scene, &bob, STAKE));
    assert!(worth(&scene, &bob) <= STAKE);
}

#[test]
fn a_gift_raises_what_shares_are_worth() {
    let mut scene = ripe();
    let (alice, bob) = (scene.alice, scene.bob);
    accept(&mut scene, |scene| fund(scene, &bob, STAKE / 2));
    let expected = worth(&scene, &alice);
    // All of it but the part of the virtual shares: a million of them to a hundred million.
    assert!(expected > STAKE + STAKE / 2 * 98 / 100 && expected < STAKE + STAKE / 2, "{expected}");
    accept(&mut scene, |scene| unstake(scene, &alice));
    assert_eq!(cash(&scene, &alice), CAPITAL - STAKE + expected);
    assert_eq!(read::header(&scene.desk).pool_shares, 0);
}

#[test]
fn attack_stake_of_an_older_epoch() {
    let mut scene = ripe();
    let (alice, bob) = (scene.alice, scene.bob);
    // As if the pool had paid its last atom, and some of it had been given back since.
    let ledger = scene.desk.venue.ledger;
    patch(&mut scene.desk.chain, ledger, offset_of!(LedgerHeader, pool_shares), &0u64.to_le_bytes());
    patch(&mut scene.desk.chain, ledger, offset_of!(LedgerHeader, pool_epoch), &1u32.to_le_bytes());
    scene.desk.check().unwrap();
    let instruction = unstake(&scene, &alice);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::UnstakeNotDue);
    let asking = request(&scene, &alice, 1);
    refuses(&mut scene.desk.chain, asking, EngineError::StakeTooLarge);
    // New stake, also the same owner's, is not mixed with it.
    accept(&mut scene, |scene| stake(scene, &bob, STAKE));
    refuses(&mut scene.desk.chain, instruction, EngineError::UnstakeNotDue);
    accept(&mut scene, |scene| stake(scene, &alice, STAKE));
    let stake = stake_of(&scene, &alice);
    assert_eq!((stake.epoch, stake.requested), (1, 0));
    assert_eq!(stake.shares + shares_of(&scene, &bob), read::header(&scene.desk).pool_shares);
    assert!(worth(&scene, &alice) <= STAKE);
}

#[test]
fn attack_somebody_elses_stake() {
    let mut scene = ripe();
    let (alice, bob) = (scene.alice, scene.bob);
    accept(&mut scene, |scene| stake(scene, &bob, STAKE));
    let alices = place_of(&scene.desk, &alice);
    let as_bob = [
        with_account(stake(&scene, &bob, 1), 2, alices),
        with_account(request(&scene, &bob, 1), 2, alices),
        with_account(unstake(&scene, &bob), 2, alices),
    ];
    for instruction in as_bob {
        refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    }
    // Alice's trader with Bob's signature, and the other way round.
    let thief = Party { trader: Trader { authority: bob.trader.authority, ..alice.trader }, ..alice };
    for instruction in
        [stake(&scene, &thief, 1), request(&scene, &thief, 1), unstake(&scene, &thief), fund(&scene, &thief, 1)]
    {
        refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    }
    let generation = Generation::new(alice.trader.generation.get() + 1);
    let stale = Party { trader: Trader { generation, ..alice.trader }, ..alice };
    for instruction in
        [stake(&scene, &stale, 1), request(&scene, &stale, 1), unstake(&scene, &stale), fund(&scene, &stale, 1)]
    {
        refuses(&mut scene.desk.chain, instruction, EngineError::TraderNotFound);
    }
}

#[test]
fn attack_a_stake_in_another_pool() {
    let mut scene = ripe();
    let (alice, admin) = (scene.alice, scene.desk.admin);
    let owner = alice.trader.authority;
    // The same owner, cell and incarnation in another ledger, with a larger stake there.
    let (other, twin) = scene::beside(&mut scene.desk, 2, admin, |desk| {
        let twin = scene::party_of(desk, owner, 0);
        desk.chain.give_lamports(owner, 1 << 40).unwrap();
        desk.chain.send(desk.venue.stake_pool(&twin.trader, QuoteAtoms::new(CAPITAL))).unwrap();
        twin
    });
    assert_eq!(twin.trader, alice.trader);
    let theirs = address::stake(&PROGRAM, &other.venue.ledger, &owner);
    let crossed = [
        with_account(stake(&scene, &alice, 1), 2, theirs),
        with_account(request(&scene, &alice, 1), 2, theirs),
        with_account(unstake(&scene, &alice), 2, theirs),
        with_account(unstake(&scene, &alice), 1, other.venue.ledger),
    ];
    for instruction in crossed {
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongLedger);
    }
}

#[test]
fn stake_accounts_are_checked() {
    let mut scene = ripe();
    let (alice, bob) = (scene.alice, scene.bob);
    let bobs = place_of(&scene.desk, &bob);
    // An address that is not the owner's, where nothing is yet; accounts that are no stake.
    let somebody = scene.desk.name(b"somebody");
    for address in [bobs, somebody] {
        let instruction = with_account(stake(&scene, &alice, 1), 2, address);
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongAddress);
        for instruction in [request(&scene, &alice, 1), unstake(&scene, &alice)] {
            refuses(&mut scene.desk.chain, with_account(instruction, 2, address), Refusal::WrongOwner);
        }
    }
    let all = [stake(&scene, &alice, 1), request(&scene, &alice, 1), unstake(&scene, &alice)];
    for instruction in &all {
        let cases: [(Address, quantdesk_client::error::ProgramError); 4] = [
            (alice.tokens, Refusal::WrongOwner.into()),
            (scene.market(), EngineError::AccountSize.into()),
            (scene.desk.venue.exchange, EngineError::AccountSize.into()),
            (scene.desk.venue.ledger, Refusal::AccountTwice.into()),
        ];
        for (address, error) in cases {
            refuses(&mut scene.desk.chain, with_account(instruction.clone(), 2, address), error);
        }
        for place in 0..instruction.accounts.len() {
            let mut readonly = instruction.clone();
            if readonly.accounts[place].is_writable {
                readonly.accounts[place].is_writable = false;
                refuses(&mut scene.desk.chain, readonly, Refusal::NotWritable);
            }
        }
        let mut unsigned = instruction.clone();
        unsigned.accounts[0].is_signer = false;
        refuses(&mut scene.desk.chain, unsigned, Refusal::SignatureMissing);
    }
    for program in [TOKEN_2022, PROGRAM] {
        let instruction = with_account(stake(&scene, &alice, 1), 3, program);
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongSystemProgram);
    }
    assert_eq!(stake(&scene, &alice, 1).accounts[3].pubkey, SYSTEM_PROGRAM);
    // Bytes that are not those of a stake.
    let place = place_of(&scene.desk, &alice);
    let edits: [(fn(&mut solana_account::Account), quantdesk_client::error::ProgramError); 5] = [
        (|account| account.owner = TOKEN_2022, Refusal::WrongOwner.into()),
        (|account| account.data.push(0), EngineError::AccountSize.into()),
        (|account| account.data.truncate(120), EngineError::AccountSize.into()),
        (|account| account.data[0] ^= 1, EngineError::AccountType.into()),
        (|account| account.data[8] ^= 1, EngineError::AccountVersion.into()),
    ];
    for (edit, error) in edits {
        for instruction in all.clone() {
            let mut chain = scene.desk.chain.clone();
            edit_account(&mut chain, place, edit);
            refuses(&mut chain, instruction, error);
        }
    }
}
