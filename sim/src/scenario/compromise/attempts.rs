//! What a thief tries, what the program answers, and whether that is the answer it should be.

use crate::{chain::Failure, floor::Floor};
use anyhow::Result;
use solana_instruction::Instruction;
use std::collections::BTreeMap;

/// What the program answers to what it does.
pub const DONE: &str = "done";

/// One kind of attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What is tried.
    pub what: &'static str,
    /// What may come of it: [`DONE`], or the name of an error.
    pub allowed: &'static [&'static str],
    /// How often what came of it.
    pub answers: BTreeMap<String, u64>,
}

/// Everything a thief tried.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    list: Vec<Attempt>,
}

impl Attempt {
    /// How often it was tried.
    pub fn tries(&self) -> u64 {
        self.answers.values().sum()
    }

    /// How often the answer was one that it should not be.
    pub fn wrong(&self) -> u64 {
        let wrong = |answer: &str| !self.allowed.contains(&answer);
        self.answers.iter().filter(|(answer, _)| wrong(answer)).map(|(_, times)| times).sum()
    }
}

impl Attempts {
    /// Every kind, in the order of first tries.
    pub fn list(&self) -> &[Attempt] {
        &self.list
    }

    /// Sends a transaction. True if it succeeded.
    pub fn send(
        &mut self,
        floor: &mut Floor,
        what: &'static str,
        allowed: &'static [&'static str],
        instructions: &[Instruction],
    ) -> Result<bool> {
        let answer = answer(floor.desk.chain.send_all(instructions).err());
        let succeeded = answer == DONE;
        floor.check()?;
        self.note(what, allowed, answer);
        Ok(succeeded)
    }

    fn note(&mut self, what: &'static str, allowed: &'static [&'static str], answer: String) {
        let place = self.list.iter().position(|attempt| attempt.what == what).unwrap_or_else(|| {
            self.list.push(Attempt { what, allowed, answers: BTreeMap::new() });
            self.list.len() - 1
        });
        *self.list[place].answers.entry(answer).or_default() += 1;
    }
}

fn answer(failure: Option<Failure>) -> String {
    match failure {
        None => DONE.into(),
        Some(Failure { error: Some(error), .. }) => error.name().into(),
        Some(failure) => failure.to_string(),
    }
}
