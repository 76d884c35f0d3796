//! Random proposals, executions, cancellations and waiting.

use super::{DAY, Desk, listing, support::random::Random};
use bytemuck::bytes_of;
use quantdesk_engine::{
    EngineError, MarketIndex, Ppm, QuoteAtoms,
    governance::{
        change::{Kind, Proposal, SourcesParameters},
        parameter::{Class, Parameter, RULES, Rule, Scope, Tighter, Values},
        queue::{CHANGES_MAX, Change, LAPSE_SECONDS, NO_MARKET},
    },
    risk::{
        life::{self, MarginParameters},
        listing::{TierParameters, check_row},
        margin,
    },
    state::{
        Key, MarketRow, OracleSource,
        fees::{FeeSchedule, FeeTier},
        row::TIERS_MAX,
    },
};

/// What the whole exchange looked like before a step.
struct Before {
    values: Vec<Values>,
    entries: [Change; CHANGES_MAX],
    proposed: u64,
}

fn approved(values: &Values, parameter: Parameter) -> Option<i64> {
    let of = |a: u64, b: u64| Some(a.max(b) as i64);
    match parameter {
        Parameter::PositionMax => of(values.row.position_max.get(), values.row.position_approved.get()),
        Parameter::OpenInterestMax => of(values.row.open_interest_max.get(), values.row.interest_approved.get()),
        _ => None,
    }
}

/// The rule, stated plainly: how far one change may lead from what is in force.
fn is_in_reach(rule: &Rule, before: &Values, old: i64, new: i64) -> bool {
    let approved = approved(before, rule.parameter);
    if approved.is_some_and(|approved| new <= approved) {
        return true;
    }
    let base = i128::from(approved.unwrap_or(old));
    let share = base.abs() * i128::from(rule.step.get()) / 1_000_000;
    (i128::from(new) - base).abs() <= share.max(i128::from(rule.step_least))
}

struct Run {
    desk: Desk,
    random: Random,
    executed: u32,
    at_once: u32,
    refused: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let random = Random::new(seed);
        Self { desk: Desk::new(&listing::all()), random, executed: 0, at_once: 0, refused: 0 }
    }

    fn before(&self) -> Before {
        let values = (0..3).map(|market| self.desk.values(market)).collect();
        Before { values, entries: self.desk.queue().entries, proposed: self.desk.queue().proposed }
    }

    /// A value that is near what is in force, at a limit, or anything.
    fn value(&mut self, rule: &Rule, market: usize) -> i64 {
        let present = self.desk.values(market).read(rule.parameter).unwrap_or(1);
        let share = (i128::from(present).abs() * i128::from(rule.step.get()) / 1_000_000) as i64;
        let step = share.max(rule.step_least);
        let far = 1 + self.random.below(step.unsigned_abs().max(1) + 2) as i64;
        let any = self.random.next() as i64;
        let edges = [rule.min, rule.max, rule.min - 1, rule.max.saturating_add(1), any, 0, i64::MIN, i64::MAX];
        let near = [present + far.min(1 << 61), present.saturating_sub(far), present + step, present - step];
        match self.random.below(8) {
            0 => self.random.pick(&edges),
            _ => self.random.pick(&near),
        }
    }

    fn margin(&mut self, market: u16) -> MarginParameters {
        let row = self.desk.row(usize::from(market));
        let scale = 1_000_000 - 260_000 + self.random.below(520_000);
        let mut tiers = [TierParameters::new(QuoteAtoms::ZERO, Ppm::ZERO); TIERS_MAX];
        for (place, tier) in tiers.iter_mut().zip(row.tiers()) {
            let own = if self.random.below(4) == 0 { scale } else { 1_000_000 + self.random.below(200_000) };
            let rate = (u64::from(tier.rate.get()) * own / 1_000_000).min(1_000_000) as u32;
            *place = TierParameters::new(tier.notional_max, Ppm::new(rate));
        }
        let share = u64::from(row.maintenance.get()) * (900_000 + self.random.below(300_000)) / 1_000_000;
        let ramp = 86_400 * (1 + self.random.below(3)) as u32;
        MarginParameters::new(MarketIndex::new(market), Ppm::new(share as u32), ramp, tiers, row.tiers().len() as u8)
    }

    fn propose(&mut self) {
        let market = self.random.below(3) as u16;
        let index = MarketIndex::new(market);
        let done = match self.random.below(20) {
            0 => {
                let wanted = self.margin(market);
                self.desk.propose_bytes(&Proposal::of(Kind::Margin, index), Key::ZERO, bytes_of(&wanted))
            }
            1 => {
                let tier = FeeTier::new(QuoteAtoms::new(1), Ppm::new(self.random.below(1_100_000) as u32));
                let tiers = [tier, FeeTier::UNUSED, FeeTier::UNUSED, FeeTier::UNUSED];
                let wanted = FeeSchedule::new(tiers, Ppm::new(self.random.below(600_000) as u32));
                self.desk.propose_bytes(&Proposal::of(Kind::Fees, NO_MARKET), Key::ZERO, bytes_of(&wanted))
            }
            2 => {
                let many = self.random.below(4) as u8 + 1;
                let sources: Vec<_> = (0..many).map(|it| OracleSource::pyth(Key::new(&[it + 1; 32]))).collect();
                let wanted = SourcesParameters::new(&sources, self.random.below(5) as u8);
                self.desk.propose_bytes(&Proposal::of(Kind::Sources, index), Key::ZERO, bytes_of(&wanted))
            }
            3 => self.desk.propose_bytes(&Proposal::of(Kind::Reopening, index), Key::ZERO, &[]),
            _ => {
                let rule = RULES[self.random.below(RULES.len() as u64) as usize];
                let value = self.value(&rule, usize::from(market));
                let about = if rule.scope == Scope::Market { index } else { NO_MARKET };
                self.desk.propose_bytes(&Proposal::value(rule.parameter, about, value), Key::ZERO, &[])
            }
        };
        match done.unwrap() {
            Ok(_) => {}
            Err(_) => self.refused += 1,
        }
    }

    fn execute(&mut self) {
        let number = 1 + self.random.below(self.desk.queue().proposed + 1);
        // Or one of those that wait.
        let waiting: Vec<u64> = self.desk.queue().entries.iter().map(|it| it.number).filter(|it| *it > 0).collect();
        let number = if waiting.is_empty() { number } else { self.random.pick(&waiting) };
        let needed = self.desk.act(|governed| governed.needed_market(number));
        // The delay of takers is tested by itself.
        if needed.is_ok_and(|needed| needed.is_some()) {
            return self.desk.cancel(number).unwrap();
        }
        match self.desk.execute(number) {
            Ok(()) => self.executed += 1,
            Err(error) => assert_ne!(error, EngineError::Corrupt),
        }
    }

    fn step(&mut self) {
        let before = self.before();
        match self.random.below(10) {
            0..=3 => self.propose(),
            4..=6 => self.execute(),
            7 => {
                let cancelled = self.desk.cancel(1 + self.random.below(before.proposed + 1));
                assert!(matches!(cancelled, Ok(()) | Err(EngineError::ChangeNotFound)));
            }
            8 => {
                let status = 1 + self.random.below(2) as u8;
                let market = MarketIndex::new(self.random.below(3) as u16);
                let set = self.desk.world.ledger(|ledger, now| {
                    quantdesk_engine::governance::change::set_status(ledger, now, market, status)
                });
                self.refused += u32::from(set.is_err());
            }
            _ => {
                let seconds = self.random.pick(&[1, 3_600, DAY, 3 * DAY, 9 * DAY]);
                self.desk.world.pass(seconds);
            }
        }
        self.compare(&before);
    }

    /// What has changed was allowed to, and only now.
    fn compare(&mut self, before: &Before) {
        let gone = before.entries.iter().filter(|old| !self.desk.queue().entries.contains(old) && old.number > 0);
        let gone: Vec<Change> = gone.copied().collect();
        let now = self.desk.world.now.unix_seconds;
        for (market, old) in before.values.iter().enumerate() {
            let new = self.desk.values(market);
            for rule in RULES {
                let (Some(from), Some(to)) = (old.read(rule.parameter), new.read(rule.parameter)) else { continue };
                assert!(to >= rule.min && to <= rule.max, "{} is {to}", rule.name);
                let by_sources = gone.iter().any(|it| it.kind == Kind::Sources.byte());
                if from == to || (rule.parameter == Parameter::SourcesMin && by_sources) {
                    continue;
                }
                let tightens = match rule.tighter {
                    Tighter::Down => to < from,
                    Tighter::Up => to > from,
                    Tighter::Neither => false,
                };
                assert_ne!((rule.class, tightens), (Class::Never, false), "{} shrinks", rule.name);
                assert!(tightens && rule.tighter == Tighter::Down || is_in_reach(rule, old, from, to), "{}", rule.name);
                if tightens {
                    self.at_once += 1;
                    continue;
                }
                let delays = old.delays;
                let delay = if rule.class == Class::Critical { delays.critical } else { delays.loosening };
                let change = gone.iter().find(|it| it.parameter == rule.parameter.byte()).expect("it waited");
                assert!(now.since(change.proposed_at) >= u64::from(delay), "{} too early", rule.name);
                assert!(now <= change.lapses_at, "{} too late", rule.name);
            }
            self.compare_margin(&old.row, &new.row, &gone);
            check_row(&new.row, listing::DECIMALS).unwrap();
            assert!(new.row.position_max <= new.row.position_approved);
            assert!(new.row.position_approved >= old.row.position_approved);
            let reopened = old.row.status() != new.row.status() && new.row.is_active();
            assert!(!reopened || gone.iter().any(|it| it.kind == Kind::Reopening.byte()), "opened only by the queue");
        }
        let policy = self.desk.world.view().header.policy;
        assert!(self.desk.exchange.delays.let_everybody_leave(&policy));
        assert!(self.desk.queue().proposed - before.proposed <= 1, "numbers have no gap");
        for waiting in self.desk.queue().entries.iter().filter(|it| it.number > before.proposed) {
            assert_eq!(waiting.number, self.desk.queue().proposed);
            let least = u64::from(LAPSE_SECONDS) + 86_400;
            assert!(waiting.lapses_at.since(waiting.proposed_at) >= least, "nothing that waits waits less than a day");
        }
        self.desk.check_queue();
        self.desk.world.check().unwrap();
    }

    fn compare_margin(&mut self, old: &MarketRow, new: &MarketRow, gone: &[Change]) {
        if old.tiers() == new.tiers() && old.maintenance == new.maintenance {
            return;
        }
        let waited = gone.iter().any(|it| it.kind == Kind::Margin.byte());
        assert!(self.desk.world.now.unix_seconds >= old.ramp_end, "one ramp at a time");
        for power in 0..44 {
            let notional = QuoteAtoms::new(1 << power);
            let [was, is] = [old, new].map(|row| margin::tier(row, notional).unwrap().get());
            assert!(waited || is >= was, "what lowers margin waits");
            assert!(is <= was + was / 4 + 7 && was <= is + is / 4 + 7, "at most a quarter: {was} and {is}");
            // What is open needs no more on the day, but for an atom a tier.
            let share = |row: &MarketRow| {
                let share = life::maintenance_at(row, self.desk.world.now.unix_seconds).unwrap();
                margin::tier(row, notional).unwrap().ppm_ceil(share).unwrap().get()
            };
            assert!(share(new) <= share(old) + 7, "old positions glide");
        }
    }
}

#[test]
fn no_order_of_changes_leads_past_a_limit() {
    let (mut executed, mut at_once, mut refused) = (0, 0, 0);
    for seed in 0..60 {
        let mut run = Run::new(seed);
        for market in 0..3 {
            run.desk.world.set_price(market, [100, 100, 100_000][market]);
        }
        for _ in 0..400 {
            run.step();
        }
        executed += run.executed;
        at_once += run.at_once;
        refused += run.refused;
    }
    println!("{executed} executed, {at_once} at once, {refused} proposals refused");
    assert!(executed > 500 && at_once > 200 && refused > 500, "{executed}, {at_once}, {refused}");
}
