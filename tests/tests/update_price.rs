//! `UpdatePrice`: which readings count, what they move, and which accounts are refused.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError, MarketIndex, Ticks, UnixSeconds,
        risk::price::Validity,
        state::{CashEventKind, MarketRow, PriceCondition},
    },
    error::ProgramError,
    view::key_of,
};
use quantdesk_sim::oracle::{self, PYTH_RECEIVER, PYTH_RECEIVER_PRO, PythUpdate, Reading, SwitchboardFeed};
use quantdesk_tests::{
    read::{self, LedgerMap},
    refuses,
    scene::{self, LEDGER, MARK, PICO, PRICE, Scene, TOKEN_2022, ask, bid, edit_account, patch_row},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

fn update(scene: &Scene) -> Instruction {
    let market = &scene.desk.markets[0];
    scene.desk.venue.update_price(&market.address, market.index, &market.feeds)
}

/// What a source shows now at this price.
fn reading(scene: &Scene, price: u64) -> Reading {
    Reading { price, half_width: 0, publish_time: scene.desk.chain.unix_seconds(), slot: scene.desk.chain.slot() }
}

/// Writes the account of one source.
fn show(scene: &mut Scene, source: usize, reading: &Reading) {
    let market = &scene.desk.markets[0];
    let account = oracle::account(&market.parameters.sources()[source], reading).unwrap();
    let feed = market.feeds[source];
    scene.desk.chain.set_account(feed, account).unwrap();
}

fn show_both(scene: &mut Scene, edit: impl Fn(&mut Reading)) {
    let mut reading = reading(scene, PRICE);
    edit(&mut reading);
    show(scene, 0, &reading);
    show(scene, 1, &reading);
}

#[track_caller]
fn refuses_update(scene: &mut Scene, error: impl Into<ProgramError>) {
    let instruction = update(scene);
    refuses(&mut scene.desk.chain, instruction, error);
}

/// Runs the update and returns the row.
#[track_caller]
fn accepts_update(scene: &mut Scene) -> MarketRow {
    scene.desk.update_price(0).unwrap();
    scene.desk.check().unwrap();
    read::row(&scene.desk, 0)
}

#[test]
fn moves_the_board_and_nothing_else() {
    let mut scene = Scene::new();
    scene.trade(5);
    scene.wait(7);
    let now = read::now(&scene.desk.chain);
    // Half a tick is rounded up; the two sources' mean is 210.0005.
    let (low, high) = (reading(&scene, 210 * PICO), reading(&scene, 210 * PICO + PICO / 1_000));
    show(&mut scene, 0, &Reading { publish_time: now.unix_seconds.get() - 3, ..high });
    show(&mut scene, 1, &low);
    let before = Snapshot::of(&scene.desk.chain);
    let row = accepts_update(&mut scene);
    // Seven seconds: five steps of 0.13% for the mark, seven of 0.03% for the stable price.
    assert_eq!([row.index_price, row.mark, row.stable].map(Ticks::get), [210_001, 201_300, 200_420]);
    assert_eq!([row.low, row.high].map(Ticks::get), [200_420, 210_001]);
    assert!(row.is_lagging());
    assert_eq!((row.updated_at, row.updated_slot), (now.unix_seconds, now.slot));
    // The board is as old as its oldest source.
    assert_eq!(row.publish_time.get(), now.unix_seconds.get() - 3);
    assert_eq!(row.source_times.map(UnixSeconds::get), [row.publish_time.get(), now.unix_seconds.get(), 0, 0]);
    assert_eq!(row.condition(), PriceCondition::Good);

    let event = *read::cash_events(&scene.desk).last().unwrap();
    assert_eq!((event.kind(), event.amount, event.balance), (Some(CashEventKind::PriceUpdated), 210_001, 201_300));
    assert!(event.market.is_zero() && event.trader.is_nil());
    let ledger = scene.desk.venue.ledger;
    let row = LedgerMap::row(0).start;
    let lagging = row + offset_of!(MarketRow, sources_len) + 1;
    let frame = Frame::new()
        .bytes(ledger, lagging..lagging + 1)
        .bytes(ledger, row + offset_of!(MarketRow, index_price)..row + offset_of!(MarketRow, funding_index))
        .bytes(ledger, row + offset_of!(MarketRow, stable)..row + offset_of!(MarketRow, margin_scale))
        .bytes(ledger, row + offset_of!(MarketRow, mark_at)..row + offset_of!(MarketRow, funding_remainder))
        .bytes(ledger, LedgerMap::events_written())
        .bytes(ledger, LEDGER.event(event.sequence.get()));
    before.only(&scene.desk.chain, &frame);
}

#[test]
fn rounds_to_the_nearest_tick() {
    let mut scene = Scene::new();
    for (price, ticks) in [
        (PRICE + PICO / 2_000 - 1, MARK),
        (PRICE + PICO / 2_000, MARK + 1),
        (PRICE - PICO / 2_000, MARK),
        (PRICE - PICO / 2_000 - 1, MARK - 1),
        (PICO / 2_000, 1),
        (4_000 * PICO + PICO / 2_000 - 1, 4_000_000),
    ] {
        show_both(&mut scene, |reading| reading.price = price);
        assert_eq!(accepts_update(&mut scene).index_price.get(), ticks);
    }
}

#[test]
fn prices_without_ticks() {
    let mut scene = Scene::new();
    for price in [1, PICO / 2_000 - 1, 4_000 * PICO + PICO / 2_000, i64::MAX as u64] {
        show_both(&mut scene, |reading| reading.price = price);
        refuses_update(&mut scene, EngineError::OraclePriceOutOfRange);
    }
    show_both(&mut scene, |reading| reading.price = 0);
    refuses_update(&mut scene, EngineError::OraclePriceInvalid);
    // A negative price and exponents out of bounds, from Pyth.
    let pyth = PythUpdate::from_pico(feed(&scene), &reading(&scene, PRICE)).unwrap();
    for update in [
        PythUpdate { price: -1, ..pyth },
        PythUpdate { price: i64::MIN, ..pyth },
        PythUpdate { exponent: -32, ..pyth },
        PythUpdate { exponent: 8, ..pyth },
        PythUpdate { exponent: i32::MIN, ..pyth },
        PythUpdate { exponent: i32::MAX, ..pyth },
    ] {
        show_both(&mut scene, |_| ());
        show_pyth(&mut scene, &update);
        refuses_update(&mut scene, EngineError::OraclePriceInvalid);
    }
}

fn feed(scene: &Scene) -> [u8; 32] {
    *scene.desk.markets[0].parameters.sources[0].feed.as_bytes()
}

fn show_pyth(scene: &mut Scene, update: &PythUpdate) {
    let feed = scene.desk.markets[0].feeds[0];
    scene.desk.chain.set_account(feed, update.account(PYTH_RECEIVER)).unwrap();
}

#[test]
fn ages_are_those_of_the_publish_times() {
    let mut scene = Scene::new();
    scene.wait(100);
    let now = scene.desk.chain.unix_seconds();
    // One young source is not enough where both are needed, whichever is old.
    for source in [0, 1] {
        show_both(&mut scene, |_| ());
        let old = Reading { publish_time: now - 31, ..reading(&scene, PRICE) };
        show(&mut scene, source, &old);
        refuses_update(&mut scene, EngineError::OracleStale);
    }
    show_both(&mut scene, |reading| reading.publish_time = now - 31);
    refuses_update(&mut scene, EngineError::OracleStale);
    show_both(&mut scene, |reading| reading.publish_time = now - 30);
    assert_eq!(accepts_update(&mut scene).publish_time.get(), now - 30);
    // Writing an old price anew does not make it young: only its own time counts.
    scene.wait(1);
    show_both(&mut scene, |reading| reading.publish_time = now - 30);
    refuses_update(&mut scene, EngineError::OracleStale);
}

#[test]
fn the_future_begins_after_ten_seconds() {
    let mut scene = Scene::new();
    let now = scene.desk.chain.unix_seconds();
    for ahead in [11, 1_000, i64::MAX - now] {
        show_both(&mut scene, |reading| reading.publish_time = now + ahead);
        refuses_update(&mut scene, EngineError::OracleFromFuture);
    }
    show_both(&mut scene, |reading| reading.publish_time = now + 10);
    let row = accepts_update(&mut scene);
    assert_eq!(row.publish_time.get(), now + 10);
    assert_eq!(row.validity(UnixSeconds::new(now)), Validity::Fresh);
    // From then on a source may not fall back behind it.
    show_both(&mut scene, |_| ());
    refuses_update(&mut scene, EngineError::OracleRegressed);
}

#[test]
fn time_never_goes_back_for_any_source() {
    let mut scene = Scene::new();
    scene.wait(20);
    let now = scene.desk.chain.unix_seconds();
    show_both(&mut scene, |reading| reading.publish_time = now - 5);
    accepts_update(&mut scene);
    for source in [0, 1] {
        show_both(&mut scene, |reading| reading.publish_time = now - 5);
        let older = Reading { publish_time: now - 6, ..reading(&scene, PRICE + PICO) };
        show(&mut scene, source, &older);
        refuses_update(&mut scene, EngineError::OracleRegressed);
    }
    // The same accounts again are the same prices.
    show_both(&mut scene, |reading| reading.publish_time = now - 5);
    let first = accepts_update(&mut scene);
    assert_eq!(accepts_update(&mut scene), first);
}

#[test]
fn only_what_moved_is_recorded() {
    let mut scene = Scene::new();
    let written = |scene: &Scene| read::header(&scene.desk).events_written.get();
    let before = written(&scene);
    scene.wait(5);
    show_both(&mut scene, |_| ());
    let row = accepts_update(&mut scene);
    assert_eq!(row.updated_at.get(), scene.desk.chain.unix_seconds(), "the price is younger");
    assert_eq!(written(&scene), before, "but not another one");
    show_both(&mut scene, |reading| reading.half_width = PRICE / 40);
    assert_eq!(accepts_update(&mut scene).condition(), PriceCondition::Wide);
    assert_eq!(written(&scene), before + 1);
    let event = *read::cash_events(&scene.desk).last().unwrap();
    assert_eq!((event.amount, event.balance), (i64::from(MARK), i64::from(MARK)));
    accepts_update(&mut scene);
    assert_eq!(written(&scene), before + 1);
    show_both(&mut scene, |reading| reading.price = PRICE + PICO / 1_000);
    accepts_update(&mut scene);
    assert_eq!(written(&scene), before + 2);
}

#[test]
fn with_one_source_enough_the_other_may_fail() {
    let mut scene = Scene::new();
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, sources_min), &[1]);
    scene.wait(60);
    let now = scene.desk.chain.unix_seconds();
    for source in [0, 1] {
        let price = PRICE + PICO * (1 + source as u64);
        show_both(&mut scene, |reading| reading.price = price);
        let stale = Reading { publish_time: now - 31, ..reading(&scene, PRICE) };
        show(&mut scene, source, &stale);
        let row = accepts_update(&mut scene);
        assert_eq!(row.index_price.get(), MARK + 1_000 * (1 + source as u32));
        assert_eq!(row.publish_time.get(), now);
        scene.desk.chain.set_unix_seconds(now);
    }
    // With neither, the first one's reason is given.
    scene.wait(40);
    show_both(&mut scene, |reading| reading.publish_time = now + 9);
    let future = Reading { publish_time: now + 1_000, ..reading(&scene, PRICE) };
    show(&mut scene, 1, &future);
    refuses_update(&mut scene, EngineError::OracleStale);
    show(&mut scene, 0, &future);
    show_both(&mut scene, |reading| reading.publish_time = now + 1_000);
    refuses_update(&mut scene, EngineError::OracleFromFuture);
}

#[test]
fn wide_prices_stop_new_risk_until_they_narrow() {
    let mut scene = Scene::new();
    scene.trade(5);
    let (alice, bob) = (scene.alice, scene.bob);
    let before = read::row(&scene.desk, 0);
    scene.wait(1);
    // 2% is the limit.
    show_both(&mut scene, |reading| (reading.price, reading.half_width) = (PRICE + PICO, (PRICE + PICO) / 50));
    assert_eq!(accepts_update(&mut scene).condition(), PriceCondition::Good);
    show_both(&mut scene, |reading| (reading.price, reading.half_width) = (PRICE, PRICE / 50 + 1));
    let row = accepts_update(&mut scene);
    assert_eq!((row.condition(), row.index_price.get()), (PriceCondition::Wide, MARK + 1_000));
    assert!(row.publish_time > before.publish_time);
    let instruction = scene.order(&alice, &bid(MARK, 1).build());
    refuses(&mut scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
    let instruction = scene.withdraw(&alice, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
    scene.accept(&bob, &ask(MARK, 1).reduce_only().build());
    show_both(&mut scene, |_| ());
    assert_eq!(accepts_update(&mut scene).condition(), PriceCondition::Good);
    scene.accept(&alice, &bid(MARK - 1, 1).build());
}

#[test]
fn sources_apart_stop_new_risk_until_they_meet() {
    let mut scene = Scene::new();
    scene.trade(5);
    let (alice, bob) = (scene.alice, scene.bob);
    // 2% of the mean: 198 and 202 are 4 apart, which is the limit; an atom more is not.
    for (high, condition) in [(202 * PICO, PriceCondition::Good), (202 * PICO + 3, PriceCondition::Diverged)] {
        let (a, b) = (reading(&scene, 198 * PICO), reading(&scene, high));
        show(&mut scene, 0, &a);
        show(&mut scene, 1, &b);
        let row = accepts_update(&mut scene);
        assert_eq!((row.condition(), row.index_price.get()), (condition, MARK));
    }
    let instruction = scene.order(&alice, &bid(MARK, 1).build());
    refuses(&mut scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
    scene.accept(&bob, &ask(MARK, 1).reduce_only().build());
    show_both(&mut scene, |_| ());
    assert_eq!(accepts_update(&mut scene).condition(), PriceCondition::Good);
}

#[test]
fn pyth_accounts_that_are_not_the_sources() {
    let mut scene = Scene::new();
    show_both(&mut scene, |_| ());
    let account = scene.desk.markets[0].feeds[0];
    let case = |edit: &dyn Fn(&mut solana_account::Account), refusal: Refusal| {
        let mut chain = scene.desk.chain.clone();
        edit_account(&mut chain, account, edit);
        refuses(&mut chain, update(&scene), refusal);
    };
    case(&|it| it.owner = TOKEN_2022, Refusal::OracleWrongOwner);
    case(&|it| it.owner = PYTH_RECEIVER_PRO, Refusal::OracleWrongOwner);
    case(&|it| *it = Default::default(), Refusal::OracleWrongOwner);
    for place in 0..8 {
        case(&|it| it.data[place] ^= 1, Refusal::OracleWrongType);
    }
    case(&|it| it.data.truncate(133), Refusal::OracleWrongType);
    case(&|it| it.data.push(0), Refusal::OracleWrongType);
    case(&|it| it.data.clear(), Refusal::OracleWrongType);
    for level in [0, 2, 255] {
        case(&|it| it.data[40] = level, Refusal::OracleNotVerified);
    }
    for place in 41..73 {
        case(&|it| it.data[place] ^= 0x80, Refusal::OracleWrongFeed);
    }
    // As Pyth itself would write one with five signatures.
    let partial = PythUpdate::from_pico(feed(&scene), &reading(&scene, PRICE)).unwrap();
    show_pyth(&mut scene, &PythUpdate { full: false, ..partial });
    refuses_update(&mut scene, Refusal::OracleNotVerified);
    // A genuine update in another account serves as well: its content is what is verified.
    show_both(&mut scene, |_| ());
    let elsewhere = scene.desk.name(b"posted by somebody else");
    let posted = scene.desk.chain.account(&account).unwrap();
    scene.desk.chain.set_account(elsewhere, posted).unwrap();
    let mut instruction = update(&scene);
    instruction.accounts[3].pubkey = elsewhere;
    scene.desk.chain.send(instruction).unwrap();
}

#[test]
fn switchboard_accounts_that_are_not_the_sources() {
    let mut scene = Scene::new();
    show_both(&mut scene, |_| ());
    let account = scene.desk.markets[0].feeds[1];
    let source = scene.desk.markets[0].parameters.sources[1];
    let good = SwitchboardFeed::from_pico(*source.feed.as_bytes(), *source.queue.as_bytes(), &reading(&scene, PRICE));
    let good = SwitchboardFeed { samples: 3, ..good };
    let case = |feed: SwitchboardFeed, error: ProgramError| {
        let mut chain = scene.desk.chain.clone();
        chain.set_account(account, feed.account()).unwrap();
        refuses(&mut chain, update(&scene), error);
    };
    case(SwitchboardFeed { feed_hash: [1; 32], ..good }, EngineError::OracleNotTrusted.into());
    case(SwitchboardFeed { queue: [1; 32], ..good }, EngineError::OracleNotTrusted.into());
    case(SwitchboardFeed { permit_write_by_authority: true, ..good }, EngineError::OracleNotTrusted.into());
    case(SwitchboardFeed { samples: 2, ..good }, EngineError::OracleSamplesTooFew.into());
    case(SwitchboardFeed { value: 0, ..good }, EngineError::OraclePriceInvalid.into());
    case(SwitchboardFeed { value: -1, ..good }, EngineError::OraclePriceInvalid.into());
    case(SwitchboardFeed { value: i128::MAX, ..good }, EngineError::OraclePriceInvalid.into());
    case(SwitchboardFeed { std_dev: -1, ..good }, EngineError::OraclePriceInvalid.into());
    // Kept for a minute, or more slots than there are, before it was written.
    case(SwitchboardFeed { slot: 1, landed_at: 121, ..good }, EngineError::OracleRegressed.into());
    case(SwitchboardFeed { landed_at: 0, ..good }, EngineError::OracleStale.into());

    let edits: [fn(&mut solana_account::Account); 5] = [
        |it| it.owner = PYTH_RECEIVER,
        |it| it.data[0] ^= 1,
        |it| it.data.push(0),
        |it| it.data.clear(),
        |it| *it = Default::default(),
    ];
    for edit in edits {
        let mut chain = scene.desk.chain.clone();
        edit_account(&mut chain, account, edit);
        refuses(&mut chain, update(&scene), EngineError::OracleNotTrusted);
    }
    // The same bytes in another account: a feed is its address.
    let elsewhere = scene.desk.name(b"copy");
    let copy = scene.desk.chain.account(&account).unwrap();
    scene.desk.chain.set_account(elsewhere, copy).unwrap();
    let mut instruction = update(&scene);
    instruction.accounts[4].pubkey = elsewhere;
    refuses(&mut scene.desk.chain, instruction, Refusal::OracleWrongAccount);
}

#[test]
fn which_accounts_and_market() {
    let (mut scene, bitcoin) = Scene::with_bitcoin();
    let admin = scene.desk.admin;
    let (other, ()) = scene::beside(&mut scene.desk, 2, admin, |desk| {
        desk.list(&scene::sol()).unwrap();
    });
    show_both(&mut scene, |_| ());
    for market in [2, 31, 32, u16::MAX] {
        let instruction =
            scene.desk.venue.update_price(&scene.market(), MarketIndex::new(market), &scene.desk.markets[0].feeds);
        refuses(&mut scene.desk.chain, instruction, EngineError::MarketNotFound);
    }
    for feeds in [0, 1, 3, 4, 5, 6, 7] {
        let accounts = scene.desk.markets[0].feeds.iter().cycle().take(feeds).copied().collect::<Vec<_>>();
        let instruction = scene.desk.venue.update_price(&scene.market(), MarketIndex::new(0), &accounts);
        refuses(&mut scene.desk.chain, instruction, Refusal::AccountsCount);
    }
    let [pyth, switchboard] = scene.desk.markets[0].feeds[..] else { panic!("two feeds") };
    let cases = [
        ([switchboard, pyth], Refusal::OracleWrongOwner),
        ([pyth, pyth], Refusal::OracleWrongAccount),
        ([scene.desk.markets[bitcoin].feeds[0], switchboard], Refusal::OracleWrongFeed),
        ([pyth, other.markets[0].feeds[1]], Refusal::OracleWrongAccount),
        ([scene.desk.venue.ledger, switchboard], Refusal::AccountTwice),
        ([scene.desk.venue.exchange, switchboard], Refusal::OracleWrongOwner),
    ];
    scene.desk.set_price(bitcoin, 100_000 * PICO).unwrap();
    let reading = reading(&scene, PRICE);
    let foreign = oracle::account(&other.markets[0].parameters.sources[1], &reading).unwrap();
    scene.desk.chain.set_account(other.markets[0].feeds[1], foreign).unwrap();
    for (feeds, refusal) in cases {
        let instruction = scene.desk.venue.update_price(&scene.market(), MarketIndex::new(0), &feeds);
        refuses(&mut scene.desk.chain, instruction, refusal);
    }
    for (place, address) in [(0, other.venue.exchange), (1, other.venue.ledger)] {
        let mut instruction = update(&scene);
        instruction.accounts[place].pubkey = address;
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongLedger);
    }
    // Whose book: the market's own, and no other.
    let foreign = [scene.desk.markets[bitcoin].address, other.markets[0].address, scene.desk.venue.ledger, pyth];
    for address in foreign {
        let mut instruction = update(&scene);
        instruction.accounts[2].pubkey = address;
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongAddress);
    }
    let mut instruction = update(&scene);
    instruction.accounts[1].is_writable = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
    assert_eq!(read::row(&scene.desk, 0).market, key_of(&scene.market()));
}

#[test]
fn a_market_account_that_is_not_one_any_more() {
    let scene = Scene::new();
    let edits: [(fn(&mut solana_account::Account), ProgramError); 5] = [
        (|it| it.owner = TOKEN_2022, Refusal::WrongOwner.into()),
        (|it| *it = Default::default(), Refusal::WrongOwner.into()),
        (|it| it.data.truncate(255), EngineError::AccountSize.into()),
        (|it| it.data.push(0), EngineError::AccountSize.into()),
        (|it| it.data[0] ^= 1, EngineError::AccountType.into()),
    ];
    for (edit, error) in edits {
        let mut chain = scene.desk.chain.clone();
        edit_account(&mut chain, scene.market(), edit);
        refuses(&mut chain, update(&scene), error);
    }
}

#[test]
fn a_market_that_is_over_takes_no_price() {
    let mut scene = Scene::new();
    let status = offset_of!(MarketRow, index) + 2;
    patch_row(&mut scene.desk, 0, status, &[2]);
    accepts_update(&mut scene);
    for over in [3, 4] {
        patch_row(&mut scene.desk, 0, status, &[over]);
        refuses_update(&mut scene, EngineError::MarketStatusInvalid);
    }
}

/// The book moves the mark within half a percent of the index, by its smoothed middle; an order that has expired does
/// not count.
#[test]
fn the_book_pulls_the_mark() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let expires_at = UnixSeconds::new(scene.desk.chain.unix_seconds() + 300);
    scene.accept(&alice, &ask(MARK + 1_100, 5).build());
    scene.accept(&bob, &bid(MARK + 900, 5).expires_at(expires_at).build());
    scene.wait(150);
    show_both(&mut scene, |_| ());
    let row = accepts_update(&mut scene);
    // Half the way to the middle; the mark is below the book's median, so the basis decides.
    assert_eq!((row.basis >> 16, row.mark.get(), row.is_lagging()), (500, MARK + 500, false));
    assert_eq!([row.index_price, row.stable, row.low, row.high].map(Ticks::get), [MARK, MARK, MARK, MARK + 500]);
    scene.wait(151);
    show_both(&mut scene, |_| ());
    let row = accepts_update(&mut scene);
    assert_eq!((row.mark.get(), row.basis >> 16), (MARK, 249), "the only bid has expired");
}

/// Bob is long below the mark: he pays for the time that the board showed it, Alice is paid when her size changes.
#[test]
fn a_premium_costs_longs_and_pays_shorts() {
    let mut scene = Scene::new();
    scene.trade(1_000);
    let (alice, bob) = (scene.alice, scene.bob);
    let mark = offset_of!(MarketRow, mark);
    patch_row(&mut scene.desk, 0, mark, &(MARK + 900).to_le_bytes());
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, high), &(MARK + 900).to_le_bytes());
    scene.wait(20);
    show_both(&mut scene, |_| ());
    let before = accepts_update(&mut scene);
    // 900 ticks less 100 of the dead zone, a day's worth of them for 20 seconds.
    let dividend = 800i64 * 20 << 20;
    assert_eq!(before.funding_index.get(), dividend / 86_400);
    assert_eq!(before.funding_remainder, dividend % 86_400);
    let event = *read::cash_events(&scene.desk).last().unwrap();
    assert_eq!((event.kind(), event.funding_index), (Some(CashEventKind::PriceUpdated), before.funding_index));
    let (rich, poor) = (read::cash(&scene.desk, &alice.trader), read::cash(&scene.desk, &bob.trader));
    scene.accept(&bob, &ask(MARK, 1).build());
    scene.accept(&alice, &bid(MARK, 1).immediate_or_cancel().build());
    let owed = (800 * 20 * 1_000 / 86_400) + 1;
    let paid = |party: &scene::Party| read::position(&scene.desk, &party.trader, 0).unwrap().1.funding_paid.get();
    assert_eq!((paid(&bob), paid(&alice)), (owed, 1 - owed));
    // Fees of a lot at $200: 100 atoms to take, 20 for having made.
    assert_eq!(read::cash(&scene.desk, &bob.trader), poor - owed + 20);
    assert_eq!(read::cash(&scene.desk, &alice.trader), rich + owed - 1 - 100);
    assert_eq!(read::row(&scene.desk, 0).funding_pot.get().get(), 1);
}

#[test]
fn anybody_may_call_it() {
    let mut scene = Scene::new();
    show_both(&mut scene, |_| ());
    assert!(update(&scene).accounts.iter().all(|account| !account.is_signer));
    accepts_update(&mut scene);
}
