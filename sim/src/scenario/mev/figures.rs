//! What a run shows, in figures.

use super::{
    block::Play,
    stage::Stage,
    stats::{Mean, quantile},
    takers::Done,
    tape::{ROLES, place_of},
};
use crate::{
    floor::{Role, dollars},
    scenario::{self, Outcome, outcome::Story},
};
use anyhow::Result;

/// Slots of a round: what attackers earn is averaged over rounds, long enough for them to be rid of what they took.
pub const ROUND_SLOTS: usize = 50;
/// Slots after a fill at which its price is compared with the fair price.
pub const HORIZONS: [usize; 4] = [0, 1, 5, 25];

/// A finished run.
pub struct Figures {
    /// By slot, what each role has earned so far, in atoms.
    pub earned: Vec<[i128; ROLES.len()]>,
    /// What each role gained, and what that consists of.
    pub gains: [Gain; ROLES.len()],
    /// What each role gained in a round, in dollars.
    pub rounds: [Mean; ROLES.len()],
    /// Attacks of each role.
    pub attacks: [u64; ROLES.len()],
    /// What takers' orders cost.
    pub costs: Costs,
    /// How makers fared, by who took their quotes.
    pub markouts: Vec<Markout>,
    /// The rest of the report.
    pub outcome: Outcome,
}

/// What a role gained over a run, in dollars. The three parts add up to the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gain {
    /// Equity at the fair price, less deposits.
    pub whole: f64,
    /// Against the fair price of the slot, fill by fill.
    pub traded: f64,
    /// Fees, negative if paid.
    pub fees: f64,
    /// What positions gained or lost while held.
    pub held: f64,
}

/// What became of the takers' orders.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    /// Orders that were filled whole, in part, and not at all.
    pub orders: [u64; 3],
    /// Filled beyond their limit.
    pub beyond_limit: u64,
    /// Paid beyond what the book showed, in basis points, of every order filled at all, ascending.
    pub paid: Vec<f64>,
    /// Mean of it.
    pub raw: Mean,
    /// Mean of the same, less what the fair price moved.
    pub adjusted: Mean,
    /// Atoms by which all of them together paid more.
    pub dollars: f64,
}

/// How makers fared with the takers of a role: fair price some slots later against the price of the fill, in basis points
/// of the value; positive if the maker gained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Markout {
    /// Who took.
    pub taker: Role,
    /// Dollars.
    pub value: f64,
    /// One for each of [`HORIZONS`].
    pub gains: [f64; HORIZONS.len()],
}

impl Figures {
    /// Ends a run, which lets everybody leave with what is theirs.
    pub fn close(play: Play, story: Story) -> Result<Self> {
        let Play { stage, takers, attackers, .. } = play;
        let mut attacks = [0; ROLES.len()];
        for (role, attack) in attackers
            .iter()
            .flat_map(|both| [(Role::Searcher, both.searcher.attacks), (Role::Sniper, both.sniper.attacks)])
        {
            if let Some(count) = place_of(role).and_then(|place| attacks.get_mut(place)) {
                *count = attack;
            }
        }
        Ok(Self {
            gains: gains(&stage),
            rounds: rounds(&stage.tape.earned),
            attacks,
            costs: Costs::of(&takers.done),
            markouts: markouts(&stage),
            earned: stage.tape.earned,
            outcome: scenario::outcome::close(stage.driver, story)?,
        })
    }

    /// Mean gain of a role in a round.
    pub fn round_of(&self, role: Role) -> Mean {
        place_of(role).and_then(|place| self.rounds.get(place)).copied().unwrap_or_default()
    }
}

fn gains(stage: &Stage) -> [Gain; ROLES.len()] {
    let mut gains = [Gain::default(); ROLES.len()];
    let whole = stage.tape.earned.last().copied().unwrap_or_default();
    for (gain, whole) in gains.iter_mut().zip(whole) {
        gain.whole = dollars(whole);
    }
    let accounts = &stage.driver.floor.accounts;
    let place = |account: usize| accounts.get(account).and_then(|account| place_of(account.role));
    for fill in &stage.tape.fills {
        let gained = fill.maker_gain(stage.fair.at(fill.slot), stage.tick_size()) / 1e6;
        for (account, gained) in [(fill.maker, gained), (fill.taker, -gained)] {
            if let Some(gain) = place(account).and_then(|place| gains.get_mut(place)) {
                gain.traded += gained;
            }
        }
    }
    for (number, account) in accounts.iter().enumerate() {
        if let Some(gain) = place(number).and_then(|place| gains.get_mut(place)) {
            gain.fees -= dollars(account.fees.into());
        }
    }
    for gain in &mut gains {
        gain.held = gain.whole - gain.traded - gain.fees;
    }
    gains
}

fn rounds(earned: &[[i128; ROLES.len()]]) -> [Mean; ROLES.len()] {
    let ends: Vec<_> = earned.chunks_exact(ROUND_SLOTS).filter_map(|round| round.last()).collect();
    std::array::from_fn(|role| {
        let at = |end: &[i128; ROLES.len()]| end.get(role).copied().unwrap_or(0);
        let mut before = 0;
        let gained = ends.iter().map(|end| {
            let gained = at(end) - before;
            before = at(end);
            dollars(gained)
        });
        Mean::of(&gained.collect::<Vec<_>>())
    })
}

fn markouts(stage: &Stage) -> Vec<Markout> {
    let accounts = &stage.driver.floor.accounts;
    let role = |account: usize| accounts.get(account).map(|account| account.role);
    let mut rows = Vec::new();
    for taker in [Role::Taker, Role::Searcher, Role::Sniper] {
        let fills = || {
            let of_maker = |fill: &&super::tape::Fill| role(fill.maker) == Some(Role::Maker);
            stage.tape.fills.iter().filter(of_maker).filter(|fill| role(fill.taker) == Some(taker))
        };
        let value: f64 = fills().map(super::tape::Fill::value).sum();
        if value > 0.0 {
            let gains = HORIZONS.map(|later| {
                let gained =
                    |fill: &super::tape::Fill| fill.maker_gain(stage.fair.at(fill.slot + later), stage.tick_size());
                fills().map(gained).sum::<f64>() / value * 1e4
            });
            rows.push(Markout { taker, value: value / 1e6, gains });
        }
    }
    rows
}

impl Costs {
    fn of(done: &[Done]) -> Self {
        let mut costs = Self::default();
        let mut adjusted = Vec::new();
        for order in done {
            let kind = if order.filled >= 1.0 { 0 } else { 1 + usize::from(order.filled <= 0.0) };
            costs.orders[kind] += 1;
            costs.beyond_limit += u64::from(order.beyond_limit);
            if order.filled > 0.0 {
                costs.paid.push(order.cost);
                adjusted.push(order.adjusted);
                costs.dollars += order.value * order.cost / 1e4 / 1e6;
            }
        }
        costs.raw = Mean::of(&costs.paid);
        costs.adjusted = Mean::of(&adjusted);
        costs.paid.sort_by(f64::total_cmp);
        costs
    }

    /// Cost that this share of the orders do not exceed, in basis points.
    pub fn quantile(&self, share: f64) -> f64 {
        quantile(&self.paid, share)
    }
}
