//! Every account of every instruction, wrong in every way: one exact code each, and nothing changed.
//!
//! [`World::instances`] is the list of instructions with the role of each account. [`mutations`] is the list of ways to
//! be wrong. [`rule`] says what must come of it; it knows the roles and, where two checks compete, the documented order:
//! accounts first, then relations between them, then the engine, then tokens.

use quantdesk_client::{
    Address, Refusal, Tag, address,
    engine::{
        EngineError,
        state::{
            exchange::EXCHANGE_DISCRIMINATOR, ledger::LEDGER_DISCRIMINATOR, market::MARKET_DISCRIMINATOR,
            session::SESSION_DISCRIMINATOR, stake::STAKE_DISCRIMINATOR,
        },
    },
    error::ProgramError,
    instruction::{SYSTEM_PROGRAM, TOKEN_PROGRAM},
};
use quantdesk_sim::chain::{Chain, PROGRAM};
use quantdesk_tests::{
    instances::{Instance, Role, World},
    scene::{TOKEN_2022, edit_account},
    snapshot::Snapshot,
    token_error,
};
use solana_instruction::{AccountMeta, Instruction, error::InstructionError};
use solana_transaction::TransactionError;
use std::collections::BTreeMap;

/// The clock sysvar.
const CLOCK: Address = Address::from_str_const("SysvarC1ock11111111111111111111111111111111");

/// A way in which one account is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutation {
    /// Does not sign.
    Unsigned,
    /// Is not writable.
    ReadOnly,
    /// Is owned by this other program.
    Owner(Address),
    /// Has another discriminator.
    Discriminator(u64),
    /// Has another layout version.
    Version(u8),
    /// Has bytes more or fewer.
    Length(i32),
    /// Has no byte.
    NoData,
    /// Has zero bytes only.
    Zeroed,
    /// Does not exist.
    Absent,
    /// Is the account of this role in the same instruction.
    Twice(Role),
    /// Is another account of its kind: of the admin's other exchange, or otherwise closest to right.
    Sister,
    /// Is another account of its kind, of somebody else.
    Stranger,
    /// Is this program.
    OwnProgram,
    /// Is a sysvar.
    Sysvar,
    /// Is left out.
    Missing,
}

/// What must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// This code of the program.
    Refused(ProgramError),
    /// This error of another program that was called.
    Called(InstructionError),
    /// Nothing is wrong with it.
    Accepted,
}

impl<T: Into<ProgramError>> From<T> for Outcome {
    fn from(error: T) -> Self {
        Self::Refused(error.into())
    }
}

const fn is_own(role: Role) -> bool {
    matches!(role, Role::Exchange | Role::Ledger | Role::Market | Role::MarketRead | Role::Stake | Role::Session)
}

const fn is_blank(role: Role) -> bool {
    matches!(role, Role::BlankLedger | Role::BlankMarket)
}

const fn is_token(role: Role) -> bool {
    matches!(role, Role::Tokens | Role::Vault)
}

const fn is_oracle(role: Role) -> bool {
    matches!(role, Role::Pyth | Role::Switchboard)
}

const fn is_program(role: Role) -> bool {
    matches!(role, Role::System | Role::TokenProgram)
}

/// Roles whose account exists and whose bytes are read.
const fn has_data(role: Role) -> bool {
    is_own(role) || is_blank(role) || is_token(role) || is_oracle(role) || matches!(role, Role::Mint)
}

/// Every way in which the account at `place` can be wrong.
fn mutations(instance: &Instance, place: usize) -> Vec<Mutation> {
    let role = instance.roles[place];
    let meta = &instance.instruction.accounts[place];
    let mut list = vec![Mutation::Missing];
    if meta.is_signer {
        list.push(Mutation::Unsigned);
    }
    if meta.is_writable {
        list.push(Mutation::ReadOnly);
    }
    if has_data(role) {
        list.extend([Mutation::Owner(TOKEN_2022), Mutation::Owner(SYSTEM_PROGRAM), Mutation::Absent, Mutation::NoData]);
        list.extend([-8, -1, 1, 8].map(Mutation::Length));
        let own = if is_own(role) || is_blank(role) { TOKEN_PROGRAM } else { PROGRAM };
        list.push(Mutation::Owner(own));
    }
    if is_own(role) || is_blank(role) {
        let discriminators = [
            EXCHANGE_DISCRIMINATOR,
            LEDGER_DISCRIMINATOR,
            MARKET_DISCRIMINATOR,
            STAKE_DISCRIMINATOR,
            SESSION_DISCRIMINATOR,
            u64::MAX,
        ];
        let own = match role {
            Role::Exchange => EXCHANGE_DISCRIMINATOR,
            Role::Ledger => LEDGER_DISCRIMINATOR,
            Role::Market | Role::MarketRead => MARKET_DISCRIMINATOR,
            Role::Stake => STAKE_DISCRIMINATOR,
            Role::Session => SESSION_DISCRIMINATOR,
            _ => 0,
        };
        list.extend(discriminators.into_iter().chain([0]).filter(|it| *it != own).map(Mutation::Discriminator));
        list.extend([0, 2, 255].into_iter().filter(|it| is_own(role) || *it > 0).map(Mutation::Version));
    }
    if has_data(role) && !is_blank(role) {
        list.push(Mutation::Zeroed);
    }
    list.extend([Mutation::Sister, Mutation::Stranger]);
    if !matches!(role, Role::Signer | Role::Payer) {
        list.extend([Mutation::OwnProgram, Mutation::Sysvar]);
    }
    list.extend(instance.roles.iter().filter(|other| **other != role).map(|other| Mutation::Twice(*other)));
    list
}

/// Another account of the same kind.
fn replacement(world: &World, instance: &Instance, role: Role, sister: bool) -> Address {
    let (desk, bob) = (&world.scene.desk, &world.scene.bob);
    let other = if sister { &world.sister } else { &world.stranger };
    match role {
        Role::Signer | Role::Payer if sister => bob.trader.authority,
        Role::Signer if instance.tag == Tag::CloseTrader => world.scene.alice.trader.authority,
        Role::Signer | Role::Payer => world.carol.trader.authority,
        Role::NewExchange if sister => desk.venue.exchange,
        Role::NewExchange => address::exchange(&PROGRAM, 77),
        Role::BlankLedger | Role::Ledger => other.venue.ledger,
        Role::BlankMarket | Role::Market | Role::MarketRead => other.markets[0].address,
        Role::Stake if sister => address::stake(&PROGRAM, &desk.venue.ledger, &bob.trader.authority),
        Role::Stake => world.foreign_stake,
        Role::NewSession | Role::Session if sister => address::session(&PROGRAM, &desk.venue.ledger, &world.keys[1]),
        Role::NewSession | Role::Session => world.foreign_session,
        Role::Exchange => other.venue.exchange,
        Role::Tokens if sister && instance.tag == Tag::CollectFees => world.scene.alice.tokens,
        Role::Tokens => bob.tokens,
        Role::Vault => other.venue.vault,
        Role::Mint => world.mint,
        Role::Authority => address::vault_authority(&PROGRAM, &other.venue.ledger),
        Role::System => {
            if sister {
                TOKEN_PROGRAM
            } else {
                TOKEN_2022
            }
        }
        Role::TokenProgram => {
            if sister {
                TOKEN_2022
            } else {
                SYSTEM_PROGRAM
            }
        }
        Role::InstructionsSysvar if sister => world.spoofed_sysvar,
        Role::InstructionsSysvar => CLOCK,
        Role::Pyth => other.markets[0].feeds[0],
        Role::Switchboard => other.markets[0].feeds[1],
    }
}

/// Makes the account at `place` wrong.
fn apply(world: &World, instance: &Instance, place: usize, mutation: Mutation, chain: &mut Chain) -> Instruction {
    let mut instruction = instance.instruction.clone();
    let meta = &mut instruction.accounts[place];
    let address = meta.pubkey;
    let role = instance.roles[place];
    match mutation {
        Mutation::Unsigned => meta.is_signer = false,
        Mutation::ReadOnly => meta.is_writable = false,
        Mutation::Owner(owner) => edit_account(chain, address, |account| account.owner = owner),
        Mutation::Discriminator(value) => {
            edit_account(chain, address, |account| account.data[..8].copy_from_slice(&value.to_le_bytes()));
        }
        Mutation::Version(version) => edit_account(chain, address, |account| account.data[8] = version),
        Mutation::Length(change) => edit_account(chain, address, |account| {
            account.data.resize(account.data.len().saturating_add_signed(change as isize), 0);
        }),
        Mutation::NoData => edit_account(chain, address, |account| account.data.clear()),
        Mutation::Zeroed => edit_account(chain, address, |account| account.data.fill(0)),
        Mutation::Absent => edit_account(chain, address, |account| *account = Default::default()),
        Mutation::Twice(other) => {
            let found = instance.roles.iter().position(|role| *role == other).unwrap();
            instruction.accounts[place].pubkey = instance.instruction.accounts[found].pubkey;
        }
        Mutation::Sister => meta.pubkey = replacement(world, instance, role, true),
        Mutation::Stranger => meta.pubkey = replacement(world, instance, role, false),
        Mutation::OwnProgram => meta.pubkey = PROGRAM,
        Mutation::Sysvar => meta.pubkey = CLOCK,
        Mutation::Missing => drop(instruction.accounts.remove(place)),
    }
    instruction
}

/// What must come of an account of `role` in an instruction of kind `tag` that is wrong in this way.
fn rule(tag: Tag, role: Role, mutation: Mutation) -> Outcome {
    match mutation {
        Mutation::Missing => missing(tag, role),
        _ if role == Role::InstructionsSysvar => Refusal::WrongInstructionsSysvar.into(),
        // What can no longer be paid goes back to the trader: nothing that happens to its account stops the queue.
        Mutation::Owner(_) | Mutation::Absent | Mutation::Length(_) | Mutation::NoData | Mutation::Zeroed
            if (tag, role) == (Tag::ProcessWithdrawQueue, Role::Tokens) =>
        {
            Outcome::Accepted
        }
        // An account that is not there is created; one without data that is not the System program's cannot be.
        Mutation::Absent if (tag, role) == (Tag::StakePool, Role::Stake) => Outcome::Accepted,
        Mutation::NoData if (tag, role) == (Tag::StakePool, Role::Stake) => {
            Outcome::Called(InstructionError::Custom(0))
        }
        Mutation::Unsigned => Refusal::SignatureMissing.into(),
        Mutation::ReadOnly => Refusal::NotWritable.into(),
        Mutation::Owner(_) | Mutation::Absent => wrong_owner(role),
        Mutation::Discriminator(_) | Mutation::Version(_) if is_blank(role) => EngineError::AccountNotBlank.into(),
        Mutation::Discriminator(_) => EngineError::AccountType.into(),
        Mutation::Version(_) => EngineError::AccountVersion.into(),
        Mutation::Length(_) | Mutation::NoData => wrong_length(role),
        Mutation::Zeroed if is_own(role) => EngineError::AccountType.into(),
        Mutation::Zeroed => wrong_length(role),
        Mutation::Sister => sister(tag, role),
        Mutation::Stranger => match (tag, role) {
            // Nobody in particular, or only one who may do it to the change that is named.
            (Tag::ExecuteChange | Tag::CancelChange, Role::Exchange) => Refusal::WrongLedger.into(),
            (_, Role::Exchange) if is_administration(tag) && tag != Tag::AcceptRole => Refusal::NotAuthorized.into(),
            (_, Role::Stake | Role::Session) => Refusal::WrongLedger.into(),
            _ => sister(tag, role),
        },
        Mutation::OwnProgram | Mutation::Sysvar => unwritable_stranger(tag, role),
        Mutation::Twice(other) => twice(tag, role, other),
    }
}

/// A missing account is a wrong number of accounts; where the number is not fixed, the next ones move up.
fn missing(tag: Tag, role: Role) -> Outcome {
    match (tag, role) {
        // The ledger in the exchange's place, the market in the ledger's, a price update in the market's.
        (Tag::UpdatePrice, Role::Exchange) => EngineError::AccountSize.into(),
        (Tag::UpdatePrice, Role::Ledger) => Refusal::WrongLedger.into(),
        (Tag::UpdatePrice, Role::MarketRead) => Refusal::WrongAddress.into(),
        // Likewise, with the market in the ledger's.
        (Tag::ExecuteChange, Role::Exchange) => EngineError::AccountSize.into(),
        (Tag::ExecuteChange, Role::Ledger) => Refusal::WrongLedger.into(),
        _ => Refusal::AccountsCount.into(),
    }
}

fn wrong_owner(role: Role) -> Outcome {
    match role {
        Role::Mint => Refusal::WrongMint.into(),
        _ if is_token(role) => Refusal::TokenAccountInvalid.into(),
        // Its authority can close it, and must not stop the market's other sources; here it is needed.
        Role::Switchboard => EngineError::OracleNotTrusted.into(),
        _ if is_oracle(role) => Refusal::OracleWrongOwner.into(),
        _ => Refusal::WrongOwner.into(),
    }
}

fn wrong_length(role: Role) -> Outcome {
    match role {
        Role::Mint => Refusal::WrongMint.into(),
        _ if is_blank(role) => EngineError::CapacityInvalid.into(),
        _ if is_token(role) => Refusal::TokenAccountInvalid.into(),
        Role::Switchboard => EngineError::OracleNotTrusted.into(),
        _ if is_oracle(role) => Refusal::OracleWrongType.into(),
        _ => EngineError::AccountSize.into(),
    }
}

/// Whether an instruction compares the ledger with what the exchange says before it opens it.
const fn ledger_is_bound(tag: Tag) -> bool {
    is_administration(tag) || matches!(tag, Tag::UpdatePrice)
}

/// Whether an instruction is the admin's of an exchange that exists.
const fn is_administration(tag: Tag) -> bool {
    tag.byte() > Tag::CreateExchange.byte() && tag.byte() < Tag::OpenTrader.byte()
}

/// Whether an instruction is about a trader's cash, which the ledger names by its cell.
const fn moves_cash(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::CloseTrader
            | Tag::Deposit
            | Tag::Withdraw
            | Tag::TransferCash
            | Tag::Heartbeat
            | Tag::SetBuilderMax
            | Tag::SetReferrer
            | Tag::SetDelegate
            | Tag::OpenSession
            | Tag::SetFeeMax
            | Tag::SetWithdrawDelay
            | Tag::AllowTarget
            | Tag::StakePool
            | Tag::RequestUnstake
            | Tag::Unstake
            | Tag::FundPool
    )
}

/// Whether an instruction takes a session as one more account: see `sessions.rs`.
const fn takes_session(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::Heartbeat
            | Tag::PlaceOrder
            | Tag::CancelOrder
            | Tag::CancelAll
            | Tag::CancelOrders
            | Tag::CancelByClientId
            | Tag::AmendOrder
            | Tag::ReplaceQuotes
            | Tag::PlaceOrders
            | Tag::PlaceTrigger
            | Tag::CancelTrigger
    )
}

/// Another account of the same kind, sound in itself.
fn sister(tag: Tag, role: Role) -> Outcome {
    match role {
        // Anybody may open an account for itself, in any ledger, and create an exchange.
        Role::Signer | Role::Payer if matches!(tag, Tag::OpenTrader | Tag::CreateExchange) => Outcome::Accepted,
        Role::Ledger if matches!(tag, Tag::OpenTrader | Tag::Sweep) => Outcome::Accepted,
        Role::Signer | Role::Payer => Refusal::NotAuthorized.into(),
        // The same cell is another owner's there.
        Role::Ledger if moves_cash(tag) => Refusal::NotAuthorized.into(),
        // There is no trader in that cell, and the vault is another one.
        Role::Ledger if tag == Tag::AbsorbShortfall => EngineError::TraderNotFound.into(),
        Role::Ledger if tag == Tag::ProcessWithdrawQueue => Refusal::WrongVault.into(),
        Role::MarketRead => Refusal::WrongAddress.into(),
        // Nobody has a ladder there.
        Role::Market if tag == Tag::MoveLadder => EngineError::LadderNotFound.into(),
        Role::Stake | Role::Session => Refusal::NotAuthorized.into(),
        Role::Exchange | Role::Ledger | Role::Market => Refusal::WrongLedger.into(),
        Role::NewExchange | Role::NewSession | Role::Authority | Role::BlankLedger => Refusal::WrongAddress.into(),
        Role::BlankMarket if tag == Tag::ExecuteChange => Refusal::WrongAddress.into(),
        Role::BlankMarket => EngineError::AccountNotBlank.into(),
        Role::Tokens if tag == Tag::Deposit => Outcome::Called(token_error::OWNER_MISMATCH),
        Role::Tokens if tag == Tag::ProcessWithdrawQueue => Refusal::WrongTarget.into(),
        Role::Tokens => Refusal::WrongTokenOwner.into(),
        Role::Vault if tag == Tag::CreateExchange => Refusal::VaultNotExclusive.into(),
        Role::Vault => Refusal::WrongVault.into(),
        Role::Mint => Refusal::WrongMint.into(),
        Role::System => Refusal::WrongSystemProgram.into(),
        Role::TokenProgram => Refusal::WrongTokenProgram.into(),
        Role::InstructionsSysvar => Refusal::WrongInstructionsSysvar.into(),
        Role::Pyth => Refusal::OracleWrongFeed.into(),
        Role::Switchboard => Refusal::OracleWrongAccount.into(),
    }
}

/// An account of no use at all: not ours, not a token account, not an oracle's.
fn useless(tag: Tag, role: Role) -> Outcome {
    match role {
        Role::Ledger if ledger_is_bound(tag) => Refusal::WrongLedger.into(),
        Role::Tokens if tag == Tag::ProcessWithdrawQueue => Refusal::WrongTarget.into(),
        Role::MarketRead => Refusal::WrongAddress.into(),
        Role::Switchboard => Refusal::OracleWrongAccount.into(),
        Role::BlankLedger | Role::NewExchange | Role::NewSession | Role::Authority => Refusal::WrongAddress.into(),
        Role::Vault if tag != Tag::CreateExchange => Refusal::WrongVault.into(),
        Role::BlankMarket if tag == Tag::ExecuteChange => Refusal::WrongAddress.into(),
        _ if is_program(role) => sister(tag, role),
        _ => wrong_owner(role),
    }
}

/// Whether an instruction writes to the exchange.
const fn writes_exchange(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::ListMarket
            | Tag::ProposeChange
            | Tag::ExecuteChange
            | Tag::CancelChange
            | Tag::RotateRole
            | Tag::AcceptRole
    )
}

/// The runtime makes programs that are called, and sysvars, read-only.
fn unwritable_stranger(tag: Tag, role: Role) -> Outcome {
    let checked_first = match role {
        Role::Exchange => writes_exchange(tag),
        Role::Ledger => !ledger_is_bound(tag),
        Role::Vault => tag != Tag::CreateExchange,
        // It is only read, or compared with what was proposed.
        Role::BlankMarket => !matches!(tag, Tag::ProposeChange | Tag::ExecuteChange),
        Role::NewExchange | Role::Market | Role::Tokens | Role::Stake => true,
        Role::NewSession | Role::Session => true,
        _ => false,
    };
    if checked_first { Refusal::NotWritable.into() } else { useless(tag, role) }
}

/// The account of role `other` stands in the place of `role`, too.
fn twice(tag: Tag, role: Role, other: Role) -> Outcome {
    match (role, other) {
        // Where anybody may sign, nothing else would tell.
        _ if matches!(tag, Tag::OpenTrader | Tag::CreateExchange) => Refusal::AccountTwice.into(),
        (Role::Payer, Role::System | Role::InstructionsSysvar) => Refusal::NotWritable.into(),
        (Role::Signer | Role::Payer, _) => Refusal::NotAuthorized.into(),
        (Role::BlankMarket, _) if tag == Tag::ExecuteChange => Refusal::WrongAddress.into(),
        (Role::InstructionsSysvar, _) => Refusal::WrongInstructionsSysvar.into(),
        (_, Role::System | Role::InstructionsSysvar) => unwritable_stranger(tag, role),
        (Role::Exchange, Role::Ledger | Role::BlankMarket | Role::Market | Role::MarketRead) => {
            EngineError::AccountSize.into()
        }
        (Role::Market, Role::Exchange) => Refusal::AccountTwice.into(),
        (Role::Ledger, Role::Market) if tag == Tag::CloseMarket => Refusal::WrongLedger.into(),
        (Role::Ledger, Role::Stake) => EngineError::AccountSize.into(),
        (Role::Stake, Role::Ledger) => Refusal::AccountTwice.into(),
        (Role::Session, Role::Ledger) | (Role::Ledger, Role::Session) => Refusal::AccountTwice.into(),
        // Nothing is there, so it would be created, but not at that address.
        (Role::Stake, Role::Payer) => Refusal::WrongAddress.into(),
        (Role::Market, Role::Ledger) | (Role::Ledger, Role::Market) => Refusal::AccountTwice.into(),
        (Role::BlankMarket, Role::Exchange | Role::Ledger) => Refusal::AccountTwice.into(),
        (Role::Tokens, Role::Vault) => Refusal::AccountTwice.into(),
        (Role::Pyth, Role::Ledger) | (Role::Switchboard, Role::Ledger) => Refusal::AccountTwice.into(),
        _ => useless(tag, role),
    }
}

/// Compares what came of a transaction with what must; says what differs.
fn judge(chain: &mut Chain, instruction: Instruction, expected: &Outcome) -> Result<(), String> {
    let before = Snapshot::of(chain);
    let sent = chain.send(instruction);
    let actual = match &sent {
        Ok(_) => Outcome::Accepted,
        Err(failure) => match (failure.error, &failure.transaction_error) {
            (Some(error), TransactionError::InstructionError(0, _)) => Outcome::Refused(error),
            (None, TransactionError::InstructionError(0, error)) => Outcome::Called(error.clone()),
            (_, error) => return Err(format!("the runtime refused: {error}")),
        },
    };
    if sent.is_err() {
        before.unchanged(chain);
    }
    if actual == *expected { Ok(()) } else { Err(format!("expected {expected:?}, got {actual:?}")) }
}

#[test]
fn every_instance_is_valid() {
    let world = World::new();
    for instance in world.instances() {
        let sent = world.chain().clone().send(instance.instruction);
        assert!(sent.is_ok(), "{}: {}", instance.tag.name(), sent.unwrap_err());
    }
}

#[test]
fn every_account_wrong_in_every_way() {
    let world = World::new();
    let (mut failures, mut cases) = (Vec::new(), BTreeMap::<&str, u32>::new());
    for instance in world.instances() {
        for (place, role) in instance.roles.iter().enumerate() {
            for mutation in mutations(&instance, place) {
                let mut chain = world.chain().clone();
                let instruction = apply(&world, &instance, place, mutation, &mut chain);
                let expected = rule(instance.tag, *role, mutation);
                if let Err(problem) = judge(&mut chain, instruction, &expected) {
                    failures.push(format!("{} {role:?} {mutation:?}: {problem}", instance.tag.name()));
                }
                *cases.entry(instance.tag.name()).or_default() += 1;
            }
        }
    }
    let count: u32 = cases.values().sum();
    println!("{count} cases: {cases:?}");
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= 400);
}

#[test]
fn every_number_of_accounts_but_the_right_one() {
    let world = World::new();
    let mut count = 0;
    for instance in world.instances() {
        let right = instance.roles.len();
        let with_session = if takes_session(instance.tag) { right + 1 } else { right };
        for number in (0..right + 4).filter(|number| *number != right && *number != with_session) {
            let mut chain = world.chain().clone();
            let mut instruction = instance.instruction.clone();
            instruction.accounts.truncate(number);
            for surplus in right..number {
                let address = Address::new_from_array([surplus as u8 + 1; 32]);
                instruction.accounts.push(AccountMeta::new_readonly(address, false));
            }
            let judged = judge(&mut chain, instruction, &Refusal::AccountsCount.into());
            assert_eq!(judged, Ok(()), "{} with {number} accounts", instance.tag.name());
            count += 1;
        }
    }
    println!("{count} cases");
}
