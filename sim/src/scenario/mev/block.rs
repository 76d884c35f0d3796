//! A run, slot by slot. Attackers pay for their places: the head of the block, and those around a victim's order. Everybody
//! else comes in random order.

use super::{
    Case,
    fair::Fair,
    makers::{self, Maker},
    searcher::Searcher,
    sniper::Sniper,
    stage::Stage,
    takers::{Signed, Takers},
};
use crate::scenario::Options;
use anyhow::Result;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// First of the streams that blocks are shuffled with, one for each slot; those below are others'.
const STREAMS: u64 = 16;
/// The oracles are read in every second slot.
const ORACLE_SLOTS: usize = 2;
/// A point of the price chart every n-th slot.
const SAMPLE_SLOTS: usize = 5;

/// Who attacks.
#[derive(Debug)]
pub struct Attackers {
    /// Of takers.
    pub searcher: Searcher,
    /// Of makers.
    pub sniper: Sniper,
}

/// Everybody on the stage.
pub struct Play {
    pub stage: Stage,
    pub takers: Takers,
    pub attackers: Option<Attackers>,
    makers: Vec<Maker>,
    seed: u64,
}

/// Something that comes at a random place in a block.
enum Turn {
    Oracle,
    Keeper,
    Maker(usize),
    Taker(Box<Signed>),
}

impl Play {
    /// Everybody enters.
    pub fn new(options: &Options, fair: Fair, delay: u8, case: Case) -> Result<Self> {
        let mut stage = Stage::new(options, fair, delay)?;
        let makers = makers::employ(&mut stage, case == Case::Delayed)?;
        let takers = Takers::employ(&mut stage, options.seed)?;
        let attackers = if case.is_attacked() {
            Some(Attackers { searcher: Searcher::employ(&mut stage)?, sniper: Sniper::employ(&mut stage)? })
        } else {
            None
        };
        Ok(Self { stage, takers, attackers, makers, seed: options.seed })
    }

    /// One block.
    pub fn slot(&mut self) -> Result<()> {
        self.stage.next_slot();
        if let Some(attackers) = &mut self.attackers {
            attackers.searcher.spring(&mut self.stage)?;
            attackers.sniper.snipe(&mut self.stage)?;
        }
        for turn in self.turns() {
            self.take_turn(turn)?;
        }
        if let Some(attackers) = &mut self.attackers {
            attackers.searcher.unwind(&mut self.stage)?;
            attackers.sniper.unwind(&mut self.stage)?;
        }
        self.takers.close(&self.stage)?;
        self.takers.sign(&self.stage)?;
        for maker in &mut self.makers {
            maker.see(&self.stage)?;
        }
        if self.stage.slot.is_multiple_of(SAMPLE_SLOTS) {
            self.stage.driver.sample()?;
        }
        self.stage.end_slot()
    }

    /// Lets the last orders in the queue run.
    pub fn finish(&mut self) -> Result<()> {
        self.takers.pending.clear();
        while !self.stage.waiting()?.is_empty() {
            self.stage.next_slot();
            self.stage.run_delayed(usize::MAX)?;
            self.takers.close(&self.stage)?;
            self.stage.end_slot()?;
        }
        Ok(())
    }

    fn turns(&mut self) -> Vec<Turn> {
        let mut turns: Vec<_> = (0..self.makers.len()).map(Turn::Maker).collect();
        if self.stage.slot.is_multiple_of(ORACLE_SLOTS) {
            turns.push(Turn::Oracle);
        }
        if self.stage.delays() {
            turns.push(Turn::Keeper);
        }
        turns.extend(std::mem::take(&mut self.takers.pending).into_iter().map(|signed| Turn::Taker(Box::new(signed))));
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(STREAMS + self.stage.slot as u64);
        turns.shuffle(&mut rng);
        turns
    }

    fn take_turn(&mut self, turn: Turn) -> Result<()> {
        match (turn, &mut self.attackers) {
            (Turn::Oracle, _) => self.stage.update_price(),
            (Turn::Keeper, _) => {
                let due = self.stage.due()?.len();
                self.stage.run_delayed(due)
            }
            (Turn::Maker(number), _) => self.makers[number].act(&mut self.stage),
            (Turn::Taker(signed), Some(attackers)) => {
                attackers.searcher.escort(&mut self.stage, &mut self.takers, *signed)
            }
            (Turn::Taker(signed), None) => self.takers.land(&mut self.stage, *signed),
        }
    }
}
