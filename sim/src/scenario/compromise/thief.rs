//! Who holds a stolen key: what it has tried, and what it has got.

use super::{
    Case,
    admin::Admin,
    attempts::Attempts,
    guardian::Guardian,
    session::Session,
    stage::{MARKET, Stage},
};
use crate::floor::{Floor, WALLET_ATOMS};
use anyhow::{Context, Result};
use quantdesk_client::{
    Address,
    engine::{
        CellIndex, QuoteAtoms,
        governance::{
            Delays,
            parameter::{RULES, Tighter, Values},
        },
        state::Exchange,
    },
    instruction::{SYSTEM_PROGRAM, Trader},
    view::AccountBytes,
};
use solana_instruction::{AccountMeta, Instruction};
use std::ops::Range;

/// Bytes of a nonce account, and the System program's instructions that make and advance one.
const NONCE_SIZE: usize = 80;
const NONCE_STORED: Range<usize> = 40..72;
const ADVANCE_NONCE: u32 = 4;
const INITIALIZE_NONCE: u32 = 6;
/// Sysvars that these want.
const RENT: Address = Address::from_str_const("SysvarRent111111111111111111111111111111111");
const RECENT_BLOCKHASHES: Address = Address::from_str_const("SysvarRecentB1ockHashes11111111111111111111");

/// What was in force when the key was stolen.
pub struct Before {
    /// Parameters of market and exchange.
    pub values: Values,
    /// Everything the ledger owed.
    pub total: i64,
    /// Liquidations and take-overs so far.
    pub liquidated: u64,
}

/// The thief.
pub struct Thief {
    pub attempts: Attempts,
    pub before: Before,
    /// When something that it proposed took effect, in unix seconds.
    pub loosened_at: Option<i64>,
    /// What was looser than in the beginning, though nothing was due.
    pub loosened: Vec<String>,
    /// Its own trading account.
    account: usize,
    /// A token account of its own, empty in the beginning.
    loot: Address,
    plan: Plan,
}

enum Plan {
    Nothing,
    Admin(Admin),
    Guardian(Guardian),
    Session(Session),
}

impl Thief {
    /// Steals the key.
    pub fn new(case: Case, stage: &mut Stage) -> Result<Self> {
        let floor = &mut stage.driver.floor;
        let owner = floor.accounts[stage.thief].trader.authority;
        let loot = floor.desk.fund(&owner, 0)?;
        let plan = match case {
            Case::Nobody => Plan::Nothing,
            Case::Admin => Plan::Admin(Admin::new(true, stage)?),
            Case::Leaving => Plan::Admin(Admin::new(false, stage)?),
            Case::Guardian => Plan::Guardian(Guardian::new(stage)?),
            Case::Session => Plan::Session(Session::new(stage)?),
        };
        let floor = &stage.driver.floor;
        let header = floor.desk.ledger_view()?.header;
        let (total, ladder) = (header.total.get().get(), &floor.journal.ladder);
        let liquidated = ladder.liquidated.times + ladder.taken_over.times;
        let before = Before { values: values(floor)?, total, liquidated };
        let account = stage.thief;
        Ok(Self { attempts: Attempts::default(), before, loosened_at: None, loosened: Vec::new(), account, loot, plan })
    }

    /// Tries everything there is to try now.
    pub fn act(&mut self, stage: &mut Stage, passed: i64) -> Result<()> {
        if self.loosened_at.is_none() {
            self.compare(&stage.driver.floor)?;
        }
        let log = &mut self.attempts;
        match &mut self.plan {
            Plan::Nothing => {}
            Plan::Admin(admin) => {
                if admin.act(stage, log, self.loot, passed)? {
                    self.loosened_at.get_or_insert(stage.unix_seconds());
                }
            }
            Plan::Guardian(guardian) => guardian.act(stage, log, self.loot)?,
            Plan::Session(session) => session.act(stage, log, passed)?,
        }
        Ok(())
    }

    /// Does what pays from one step to the next.
    pub fn hunt(&mut self, floor: &mut Floor) -> Result<()> {
        if let Plan::Admin(admin) = &mut self.plan { admin.hunt(floor) } else { Ok(()) }
    }

    /// Finds what is looser than it was.
    fn compare(&mut self, floor: &Floor) -> Result<()> {
        let (before, now) = (&self.before.values, values(floor)?);
        for rule in RULES {
            let (was, is) = (before.read(rule.parameter), now.read(rule.parameter));
            let held = match rule.tighter {
                Tighter::Down => is <= was,
                Tighter::Up => is >= was,
                Tighter::Neither => is == was,
            };
            if !held {
                self.loosened.push(rule.name.into());
            }
        }
        let tiers = |values: &Values| values.row.tiers().iter().map(|tier| tier.rate.get()).collect::<Vec<_>>();
        let lower = tiers(before).iter().zip(tiers(&now)).any(|(was, is)| is < *was);
        if lower || now.row.maintenance < before.row.maintenance {
            self.loosened.push("margin".into());
        }
        if now.policy.fees != before.policy.fees {
            self.loosened.push("fees".into());
        }
        Ok(())
    }

    /// What it has more than it brought, in atoms: in its wallets and in its trading account.
    pub fn gain(&self, stage: &Stage) -> Result<i128> {
        let floor = &stage.driver.floor;
        let tokens = |address: &Address| floor.desk.chain.tokens(address).map(i128::from);
        let outside = tokens(&floor.accounts[self.account].wallet)? + tokens(&self.loot)? - i128::from(WALLET_ATOMS);
        Ok(outside + i128::from(floor.maintenance(self.account)?.equity.get()))
    }

    /// The session's victim: see [`Session::lost`].
    pub fn victim(&self) -> Option<(i128, u64)> {
        match &self.plan {
            Plan::Session(session) => Some(session.lost()),
            _ => None,
        }
    }
}

/// What is in force.
pub fn values(floor: &Floor) -> Result<Values> {
    let delays: Delays = exchange(floor)?.delays;
    let policy = floor.desk.ledger_view()?.header.policy;
    Ok(Values { row: *floor.row(MARKET)?, policy, delays, taker_delay: None })
}

/// The exchange account.
pub fn exchange(floor: &Floor) -> Result<Exchange> {
    let bytes = AccountBytes::new(floor.desk.chain.bytes(&floor.desk.venue.exchange)?);
    Exchange::load(bytes.as_slice()).copied().map_err(crate::floor::engine)
}

/// Takes cash out of a customer's account with a key that is not the customer's.
pub fn rob(floor: &Floor, victim: usize, key: Address, loot: Address) -> Instruction {
    let Trader { cell, generation, .. } = floor.accounts[victim].trader;
    let trader = Trader { authority: key, cell, generation };
    floor.desk.venue.withdraw(&trader, loot, QuoteAtoms::new(1_000_000))
}

/// Whoever has most.
pub fn richest(floor: &Floor) -> Result<usize> {
    let view = floor.desk.ledger_view()?;
    let cash = |cell: CellIndex| view.trader(cell).map_or(0, |trader| trader.cash.get().get());
    let open = floor.open_accounts().into_iter();
    let accounts = open.filter(|account| floor.accounts[*account].role != crate::floor::Role::Thief);
    Ok(accounts.max_by_key(|account| cash(floor.accounts[*account].trader.cell)).unwrap_or(0))
}

/// A durable nonce of somebody's: what makes a transaction one that may have been signed long ago.
#[derive(Clone, Copy, Debug)]
pub struct Nonce {
    account: Address,
    key: Address,
}

impl Nonce {
    /// One of `key`.
    pub fn new(floor: &mut Floor, key: Address) -> Result<Self> {
        let account = floor.desk.name(b"nonce");
        floor.desk.chain.create_account(account, NONCE_SIZE, SYSTEM_PROGRAM)?;
        let accounts = vec![AccountMeta::new(account, false), read_only(RECENT_BLOCKHASHES), read_only(RENT)];
        let data = [&INITIALIZE_NONCE.to_le_bytes(), &key.as_array()[..]].concat();
        floor.desk.chain.send(Instruction { program_id: SYSTEM_PROGRAM, accounts, data })?;
        Ok(Self { account, key })
    }

    /// Tries an instruction in a transaction that names the nonce in place of a recent blockhash.
    pub fn send(&self, floor: &mut Floor, log: &mut Attempts, what: &'static str, signed: Instruction) -> Result<()> {
        let key = AccountMeta::new_readonly(self.key, true);
        let accounts = vec![AccountMeta::new(self.account, false), read_only(RECENT_BLOCKHASHES), key];
        let data = ADVANCE_NONCE.to_le_bytes().to_vec();
        let advance = Instruction { program_id: SYSTEM_PROGRAM, accounts, data };
        let stored = floor.desk.chain.bytes(&self.account)?.get(NONCE_STORED).context("a nonce")?.try_into()?;
        floor.desk.chain.set_blockhash(stored);
        log.send(floor, what, &["DurableNonce"], &[advance, signed])?;
        floor.desk.chain.set_blockhash([0; 32]);
        Ok(())
    }
}

const fn read_only(address: Address) -> AccountMeta {
    AccountMeta { pubkey: address, is_signer: false, is_writable: false }
}
