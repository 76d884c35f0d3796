//! What a session key can do to its account: a thief who has it, with accomplices who trade against whatever it places, at
//! random and for days, never makes the account lose more on a day than the session may. And each scope, one at a time.

#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use quantdesk_engine::{
    CellIndex, EngineError, Lots, Ppm, QuoteAtoms, Result, Side, Ticks, UnixSeconds, account,
    book::{NewOrder, NewTrigger, OrderHandle, OrderKind, Quote, Replacement, SelfTrade, Sides, TriggerHandle},
    pool,
    risk::outcome,
    session::{self as rules, Action, Asked, SESSION_SECONDS_MAX},
    state::{Condition, LedgerView, MarketRow, Reference, Session, SessionIdentity, SessionTerms, session},
};
use support::{
    World, listing,
    random::{Random, setting},
    world::{key, order},
};

const DAY: i64 = 86_400;
const ALL: u8 = 31;

/// What somebody asks for.
#[derive(Clone, Copy)]
enum Wish<'a> {
    Cancel,
    Orders(&'a [NewOrder]),
    Quotes(&'a [Quote]),
    Amendment(Ticks, Lots),
    Trigger(&'a NewTrigger),
}

impl Wish<'_> {
    fn is_risky(&self) -> bool {
        !matches!(self, Self::Cancel | Self::Quotes([]))
    }

    fn asked(&self, ledger: &LedgerView<'_>, trader: CellIndex, row: &MarketRow) -> Result<Asked> {
        let mut asked = Asked::default();
        match self {
            Self::Cancel => {}
            Self::Orders(orders) => orders.iter().for_each(|order| asked.add(row, order.price, order.lots)),
            Self::Quotes(quotes) => quotes.iter().for_each(|quote| asked.add(row, quote.price, quote.lots)),
            Self::Amendment(price, lots) => asked.add(row, *price, *lots),
            Self::Trigger(trigger) => {
                let terms = (trigger.price, trigger.limit, trigger.lots);
                asked = rules::asked_by_trigger(ledger, trader, row, terms)?;
            }
        }
        Ok(asked)
    }
}

/// Terms without limits but that of a day's loss.
fn terms(world: &World, day_loss_max: u64) -> SessionTerms {
    let end = world.now.unix_seconds.plus(SESSION_SECONDS_MAX).unwrap();
    let limits = [QuoteAtoms::MAX, QuoteAtoms::MAX, QuoteAtoms::new(day_loss_max)];
    SessionTerms::new(u32::MAX, ALL, end, limits)
}

fn open(world: &World, trader: CellIndex, terms: &SessionTerms) -> Session {
    let generation = world.trader(trader).generation;
    let identity = SessionIdentity { ledger: key(900), owner: key(1), key: key(77), trader, generation };
    let mut bytes = vec![0u64; session::SESSION_SIZE / 8];
    session::create(bytemuck::cast_slice_mut(&mut bytes), &identity, terms, 1).unwrap();
    *Session::load(bytemuck::cast_slice(&bytes)).unwrap()
}

/// Does a wish as the program does: the session's scope before, its loss after, all or nothing.
fn act<R>(
    world: &mut World,
    session: &mut Session,
    market: usize,
    (action, wish): (Action, &Wish<'_>),
    does: impl FnOnce(&mut quantdesk_engine::book::Trading<'_>, CellIndex) -> Result<R>,
) -> Result<R> {
    let mut changed = *session;
    let done = world.trading(market, |trading| {
        changed.begin(trading, action, wish.is_risky())?;
        let done = does(trading, changed.trader)?;
        if wish.is_risky() {
            let ledger = trading.ledger.view();
            let asked = wish.asked(&ledger, changed.trader, ledger.row(trading.market.header.index)?)?;
            changed.end(&ledger, asked)?;
        }
        Ok(done)
    })?;
    *session = changed;
    Ok(done)
}

fn place(world: &mut World, session: &mut Session, market: usize, order: &NewOrder) -> Result<()> {
    let orders = core::slice::from_ref(order);
    let wish = (Action::Place, &Wish::Orders(orders));
    act(world, session, market, wish, |trading, trader| trading.place_orders(trader, orders))
}

fn profit(world: &World, trader: CellIndex) -> i64 {
    let view = world.view();
    outcome::profit(&view, view.trader(trader).unwrap()).unwrap().get()
}

/// A thief with a session key, and accomplices.
struct Heist {
    world: World,
    random: Random,
    session: Session,
    victim: CellIndex,
    friends: [CellIndex; 2],
    marks: [u32; 2],
    /// Most that was lost on a day, and how much was done.
    lost: i64,
    done: u32,
}

impl Heist {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (mut usual, mut dust) = (listing::usual(), listing::dust());
        (usual.side_capacity, dust.side_capacity) = (24, 24);
        usual.taker_delay = random.pick(&[0, 0, 2]);
        let (marks, capital) = ([100, 60], 40_000_000);
        let mut world = World::new(&[usual, dust], 200);
        for (market, mark) in marks.into_iter().enumerate() {
            world.set_price(market, mark);
        }
        let [victim, one, two] = [1, 2, 3].map(|owner| world.funded(owner, capital));
        let limit = 2_000 * (1 + random.below(25));
        let session = open(&world, victim, &terms(&world, limit));
        let mut heist = Self { world, random, session, victim, friends: [one, two], marks, lost: 0, done: 0 };
        for _ in 0..8 {
            let trader = heist.victim;
            heist.trade(trader);
            heist.help();
        }
        heist
    }

    /// The prices that a position may be worth lie apart, on another side each day.
    fn dawn(&mut self) {
        self.world.pass(DAY);
        for (market, mark) in self.marks.into_iter().enumerate() {
            self.world.set_price(market, mark);
            let [index, stable] = [(); 2].map(|()| Ticks::new((i64::from(mark) + self.random.range(-3, 3)) as u32));
            self.world
                .ledger(|ledger, _| {
                    let row = &mut ledger.rows[market];
                    (row.index_price, row.stable) = (index, stable);
                    row.low = index.min(stable).min(row.mark);
                    row.high = index.max(stable).max(row.mark);
                    Ok(())
                })
                .unwrap();
        }
    }

    /// An order that is mostly to its owner's loss, or to his gain.
    fn order(&mut self, market: usize, losing: bool) -> NewOrder {
        let random = &mut self.random;
        let mark = i64::from(self.marks[market]);
        let kinds = [
            OrderKind::Limit,
            OrderKind::Limit,
            OrderKind::Market,
            OrderKind::ImmediateOrCancel,
            OrderKind::FillOrKill,
            OrderKind::PostOnly,
            OrderKind::PostOnlySlide,
            OrderKind::Pegged,
        ];
        let side = random.pick(&[Side::Bid, Side::Ask]);
        let way = if (side == Side::Bid) == (losing == random.chance(85)) { 1 } else { -1 };
        let price = mark + way * random.range(0, mark / 8);
        let mut new = order(side, random.pick(&kinds), price as u32, 1 + random.below(9));
        new.client_id = if random.chance(80) { 0 } else { 1 + random.below(4) };
        new.reduce_only = random.chance(25);
        new.match_limit = random.pick(&[1, 3, 255]);
        new.self_trade = random.pick(&[SelfTrade::CancelMaker, SelfTrade::Decrement]);
        if new.kind == OrderKind::Pegged {
            new.peg_offset = random.range(-mark / 9, mark / 9) as i32;
        }
        new
    }

    /// An order without a session.
    fn trade(&mut self, trader: CellIndex) {
        let market = self.random.index(2);
        let order = self.order(market, trader == self.victim);
        let _ = self.world.place(market, trader, &order);
    }

    fn trigger(&mut self, market: usize) -> NewTrigger {
        let random = &mut self.random;
        let mark = i64::from(self.marks[market]);
        let condition = random.pick(&[Condition::Above, Condition::Below, Condition::Trailing, Condition::Twap]);
        let near = Ticks::new((mark + random.range(-mark / 8, mark / 8)) as u32);
        let (priced, timed) = (matches!(condition, Condition::Above | Condition::Below), condition == Condition::Twap);
        let limited = !timed && random.chance(40);
        let (share, parent) = match random.below(4) {
            0 => (Ppm::new(1 + random.below(1_000_000) as u32), 0),
            1 if !timed => (Ppm::ZERO, 1 + random.below(4)),
            _ => (Ppm::ZERO, 0),
        };
        let sized = share.is_zero() && parent == 0;
        NewTrigger {
            condition,
            reference: random.pick(&[Reference::Mark, Reference::Last, Reference::Index]),
            side: random.pick(&[Side::Bid, Side::Ask]),
            reduce_only: !sized || random.chance(30),
            price: if priced { near } else { Ticks::ZERO },
            distance: Ticks::new(if condition == Condition::Trailing { 1 + random.below(5) as u32 } else { 0 }),
            limit: if limited { Ticks::new((mark + random.range(-mark / 9, mark / 9)) as u32) } else { Ticks::ZERO },
            slippage: if limited { Ppm::ZERO } else { Ppm::new(random.below(200_000) as u32) },
            lots: Lots::new(if sized { 4 + random.below(12) } else { 0 }),
            share,
            tip: QuoteAtoms::ZERO,
            client_id: 0,
            parent,
            group: random.pick(&[0, 0, 1]) as u32,
            expires_at: UnixSeconds::ZERO,
            interval: u32::from(timed),
            slices: if timed { 2 } else { 0 },
        }
    }

    fn own_order(&mut self, market: usize) -> Option<OrderHandle> {
        let position = self.world.position(market, self.victim)?;
        let mut next = position.first_order;
        let mut found = Vec::new();
        let book = self.world.market(market);
        while let Some(node) = book.node(next) {
            found.push(OrderHandle::new(next, node.sequence));
            next = node.next;
        }
        (!found.is_empty()).then(|| found[self.random.index(found.len())])
    }

    /// Something that the thief asks for.
    fn steal(&mut self) {
        let market = self.random.index(2);
        let result = match self.random.below(12) {
            0..=4 => {
                let order = self.order(market, true);
                place(&mut self.world, &mut self.session, market, &order)
            }
            5 => {
                let orders: Vec<NewOrder> = (0..3).map(|_| self.order(market, true)).collect();
                let wish = (Action::Place, &Wish::Orders(&orders));
                act(&mut self.world, &mut self.session, market, wish, |trading, trader| {
                    trading.place_orders(trader, &orders)
                })
            }
            6 | 7 => {
                let quotes: Vec<Quote> = (0..self.random.below(6))
                    .map(|_| self.order(market, true))
                    .map(|order| Quote::new(order.side, order.price, order.lots))
                    .collect();
                let sides = self.random.pick(&[None, Some(Sides::Both), Some(Sides::Asks)]);
                let sequence = u64::from(self.done) + 1;
                let wanted = Replacement { sequence, sides, expires_at: UnixSeconds::ZERO, quotes: &quotes };
                let wish = (Action::Quote, &Wish::Quotes(&quotes));
                act(&mut self.world, &mut self.session, market, wish, |trading, trader| {
                    trading.replace_quotes(trader, &wanted).map(|_| ())
                })
            }
            8 => {
                let Some(handle) = self.own_order(market) else { return };
                let (price, lots) = (self.order(market, true).price, Lots::new(1 + self.random.below(12)));
                let wish = (Action::Place, &Wish::Amendment(price, lots));
                act(&mut self.world, &mut self.session, market, wish, |trading, trader| {
                    trading.amend_order(trader, handle, price, lots).map(|_| ())
                })
            }
            9 | 10 => {
                let trigger = self.trigger(market);
                let wish = (Action::Trigger, &Wish::Trigger(&trigger));
                act(&mut self.world, &mut self.session, market, wish, |trading, trader| {
                    trading.place_trigger(trader, &trigger).map(|_| ())
                })
            }
            _ => {
                let limit = 1 + self.random.below(5) as u8;
                let wish = (Action::Cancel, &Wish::Cancel);
                act(&mut self.world, &mut self.session, market, wish, |trading, trader| {
                    trading.cancel_all(trader, Sides::Both, limit).map(|_| ())
                })
            }
        };
        self.done += u32::from(result.is_ok());
    }

    fn triggers(&self, market: usize) -> Vec<TriggerHandle> {
        let view = self.world.view();
        let Some(position) = self.world.position(market, self.victim) else { return Vec::new() };
        view.triggers(&position).map(|(cell, trigger)| TriggerHandle { cell, number: trigger.number }).collect()
    }

    /// Something that an accomplice does, or whoever keeps the market running.
    fn help(&mut self) {
        let market = self.random.index(2);
        let friend = self.random.pick(&self.friends);
        match self.random.below(8) {
            0 | 1 => {
                let handles = self.triggers(market);
                let mut handles = handles.into_iter().filter(|_| self.random.chance(60)).collect::<Vec<_>>();
                handles.truncate(3);
                let _ = self.world.trading(market, |trading| trading.execute_triggers(friend, handles.iter().copied()));
            }
            2 => {
                self.world.now.slot = quantdesk_engine::Slot::new(self.world.now.slot.get() + 2);
                let _ = self.world.trading(market, |trading| trading.run_delayed(3));
            }
            3 => {
                let _ = self.world.trading(market, |trading| trading.cancel_all(friend, Sides::Both, 9));
            }
            _ => self.trade(friend),
        }
    }

    /// The owner's own money comes and goes.
    fn own(&mut self) {
        let atoms = 1 + self.random.below(100_000);
        let victim = self.victim;
        if self.random.chance(50) {
            let _ = self.world.deposit(victim, atoms);
        } else {
            let _ = self.world.withdraw(victim, atoms);
        }
    }

    fn run(&mut self, days: u32) {
        for _ in 0..days {
            self.dawn();
            for market in 0..2 {
                let wish = (Action::Cancel, &Wish::Cancel);
                let _ = act(&mut self.world, &mut self.session, market, wish, |trading, trader| {
                    trading.cancel_all(trader, Sides::Both, 255)
                });
            }
            for step in 0..100 {
                match self.random.below(20) {
                    0 => self.own(),
                    1 if step % 8 == 0 => self.world.pass(1),
                    2..=10 => self.steal(),
                    _ => self.help(),
                }
                self.judge();
            }
            assert_eq!(self.world.check(), Ok(()));
        }
    }

    fn judge(&mut self) {
        let today = self.world.now.unix_seconds.get() / DAY;
        if i64::from(self.session.day) != today {
            return;
        }
        let lost = self.session.profit.get() - profit(&self.world, self.victim);
        let most = self.session.terms.day_loss_max.get() as i64;
        assert!(lost <= most, "lost {lost} of {most}");
        self.lost = self.lost.max(lost * 100 / most);
    }
}

#[test]
fn inv_a6_a_thief_with_accomplices_takes_no_more_than_a_days_limit() {
    let (runs, seed) = (setting("QUANTDESK_TEST_RUNS", 2_000), setting("QUANTDESK_TEST_SEED", 1));
    let (mut most, mut done) = (Vec::new(), 0);
    for run in 0..runs {
        let mut heist = Heist::new(seed * 1_000_003 + run);
        heist.run(3);
        most.push(heist.lost);
        done += heist.done;
    }
    most.sort_unstable();
    println!(
        "{done} wishes granted; percent of the limit lost: median {}, most {:?}",
        most[most.len() / 2],
        most.last()
    );
    // The thief does get away with something: the limit is what stops it.
    assert!(u64::from(done) > runs * 20, "{done} wishes granted");
    assert!(most[most.len() / 2] >= 10 && *most.last().unwrap() >= 95, "{most:?}");
}

/// A priced market, and somebody with a session of these terms.
fn stage(change: impl FnOnce(&mut SessionTerms)) -> (World, CellIndex, Session) {
    let mut listing = listing::usual();
    listing.side_capacity = 20;
    let mut world = World::new(&[listing, listing], 64);
    world.set_price(0, 100);
    world.set_price(1, 100);
    let trader = world.funded(1, 10_000_000);
    let mut terms = terms(&world, 1_000_000);
    change(&mut terms);
    let session = open(&world, trader, &terms);
    (world, trader, session)
}

fn bid(price: u32, lots: u64) -> NewOrder {
    order(Side::Bid, OrderKind::Limit, price, lots)
}

#[test]
fn terms_do_something_somewhere_for_a_time() {
    let (world, _, session) = stage(|_| {});
    let now = world.now.unix_seconds;
    assert_eq!(session.terms.check(now), Ok(()));
    let wrong: [fn(&mut SessionTerms, UnixSeconds); 6] = [
        |terms, _| terms.markets = 0,
        |terms, _| terms.actions = 0,
        |terms, _| terms.actions = 32,
        |terms, _| terms.actions = 255,
        |terms, now| terms.expires_at = now,
        |terms, now| terms.expires_at = now.plus(SESSION_SECONDS_MAX + 1).unwrap(),
    ];
    for change in wrong {
        let mut terms = session.terms;
        change(&mut terms, now);
        assert_eq!(terms.check(now), Err(EngineError::SessionInvalid));
    }
}

#[test]
fn it_acts_in_its_markets_by_its_actions_until_its_last_second() {
    let (mut world, _, mut session) = stage(|terms| (terms.markets, terms.actions) = (0b10, Action::Place.bit()));
    assert_eq!(place(&mut world, &mut session, 0, &bid(99, 1)), Err(EngineError::SessionMarket));
    assert_eq!(place(&mut world, &mut session, 1, &bid(99, 1)), Ok(()));
    let cancel = (Action::Cancel, &Wish::Cancel);
    let refused = act(&mut world, &mut session, 1, cancel, |_, _| Ok(()));
    assert_eq!(refused, Err(EngineError::SessionAction));
    session.terms.expires_at = world.now.unix_seconds;
    assert_eq!(place(&mut world, &mut session, 1, &bid(98, 1)), Ok(()));
    world.pass(1);
    assert_eq!(place(&mut world, &mut session, 1, &bid(97, 1)), Err(EngineError::SessionExpired));
}

#[test]
fn orders_count_at_their_price_or_the_mark_whichever_is_higher() {
    let (mut world, _, mut session) = stage(|terms| {
        terms.order_notional_max = QuoteAtoms::new(300_000);
        terms.day_notional_max = QuoteAtoms::new(500_000);
    });
    // At the mark three lots are worth 300,000 atoms, however low the bid; above it more.
    assert_eq!(place(&mut world, &mut session, 0, &bid(50, 4)), Err(EngineError::SessionOrderTooLarge));
    assert_eq!(place(&mut world, &mut session, 0, &bid(101, 3)), Err(EngineError::SessionOrderTooLarge));
    assert_eq!(place(&mut world, &mut session, 0, &bid(50, 3)), Ok(()));
    assert_eq!(session.notional.get(), 300_000);
    // What is refused does not count.
    assert_eq!(place(&mut world, &mut session, 0, &bid(50, 3)), Err(EngineError::SessionNotionalSpent));
    assert_eq!(place(&mut world, &mut session, 0, &bid(150, 1)), Err(EngineError::OrderOutsideBand));
    assert_eq!(session.notional.get(), 300_000);
    assert_eq!(place(&mut world, &mut session, 1, &bid(50, 2)), Ok(()));
    assert_eq!(place(&mut world, &mut session, 1, &bid(50, 1)), Err(EngineError::SessionNotionalSpent));
    world.pass(DAY);
    world.set_price(1, 100);
    world.set_price(0, 100);
    assert_eq!(place(&mut world, &mut session, 1, &bid(50, 1)), Ok(()));
    assert_eq!((session.notional.get(), i64::from(session.day)), (100_000, world.now.unix_seconds.get() / DAY));
}

/// Ten lots two ticks through the mark could lose 20,000 atoms, and cost 450 ppm of 1,020,000 and an atom a lot.
#[test]
fn the_loss_limit_is_exact() {
    let loss = 20_000 + 459 + 10;
    for (limit, expected) in [(loss, Ok(())), (loss - 1, Err(EngineError::SessionLossReached))] {
        let (mut world, _, mut session) = stage(|terms| terms.day_loss_max = QuoteAtoms::new(limit));
        assert_eq!(place(&mut world, &mut session, 0, &bid(102, 10)), expected);
    }
}

#[test]
fn beyond_the_limit_it_may_only_cancel() {
    let (mut world, trader, mut session) = stage(|terms| terms.day_loss_max = QuoteAtoms::new(20_469));
    assert_eq!(place(&mut world, &mut session, 0, &bid(102, 10)), Ok(()));
    // What it placed is taken, and what it is worth falls: the limit is reached without its doing.
    let friend = world.funded(2, 10_000_000);
    world.place(0, friend, &order(Side::Ask, OrderKind::ImmediateOrCancel, 102, 10)).unwrap();
    assert_eq!(session.profit.get() - profit(&world, trader), 20_000 - 153, "the maker's rebate is his");
    world.set_price(0, 99);
    let sell = NewOrder { reduce_only: true, ..order(Side::Ask, OrderKind::Limit, 99, 1) };
    assert_eq!(place(&mut world, &mut session, 0, &sell), Err(EngineError::SessionLossReached));
    let quotes = Wish::Quotes(&[]);
    let wanted = Replacement { sequence: 1, sides: None, expires_at: UnixSeconds::ZERO, quotes: &[] };
    let taken_back = act(&mut world, &mut session, 0, (Action::Quote, &quotes), |trading, trader| {
        trading.replace_quotes(trader, &wanted)
    });
    assert_eq!(taken_back, Ok(true));
    let cancel = (Action::Cancel, &Wish::Cancel);
    let cancelled =
        act(&mut world, &mut session, 0, cancel, |trading, trader| trading.cancel_all(trader, Sides::Both, 9));
    assert_eq!(cancelled, Ok(0));
}

#[test]
fn the_owners_own_money_is_neither_profit_nor_loss() {
    let (mut world, trader, _) = stage(|_| {});
    let sibling = world.open(1, 1).unwrap();
    assert_eq!(profit(&world, trader), 0);
    world.deposit(trader, 777).unwrap();
    world.withdraw(trader, 99).unwrap();
    let some = QuoteAtoms::new(1_000);
    world.ledger(|ledger, now| account::transfer(ledger, now, trader, sibling, some)).unwrap();
    world.ledger(|ledger, now| pool::fund(ledger, now, trader, some)).unwrap();
    let tipped = NewTrigger { tip: QuoteAtoms::new(500), ..stop() };
    let handle = world.trading(0, |trading| trading.place_trigger(trader, &tipped)).unwrap();
    assert_eq!((profit(&world, trader), profit(&world, sibling)), (0, 0));
    world.trading(0, |trading| trading.cancel_trigger(trader, handle)).unwrap();
    assert_eq!(profit(&world, trader), 0);
    assert_eq!(world.trader(trader).paid_in.get(), world.cash(trader));
    assert_eq!(world.trader(sibling).paid_in.get(), 1_000);
}

/// A buy of five lots above 110.
fn stop() -> NewTrigger {
    NewTrigger {
        condition: Condition::Above,
        reference: Reference::Mark,
        side: Side::Bid,
        reduce_only: false,
        price: Ticks::new(110),
        distance: Ticks::ZERO,
        limit: Ticks::ZERO,
        slippage: Ppm::new(50_000),
        lots: Lots::new(5),
        share: Ppm::ZERO,
        tip: QuoteAtoms::ZERO,
        client_id: 0,
        parent: 0,
        group: 0,
        expires_at: UnixSeconds::ZERO,
        interval: 0,
        slices: 0,
    }
}

/// Five lots at a twentieth of 110, which is 5 ticks; the fee on 5 lots at 115, and an atom a lot.
#[test]
fn a_trigger_counts_with_what_it_could_lose() {
    let wish = |world: &mut World, session: &mut Session, trigger: &NewTrigger| {
        let wish = (Action::Trigger, &Wish::Trigger(trigger));
        act(world, session, 0, wish, |trading, trader| trading.place_trigger(trader, trigger).map(|_| ()))
    };
    let loss = 5 * 5_000 + 259 + 5;
    for (limit, expected) in [(loss, Ok(())), (loss - 1, Err(EngineError::SessionLossReached))] {
        let (mut world, _, mut session) = stage(|terms| terms.day_loss_max = QuoteAtoms::new(limit));
        assert_eq!(wish(&mut world, &mut session, &stop()), expected);
    }
    // The last price can be anywhere within the band, which is a tenth: 11 ticks of 110, and the fee at 121.
    let (mut world, _, mut session) = stage(|terms| terms.day_loss_max = QuoteAtoms::new(5 * 11_000 + 273 + 5));
    let last = NewTrigger { reference: Reference::Last, slippage: Ppm::ZERO, ..stop() };
    assert_eq!(wish(&mut world, &mut session, &last), Ok(()));
    assert_eq!(wish(&mut world, &mut session, &last), Err(EngineError::SessionLossReached));
    // Without a price nothing can be reckoned.
    world.pass(61);
    assert_eq!(wish(&mut world, &mut session, &stop()), Err(EngineError::PriceNotValidForAction));
}

/// Places triggers one after the other with the limit and with an atom less, which must be too little for the last one.
fn exactly(loss: u64, prepare: impl Fn(&mut World, &mut Session), triggers: &[NewTrigger]) {
    for (limit, expected) in [(loss, Ok(())), (loss - 1, Err(EngineError::SessionLossReached))] {
        let (mut world, _, mut session) = stage(|terms| terms.day_loss_max = QuoteAtoms::new(limit));
        prepare(&mut world, &mut session);
        let mut done = Ok(());
        for trigger in triggers {
            assert_eq!(done, Ok(()));
            let wish = (Action::Trigger, &Wish::Trigger(trigger));
            done = act(&mut world, &mut session, 0, wish, |trading, trader| {
                trading.place_trigger(trader, trigger).map(|_| ())
            });
        }
        assert_eq!(done, expected);
    }
}

/// A sell below 90, a twentieth beyond.
fn sell() -> NewTrigger {
    NewTrigger {
        condition: Condition::Below,
        side: Side::Ask,
        reduce_only: true,
        price: Ticks::new(90),
        lots: Lots::ZERO,
        ..stop()
    }
}

/// Ten lots that may still arm it, 5 ticks each, the fee on them at 105; and the fee on the order they are of.
#[test]
fn a_child_counts_with_what_its_parent_may_fill() {
    let parent = NewOrder { client_id: 7, ..bid(100, 10) };
    let child = NewTrigger { parent: 7, ..sell() };
    let prepare = |world: &mut World, session: &mut Session| place(world, session, 0, &parent).unwrap();
    exactly((50_000 + 473 + 10) + (450 + 10), prepare, &[child]);
}

/// Two lots are held and five may come: all seven, 5 ticks each, with the fee at 105; and the fee on the five at 110.
#[test]
fn a_share_counts_with_the_largest_position_there_may_be() {
    let prepare = |world: &mut World, session: &mut Session| {
        let friend = world.funded(2, 10_000_000);
        world.place(0, friend, &order(Side::Ask, OrderKind::Limit, 100, 2)).unwrap();
        world.place(0, session.trader, &bid(100, 2)).unwrap();
    };
    let adding = NewTrigger { slippage: Ppm::ZERO, ..stop() };
    let share = NewTrigger { share: Ppm::new(1_000_000), ..sell() };
    exactly((35_000 + 331 + 7) + (248 + 5), prepare, &[adding, share]);
}

/// Quotes taken back begin no day: what was put up the day before is reckoned before a new day's loss is.
#[test]
fn attack_beginning_a_day_without_an_examination() {
    let (mut world, _, mut session) = stage(|terms| terms.day_loss_max = QuoteAtoms::new(10_000));
    assert_eq!(place(&mut world, &mut session, 0, &bid(100, 10)), Ok(()));
    let yesterday = session.day;
    world.pass(DAY);
    world.set_price(0, 95);
    world.set_price(1, 100);
    let wanted = Replacement { sequence: 1, sides: None, expires_at: UnixSeconds::ZERO, quotes: &[] };
    let wish = (Action::Quote, &Wish::Quotes(&[]));
    act(&mut world, &mut session, 0, wish, |trading, trader| trading.replace_quotes(trader, &wanted)).unwrap();
    assert_eq!(session.day, yesterday);
    // Its bid is five ticks through the mark by now.
    assert_eq!(place(&mut world, &mut session, 1, &bid(90, 1)), Err(EngineError::SessionLossReached));
}
