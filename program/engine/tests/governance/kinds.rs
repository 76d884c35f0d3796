//! Changes of more than a number: margin, fees, sources, listings, status, the delay of takers.

use super::{DAY, Desk, LOOSENING, MARKET, key, listing};
use bytemuck::{Zeroable, bytes_of};
use quantdesk_engine::{
    EngineError, MarketIndex, Ppm, QuoteAtoms, Result, UnixSeconds,
    governance::{
        change::{self, Kind, Proposal, Proposer, SourcesParameters, Wanted},
        parameter::{Parameter, RULES, Scope},
        queue::{LAPSE_SECONDS, NO_MARKET, PAYLOAD_SIZE},
    },
    risk::{
        life::MarginParameters,
        listing::{ListingParameters, TierParameters},
    },
    state::{
        CashEventKind, Key, MarketStatus, OracleSource,
        fees::{FeeSchedule, FeeTier},
        market::market_size,
        row::TIERS_MAX,
    },
};

fn desk() -> Desk {
    Desk::new(&[listing::usual()])
}

/// Tiers with these rates where the usual listing has 5% and 10%.
fn margin(rates: [u32; 2], maintenance: u32) -> MarginParameters {
    let mut tiers = [TierParameters::zeroed(); TIERS_MAX];
    tiers[0] = TierParameters::new(QuoteAtoms::new(1_000_000), Ppm::new(rates[0]));
    tiers[1] = TierParameters::new(QuoteAtoms::MAX, Ppm::new(rates[1]));
    MarginParameters::new(MARKET, Ppm::new(maintenance), 86_400, tiers, 2)
}

fn propose_margin(desk: &mut Desk, wanted: &MarginParameters) -> Result<u64> {
    desk.propose(&Proposal::of(Kind::Margin, MARKET), wanted)
}

#[test]
fn margin_that_nobody_has_less_of_tightens_at_once() {
    let mut desk = desk();
    propose_margin(&mut desk, &margin([62_500, 125_000], 500_000)).unwrap();
    assert_eq!(desk.row(0).tiers()[0].rate.get(), 62_500);
    assert_eq!(desk.row(0).ramp_from.get(), 400_000);
    // The next one has to wait for the end of the ramp.
    let again = margin([70_000, 140_000], 500_000);
    assert_eq!(propose_margin(&mut desk, &again), Err(EngineError::MarginRampRunning));
    desk.world.pass(DAY - 1);
    assert_eq!(propose_margin(&mut desk, &again), Err(EngineError::MarginRampRunning));
    desk.world.pass(1);
    propose_margin(&mut desk, &again).unwrap();
    assert_eq!(desk.row(0).tiers()[1].rate.get(), 140_000);
    desk.check_queue();
}

#[test]
fn margin_that_somebody_has_less_of_waits() {
    for (rates, maintenance) in
        [([45_000, 100_000], 500_000), ([50_000, 99_999], 500_000), ([60_000, 120_000], 499_999)]
    {
        let mut desk = desk();
        propose_margin(&mut desk, &margin(rates, maintenance)).unwrap();
        assert_eq!(desk.row(0).tiers()[0].rate.get(), 50_000);
        desk.world.pass(LOOSENING - 1);
        assert_eq!(desk.execute(1), Err(EngineError::ChangeTooEarly));
        desk.world.pass(1);
        desk.execute(1).unwrap();
        assert_eq!(desk.row(0).tiers()[1].rate.get(), rates[1]);
        desk.check_queue();
        desk.world.check().unwrap();
    }
}

#[test]
fn margin_moves_by_a_quarter() {
    let mut desk = desk();
    let steps = [
        ([62_501, 100_000], 500_000),
        ([50_000, 125_001], 500_000),
        ([50_000, 100_000], 625_001),
        ([39_999, 100_000], 500_000),
        ([50_000, 79_999], 500_000),
    ];
    for (rates, maintenance) in steps {
        let refused = propose_margin(&mut desk, &margin(rates, maintenance));
        assert_eq!(refused, Err(EngineError::ChangeStepTooLarge), "{rates:?} {maintenance}");
    }
    assert_eq!(propose_margin(&mut desk, &margin([50_000, 100_000], 399_999)), Err(EngineError::ChangeStepTooLarge));
    propose_margin(&mut desk, &margin([40_000, 80_000], 500_000)).unwrap();
}

#[test]
fn without_a_proposal_margin_only_tightens_once_sealed() {
    let mut desk = desk();
    let check = |desk: &mut Desk, wanted: MarginParameters| {
        desk.world.ledger(|ledger, now| change::check_margin(ledger, now, &wanted))
    };
    assert_eq!(check(&mut desk, margin([50_000, 100_000], 500_000)), Ok(()), "the same");
    assert_eq!(check(&mut desk, margin([55_000, 100_000], 500_000)), Ok(()));
    assert_eq!(check(&mut desk, margin([49_999, 100_000], 500_000)), Err(EngineError::ChangeNotTightening));
    assert_eq!(check(&mut desk, margin([70_000, 140_000], 500_000)), Err(EngineError::ChangeStepTooLarge));
    desk.world
        .ledger(|ledger, _| {
            ledger.header.sealed = 0;
            Ok(())
        })
        .unwrap();
    assert_eq!(check(&mut desk, margin([40_000, 200_000], 500_000)), Ok(()));
}

#[test]
fn schedules_of_fees_wait_and_replace_each_other_whole() {
    let mut desk = desk();
    let of = |discount: u32, share: u32| {
        let mut tiers = [FeeTier::UNUSED; 4];
        tiers[0] = FeeTier::new(QuoteAtoms::new(1), Ppm::new(discount));
        FeeSchedule::new(tiers, Ppm::new(share))
    };
    let proposal = Proposal::of(Kind::Fees, NO_MARKET);
    assert_eq!(desk.propose(&proposal, &of(1_000_001, 0)), Err(EngineError::FeeScheduleInvalid));
    assert_eq!(desk.propose(&proposal, &of(1, 500_001)), Err(EngineError::FeeScheduleInvalid));
    let present = desk.world.view().header.policy.fees;
    assert_eq!(desk.propose(&proposal, &present), Err(EngineError::ChangeWithoutEffect));
    desk.propose(&proposal, &of(250_000, 100_000)).unwrap();
    desk.world.pass(LOOSENING);
    desk.execute(1).unwrap();
    assert_eq!(desk.world.view().header.policy.fees, of(250_000, 100_000));
    desk.check_queue();
}

#[test]
fn sources_are_swapped_and_those_that_stay_keep_their_time() {
    let mut listed = listing::dust();
    listed.taker_delay = 0;
    let mut desk = Desk::new(&[listed, listing::usual()]);
    let old = listed.sources;
    let (fresh, other) = (OracleSource::pyth(key(77)), OracleSource::pyth_lazer(5));
    let mut unknown = fresh;
    unknown.kind = 9;
    desk.world
        .ledger(|ledger, _| {
            ledger.rows[0].source_times = [11, 12, 13, 0].map(UnixSeconds::new);
            Ok(())
        })
        .unwrap();
    let proposal = Proposal::of(Kind::Sources, MARKET);
    let refused = [
        SourcesParameters::new(&[], 0),
        SourcesParameters::new(&[fresh], 2),
        SourcesParameters::new(&[fresh], 0),
        SourcesParameters::new(&[fresh, fresh], 1),
        SourcesParameters::new(&[unknown], 1),
    ];
    for wanted in refused {
        assert_eq!(desk.propose(&proposal, &wanted), Err(EngineError::ListingOracleInvalid));
    }
    // Exactly what was there but in another order, with one that is new.
    let wanted = SourcesParameters::new(&[old[2], fresh, old[0], other], 3);
    desk.propose(&proposal, &wanted).unwrap();
    desk.world.pass(3 * DAY - 1);
    assert_eq!(desk.execute(1), Err(EngineError::ChangeTooEarly));
    desk.world.pass(1);
    desk.execute(1).unwrap();
    let row = desk.row(0);
    assert_eq!((row.sources_min, row.sources_len), (3, 4));
    assert_eq!(row.source_times.map(UnixSeconds::get), [13, 0, 11, 0]);
    for (place, source) in wanted.sources.iter().enumerate() {
        assert_eq!(desk.exchange.source(MARKET, place), Some(source));
    }
    // The other market has its own.
    assert_eq!(desk.exchange.source(MarketIndex::new(1), 0), Some(&listing::usual().sources[0]));
    // Places are used again: as often as one likes.
    for round in 0..200 {
        let wanted = SourcesParameters::new(&[OracleSource::pyth(key(100 + round)); 1], 1);
        desk.exchange.set_sources(MARKET, &wanted.sources[..1]).unwrap();
    }
    assert_eq!(desk.exchange.source(MARKET, 1), None);
    desk.check_queue();
}

fn blank(parameters: &ListingParameters) -> Vec<u64> {
    vec![0; market_size(parameters.side_capacity, parameters.events_capacity).div_ceil(8)]
}

#[test]
fn a_listing_waits_for_its_blank_account() {
    let mut desk = desk();
    let wanted = listing::delayed(listing::fine(), 3);
    let proposal = Proposal::of(Kind::Listing, NO_MARKET);
    desk.propose_bytes(&proposal, key(50), bytes_of(&wanted)).unwrap().unwrap();
    assert_eq!(desk.act(|governed| governed.needed_market(1)), Ok(Some(key(50))));
    let payload = desk.queue().payload(desk.queue().find(1).unwrap()).unwrap();
    assert_eq!((payload.market, &payload.bytes()[..PAYLOAD_SIZE]), (key(50), bytes_of(&wanted)));
    let mut account = blank(&wanted);
    desk.world.pass(3 * DAY - 1);
    let early = desk.execute_with(1, key(50), bytemuck::cast_slice_mut(&mut account.clone()));
    assert_eq!(early, Err(EngineError::ChangeTooEarly));
    desk.world.pass(1);
    let mut used = account.clone();
    used[0] = 1;
    let refused = desk.execute_with(1, key(50), bytemuck::cast_slice_mut(&mut used));
    assert_eq!(refused, Err(EngineError::AccountNotBlank));
    let mut short = account.clone();
    short.pop();
    let refused = desk.execute_with(1, key(50), bytemuck::cast_slice_mut(&mut short));
    assert_eq!(refused, Err(EngineError::CapacityInvalid));
    desk.execute_with(1, key(50), bytemuck::cast_slice_mut(&mut account)).unwrap();
    let row = desk.row(1);
    assert_eq!((row.market, row.index, row.status()), (key(50), MarketIndex::new(1), Some(MarketStatus::Active)));
    assert_eq!((row.position_approved, row.interest_approved), (wanted.position_max, wanted.open_interest_max));
    assert_eq!(desk.exchange.source(row.index, 1), Some(&wanted.sources[1]));
    let created = quantdesk_engine::state::MarketView::load(bytemuck::cast_slice(&account)).unwrap();
    assert_eq!((created.header.taker_delay, created.header.index), (3, row.index));
    let kinds: Vec<_> = desk.world.view().events.iter().filter_map(|event| event.kind()).collect();
    assert!(kinds.ends_with(&[CashEventKind::ChangeExecuted, CashEventKind::MarketListed]), "{kinds:?}");
    // Its address is taken now.
    let again = desk.propose_bytes(&proposal, key(50), bytes_of(&wanted)).unwrap();
    assert_eq!(again, Err(EngineError::AccountNotBlank));
    desk.check_queue();
}

#[test]
fn a_listing_obeys_the_table_too() {
    let mut desk = desk();
    let proposal = Proposal::of(Kind::Listing, NO_MARKET);
    let mut wanted = listing::usual();
    wanted.risk.pool_budget = QuoteAtoms::MAX;
    let refused = desk.propose_bytes(&proposal, key(50), bytes_of(&wanted)).unwrap();
    assert_eq!(refused, Err(EngineError::ChangeOutOfBounds));
    wanted = listing::usual();
    wanted.band = Ppm::ZERO;
    let refused = desk.propose_bytes(&proposal, key(50), bytes_of(&wanted)).unwrap();
    assert_eq!(refused, Err(EngineError::ListingParametersInvalid));
    wanted = listing::usual();
    wanted.sources[0].kind = 0;
    let refused = desk.propose_bytes(&proposal, key(50), bytes_of(&wanted)).unwrap();
    assert_eq!(refused, Err(EngineError::ListingOracleInvalid));
}

#[test]
fn three_payloads_wait_and_a_fourth_does_not() {
    let mut desk = desk();
    let proposal = Proposal::of(Kind::Listing, NO_MARKET);
    let mut listed = |number: u64| desk.propose_bytes(&proposal, key(number), bytes_of(&listing::usual())).unwrap();
    assert_eq!([50, 51, 52].map(&mut listed), [Ok(1), Ok(2), Ok(3)]);
    assert_eq!(listed(53), Err(EngineError::PayloadsFull));
    desk.check_queue();
    desk.cancel(2).unwrap();
    desk.check_queue();
    let fees = FeeSchedule::new([FeeTier::UNUSED; 4], Ppm::new(3));
    assert_eq!(desk.propose(&Proposal::of(Kind::Fees, NO_MARKET), &fees), Ok(4));
    assert_eq!(desk.queue().payload(desk.queue().find(1).unwrap()).unwrap().market, key(50));
    assert_eq!(desk.queue().payload(desk.queue().find(3).unwrap()).unwrap().market, key(52));
    assert_eq!(desk.queue().payload(desk.queue().find(4).unwrap()).unwrap().bytes()[64..68], [3, 0, 0, 0]);
    desk.check_queue();
}

fn set_status(desk: &mut Desk, status: u8) -> Result<()> {
    desk.world.ledger(|ledger, now| change::set_status(ledger, now, MARKET, status))
}

#[test]
fn a_market_opens_again_only_through_the_queue() {
    let mut desk = desk();
    let reopen = Proposal::of(Kind::Reopening, MARKET);
    assert_eq!(desk.propose(&reopen, &[0u8; 0]), Err(EngineError::MarketStatusInvalid), "it is open");
    set_status(&mut desk, 2).unwrap();
    assert_eq!(set_status(&mut desk, 1), Err(EngineError::ChangeNotTightening));
    desk.propose(&reopen, &[0u8; 0]).unwrap();
    desk.world.pass(1);
    desk.propose(&reopen, &[0u8; 0]).unwrap();
    desk.world.pass(LOOSENING - 2);
    assert_eq!(desk.execute(1), Err(EngineError::ChangeTooEarly));
    desk.world.pass(2);
    desk.execute(1).unwrap();
    assert_eq!(desk.row(0).status(), Some(MarketStatus::Active));
    assert_eq!(desk.execute(2), Err(EngineError::MarketStatusInvalid));
    // Closed anew, the second proposal is from before.
    set_status(&mut desk, 2).unwrap();
    assert_eq!(desk.execute(2), Err(EngineError::ChangeStale));
}

#[test]
fn a_settled_market_changes_no_more() {
    let mut desk = desk();
    desk.propose_value(Parameter::Band, 120_000).unwrap();
    desk.world.set_status(0, 3);
    desk.world.pass(LOOSENING);
    assert_eq!(desk.execute(1), Err(EngineError::MarketStatusInvalid));
    for rule in RULES.iter().filter(|rule| rule.scope == Scope::Market) {
        assert_eq!(desk.propose_value(rule.parameter, rule.min), Err(EngineError::MarketStatusInvalid));
    }
    let sources = SourcesParameters::new(&[OracleSource::pyth(key(5))], 1);
    let refused = desk.propose(&Proposal::of(Kind::Sources, MARKET), &sources);
    assert_eq!(refused, Err(EngineError::MarketStatusInvalid));
    assert_eq!(propose_margin(&mut desk, &margin([55_000, 100_000], 500_000)), Err(EngineError::MarketStatusInvalid));
}

#[test]
fn the_delay_of_takers_is_in_the_market() {
    let mut desk = Desk::new(&[listing::delayed(listing::usual(), 2)]);
    desk.propose_value(Parameter::TakerDelay, 0).unwrap();
    desk.propose_value(Parameter::TakerDelay, 25).unwrap();
    assert_eq!(desk.propose_value(Parameter::TakerDelay, 26), Err(EngineError::ChangeOutOfBounds));
    desk.world.pass(LOOSENING);
    let address = desk.row(0).market;
    assert_eq!(desk.act(|governed| governed.needed_market(1)), Ok(Some(address)));
    let mut bytes = desk.world.market_bytes(0).to_vec();
    let mut aligned: Vec<u64> = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    let waiting = core::mem::offset_of!(quantdesk_engine::state::MarketHeader, delayed_len);
    let words: &mut [u8] = bytemuck::cast_slice_mut(&mut aligned);
    words[waiting] = 1;
    assert_eq!(desk.execute_with(1, address, words), Err(EngineError::TakersWaiting));
    words[waiting] = 0;
    desk.execute_with(1, address, words).unwrap();
    let place = core::mem::offset_of!(quantdesk_engine::state::MarketHeader, taker_delay);
    assert_eq!(words[place], 0);
    desk.execute_with(2, address, words).unwrap();
    assert_eq!(words[place], 25);
    bytes[place] = 25;
    assert_eq!(words, bytes, "and nothing else");
}

#[test]
fn who_may_cancel() {
    let mut desk = desk();
    let wanted = listing::usual();
    let proposal = Proposal::of(Kind::Listing, NO_MARKET);
    desk.act(|governed| governed.propose(&proposal, &Wanted::Listing(key(50), &wanted), Proposer::Lister)).unwrap();
    desk.propose_value(Parameter::Band, 120_000).unwrap();
    let may = |desk: &mut Desk, number: u64, who: Key| {
        desk.act(|governed| governed.may_cancel(number, who.as_bytes())).unwrap()
    };
    for (who, first, second) in [(901, true, true), (902, true, true), (903, true, false), (905, false, false)] {
        assert_eq!((may(&mut desk, 1, key(who)), may(&mut desk, 2, key(who))), (first, second), "{who}");
    }
    desk.world.pass(LOOSENING + i64::from(LAPSE_SECONDS) + 1);
    assert!(may(&mut desk, 2, key(905)) && !may(&mut desk, 1, key(905)));
    assert_eq!(desk.act(|governed| governed.may_cancel(3, key(901).as_bytes())), Err(EngineError::ChangeNotFound));
    desk.cancel(1).unwrap();
    assert_eq!(desk.cancel(1), Err(EngineError::ChangeNotFound));
    assert_eq!(desk.cancel(0), Err(EngineError::ChangeNotFound));
}
