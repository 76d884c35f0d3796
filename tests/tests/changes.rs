//! `ProposeChange`, `ExecuteChange`, `CancelChange`: every kind of change through the compiled program, and every reason to
//! refuse one.

use quantdesk_client::{
    Address, Refusal,
    engine::{
        EngineError, MarketIndex, Ppm, QuoteAtoms,
        governance::{
            change::SourcesParameters,
            parameter::{Parameter, RULES, Tighter, Values},
            queue::{CHANGES_MAX, Change, ChangeQueue, NO_MARKET},
        },
        risk::{life::MarginParameters, listing::ListingParameters},
        state::{
            CashEventKind, Exchange, LedgerHeader, MarketHeader, MarketRow, MarketStatus, OracleSource,
            fees::{FeeSchedule, FeeTier},
            market::market_size,
        },
    },
    instruction::Venue,
    view,
};
use quantdesk_sim::chain::PROGRAM;
use quantdesk_tests::{
    read, refuses,
    scene::{self, PRICE, Scene, ask, bid, patch},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

const SOL: MarketIndex = MarketIndex::new(0);
/// A proposal's notice, two haltings, stake's and the queue's wait.
const LOOSENING: i64 = 3_600 + 2 * 21_600 + 2 * DAY;
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

fn queue(scene: &Scene) -> &ChangeQueue {
    &scene.desk.exchange_view().unwrap().changes
}

fn row(scene: &Scene) -> MarketRow {
    scene.desk.ledger_view().unwrap().rows[0]
}

fn venue(scene: &Scene) -> (Venue, Address) {
    (scene.desk.venue, scene.desk.admin)
}

/// The admin's proposal of a value for the market, or for the exchange.
fn value(scene: &Scene, parameter: Parameter, value: i64) -> Instruction {
    let (venue, admin) = venue(scene);
    let market = if parameter.byte() < 40 { SOL } else { NO_MARKET };
    venue.propose_value(admin, parameter, market, value)
}

#[track_caller]
fn send(scene: &mut Scene, instruction: Instruction) {
    scene.desk.chain.send(instruction).unwrap();
    scene.desk.check().unwrap();
}

#[track_caller]
fn refuse(scene: &mut Scene, instruction: Instruction, error: impl Into<quantdesk_client::error::ProgramError>) {
    refuses(&mut scene.desk.chain, instruction, error);
}

fn execute(scene: &Scene, number: u64) -> Instruction {
    scene.desk.venue.execute_change(number, None)
}

/// Proposes, is refused a second early, and executes.
#[track_caller]
fn wait_for(scene: &mut Scene, proposal: Instruction, seconds: i64) {
    send(scene, proposal);
    let number = queue(scene).proposed;
    scene.wait(seconds - 1);
    let instruction = execute(scene, number);
    refuse(scene, instruction.clone(), EngineError::ChangeTooEarly);
    scene.wait(1);
    send(scene, instruction);
    assert_eq!(queue(scene).find(number), Err(EngineError::ChangeNotFound));
}

/// Puts other keys into the roles: guardian and lister.
fn split_roles(scene: &mut Scene) -> [Address; 2] {
    let roles = [scene.desk.name(b"guardian"), scene.desk.name(b"lister")];
    let exchange = scene.desk.venue.exchange;
    for (key, place) in roles.iter().zip([offset_of!(Exchange, guardian), offset_of!(Exchange, lister)]) {
        patch(&mut scene.desk.chain, exchange, place, key.as_array());
    }
    roles
}

fn kinds(scene: &Scene) -> Vec<CashEventKind> {
    read::cash_events(&scene.desk).iter().filter_map(|event| event.kind()).collect()
}

#[test]
fn a_value_waits_and_everything_is_read_from_the_account() {
    let mut scene = Scene::new();
    let before = Snapshot::of(&scene.desk.chain);
    let proposal = value(&scene, Parameter::Band, 150_000);
    send(&mut scene, proposal);
    let (ledger, exchange) = (scene.desk.venue.ledger, scene.desk.venue.exchange);
    before.only(&scene.desk.chain, &Frame::new().whole(ledger).whole(exchange));
    let now = scene.desk.chain.unix_seconds();
    let change = *queue(&scene).find(1).unwrap();
    assert_eq!((change.value, change.market, change.kind, change.parameter), (150_000, SOL, 1, 5));
    assert_eq!((change.proposed_at.get(), change.lapses_at.get()), (now, now + LOOSENING + WEEK));
    assert_eq!((change.payload, change.proposer, row(&scene).band.get()), (255, 1, 100_000));
    scene.wait(LOOSENING - 1);
    let instruction = execute(&scene, 1);
    refuse(&mut scene, instruction.clone(), EngineError::ChangeTooEarly);
    scene.wait(1);
    send(&mut scene, instruction.clone());
    assert_eq!(row(&scene).band.get(), 150_000);
    assert!(queue(&scene).entries.iter().all(|entry| entry.number == 0));
    assert!(kinds(&scene).ends_with(&[CashEventKind::ChangeProposed, CashEventKind::ChangeExecuted]));
    let event = *read::cash_events(&scene.desk).last().unwrap();
    assert_eq!((event.market, event.amount, event.balance), (SOL, 1, 150_000));
    refuse(&mut scene, instruction, EngineError::ChangeNotFound);
}

#[test]
fn what_nobody_executes_within_a_week_lapses_and_anybody_removes() {
    let mut scene = Scene::new();
    let proposal = value(&scene, Parameter::Band, 150_000);
    send(&mut scene, proposal);
    let stranger = scene.alice.trader.authority;
    let cancel = scene.desk.venue.cancel_change(stranger, 1);
    scene.wait(LOOSENING + WEEK);
    refuse(&mut scene, cancel.clone(), Refusal::NotAuthorized);
    scene.desk.chain.clone().send(execute(&scene, 1)).unwrap();
    scene.wait(1);
    let instruction = execute(&scene, 1);
    refuse(&mut scene, instruction, EngineError::ChangeLapsed);
    send(&mut scene, cancel);
    assert_eq!(kinds(&scene).last(), Some(&CashEventKind::ChangeRemoved));
}

#[test]
fn refuses_values_beyond_bounds_and_steps_and_without_effect() {
    let mut scene = Scene::new();
    for (parameter, wanted, error) in [
        (Parameter::Band, 500_001, EngineError::ChangeOutOfBounds),
        (Parameter::Band, 999, EngineError::ChangeOutOfBounds),
        (Parameter::Band, 150_001, EngineError::ChangeStepTooLarge),
        (Parameter::Band, 49_999, EngineError::ChangeStepTooLarge),
        (Parameter::Band, 100_000, EngineError::ChangeWithoutEffect),
        (Parameter::QueueSeconds, 3_599, EngineError::ChangeOutOfBounds),
        (Parameter::OutflowRate, 499_999, EngineError::ChangeStepTooLarge),
        (Parameter::LooseningDelay, 2 * LOOSENING + 1, EngineError::ChangeStepTooLarge),
        (Parameter::TakerFee, 99, EngineError::ListingFeesInvalid),
        (Parameter::SourcesMin, 3, EngineError::ListingOracleInvalid),
        (Parameter::StepSeconds, 60, EngineError::ChangeStepTooLarge),
        (Parameter::FreshSeconds, i64::MIN, EngineError::ChangeOutOfBounds),
    ] {
        let proposal = value(&scene, parameter, wanted);
        refuse(&mut scene, proposal, error);
    }
    let (venue, admin) = venue(&scene);
    let nowhere = venue.propose_value(admin, Parameter::Band, MarketIndex::new(1), 150_000);
    refuse(&mut scene, nowhere, EngineError::MarketNotFound);
    for proposal in [
        venue.propose_value(admin, Parameter::Band, NO_MARKET, 150_000),
        venue.propose_value(admin, Parameter::QueueSeconds, SOL, 50_000),
    ] {
        refuse(&mut scene, proposal, Refusal::FieldInvalid);
    }
}

#[test]
fn only_the_admin_proposes_and_the_lister_listings() {
    let mut scene = Scene::new();
    let [guardian, lister] = split_roles(&mut scene);
    let (venue, admin) = venue(&scene);
    for other in [guardian, lister, scene.alice.trader.authority] {
        let proposal = venue.propose_value(other, Parameter::Band, SOL, 150_000);
        refuse(&mut scene, proposal, Refusal::NotAuthorized);
    }
    let (market, parameters) = blank_market(&mut scene);
    let refused = venue.propose_listing(guardian, market, &parameters);
    refuse(&mut scene, refused, Refusal::NotAuthorized);
    send(&mut scene, venue.propose_listing(lister, market, &parameters));
    send(&mut scene, venue.propose_value(admin, Parameter::Band, SOL, 150_000));
    assert_eq!([1, 2].map(|number| queue(&scene).find(number).unwrap().proposer), [2, 1]);
    // The lister takes back what is its own, the guardian anything.
    for (who, number) in [(lister, 2), (scene.alice.trader.authority, 1), (scene.bob.trader.authority, 2)] {
        refuse(&mut scene, venue.cancel_change(who, number), Refusal::NotAuthorized);
    }
    let mut chain = scene.desk.chain.clone();
    chain.send(venue.cancel_change(lister, 1)).unwrap();
    chain.send(venue.cancel_change(admin, 2)).unwrap();
    for number in [1, 2] {
        send(&mut scene, venue.cancel_change(guardian, number));
        refuse(&mut scene, venue.cancel_change(guardian, number), EngineError::ChangeNotFound);
    }
    assert_eq!(kinds(&scene).last(), Some(&CashEventKind::ChangeCancelled));
    scene.wait(3 * DAY);
    let instruction = venue.execute_change(1, Some(market));
    refuse(&mut scene, instruction, EngineError::ChangeNotFound);
    let exchange = scene.desk.exchange_view().unwrap();
    let mut blank: ChangeQueue = bytemuck::Zeroable::zeroed();
    blank.proposed = 2;
    assert_eq!(exchange.changes, blank, "nothing is left behind");
}

#[test]
fn a_delay_lengthened_in_between_holds_and_never_shrinks() {
    let mut scene = Scene::new();
    let proposal = value(&scene, Parameter::Band, 150_000);
    send(&mut scene, proposal);
    let longer = value(&scene, Parameter::LooseningDelay, 2 * LOOSENING);
    refuse(&mut scene, longer.clone(), EngineError::DelayTooShort);
    let critical = value(&scene, Parameter::CriticalDelay, 2 * LOOSENING);
    send(&mut scene, critical);
    send(&mut scene, longer);
    assert_eq!(i64::from(scene.desk.exchange_view().unwrap().delays.loosening), 2 * LOOSENING);
    let shorter = value(&scene, Parameter::LooseningDelay, LOOSENING);
    refuse(&mut scene, shorter, EngineError::DelayShrinks);
    scene.wait(2 * LOOSENING - 1);
    let instruction = execute(&scene, 1);
    refuse(&mut scene, instruction.clone(), EngineError::ChangeTooEarly);
    scene.wait(1);
    send(&mut scene, instruction);
    assert_eq!(row(&scene).band.get(), 150_000);
}

#[test]
fn a_step_counts_from_what_is_in_force_when_it_is_made() {
    let mut scene = Scene::new();
    for band in [150_000, 50_000, 150_000] {
        let proposal = value(&scene, Parameter::Band, band);
        send(&mut scene, proposal);
    }
    scene.wait(LOOSENING);
    let instructions = [1, 2, 3].map(|number| execute(&scene, number));
    let [first, stale, again] = instructions;
    send(&mut scene, first);
    refuse(&mut scene, stale, EngineError::ChangeStepTooLarge);
    refuse(&mut scene, again, EngineError::ChangeWithoutEffect);
}

#[test]
fn a_full_queue_takes_nothing_but_what_tightens() {
    let mut scene = Scene::new();
    for number in 0..CHANGES_MAX as i64 {
        let proposal = value(&scene, Parameter::Band, 100_001 + number);
        send(&mut scene, proposal);
    }
    let one_more = value(&scene, Parameter::Band, 110_000);
    refuse(&mut scene, one_more, EngineError::ChangesFull);
    let fees = value(&scene, Parameter::TakerFee, 100);
    send(&mut scene, fees);
    assert_eq!((row(&scene).taker_fee.get(), queue(&scene).proposed), (100, 17));
    assert!(kinds(&scene).ends_with(&[CashEventKind::ChangeProposed, CashEventKind::ChangeExecuted]));
}

#[test]
fn caps_fall_at_once_and_come_back_by_the_queue() {
    let mut scene = Scene::new();
    scene.trade(100);
    for parameter in [Parameter::PositionMax, Parameter::OpenInterestMax] {
        let tight = value(&scene, parameter, 50);
        send(&mut scene, tight);
    }
    let (alice, bob) = (scene.alice, scene.bob);
    quantdesk_tests::refused(scene.place(&alice, &ask(scene::MARK, 1).build()), EngineError::PositionTooLarge);
    // What is open may shrink.
    scene.accept(&alice, &bid(scene::MARK, 10).build());
    scene.accept(&bob, &ask(scene::MARK, 10).immediate_or_cancel().build());
    let most = scene.desk.markets[0].parameters.position_max.get() as i64;
    let too_much = value(&scene, Parameter::PositionMax, 2 * most + 1);
    refuse(&mut scene, too_much, EngineError::ChangeStepTooLarge);
    let back = value(&scene, Parameter::PositionMax, most);
    wait_for(&mut scene, back, LOOSENING);
    assert_eq!(row(&scene).position_max.get() as i64, most);
}

fn blank_market(scene: &mut Scene) -> (Address, ListingParameters) {
    let parameters = scene.desk.markets[0].parameters;
    let market = scene.desk.name(b"market");
    let size = market_size(parameters.side_capacity, parameters.events_capacity);
    scene.desk.chain.create_account(market, size, PROGRAM).unwrap();
    (market, parameters)
}

#[test]
fn a_market_is_listed_after_three_days_if_its_account_is_still_blank() {
    let mut scene = Scene::new();
    let (venue, admin) = venue(&scene);
    let (market, parameters) = blank_market(&mut scene);
    let at_once = venue.list_market(admin, market, &parameters);
    refuse(&mut scene, at_once, EngineError::ExchangeSealed);
    let mut unsigned = venue.propose_listing(admin, market, &parameters);
    unsigned.accounts[3].is_signer = false;
    refuse(&mut scene, unsigned, Refusal::SignatureMissing);
    send(&mut scene, venue.propose_listing(admin, market, &parameters));
    let payload = queue(&scene).payload(queue(&scene).find(1).unwrap()).unwrap();
    assert_eq!((payload.market, &payload.bytes()[..]), (view::key_of(&market), bytemuck::bytes_of(&parameters)));
    scene.wait(3 * DAY - 1);
    let instruction = venue.execute_change(1, Some(market));
    refuse(&mut scene, instruction.clone(), EngineError::ChangeTooEarly);
    scene.wait(1);
    refuse(&mut scene, venue.execute_change(1, None), Refusal::AccountsCount);
    let (other, _) = blank_market(&mut scene);
    refuse(&mut scene, venue.execute_change(1, Some(other)), Refusal::WrongAddress);
    let mut used = scene.clone();
    patch(&mut used.desk.chain, market, 0, b"QDLEDGER\x01");
    refuse(&mut used, instruction.clone(), EngineError::AccountNotBlank);
    scene.desk.chain.send(instruction).unwrap();
    let ledger = scene.desk.ledger_view().unwrap();
    assert_eq!((ledger.header.markets_len, ledger.rows[1].market), (2, view::key_of(&market)));
    assert_eq!(ledger.rows[1].position_approved, parameters.position_max);
    refuse(&mut scene, venue.propose_listing(admin, market, &parameters), EngineError::AccountNotBlank);
}

#[test]
fn a_market_listed_through_the_queue_trades() {
    let mut scene = Scene::new();
    let market = scene.desk.list_sealed(&scene::btc()).unwrap();
    scene.desk.check().unwrap();
    scene.desk.set_price(0, PRICE).unwrap();
    scene.desk.set_price(market, 100_000 * scene::PICO).unwrap();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.desk.place(&alice.trader, market, &ask(1_000_000, 1).build()).unwrap();
    scene.desk.place(&bob.trader, market, &bid(1_000_000, 1).immediate_or_cancel().build()).unwrap();
    assert_eq!(read::lots(&scene.desk, &bob.trader, market), 1);
    scene.desk.check().unwrap();
}

#[test]
fn three_changes_with_a_payload_wait_and_no_fourth() {
    let mut scene = Scene::new();
    let (venue, admin) = venue(&scene);
    for _ in 0..3 {
        let (market, parameters) = blank_market(&mut scene);
        send(&mut scene, venue.propose_listing(admin, market, &parameters));
    }
    let fees = venue.propose_fees(admin, &FeeSchedule::new([FeeTier::UNUSED; 4], Ppm::new(1)));
    refuse(&mut scene, fees.clone(), EngineError::PayloadsFull);
    send(&mut scene, venue.cancel_change(admin, 2));
    send(&mut scene, fees);
}

#[test]
fn oracle_sources_are_swapped_after_three_days() {
    let mut scene = Scene::new();
    let (venue, admin) = venue(&scene);
    let feed = scene.desk.name(b"pyth feed");
    let source = OracleSource::pyth(view::key_of(&feed));
    for (wanted, error) in [
        (SourcesParameters::new(&[source], 2), EngineError::ListingOracleInvalid),
        (SourcesParameters::new(&[source, source], 1), EngineError::ListingOracleInvalid),
    ] {
        refuse(&mut scene, venue.propose_sources(admin, SOL, &wanted), error);
    }
    let old = scene.desk.markets[0].feeds.clone();
    wait_for(&mut scene, venue.propose_sources(admin, SOL, &SourcesParameters::new(&[source], 1)), 3 * DAY);
    assert_eq!((row(&scene).sources_len, row(&scene).sources_min), (1, 1));
    scene.desk.publish(0, PRICE, 0).unwrap();
    let market = scene.market();
    refuse(&mut scene, venue.update_price(&market, SOL, &old), Refusal::AccountsCount);
    refuse(&mut scene, venue.update_price(&market, SOL, &old[..1]), Refusal::OracleWrongFeed);
    let account = scene.desk.name(b"pyth account");
    scene.desk.markets[0].parameters.sources = bytemuck::Zeroable::zeroed();
    scene.desk.markets[0].parameters.sources[0] = source;
    (scene.desk.markets[0].parameters.sources_len, scene.desk.markets[0].feeds) = (1, vec![account]);
    scene.desk.set_price(0, PRICE).unwrap();
    scene.desk.check().unwrap();
}

#[test]
fn the_limiter_and_the_oracles_limits_wait_three_days_both_ways() {
    for (parameter, values) in [
        (Parameter::OutflowRate, [500_000, 750_000]),
        (Parameter::QueueSeconds, [43_200, 64_800]),
        (Parameter::OutflowFloor, [1 << 61, 1 << 62]),
        (Parameter::FreshSeconds, [45, 30]),
        (Parameter::ConfidenceMax, [10_000, 15_000]),
        (Parameter::BasisMax, [7_500, 5_000]),
        (Parameter::SourcesMin, [1, 2]),
    ] {
        let mut scene = Scene::new();
        for wanted in values {
            let proposal = value(&scene, parameter, wanted);
            wait_for(&mut scene, proposal, 3 * DAY);
        }
    }
    let mut scene = Scene::new();
    let proposal = value(&scene, Parameter::OutflowRate, 500_000);
    wait_for(&mut scene, proposal, 3 * DAY);
    assert_eq!(read::header(&scene.desk).policy.outflow_rate.get(), 500_000);
}

fn margin(scene: &Scene, scale: u32, maintenance: u32) -> MarginParameters {
    let listed = scene.desk.markets[0].parameters;
    let mut tiers = listed.tiers;
    for tier in &mut tiers[..usize::from(listed.tiers_len)] {
        tier.rate = Ppm::new(tier.rate.get() / 100 * scale);
    }
    MarginParameters::new(SOL, Ppm::new(maintenance), 86_400, tiers, listed.tiers_len)
}

#[test]
fn margin_tightens_at_once_and_loosens_after_its_delay() {
    let mut scene = Scene::new();
    let (venue, admin) = venue(&scene);
    let looser = margin(&scene, 90, 500_000);
    refuse(&mut scene, venue.set_margin(admin, &looser), EngineError::ChangeNotTightening);
    let much = margin(&scene, 126, 500_000);
    refuse(&mut scene, venue.set_margin(admin, &much), EngineError::ChangeStepTooLarge);
    refuse(&mut scene, venue.propose_margin(admin, &much), EngineError::ChangeStepTooLarge);
    send(&mut scene, venue.propose_margin(admin, &looser));
    let tighter = margin(&scene, 110, 500_000);
    send(&mut scene, venue.set_margin(admin, &tighter));
    for again in [venue.set_margin(admin, &tighter), venue.propose_margin(admin, &tighter)] {
        refuse(&mut scene, again, EngineError::MarginRampRunning);
    }
    scene.wait(DAY - 1);
    let instruction = execute(&scene, 1);
    refuse(&mut scene, instruction.clone(), EngineError::MarginRampRunning);
    scene.wait(LOOSENING - DAY);
    refuse(&mut scene, instruction.clone(), EngineError::ChangeTooEarly);
    scene.wait(1);
    // From 110% to 90% is less than a fifth.
    send(&mut scene, instruction);
    assert_eq!(row(&scene).tiers()[0].rate.get(), 45_000);
    scene.wait(LOOSENING);
    let back = margin(&scene, 100, 500_000);
    send(&mut scene, venue.propose_margin(admin, &back));
    assert_eq!((row(&scene).tiers()[0].rate.get(), queue(&scene).proposed), (50_000, 2));
}

#[test]
fn a_schedule_of_fees_waits() {
    let mut scene = Scene::new();
    let (venue, admin) = venue(&scene);
    let mut tiers = [FeeTier::UNUSED; 4];
    tiers[0] = FeeTier::new(QuoteAtoms::new(1_000), Ppm::new(100_000));
    let schedule = FeeSchedule::new(tiers, Ppm::new(200_000));
    let mut falling = schedule;
    falling.tiers[1] = FeeTier::new(QuoteAtoms::new(900), Ppm::new(200_000));
    refuse(&mut scene, venue.propose_fees(admin, &falling), EngineError::FeeScheduleInvalid);
    refuse(&mut scene, venue.propose_fees(admin, &FeeSchedule::NONE), EngineError::ChangeWithoutEffect);
    wait_for(&mut scene, venue.propose_fees(admin, &schedule), LOOSENING);
    assert_eq!(read::header(&scene.desk).policy.fees, schedule);
}

#[test]
fn a_market_opens_again_only_through_the_queue() {
    let mut scene = Scene::new();
    let (venue, admin) = venue(&scene);
    refuse(&mut scene, venue.propose_reopening(admin, SOL), EngineError::MarketStatusInvalid);
    send(&mut scene, venue.set_market_status(admin, SOL, MarketStatus::ReduceOnly));
    let open = venue.set_market_status(admin, SOL, MarketStatus::Active);
    refuse(&mut scene, open, EngineError::ChangeNotTightening);
    send(&mut scene, venue.propose_reopening(admin, SOL));
    wait_for(&mut scene, venue.propose_reopening(admin, SOL), LOOSENING);
    assert_eq!(row(&scene).status(), Some(MarketStatus::Active));
    send(&mut scene, venue.set_market_status(admin, SOL, MarketStatus::ReduceOnly));
    let stale = execute(&scene, 1);
    refuse(&mut scene, stale, EngineError::ChangeStale);
}

#[test]
fn the_delay_of_takers_needs_the_market() {
    let mut scene = Scene::new();
    let proposal = value(&scene, Parameter::TakerDelay, 2);
    send(&mut scene, proposal);
    scene.wait(LOOSENING);
    let venue = scene.desk.venue;
    let market = scene.market();
    refuse(&mut scene, venue.execute_change(1, None), Refusal::AccountsCount);
    refuse(&mut scene, venue.execute_change(1, Some(venue.ledger)), Refusal::WrongAddress);
    send(&mut scene, venue.execute_change(1, Some(market)));
    assert_eq!(scene.desk.market_view(0).unwrap().header.taker_delay, 2);
    let off = value(&scene, Parameter::TakerDelay, 0);
    send(&mut scene, off);
    scene.wait(LOOSENING);
    let mut waiting = scene.clone();
    patch(&mut waiting.desk.chain, market, offset_of!(MarketHeader, delayed_len), &[1]);
    refuse(&mut waiting, venue.execute_change(2, Some(market)), EngineError::TakersWaiting);
    send(&mut scene, venue.execute_change(2, Some(market)));
    let again = value(&scene, Parameter::TakerDelay, 0);
    send(&mut scene, again);
    scene.wait(LOOSENING);
    refuse(&mut scene, venue.execute_change(3, Some(market)), EngineError::ChangeWithoutEffect);
}

#[test]
fn refuses_another_sysvar_and_another_exchanges_ledger() {
    let mut scene = Scene::new();
    let (venue, admin) = venue(&scene);
    let (other, ()) = scene::beside(&mut scene.desk, 2, admin, |_| ());
    let proposal = value(&scene, Parameter::Band, 150_000);
    send(&mut scene, proposal.clone());
    scene.wait(LOOSENING);
    let cancel = venue.cancel_change(admin, 1);
    for instruction in [&proposal, &cancel] {
        let mut wrong = instruction.clone();
        wrong.accounts[3].pubkey = venue.ledger;
        refuse(&mut scene, wrong, Refusal::WrongInstructionsSysvar);
    }
    for (instruction, place) in [(proposal, 2), (cancel, 2), (venue.execute_change(1, None), 1)] {
        let mut wrong = instruction;
        wrong.accounts[place].pubkey = other.venue.ledger;
        refuse(&mut scene, wrong, Refusal::WrongLedger);
    }
    let wrong = other.venue.execute_change(1, None);
    refuse(&mut scene, wrong, EngineError::ChangeNotFound);
}

/// Before the seal margin and status change at once, as ever, and proposals wait all the same.
#[test]
fn an_exchange_that_is_not_sealed() {
    let mut scene = Scene::new();
    let ledger = scene.desk.venue.ledger;
    patch(&mut scene.desk.chain, ledger, offset_of!(LedgerHeader, sealed), &[0]);
    let (venue, admin) = venue(&scene);
    for margin in [90, 130].map(|scale| margin(&scene, scale, 500_000)) {
        send(&mut scene, venue.set_margin(admin, &margin));
    }
    for status in [MarketStatus::ReduceOnly, MarketStatus::Active] {
        send(&mut scene, venue.set_market_status(admin, SOL, status));
    }
    let proposal = value(&scene, Parameter::Band, 150_000);
    wait_for(&mut scene, proposal, LOOSENING);
}

#[test]
fn a_contradiction_in_the_queue_stops_its_change_alone() {
    let mut scene = Scene::new();
    for band in [120_000, 130_000] {
        let proposal = value(&scene, Parameter::Band, band);
        send(&mut scene, proposal);
    }
    scene.wait(LOOSENING);
    let place = offset_of!(Exchange, changes) + offset_of!(ChangeQueue, entries) + offset_of!(Change, kind);
    let exchange = scene.desk.venue.exchange;
    patch(&mut scene.desk.chain, exchange, place, &[9]);
    let instruction = execute(&scene, 1);
    refuse(&mut scene, instruction, EngineError::Corrupt);
    let instruction = execute(&scene, 2);
    send(&mut scene, instruction);
}

/// 75: whoever has the admin's key pushes every parameter as far as one change may, both ways. Nothing that is not tighter
/// takes effect.
#[test]
fn attack_every_parameter_pushed_at_once() {
    let mut scene = Scene::new();
    let (account, chain) = (scene.desk.venue.exchange, scene.desk.chain.clone());
    let (mut tightened, mut waiting, mut refused) = (0, 0, 0);
    for rule in RULES.iter().filter(|rule| rule.parameter != Parameter::TakerDelay) {
        for way in [-1, 1] {
            scene.desk.chain = chain.clone();
            let before = values(&scene);
            let present = before.read(rule.parameter).unwrap();
            let share = (i128::from(present) * i128::from(rule.step.get()) / 1_000_000) as i64;
            let wanted = present.saturating_add(way * share.max(rule.step_least)).clamp(rule.min, rule.max);
            let proposal = value(&scene, rule.parameter, wanted);
            if scene.desk.chain.send(proposal).is_err() {
                refused += 1;
                assert_eq!(values(&scene), before, "{}", rule.name);
                continue;
            }
            if values(&scene) != before {
                let tighter = if way < 0 { Tighter::Down } else { Tighter::Up };
                assert_eq!(rule.tighter, tighter, "{}", rule.name);
                tightened += 1;
                continue;
            }
            waiting += 1;
            let early = execute(&scene, 1);
            refuse(&mut scene, early, EngineError::ChangeTooEarly);
            assert_ne!(scene.desk.chain.bytes(&account).unwrap(), chain.bytes(&account).unwrap(), "all can read it");
        }
    }
    println!("{tightened} tightened, {waiting} wait, {refused} refused");
    assert!(tightened >= 5 && waiting >= 40, "{tightened} {waiting}");
}

fn values(scene: &Scene) -> Values {
    let (policy, delays) = (read::header(&scene.desk).policy, scene.desk.exchange_view().unwrap().delays);
    Values { row: row(scene), policy, delays, taker_delay: None }
}
