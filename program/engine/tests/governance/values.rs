//! The table, and changes of one number.

use super::{DAY, Desk, LOOSENING, MARKET, listing};
use proptest::prelude::*;
use quantdesk_engine::{
    EngineError, Lots, MarketIndex,
    governance::{
        CRITICAL_DELAY_MIN, DELAY_MAX, Delays, LOOSENING_DELAY_MIN,
        change::Proposal,
        exit_seconds,
        parameter::{Class, Parameter, RULES, Scope, Tighter},
        queue::{LAPSE_SECONDS, NO_MARKET},
    },
    state::{CashEventKind, ledger::Policy},
};
use std::collections::BTreeSet;

fn desk() -> Desk {
    Desk::new(&[listing::usual()])
}

#[test]
fn the_table_is_sound() {
    let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
    for rule in RULES {
        assert_eq!(Parameter::from_byte(rule.parameter.byte()), Some(rule.parameter));
        assert_eq!(rule.parameter.rule().unwrap(), rule);
        assert!(rule.min < rule.max && rule.step_least >= 0, "{}", rule.name);
        assert!(!rule.step.is_zero() || rule.step_least > 0, "{} can move", rule.name);
        assert_eq!(rule.class == Class::Never, rule.tighter == Tighter::Up, "{}", rule.name);
        assert_ne!(rule.class, Class::Tightening);
        let market = rule.parameter.byte() < 40;
        assert_eq!(rule.scope == Scope::Market, market, "{}", rule.name);
    }
    assert!(RULES.is_sorted_by_key(|rule| rule.parameter.byte()));
    assert_eq!([0, 28, 39, 47, 255].map(Parameter::from_byte), [None; 5]);
}

#[test]
fn every_parameter_is_read_and_written_where_it_is() {
    for rule in RULES.iter().filter(|rule| rule.parameter != Parameter::TakerDelay) {
        let before = desk().values(0);
        let present = before.read(rule.parameter).unwrap();
        let mut after = before;
        after.write(rule.parameter, if present > rule.min { present - 1 } else { present + 1 }).unwrap();
        assert_ne!(after.read(rule.parameter), Some(present), "{}", rule.name);
        let moved = RULES.iter().filter(|other| before.read(other.parameter) != after.read(other.parameter)).count();
        assert_eq!(moved, 1, "{}", rule.name);
    }
}

#[test]
fn bounds_steps_and_what_would_change_nothing() {
    for rule in RULES.iter().filter(|rule| rule.parameter != Parameter::TakerDelay) {
        let values = desk().values(0);
        let present = values.read(rule.parameter).unwrap();
        for beyond in [rule.min - 1, rule.max + 1, i64::MIN, i64::MAX] {
            assert_eq!(values.classify(rule.parameter, beyond), Err(EngineError::ChangeOutOfBounds), "{}", rule.name);
        }
        if (rule.min..=rule.max).contains(&present) {
            assert_eq!(values.classify(rule.parameter, present), Err(EngineError::ChangeWithoutEffect));
        }
        let base = present.clamp(rule.min, rule.max);
        let share = (i128::from(base).abs() * i128::from(rule.step.get()) / 1_000_000) as i64;
        let step = share.max(rule.step_least);
        for (value, more) in
            [(base.saturating_add(step), base.saturating_add(step).saturating_add(1)), (base - step, base - step - 1)]
        {
            let down = value < base;
            if down && rule.tighter == Tighter::Up && value >= rule.min {
                assert_eq!(values.classify(rule.parameter, value), Err(EngineError::DelayShrinks));
                continue;
            }
            let free = down && rule.tighter == Tighter::Down;
            let tightens = free || (!down && rule.tighter == Tighter::Up);
            if value >= rule.min && value <= rule.max && value != present {
                let class = if tightens { Class::Tightening } else { rule.class };
                assert_eq!(values.classify(rule.parameter, value), Ok(class), "{} {value}", rule.name);
            }
            if more >= rule.min && more <= rule.max {
                let expected = if free { Ok(Class::Tightening) } else { Err(EngineError::ChangeStepTooLarge) };
                assert_eq!(values.classify(rule.parameter, more), expected, "{} {more}", rule.name);
            }
        }
    }
}

#[test]
fn what_loosens_waits_and_lapses() {
    let mut desk = desk();
    let number = desk.propose_value(Parameter::Band, 120_000).unwrap();
    assert_eq!((number, desk.read(Parameter::Band)), (1, 100_000));
    let entry = *desk.queue().find(1).unwrap();
    assert_eq!(entry.lapses_at.since(entry.proposed_at), LOOSENING as u64 + u64::from(LAPSE_SECONDS));
    desk.world.pass(LOOSENING - 1);
    assert_eq!(desk.execute(1), Err(EngineError::ChangeTooEarly));
    let mut late = Desk { world: desk.world.clone(), exchange: desk.exchange.clone() };
    desk.world.pass(1);
    desk.execute(1).unwrap();
    assert_eq!(desk.read(Parameter::Band), 120_000);
    assert_eq!(desk.execute(1), Err(EngineError::ChangeNotFound));
    desk.check_queue();

    late.world.pass(1 + i64::from(LAPSE_SECONDS));
    let mut last = Desk { world: late.world.clone(), exchange: late.exchange.clone() };
    last.execute(1).unwrap();
    late.world.pass(1);
    assert_eq!(late.execute(1), Err(EngineError::ChangeLapsed));
    late.cancel(1).unwrap();
    let events: Vec<_> = late.world.view().events.iter().filter_map(|event| event.kind()).collect();
    assert!(events.contains(&CashEventKind::ChangeRemoved) && !events.contains(&CashEventKind::ChangeCancelled));
}

#[test]
fn what_tightens_takes_effect_at_once_even_if_the_queue_is_full() {
    let mut desk = desk();
    for place in 0..16 {
        desk.propose_value(Parameter::Band, 100_001 + place).unwrap();
    }
    assert_eq!(desk.propose_value(Parameter::Band, 110_000), Err(EngineError::ChangesFull));
    assert_eq!(desk.propose_value(Parameter::TakerFee, 200), Ok(17));
    assert_eq!(desk.read(Parameter::TakerFee), 200);
    assert_eq!(desk.propose_value(Parameter::TakerFee, 100), Err(EngineError::ListingFeesInvalid), "below the rebate");
    assert_eq!(desk.propose_value(Parameter::LiquidationFee, 0), Ok(18));
    desk.check_queue();
}

#[test]
fn a_cap_goes_back_to_what_was_approved_and_by_steps_beyond() {
    let mut desk = desk();
    assert_eq!(desk.read(Parameter::OpenInterestMax), 60);
    desk.propose_value(Parameter::OpenInterestMax, 1).unwrap();
    assert_eq!((desk.read(Parameter::OpenInterestMax), desk.row(0).interest_approved), (1, Lots::new(60)));
    // Sixty times as much, and up to twice what was approved.
    for (value, expected) in [(60, Ok(2)), (120, Ok(3)), (121, Err(EngineError::ChangeStepTooLarge))] {
        assert_eq!(desk.propose_value(Parameter::OpenInterestMax, value), expected);
    }
    desk.world.pass(LOOSENING);
    desk.execute(3).unwrap();
    assert_eq!((desk.read(Parameter::OpenInterestMax), desk.row(0).interest_approved), (120, Lots::new(120)));
    // Now it is less than what is in force.
    desk.execute(2).unwrap();
    assert_eq!((desk.read(Parameter::OpenInterestMax), desk.row(0).interest_approved), (60, Lots::new(120)));
    // The same of positions, below the largest order.
    desk.propose_value(Parameter::PositionMax, 1).unwrap();
    assert_eq!((desk.read(Parameter::PositionMax), desk.read(Parameter::LotsMax)), (1, 20));
    desk.propose_value(Parameter::LotsMax, 40).unwrap();
    assert_eq!(desk.propose_value(Parameter::LotsMax, 41), Err(EngineError::ChangeStepTooLarge));
    desk.world.check().unwrap();
}

#[test]
fn a_stale_step_is_refused_after_another_change_ran() {
    let mut desk = desk();
    // Half of 100,000 up, and half of it down.
    desk.propose_value(Parameter::Band, 150_000).unwrap();
    desk.propose_value(Parameter::Band, 50_000).unwrap();
    desk.world.pass(LOOSENING);
    desk.execute(1).unwrap();
    assert_eq!(desk.execute(2), Err(EngineError::ChangeStepTooLarge));
    // The one twice has no effect the second time.
    let mut twice = Desk::new(&[listing::usual()]);
    twice.propose_value(Parameter::Band, 150_000).unwrap();
    twice.propose_value(Parameter::Band, 150_000).unwrap();
    twice.world.pass(LOOSENING);
    twice.execute(2).unwrap();
    assert_eq!(twice.execute(1), Err(EngineError::ChangeWithoutEffect));
}

#[test]
fn delays_only_grow_and_hold_for_what_waits_already() {
    let mut desk = desk();
    desk.propose_value(Parameter::Band, 120_000).unwrap();
    let (loosening, critical) = (LOOSENING, i64::from(CRITICAL_DELAY_MIN));
    let least = i64::from(LOOSENING_DELAY_MIN);
    assert_eq!(desk.propose_value(Parameter::LooseningDelay, least - 1), Err(EngineError::ChangeOutOfBounds));
    assert_eq!(desk.propose_value(Parameter::LooseningDelay, loosening - 1), Err(EngineError::DelayShrinks));
    assert_eq!(desk.propose_value(Parameter::LooseningDelay, 2 * loosening + 1), Err(EngineError::ChangeStepTooLarge));
    // Not beyond the critical one.
    assert_eq!(desk.propose_value(Parameter::LooseningDelay, critical + 1), Err(EngineError::DelayTooShort));
    desk.propose_value(Parameter::CriticalDelay, 2 * critical).unwrap();
    desk.propose_value(Parameter::LooseningDelay, 2 * loosening).unwrap();
    assert_eq!(i64::from(desk.exchange.delays.loosening), 2 * loosening);
    desk.world.pass(LOOSENING);
    assert_eq!(desk.execute(1), Err(EngineError::ChangeTooEarly));
    desk.world.pass(LOOSENING);
    desk.execute(1).unwrap();
    assert_eq!(
        desk.propose_value(Parameter::CriticalDelay, 1 + i64::from(DELAY_MAX)),
        Err(EngineError::ChangeOutOfBounds)
    );
}

#[test]
fn a_change_never_executable_again_lapses_when_it_was_promised_to() {
    let mut desk = desk();
    desk.propose_value(Parameter::Band, 120_000).unwrap();
    for critical in [6, 12, 24, 30] {
        desk.propose_value(Parameter::CriticalDelay, critical * DAY).unwrap();
    }
    for loosening in [4, 8, 16, 30] {
        desk.propose_value(Parameter::LooseningDelay, loosening * DAY).unwrap();
    }
    desk.world.pass(LOOSENING + i64::from(LAPSE_SECONDS));
    assert_eq!(desk.execute(1), Err(EngineError::ChangeTooEarly));
    desk.world.pass(1);
    assert_eq!(desk.execute(1), Err(EngineError::ChangeLapsed));
    desk.world.pass(30 * DAY);
    assert_eq!(desk.execute(1), Err(EngineError::ChangeLapsed), "for ever");
}

#[test]
fn what_comes_of_a_change_is_what_a_listing_could_be() {
    let mut desk = desk();
    for (parameter, value, error) in [
        (Parameter::LotsMin, 2, Ok(1)),
        (Parameter::LotsMax, 40, Ok(2)),
        (Parameter::StableStep, 510, Ok(3)),
        (Parameter::MakerFee, 50, Err(EngineError::ChangeStepTooLarge)),
        (Parameter::MakerFee, -225, Ok(4)),
        (Parameter::Step, 3_000, Ok(5)),
        (Parameter::StepSeconds, 7, Ok(6)),
        (Parameter::FundingCap, 60_000, Ok(7)),
        (Parameter::LiquidationFee, 7_500, Ok(8)),
        (Parameter::InterestScaleLower, 60, Err(EngineError::ListingRiskInvalid)),
        (Parameter::InterestScaleUpper, 30, Err(EngineError::ListingRiskInvalid)),
        (Parameter::SourcesMin, 2, Err(EngineError::ListingOracleInvalid)),
        (Parameter::FreshSeconds, 90, Ok(9)),
        (Parameter::BasisMax, 10_000, Ok(10)),
    ] {
        assert_eq!(desk.propose_value(parameter, value), error, "{parameter:?}");
    }
    // Each by itself would do; together they would not.
    let mut both = Desk::new(&[listing::usual()]);
    both.propose_value(Parameter::Step, 3_000).unwrap();
    both.propose_value(Parameter::StepSeconds, 7).unwrap();
    both.world.pass(3 * DAY);
    both.execute(1).unwrap();
    assert_eq!(both.execute(2), Err(EngineError::ListingEnvelopeExceeded));
}

#[test]
fn the_scale_of_margin_never_stays_above_its_limit() {
    let mut desk = desk();
    desk.world
        .ledger(|ledger, _| {
            ledger.rows[0].margin_scale = quantdesk_engine::Ppm::new(2_000_000);
            Ok(())
        })
        .unwrap();
    desk.propose_value(Parameter::InterestScaleMax, 1_000_000).unwrap();
    desk.world.pass(LOOSENING);
    desk.execute(1).unwrap();
    assert_eq!(desk.row(0).margin_scale.get(), 1_000_000);
    desk.world.check().unwrap();
}

#[test]
fn proposals_that_mean_nothing_are_none() {
    let mut desk = desk();
    let mut none = |proposal: Proposal| desk.propose_bytes(&proposal, super::Key::ZERO, &[]).is_none();
    assert!(none(Proposal::value(Parameter::Band, NO_MARKET, 1)), "a market's without a market");
    assert!(none(Proposal::value(Parameter::QueueSeconds, MARKET, 7_200)), "the exchange's with one");
    for kind in [0, 7, 255] {
        let mut proposal = Proposal::value(Parameter::Band, MARKET, 1);
        proposal.kind = kind;
        assert!(none(proposal));
    }
    for parameter in [0, 28, 39, 47, 255] {
        let mut proposal = Proposal::value(Parameter::Band, MARKET, 1);
        proposal.parameter = parameter;
        assert!(none(proposal));
    }
    let nowhere = Proposal::value(Parameter::Band, MarketIndex::new(1), 120_000);
    assert_eq!(desk.propose(&nowhere, &[0u8; 0]), Err(EngineError::MarketNotFound));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    /// Wherever a parameter stands, one change leads within its bounds and its step.
    #[test]
    fn one_change_of_any_value(place in 0..RULES.len(), from in any::<i64>(), to in any::<i64>(), near in -3i64..4) {
        let rule = &RULES[place];
        prop_assume!(rule.parameter != Parameter::TakerDelay);
        let mut values = desk().values(0);
        let span = i128::from(rule.max) - i128::from(rule.min) + 1;
        let inside = |any: i64| (i128::from(rule.min) + i128::from(any).rem_euclid(span)) as i64;
        let from = inside(from);
        prop_assume!(values.write(rule.parameter, from).is_ok());
        let step = (i128::from(from).abs() * i128::from(rule.step.get()) / 1_000_000) as i64;
        let step = step.max(rule.step_least);
        for to in [inside(to), from.saturating_add(step).saturating_add(near), from.saturating_sub(step).saturating_add(near)] {
            let Ok(class) = values.classify(rule.parameter, to) else { continue };
            prop_assert!(to >= rule.min && to <= rule.max);
            let free = class == Class::Tightening && rule.tighter == Tighter::Down;
            let back = matches!(rule.parameter, Parameter::PositionMax | Parameter::OpenInterestMax);
            prop_assert!(free || back || i128::from(to).abs_diff(i128::from(from)) <= step as u128, "{} {from} {to}", rule.name);
            prop_assert!(class != Class::Tightening || rule.tighter != Tighter::Neither);
        }
    }
}

/// Who sees a proposal can always be gone before it takes effect: longer waits need longer delays first.
#[test]
fn waits_of_those_who_leave_grow_only_after_the_delays() {
    let mut desk = desk();
    let policy = desk.world.view().header.policy;
    assert_eq!(i64::from(exit_seconds(&policy)), LOOSENING);
    assert_eq!(desk.exchange.delays, Delays::least(&policy));
    let longer = i64::from(policy.queue_seconds) + 3_600;
    assert_eq!(desk.propose_value(Parameter::QueueSeconds, longer), Err(EngineError::DelayTooShort));
    desk.propose_value(Parameter::LooseningDelay, LOOSENING + 3_600).unwrap();
    desk.propose_value(Parameter::QueueSeconds, longer).unwrap();
    // Another wait that came to use up the same delay, in between, makes this one too long.
    let stake = i64::from(policy.unstake_seconds) + 1;
    desk.propose_value(Parameter::UnstakeSeconds, stake).unwrap();
    desk.world.pass(3 * DAY);
    desk.execute(3).unwrap();
    assert_eq!(desk.execute(2), Err(EngineError::DelayTooShort));
}

#[test]
fn the_longest_waits_there_are_have_their_delay() {
    let policy = Policy { queue_seconds: 604_800, unstake_seconds: 2_592_000, ..Policy::default() };
    let delays = Delays::least(&policy);
    assert!(delays.let_everybody_leave(&policy) && delays.critical <= DELAY_MAX);
    let policy = Policy { queue_seconds: 3_600, unstake_seconds: 86_400, ..Policy::default() };
    assert_eq!(Delays::least(&policy).critical, CRITICAL_DELAY_MIN);
}
