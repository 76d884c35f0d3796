//! Session keys: their limits in every instruction; whose they are; how they end; and what a thief gets. What they may sign is
//! `authority.rs`.

use quantdesk_client::{
    Address, Refusal, Tag, address,
    engine::{
        EngineError, Generation, Lots, QuoteAtoms, Side, Ticks, UnixSeconds,
        book::Sides,
        risk::margin,
        session::Action,
        state::{CashEventKind, Session, SessionTerms, session::SESSION_SIZE},
    },
    error::ProgramError,
    instruction::Trader,
    order::Ticket,
    trigger::TriggerTicket,
};
use quantdesk_sim::chain::{Chain, PROGRAM};
use quantdesk_tests::{
    Sent,
    authority::needed,
    instances::{Instance, World},
    read::{self, handles, lots},
    refused, refuses,
    scene::{self, MARK, PRICE, Party, Scene, ask, bid, edit_account},
};
use solana_instruction::{AccountMeta, Instruction};

/// The code of a refusal.
fn code(sent: Sent) -> Result<(), ProgramError> {
    sent.map(|_| ()).map_err(|failure| failure.error.unwrap_or_else(|| panic!("{failure}")))
}

/// Changes the terms of a session in place.
fn change(chain: &mut Chain, session: Address, change: impl FnOnce(&mut SessionTerms)) {
    edit_account(chain, session, |account| {
        let terms = &mut account.data[120..160];
        let mut changed: SessionTerms = bytemuck::pod_read_unaligned(terms);
        change(&mut changed);
        terms.copy_from_slice(bytemuck::bytes_of(&changed));
    });
}

/// Every limit against every instruction that takes a session.
#[test]
fn every_limit_has_its_code() {
    let world = World::new();
    let (venue, key) = (world.scene.desk.venue, world.keys[0]);
    let session = address::session(&PROGRAM, &venue.ledger, &key);
    let now = UnixSeconds::new(world.chain().unix_seconds());
    for Instance { tag, instruction, .. } in world.instances() {
        let Some(action) = needed(tag) else { continue };
        let risky = !matches!(action, Action::Cancel | Action::Heartbeat);
        let refuses = |wrong: fn(&mut SessionTerms, UnixSeconds), at: UnixSeconds, error: Option<EngineError>| {
            let mut chain = world.chain().clone();
            change(&mut chain, session, |terms| wrong(terms, at));
            let sent = code(chain.send(venue.in_session(instruction.clone(), key)));
            assert_eq!(sent.err(), error.map(Into::into), "{} {error:?}", tag.name());
        };
        refuses(|terms, at| terms.expires_at = at, now, None);
        refuses(|terms, _| terms.markets = 1, now, None);
        let large = risky.then_some(EngineError::SessionOrderTooLarge);
        refuses(|terms, _| terms.order_notional_max = QuoteAtoms::new(1), now, large);
        let spent = risky.then_some(EngineError::SessionNotionalSpent);
        refuses(|terms, _| terms.day_notional_max = QuoteAtoms::new(1), now, spent);
        let lost = risky.then_some(EngineError::SessionLossReached);
        refuses(|terms, _| terms.day_loss_max = QuoteAtoms::ZERO, now, lost);
    }
}

/// The session's account, wrong in every way, in every instruction that takes one.
#[test]
fn the_session_account_wrong_in_every_way() {
    let world = World::new();
    let (venue, key) = (world.scene.desk.venue, world.keys[0]);
    let session = address::session(&PROGRAM, &venue.ledger, &key);
    let bobs = address::session(&PROGRAM, &venue.ledger, &world.keys[1]);
    for Instance { tag, instruction, .. } in world.instances() {
        if needed(tag).is_none() {
            continue;
        }
        let right = venue.in_session(instruction, key);
        let last = right.accounts.len() - 1;
        let refuse = |chain: &mut Chain, wrong: &Instruction, error: ProgramError| {
            assert_eq!(code(chain.send(wrong.clone())), Err(error), "{}", tag.name());
        };
        let edited = |edit: fn(&mut Vec<u8>), error: EngineError| {
            let mut chain = world.chain().clone();
            edit_account(&mut chain, session, |account| edit(&mut account.data));
            refuse(&mut chain, &right, error.into());
        };
        edited(|data| data[0] ^= 1, EngineError::AccountType);
        edited(|data| data[..8].copy_from_slice(b"QDPOOLST"), EngineError::AccountType);
        edited(|data| data.fill(0), EngineError::AccountType);
        edited(|data| data[8] = 2, EngineError::AccountVersion);
        edited(|data| data.truncate(SESSION_SIZE - 1), EngineError::AccountSize);
        edited(|data| data.push(0), EngineError::AccountSize);
        let mut chain = world.chain().clone();
        edit_account(&mut chain, session, |account| account.owner = Address::default());
        refuse(&mut chain, &right, Refusal::WrongOwner.into());
        let mut chain = world.chain().clone();
        let mut wrong = right.clone();
        wrong.accounts[0].is_signer = false;
        refuse(&mut chain, &wrong, Refusal::SignatureMissing.into());
        let place = |address: Address| {
            let mut wrong = right.clone();
            wrong.accounts[last].pubkey = address;
            wrong
        };
        refuse(&mut chain, &place(bobs), Refusal::SessionMismatch.into());
        refuse(&mut chain, &place(world.foreign_session), Refusal::SessionMismatch.into());
        refuse(&mut chain, &place(world.keys[2]), Refusal::WrongOwner.into());
        refuse(&mut chain, &place(venue.ledger), Refusal::AccountTwice.into());
        let mut wrong = right.clone();
        wrong.accounts[0].pubkey = world.scene.alice.trader.authority;
        refuse(&mut chain, &wrong, Refusal::SessionMismatch.into());
        let mut wrong = right.clone();
        wrong.accounts[last].is_writable = false;
        if tag != Tag::Heartbeat {
            refuse(&mut chain, &wrong, Refusal::NotWritable.into());
        }
        // Another account, of the same owner even.
        let mut wrong = right.clone();
        wrong.data[4..8].copy_from_slice(&world.second.trader.cell.get().to_le_bytes());
        refuse(&mut chain, &wrong, Refusal::SessionMismatch.into());
        for extra in 1..3 {
            let mut wrong = right.clone();
            wrong.accounts.extend(vec![AccountMeta::new_readonly(key, false); extra]);
            refuse(&mut chain, &wrong, Refusal::AccountsCount.into());
        }
    }
}

/// Alice with a session, and Bob, in a market.
struct Stage {
    scene: Scene,
    key: Address,
}

fn stage(limit: impl FnOnce(&mut SessionTerms)) -> Stage {
    let mut scene = Scene::new();
    let (alice, key) = (scene.alice, scene.desk.name(b"session key"));
    scene.desk.chain.give_lamports(alice.trader.authority, 1 << 40).unwrap();
    let mut terms = scene.terms();
    limit(&mut terms);
    scene.desk.chain.send(scene.desk.venue.open_session(&alice.trader, key, &terms)).unwrap();
    Stage { scene, key }
}

impl Stage {
    fn session(&self) -> Address {
        address::session(&PROGRAM, &self.scene.desk.venue.ledger, &self.key)
    }

    fn stored(&self) -> Session {
        bytemuck::pod_read_unaligned(self.scene.desk.chain.bytes(&self.session()).unwrap())
    }

    fn signed(&self, instruction: Instruction) -> Instruction {
        self.scene.desk.venue.in_session(instruction, self.key)
    }

    /// `PlaceOrder` of Alice's, signed by the session key.
    fn order(&self, ticket: Ticket) -> Instruction {
        self.signed(self.scene.order(&self.scene.alice, &ticket.build()))
    }

    fn place(&mut self, ticket: Ticket) -> Sent {
        let instruction = self.order(ticket);
        let sent = self.scene.desk.chain.send(instruction);
        self.scene.desk.check().unwrap();
        sent
    }

    /// An order that must be refused with exactly this error.
    #[track_caller]
    fn refuses(&mut self, ticket: Ticket, error: impl Into<ProgramError>) {
        let instruction = self.order(ticket);
        refuses(&mut self.scene.desk.chain, instruction, error);
    }

    fn cancel_all(&self) -> Instruction {
        let (alice, market) = (self.scene.alice.trader, self.scene.market());
        self.signed(self.scene.desk.venue.cancel_all(&alice, &market, Sides::Both, 255))
    }

    /// Equity at mark.
    fn equity(&self, party: &Party) -> i64 {
        let ledger = self.scene.desk.ledger_view().unwrap();
        let now = read::now(&self.scene.desk.chain).unix_seconds;
        margin::maintenance(&ledger, ledger.trader(party.trader.cell).unwrap(), now).unwrap().equity.get()
    }
}

#[test]
fn a_session_trades_and_its_account_says_so() {
    let mut stage = stage(|_| {});
    let alice = stage.scene.alice;
    let opened = stage.stored();
    assert_eq!((opened.trader, opened.generation), (alice.trader.cell, alice.trader.generation));
    assert_eq!((opened.day, opened.notional), (0, QuoteAtoms::ZERO));
    let event = *read::cash_events(&stage.scene.desk).last().unwrap();
    assert_eq!((event.kind(), event.amount), (Some(CashEventKind::SessionSet), opened.terms.expires_at.get()));
    stage.place(bid(MARK - 1, 3).client_id(7)).unwrap();
    let stored = stage.stored();
    assert_eq!(i64::from(stored.day), stage.scene.desk.chain.unix_seconds() / 86_400);
    assert_eq!((stored.notional.get(), stored.profit.get()), (3 * u64::from(MARK), 0));
    let own = handles(&stage.scene.desk, &alice.trader, 0);
    assert_eq!(own.len(), 1);
    let cancel = stage.cancel_all();
    stage.scene.desk.chain.send(cancel).unwrap();
    assert!(handles(&stage.scene.desk, &alice.trader, 0).is_empty());
    assert_eq!(stage.stored(), stored, "a cancel costs nothing");
    // The owner needs no session, and her orders do not count.
    stage.scene.accept(&alice, &bid(MARK - 1, 3).build());
    assert_eq!(stage.stored(), stored);
}

/// 77, 40: whoever has the key trades with an accomplice at the worst prices there are.
#[test]
fn attack_a_stolen_session_key_drains_by_wash_trades() {
    const LIMIT: u64 = 2_000_000;
    let mut stage = stage(|terms| terms.day_loss_max = QuoteAtoms::new(LIMIT));
    let (alice, bob) = (stage.scene.alice, stage.scene.bob);
    let before = stage.equity(&alice);
    let mut days = 0;
    for lots in [100, 37, 5, 1, 100, 1] {
        for _ in 0..8 {
            // Buys dear from Bob, sells him cheaply.
            let sent = stage.place(bid(MARK + 2_000, lots));
            let sell = ask(MARK + 2_000, lots).immediate_or_cancel().build();
            let _ = stage.scene.place(&bob, &sell);
            let back = stage.place(ask(MARK - 2_000, lots));
            let _ = stage.scene.place(&bob, &bid(MARK - 2_000, lots).immediate_or_cancel().build());
            for sent in [sent, back] {
                if let Err(failure) = sent {
                    assert_eq!(failure.error, Some(EngineError::SessionLossReached.into()));
                }
            }
            assert!(before - stage.equity(&alice) <= LIMIT as i64);
        }
        days += 1;
    }
    assert_eq!(days, 6);
    let lost = before - stage.equity(&alice);
    assert!(lost > LIMIT as i64 * 9 / 10, "the limit is what stopped it: {lost}");
    // Reduce-only is no way round, nor are quotes, nor a trigger.
    stage.refuses(bid(MARK - 1, 1_000), EngineError::SessionLossReached);
    let heartbeat = stage.signed(stage.scene.desk.venue.heartbeat(&alice.trader, 60));
    stage.scene.desk.chain.send(heartbeat).unwrap();
    let cancel = stage.cancel_all();
    stage.scene.desk.chain.send(cancel).unwrap();
}

/// What is put up today and taken tomorrow counts today.
#[test]
fn attack_resting_at_bad_prices_for_others_to_hit_later() {
    let mut stage = stage(|terms| terms.day_loss_max = QuoteAtoms::new(1_000_000));
    let (alice, bob) = (stage.scene.alice, stage.scene.bob);
    // Each lot rests 1,000 ticks through the mark: at most 900-odd lots of them, with their fees.
    stage.refuses(bid(MARK + 1_000, 1_000), EngineError::SessionLossReached);
    stage.place(bid(MARK + 1_000, 500)).unwrap();
    stage.refuses(bid(MARK + 1_000, 500), EngineError::SessionLossReached);
    let before = stage.equity(&alice);
    stage.scene.accept(&bob, &ask(MARK, 500).immediate_or_cancel().build());
    assert_eq!(lots(&stage.scene.desk, &alice.trader, 0), 500);
    assert!(before - stage.equity(&alice) <= 1_000_000);
    // Selling them cheaply, if only to reduce, is a loss as well.
    let cheaply = ask(MARK - 1_500, 500).reduce_only();
    stage.refuses(cheaply, EngineError::SessionLossReached);
    stage.place(ask(MARK, 500).reduce_only()).unwrap();
}

#[test]
fn attack_a_session_outlives_its_trader() {
    let mut stage = stage(|_| {});
    let alice = stage.scene.alice;
    let venue = stage.scene.desk.venue;
    let order = stage.order(bid(MARK - 1, 1));
    let withdraw = stage.scene.withdraw(&alice, scene::CAPITAL);
    stage.scene.desk.chain.send(withdraw).unwrap();
    stage.scene.desk.chain.send(venue.close_trader(&alice.trader)).unwrap();
    refuses(&mut stage.scene.desk.chain, order.clone(), EngineError::TraderNotFound);
    stage.scene.desk.chain.send(venue.open_trader(alice.trader.authority, 0)).unwrap();
    let again = scene::find(&stage.scene.desk, &alice.trader.authority, 0).unwrap();
    assert_eq!(again.cell, alice.trader.cell);
    refuses(&mut stage.scene.desk.chain, order, EngineError::TraderNotFound);
    // Nor does it know the one who is there now.
    let party = Party { trader: again, ..alice };
    let order = stage.signed(stage.scene.order(&party, &bid(MARK - 1, 1).build()));
    refuses(&mut stage.scene.desk.chain, order, Refusal::SessionMismatch);
    stage.scene.desk.chain.send(venue.close_session(alice.trader.authority, &stage.key)).unwrap();
    let event = *read::cash_events(&stage.scene.desk).last().unwrap();
    assert_eq!((event.kind(), event.amount), (Some(CashEventKind::SessionSet), 0));
    assert!(event.trader.is_nil());
}

#[test]
fn attack_replaying_what_a_closed_session_signed() {
    let mut stage = stage(|_| {});
    let alice = stage.scene.alice;
    let (venue, owner, session) = (stage.scene.desk.venue, alice.trader.authority, stage.session());
    let slot = stage.scene.desk.chain.slot();
    stage.place(bid(MARK - 1, 1)).unwrap();
    let rent = stage.scene.desk.chain.account(&session).unwrap().lamports;
    let before = stage.scene.desk.chain.account(&owner).unwrap().lamports;
    stage.scene.desk.chain.send(venue.close_session(owner, &stage.key)).unwrap();
    assert_eq!(stage.scene.desk.chain.slot(), slot, "revoked within the slot");
    assert_eq!(stage.scene.desk.chain.account(&owner).unwrap().lamports, before + rent);
    assert!(stage.scene.desk.chain.account(&session).is_none_or(|account| account.lamports == 0));
    stage.refuses(bid(MARK - 1, 1), Refusal::WrongOwner);
    refuses(&mut stage.scene.desk.chain, venue.close_session(owner, &stage.key), Refusal::WrongOwner);
    // Opened anew it begins anew, on other terms.
    let mut terms = stage.scene.terms();
    terms.markets = 2;
    stage.scene.desk.chain.send(venue.open_session(&alice.trader, stage.key, &terms)).unwrap();
    assert_eq!(stage.stored().day, 0);
    stage.refuses(bid(MARK - 1, 1), EngineError::SessionMarket);
    refuses(
        &mut stage.scene.desk.chain,
        venue.open_session(&alice.trader, stage.key, &terms),
        EngineError::AccountNotBlank,
    );
}

#[test]
fn attack_a_session_paying_builders_and_keepers() {
    let mut stage = stage(|_| {});
    let (alice, bob, market) = (stage.scene.alice, stage.scene.bob, stage.scene.market());
    let venue = stage.scene.desk.venue;
    stage.scene.trade(10);
    stage.scene.desk.chain.send(venue.set_builder_max(&alice.trader, 1_000)).unwrap();
    let brought = venue.place_ticket(
        &alice.trader,
        &market,
        &bid(MARK, 1).builder(bob.trader.cell, bob.trader.generation, 1_000),
    );
    stage.scene.desk.chain.clone().send(brought.clone()).unwrap();
    let signed = stage.signed(brought);
    refuses(&mut stage.scene.desk.chain, signed, EngineError::SessionAction);
    let stop = TriggerTicket::take_profit(Side::Bid, Ticks::new(MARK)).limit(Ticks::new(MARK - 9)).lots(Lots::new(5));
    let tipped = stop.tip(QuoteAtoms::new(1)).build();
    let tipped = venue.place_trigger(&alice.trader, &market, &tipped, UnixSeconds::ZERO);
    let signed = stage.signed(tipped);
    refuses(&mut stage.scene.desk.chain, signed, Refusal::NotAuthorized);
    let plain = venue.place_trigger(&alice.trader, &market, &stop.build(), UnixSeconds::ZERO);
    let signed = stage.signed(plain);
    stage.scene.desk.chain.send(signed).unwrap();
}

#[test]
fn only_who_opened_a_session_closes_it_and_only_an_owner_opens_one() {
    let mut stage = stage(|_| {});
    let (alice, bob, venue) = (stage.scene.alice, stage.scene.bob, stage.scene.desk.venue);
    let chain = &mut stage.scene.desk.chain;
    chain.give_lamports(bob.trader.authority, 1 << 40).unwrap();
    chain.give_lamports(stage.key, 1 << 40).unwrap();
    for thief in [bob.trader.authority, stage.key] {
        refuses(chain, venue.close_session(thief, &stage.key), Refusal::NotAuthorized);
    }
    // A session key cannot prolong itself, nor make another.
    let (terms, fresh) = (stage.stored().terms, Address::new_unique());
    let as_key = Trader { authority: stage.key, ..alice.trader };
    let delegate = scene::delegate(&mut stage.scene.desk, &alice.trader, bob.trader.authority);
    for signer in [as_key, delegate] {
        let open = venue.open_session(&signer, fresh, &terms);
        refuses(&mut stage.scene.desk.chain, open, Refusal::NotAuthorized);
    }
    let nobody = venue.open_session(&alice.trader, Address::default(), &terms);
    refuses(&mut stage.scene.desk.chain, nobody, Refusal::FieldInvalid);
    let older = Trader { generation: Generation::new(77), ..alice.trader };
    let open = venue.open_session(&older, fresh, &terms);
    refuses(&mut stage.scene.desk.chain, open, EngineError::TraderNotFound);
    // Not at an address that its seeds do not derive.
    let mut open = venue.open_session(&alice.trader, fresh, &terms);
    open.accounts[2].pubkey = Address::new_unique();
    refuses(&mut stage.scene.desk.chain, open, Refusal::WrongAddress);
    // Lamports that somebody sent there do not keep it from being opened.
    let target = address::session(&PROGRAM, &venue.ledger, &fresh);
    stage.scene.desk.chain.give_lamports(target, 1).unwrap();
    stage.scene.desk.chain.send(venue.open_session(&alice.trader, fresh, &terms)).unwrap();
}

/// A new day's limits are new; within any 24 hours that makes at most twice a day's.
#[test]
fn limits_are_a_utc_days() {
    let one = u64::from(MARK);
    let mut stage = stage(|terms| terms.day_notional_max = QuoteAtoms::new(3 * one));
    stage.place(bid(MARK - 5, 3)).unwrap();
    refused(stage.place(bid(MARK - 5, 1)), EngineError::SessionNotionalSpent);
    let now = stage.scene.desk.chain.unix_seconds();
    let session = stage.session();
    change(&mut stage.scene.desk.chain, session, |terms| terms.expires_at = UnixSeconds::new(now + 3 * 86_400));
    stage.scene.wait(86_400 - now % 86_400 - 1);
    stage.scene.desk.set_price(0, PRICE).unwrap();
    refused(stage.place(bid(MARK - 6, 1)), EngineError::SessionNotionalSpent);
    stage.scene.wait(1);
    stage.place(bid(MARK - 6, 2)).unwrap();
    assert_eq!(stage.stored().notional.get(), 2 * one);
}
