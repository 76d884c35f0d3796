//! `CreateExchange`: what it writes, and everything it refuses.

use quantdesk_client::{
    Address, Refusal, address,
    engine::{
        EngineError, Ppm, QuoteAtoms,
        state::{
            AccountHeader, CashEvent, CashEventKind,
            exchange::{EXCHANGE_DISCRIMINATOR, EXCHANGE_SIZE},
            fees::{FeeSchedule, FeeTier},
            ledger::{ACCOUNT_SIZE_MAX, LEDGER_DISCRIMINATOR, Policy, ledger_size},
        },
    },
    instruction::Venue,
    view::key_of,
};
use quantdesk_sim::{
    chain::{Chain, PROGRAM},
    desk::Desk,
};
use quantdesk_tests::{
    fails, read, refuses,
    scene::{self, EVENTS, LEDGER, TOKEN_2022, blank_venue, edit_account, edit_token, patch},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::{Instruction, error::InstructionError};
use spl_token_interface::state::AccountState;

const ID: u64 = 7;
/// What the exchange is created with: every field another number.
const GIVEN: Policy = Policy {
    outflow_rate: Ppm::new(50_001),
    queue_seconds: 86_402,
    outflow_floor: QuoteAtoms::new(1_000_003),
    pool_fee_share: Ppm::new(200_004),
    unstake_seconds: 604_805,
    fees: FeeSchedule::new(
        [
            FeeTier::new(QuoteAtoms::new(6), Ppm::new(100_007)),
            FeeTier::new(QuoteAtoms::new(8), Ppm::new(200_009)),
            FeeTier::new(QuoteAtoms::new(10), Ppm::new(1_000_000)),
            FeeTier::UNUSED,
        ],
        Ppm::new(300_011),
    ),
};
/// Rent of an exchange account at mainnet's rate.
const RENT: u64 = (EXCHANGE_SIZE as u64 + 128) * 6_960;

/// A chain with one exchange, and all accounts ready for another.
fn blank() -> (Desk, Venue) {
    let mut desk = scene::small_desk();
    let venue = blank_venue(&mut desk, ID);
    (desk, venue)
}

fn create(desk: &Desk, venue: &Venue) -> Instruction {
    venue.create_exchange(desk.admin, ID, EVENTS, &GIVEN)
}

/// Exchange and ledger hold exactly what was asked for, and zero elsewhere.
#[track_caller]
fn assert_created(chain: &Chain, venue: &Venue, admin: &Address) {
    let account = chain.account(&venue.exchange).unwrap();
    assert_eq!((account.owner, account.data.len()), (PROGRAM, EXCHANGE_SIZE));
    let exchange = read::exchange(chain, &venue.exchange);
    let (_, bump) = Address::find_program_address(&[b"exchange", &ID.to_le_bytes()], &PROGRAM);
    assert_eq!(exchange.header, AccountHeader::new(EXCHANGE_DISCRIMINATOR, bump));
    assert_eq!((exchange.id, exchange.admin), (ID, key_of(admin)));
    assert_eq!((exchange.ledger, exchange.vault), (key_of(&venue.ledger), key_of(&venue.vault)));
    assert_eq!(exchange.mint, key_of(&venue.mint));
    // 32 markets without any of their four sources, then no source, every role the admin's, the shortest delays.
    assert_eq!(account.data[152..280], [0xff; 128]);
    assert!(account.data[280..6944].iter().all(|byte| *byte == 0));
    assert_eq!([exchange.guardian, exchange.lister, exchange.fee_collector], [key_of(admin); 3]);
    // An hour, two haltings, the stake's wait and the queue's: more than the three days of what is critical.
    let exit = 3_600 + 2 * 21_600 + GIVEN.unstake_seconds + GIVEN.queue_seconds;
    assert_eq!((exchange.delays.loosening, exchange.delays.critical), (exit, exit));
    assert!(account.data[7048..].iter().all(|byte| *byte == 0));

    let header = read::header_at(chain, &venue.ledger);
    let (_, bump) = Address::find_program_address(&[b"vault", venue.ledger.as_array()], &PROGRAM);
    assert_eq!(header.header, AccountHeader::new(LEDGER_DISCRIMINATOR, bump));
    assert_eq!((header.exchange, header.vault), (key_of(&venue.exchange), key_of(&venue.vault)));
    assert_eq!((header.mint, header.mint_decimals), (key_of(&venue.mint), 6));
    assert_eq!((header.events_written.get(), header.markets_len, header.traders), (1, 0, 0));
    assert_eq!((header.cells.capacity(), header.cells.in_use(), header.generation.get()), (48, 0, 0));
    let balances = [header.total, header.pool, header.fees, header.withdraw_queue];
    assert!(balances.iter().all(|balance| balance.is_zero()));
    assert_eq!(header.policy, GIVEN);
    assert_eq!((header.pool_shares, header.pool_epoch, header.bankrupts, header.queue_len), (0, 0, 0, 0));
    assert!(header.queue_first.is_nil() && header.queue_last.is_nil());

    let event: CashEvent = bytemuck::pod_read_unaligned(&chain.data(&venue.ledger).unwrap()[LEDGER.event(1)]);
    let mut expected = CashEvent::new(CashEventKind::ExchangeCreated);
    (expected.sequence, expected.slot) = (header.events_written, read::now(chain).slot);
    expected.unix_seconds = read::now(chain).unix_seconds;
    assert_eq!(event, expected);
}

#[test]
fn creates_exchange_and_ledger() {
    let (mut desk, venue) = blank();
    let before = Snapshot::of(&desk.chain);
    desk.chain.send(create(&desk, &venue)).unwrap();
    assert_created(&desk.chain, &venue, &desk.admin);
    let frame = Frame::new()
        .lamports(desk.admin)
        .whole(venue.exchange)
        .bytes(venue.ledger, 0..512)
        .bytes(venue.ledger, LEDGER.event(1));
    before.only(&desk.chain, &frame);
    let after = Snapshot::of(&desk.chain);
    assert_eq!(after.lamports(&venue.exchange), RENT);
    assert_eq!(before.lamports(&desk.admin) - after.lamports(&desk.admin), RENT);
}

#[test]
fn creates_at_an_address_that_holds_lamports() {
    for prefunded in [1, RENT - 1, RENT, RENT + 5] {
        let (mut desk, venue) = blank();
        desk.chain.give_lamports(venue.exchange, prefunded).unwrap();
        let before = Snapshot::of(&desk.chain);
        desk.chain.send(create(&desk, &venue)).unwrap();
        assert_created(&desk.chain, &venue, &desk.admin);
        let after = Snapshot::of(&desk.chain);
        assert_eq!(after.lamports(&venue.exchange), RENT.max(prefunded));
        assert_eq!(before.lamports(&desk.admin) - after.lamports(&desk.admin), RENT.saturating_sub(prefunded));
    }
}

#[test]
fn every_id_has_its_own_exchange() {
    for id in [0, 2, u64::MAX] {
        let mut desk = scene::small_desk();
        let venue = blank_venue(&mut desk, id);
        desk.chain.send(venue.create_exchange(desk.admin, id, EVENTS, &GIVEN)).unwrap();
        assert_eq!(read::exchange(&desk.chain, &venue.exchange).id, id);
    }
}

#[test]
fn refuses_to_initialise_twice() {
    let (mut desk, venue) = blank();
    desk.chain.send(create(&desk, &venue)).unwrap();
    // The same again; the ledger under another number; another ledger under the same number.
    let again = create(&desk, &venue);
    refuses(&mut desk.chain, again, EngineError::AccountNotBlank);
    let renumbered = Venue { exchange: address::exchange(&PROGRAM, 8), ..venue };
    let instruction = renumbered.create_exchange(desk.admin, 8, EVENTS, &GIVEN);
    refuses(&mut desk.chain, instruction, EngineError::AccountNotBlank);
    let fresh = Venue { exchange: venue.exchange, ..blank_venue(&mut desk, 9) };
    let instruction = create(&desk, &fresh);
    refuses(&mut desk.chain, instruction, EngineError::AccountNotBlank);
}

#[test]
fn refuses_wrong_addresses() {
    let (mut desk, venue) = blank();
    let other = Venue { exchange: address::exchange(&PROGRAM, ID + 1), ..venue };
    let instruction = create(&desk, &other);
    refuses(&mut desk.chain, instruction, Refusal::WrongAddress);

    // The authority of another ledger, and an off-curve address with another bump of the same seeds.
    let (_, canonical) = Address::find_program_address(&[b"vault", venue.ledger.as_array()], &PROGRAM);
    let lower = (0..canonical)
        .rev()
        .find_map(|bump| Address::create_program_address(&[b"vault", venue.ledger.as_array(), &[bump]], &PROGRAM).ok());
    for authority in [address::vault_authority(&PROGRAM, &desk.venue.ledger), lower.unwrap()] {
        let mut instruction = create(&desk, &venue);
        instruction.accounts[5].pubkey = authority;
        refuses(&mut desk.chain, instruction, Refusal::WrongAddress);
    }
    let mut instruction = create(&desk, &venue);
    instruction.accounts[6].pubkey = TOKEN_2022;
    refuses(&mut desk.chain, instruction, Refusal::WrongSystemProgram);
}

#[test]
fn refuses_mints_that_are_not_classic() {
    let cases: [fn(&mut Chain, Address); 4] = [
        |chain, mint| edit_account(chain, mint, |account| account.owner = TOKEN_2022),
        |chain, mint| edit_account(chain, mint, |account| account.data.push(0)),
        // Token-2022 pads a mint with extensions to the length of an account and more.
        |chain, mint| edit_account(chain, mint, |account| account.data.resize(170, 0)),
        // Byte 45: whether it is initialised.
        |chain, mint| patch(chain, mint, 45, &[0]),
    ];
    for edit in cases {
        let (mut desk, venue) = blank();
        edit(&mut desk.chain, venue.mint);
        let instruction = create(&desk, &venue);
        refuses(&mut desk.chain, instruction, Refusal::WrongMint);
    }
}

#[test]
fn refuses_vaults_that_others_could_empty() {
    let someone = Address::new_from_array([9; 32]);
    let (mut desk, venue) = blank();
    let vault = venue.vault;
    let case = |edit: fn(&mut spl_token_interface::state::Account, Address), refusal: Refusal| {
        let mut chain = desk.chain.clone();
        edit_token(&mut chain, vault, |token| edit(token, someone));
        refuses(&mut chain, create(&desk, &venue), refusal);
    };
    case(|token, someone| token.owner = someone.to_bytes().into(), Refusal::VaultNotExclusive);
    case(|token, someone| token.delegate = Some(someone.to_bytes().into()).into(), Refusal::VaultNotExclusive);
    case(|token, someone| token.close_authority = Some(someone.to_bytes().into()).into(), Refusal::VaultNotExclusive);
    case(|token, someone| token.mint = someone.to_bytes().into(), Refusal::WrongMint);
    case(|token, _| token.state = AccountState::Frozen, Refusal::TokenAccountInvalid);
    case(|token, _| token.state = AccountState::Uninitialized, Refusal::TokenAccountInvalid);

    edit_account(&mut desk.chain, vault, |account| account.owner = TOKEN_2022);
    let instruction = create(&desk, &venue);
    refuses(&mut desk.chain, instruction, Refusal::TokenAccountInvalid);
}

#[test]
fn refuses_sizes_that_do_not_fit() {
    let (desk, venue) = blank();
    for events in [0, 3, EVENTS * 2 - 1, 1 << 20, 1 << 31, u32::MAX] {
        let instruction = venue.create_exchange(desk.admin, ID, events, &GIVEN);
        refuses(&mut desk.chain.clone(), instruction, EngineError::CapacityInvalid);
    }
    let fixed = ledger_size(EVENTS, 0);
    for size in [0, 16, 512, fixed - 1, fixed, fixed + 127, fixed + 129] {
        let mut chain = desk.chain.clone();
        chain.create_account(venue.ledger, size, PROGRAM).unwrap();
        refuses(&mut chain, create(&desk, &venue), EngineError::CapacityInvalid);
    }
    for size in [fixed + 128, ACCOUNT_SIZE_MAX] {
        let mut chain = desk.chain.clone();
        chain.create_account(venue.ledger, size, PROGRAM).unwrap();
        chain.send(create(&desk, &venue)).unwrap();
        let cells = read::header_at(&chain, &venue.ledger).cells.capacity();
        assert_eq!(ledger_size(EVENTS, cells), size);
    }
}

#[test]
fn refuses_policies_out_of_bounds() {
    let (desk, venue) = blank();
    // By accident or on purpose: nothing may leave, everything may wait for ever, fees that are more than all.
    let wrong: [fn(&mut Policy); 9] = [
        |policy| policy.outflow_rate = Ppm::new(999),
        |policy| policy.outflow_rate = Ppm::new(1_000_001),
        |policy| policy.queue_seconds = 3_599,
        |policy| policy.queue_seconds = 604_801,
        |policy| policy.queue_seconds = u32::MAX,
        |policy| policy.pool_fee_share = Ppm::new(1_000_001),
        |policy| policy.unstake_seconds = 86_399,
        |policy| policy.unstake_seconds = 2_592_001,
        |policy| *policy = Policy::default(),
    ];
    for change in wrong {
        let mut policy = GIVEN;
        change(&mut policy);
        let instruction = venue.create_exchange(desk.admin, ID, EVENTS, &policy);
        refuses(&mut desk.chain.clone(), instruction, EngineError::PolicyInvalid);
    }
    let right: [fn(&mut Policy); 4] = [
        |policy| (policy.outflow_rate, policy.queue_seconds) = (Ppm::new(1_000), 3_600),
        |policy| (policy.outflow_rate, policy.queue_seconds) = (Ppm::new(1_000_000), 604_800),
        |policy| (policy.pool_fee_share, policy.unstake_seconds) = (Ppm::ZERO, 86_400),
        |policy| (policy.pool_fee_share, policy.unstake_seconds) = (Ppm::new(1_000_000), 2_592_000),
    ];
    for change in right {
        let mut policy = GIVEN;
        change(&mut policy);
        let mut chain = desk.chain.clone();
        chain.send(venue.create_exchange(desk.admin, ID, EVENTS, &policy)).unwrap();
        assert_eq!(read::header_at(&chain, &venue.ledger).policy, policy);
    }
}

#[test]
fn refuses_ledgers_in_use() {
    let (mut desk, venue) = blank();
    // Any of the first eight bytes, or the version, is a sign of use.
    for offset in 0..9 {
        let mut chain = desk.chain.clone();
        patch(&mut chain, venue.ledger, offset, &[1]);
        refuses(&mut chain, create(&desk, &venue), EngineError::AccountNotBlank);
    }
    edit_account(&mut desk.chain, venue.ledger, |account| account.owner = TOKEN_2022);
    let instruction = create(&desk, &venue);
    refuses(&mut desk.chain, instruction, Refusal::WrongOwner);
}

#[test]
fn the_admin_signs_and_pays() {
    let (mut desk, venue) = blank();
    let mut instruction = create(&desk, &venue);
    instruction.accounts[0].is_signer = false;
    refuses(&mut desk.chain, instruction, Refusal::SignatureMissing);
    for place in 0..3 {
        let mut instruction = create(&desk, &venue);
        instruction.accounts[place].is_writable = false;
        refuses(&mut desk.chain, instruction, Refusal::NotWritable);
    }
    // The System program's error for a transfer of more than there is.
    desk.chain.give_lamports(desk.admin, RENT - 1).unwrap();
    let instruction = create(&desk, &venue);
    fails(&mut desk.chain, instruction, InstructionError::Custom(1));
}
