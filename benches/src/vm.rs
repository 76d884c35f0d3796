//! One measured instruction: Mollusk under mainnet's features, checked against LiteSVM.

use anyhow::{Context, Result, bail, ensure};
use litesvm::LiteSVM;
use mollusk_svm::{
    Mollusk,
    program::{ProgramCache, loader_keys},
    result::InstructionResult,
};
use mollusk_svm_programs_token::token;
use quantdesk_client::{
    Address, Tag,
    budget::Budget,
    error::ProgramError,
    instruction::{INSTRUCTIONS_SYSVAR, TOKEN_PROGRAM},
};
use quantdesk_sim::{
    chain::{Chain, PROGRAM, program_file},
    desk::Desk,
};
use solana_account::Account;
use solana_instruction::{Instruction, error::InstructionError};

use std::collections::BTreeSet;

use crate::capacity::{ACCOUNT_OVERHEAD, BUDGET_INSTRUCTION};

/// Bytes in front of a program in its data account, by the upgradeable loader.
const PROGRAM_DATA_HEADER: u64 = 45;

/// Mollusk with the program under test and the token program.
pub struct Vm {
    mainnet: Mollusk,
    every_feature: Mollusk,
    program: Vec<u8>,
    /// Tags of the instructions that were accepted.
    measured: BTreeSet<u8>,
}

impl Vm {
    /// A machine with the features that mainnet has. Fails if the program is not built.
    ///
    /// The token program is the one dumped from mainnet into `mollusk-svm-programs-token`: p-token. LiteSVM brings another
    /// build of it.
    pub fn new() -> Result<Self> {
        let file = program_file();
        let program = std::fs::read(&file)
            .with_context(|| format!("{}: the program is not built; run program/build", file.display()))?;
        let mut mainnet = Mollusk::default();
        mainnet.feature_set = LiteSVM::mainnet_feature_set().runtime_features();
        mainnet.program_cache = ProgramCache::new(&mainnet.feature_set, &mainnet.compute_budget, false);
        let mut every_feature = Mollusk::default();
        // WHY: Mollusk sets a logger up that prints every invocation.
        log::set_max_level(log::LevelFilter::Off);
        for mollusk in [&mut mainnet, &mut every_feature] {
            mollusk.add_program_with_loader_and_elf(&PROGRAM, &loader_keys::LOADER_V3, &program);
            mollusk.add_program_with_loader_and_elf(&TOKEN_PROGRAM, &loader_keys::LOADER_V3, token::ELF);
        }
        Ok(Self { mainnet, every_feature, program, measured: BTreeSet::new() })
    }

    /// Compute units of an instruction that succeeds. Fails if it does not, if LiteSVM uses other units or leaves other
    /// bytes, or if an invariant is broken afterwards.
    pub fn accepted(&mut self, desk: &Desk, instruction: &Instruction) -> Result<u64> {
        let (units, after) = self.both(desk, instruction)?;
        after.check()?;
        Ok(units)
    }

    /// Compute units of an instruction that succeeds right behind another one, which it looks at and which costs nothing of
    /// its own. LiteSVM alone: Mollusk has no transaction to show. Fails if it does not, or if an invariant is broken
    /// afterwards.
    pub fn accepted_behind(&mut self, desk: &Desk, first: &Instruction, instruction: &Instruction) -> Result<u64> {
        let mut after = desk.clone();
        let alone = after.chain.send(first.clone())?.compute_units;
        let both = after.chain.send_all(&[first.clone(), instruction.clone()])?.compute_units;
        after.check()?;
        self.measured.extend(instruction.data.first());
        Ok(both - alone)
    }

    /// The same for one that looks at its transaction without needing another instruction in it. Fails if it does not, or if an
    /// invariant is broken afterwards.
    pub fn accepted_in_sight(&mut self, desk: &Desk, instruction: &Instruction) -> Result<u64> {
        let mut after = desk.clone();
        let units = after.chain.send(instruction.clone())?.compute_units;
        after.check()?;
        self.measured.extend(instruction.data.first());
        Ok(units)
    }

    /// As [`Self::accepted`], for an instruction after which the desk does not know all markets, so that invariants are not
    /// checked.
    pub fn accepted_unchecked(&mut self, desk: &Desk, instruction: &Instruction) -> Result<u64> {
        self.both(desk, instruction).map(|(units, _)| units)
    }

    fn both(&mut self, desk: &Desk, instruction: &Instruction) -> Result<(u64, Desk)> {
        let accounts = accounts(&desk.chain, instruction);
        let executed = execute(&mut self.mainnet, &desk.chain, instruction, &accounts);
        if let Err(error) = executed.raw_result {
            bail!("refused: {}", describe(&error));
        }
        self.measured.extend(instruction.data.first());
        let mut after = desk.clone();
        let alone = send(&mut after.chain, instruction).context("LiteSVM")?;
        ensure!(
            alone == executed.compute_units_consumed,
            "Mollusk uses {} compute units, LiteSVM {alone}",
            executed.compute_units_consumed
        );
        for (address, account) in &executed.resulting_accounts {
            let other = after.chain.account(address).unwrap_or_default();
            let equal = account.data == other.data && account.lamports == other.lamports;
            ensure!(equal, "Mollusk and LiteSVM leave different accounts {address}");
        }
        Ok((executed.compute_units_consumed, after))
    }

    /// Compute units of an instruction that the program refuses with `error`. Fails if it does not.
    pub fn refused(&mut self, desk: &Desk, instruction: &Instruction, error: impl Into<ProgramError>) -> Result<u64> {
        let error = error.into();
        let accounts = accounts(&desk.chain, instruction);
        let executed = execute(&mut self.mainnet, &desk.chain, instruction, &accounts);
        match executed.raw_result {
            Err(InstructionError::Custom(code)) if code == error.code() => Ok(executed.compute_units_consumed),
            Err(other) => bail!("refused with {}, expected {error}", describe(&other)),
            Ok(()) => bail!("accepted, expected {error}"),
        }
    }

    /// Compute units of an instruction with every feature that the runtime knows, active on mainnet or not. Fails if the
    /// instruction does.
    pub fn with_every_feature(&mut self, desk: &Desk, instruction: &Instruction) -> Result<u64> {
        let accounts = accounts(&desk.chain, instruction);
        let executed = execute(&mut self.every_feature, &desk.chain, instruction, &accounts);
        match executed.raw_result {
            Ok(()) => Ok(executed.compute_units_consumed),
            Err(error) => bail!("refused with every feature: {}", describe(&error)),
        }
    }

    /// Instructions that no case measured so far.
    pub fn unmeasured(&self) -> Vec<&'static str> {
        Tag::ALL.iter().filter(|tag| !self.measured.contains(&tag.byte())).map(|tag| tag.name()).collect()
    }

    /// Bytes a transaction with these instructions loads, as the cost model counts them.
    pub fn loaded_bytes(&self, chain: &Chain, payer: &Address, instructions: &[Instruction]) -> u64 {
        let mut keys = vec![*payer];
        for instruction in instructions {
            keys.extend(instruction.accounts.iter().map(|meta| meta.pubkey));
            keys.push(instruction.program_id);
        }
        keys.sort_unstable();
        keys.dedup();
        keys.iter().map(|key| self.loaded_account(chain, key)).sum()
    }

    fn loaded_account(&self, chain: &Chain, key: &Address) -> u64 {
        let data = chain.account(key).map_or(0, |account| account.data.len()) as u64;
        let program = match *key {
            PROGRAM => self.program.len(),
            TOKEN_PROGRAM => token::ELF.len(),
            _ => return ACCOUNT_OVERHEAD + data,
        };
        // A program of the upgradeable loader brings its data account along.
        2 * ACCOUNT_OVERHEAD + data + PROGRAM_DATA_HEADER + program as u64
    }

    /// Version of the instruction set that the program is compiled for, from its ELF header.
    pub fn sbpf_version(&self) -> u32 {
        let flags = self.program.get(48..52).and_then(|bytes| bytes.try_into().ok());
        flags.map_or(0, u32::from_le_bytes)
    }

    /// Bytes of the program.
    pub const fn program_bytes(&self) -> usize {
        self.program.len()
    }
}

/// Executes an instruction on LiteSVM with all the compute units that a transaction may use; returns its own.
fn send(chain: &mut Chain, instruction: &Instruction) -> Result<u64> {
    let budget = Budget { compute_units: 1_400_000, unit_price: 0, loaded_bytes: 32 << 20 }.instructions();
    let sent = chain.send_all(&[&budget[..], std::slice::from_ref(instruction)].concat())?;
    Ok(sent.compute_units - budget.len() as u64 * BUDGET_INSTRUCTION)
}

fn execute(
    mollusk: &mut Mollusk,
    chain: &Chain,
    instruction: &Instruction,
    accounts: &[(Address, Account)],
) -> InstructionResult {
    mollusk.sysvars.clock.slot = chain.slot();
    mollusk.sysvars.clock.unix_timestamp = chain.unix_seconds();
    mollusk.process_instruction(instruction, accounts)
}

/// The accounts an instruction takes, as they are. Those that do not exist yet are empty; the sysvar that shows the
/// transaction is made by the runtime.
fn accounts(chain: &Chain, instruction: &Instruction) -> Vec<(Address, Account)> {
    let account = |key: &Address| (*key, chain.account(key).unwrap_or_default());
    let keys = instruction.accounts.iter().map(|meta| &meta.pubkey);
    keys.filter(|key| **key != INSTRUCTIONS_SYSVAR).map(account).collect()
}

fn describe(error: &InstructionError) -> String {
    match error {
        InstructionError::Custom(code) => {
            ProgramError::from_code(*code).map_or_else(|| format!("custom error {code}"), |error| error.to_string())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mollusk_alone_would_not_be_mainnet() {
        let (mainnet, every) = (LiteSVM::mainnet_feature_set().runtime_features(), Mollusk::default().feature_set);
        assert!(every.account_data_direct_mapping && !mainnet.account_data_direct_mapping);
        assert!(every.virtual_address_space_adjustments && !mainnet.virtual_address_space_adjustments);
    }
}
