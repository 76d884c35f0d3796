//! `program/SPEC.md`, §21, against the program: every row of its table, signed by everybody whom it knows, in every session
//! and every mode. What must come of it is read from the document and from nowhere else.

use quantdesk_client::{
    Address, Refusal, Tag, address,
    engine::{
        EngineError, Generation, Lots, NodeIndex, QuoteAtoms, Sequence, Side, Ticks, UnixSeconds,
        book::{Replacement, Sides},
        governance::{
            guard::Tightening,
            mode::Mode,
            parameter::Parameter,
            queue::{Change, ChangeQueue},
            role::Role,
        },
        session::Action,
        state::{Exchange, Session},
    },
    instruction::{BookGuard, Venue},
    ladder::LadderTicket,
    trigger::TriggerTicket,
};
use quantdesk_sim::chain::{Chain, PROGRAM};
use quantdesk_tests::{
    Sent,
    authority::{Holder, InSession, Outcome, Row, SignedBy, WrongSession, needed, rows, wrong_sessions},
    instances::World,
    read,
    scene::{self, MARK, ask, bid, edit_account, patch},
};
use solana_instruction::{AccountMeta, Instruction};
use std::mem::offset_of;

/// Cases of an instruction that the table tells apart; one without a name if it tells none. Total: a new instruction has
/// to say what it consists of.
const fn cases(tag: Tag) -> &'static [&'static str] {
    match tag {
        Tag::ProposeChange => &["a listing", "anything else"],
        Tag::CancelChange => &["proposed by the admin", "proposed by the lister", "lapsed"],
        Tag::RotateRole => &[
            "proposes admin",
            "proposes guardian",
            "proposes lister",
            "proposes fee collector",
            "withdraws admin",
            "withdraws guardian",
            "withdraws lister",
            "withdraws fee collector",
        ],
        Tag::PlaceOrder => &["may add", "reduce-only", "may add, with a builder", "reduce-only, with a builder"],
        Tag::AmendOrder => {
            &["fewer lots", "more lots", "another price", "more lots, reduce-only", "another price, reduce-only"]
        }
        Tag::ReplaceQuotes => &["by others", "by none"],
        Tag::PlaceOrders | Tag::ExecuteTriggers => &["may add", "reduce-only"],
        Tag::PlaceTrigger => &["may add", "reduce-only", "may add, with a tip", "reduce-only, with a tip"],
        Tag::SetLadder => &["with levels", "without"],
        Tag::CreateExchange
        | Tag::ListMarket
        | Tag::GrowLedger
        | Tag::CollectFees
        | Tag::SetMarketStatus
        | Tag::SetMargin
        | Tag::CloseMarket
        | Tag::SealExchange
        | Tag::ExecuteChange
        | Tag::Guard
        | Tag::AcceptRole
        | Tag::OpenTrader
        | Tag::CloseTrader
        | Tag::Deposit
        | Tag::Withdraw
        | Tag::ProcessWithdrawQueue
        | Tag::TransferCash
        | Tag::Heartbeat
        | Tag::SetBuilderMax
        | Tag::SetReferrer
        | Tag::SetDelegate
        | Tag::OpenSession
        | Tag::CloseSession
        | Tag::SetFeeMax
        | Tag::SetWithdrawDelay
        | Tag::AllowTarget
        | Tag::CancelOrder
        | Tag::CancelAll
        | Tag::CancelOrders
        | Tag::CancelByClientId
        | Tag::CancelTrigger
        | Tag::MoveLadder
        | Tag::UpdatePrice
        | Tag::SettleMarket
        | Tag::SettleMarketPosition
        | Tag::Sweep
        | Tag::EnforceDeadman
        | Tag::DropExpired
        | Tag::RunDelayed
        | Tag::CancelForRisk
        | Tag::Liquidate
        | Tag::TakeOver
        | Tag::AbsorbShortfall
        | Tag::Deleverage
        | Tag::StakePool
        | Tag::RequestUnstake
        | Tag::Unstake
        | Tag::FundPool => &[""],
    }
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signer {
    /// Nobody.
    Unsigned,
    /// Whom an instruction may ask for.
    Holder(Holder),
    /// The owner of another account, with a position, orders and stake.
    Stranger,
    /// The delegate of that one's account.
    StrangersDelegate,
    /// The key of a session that may do everything, without its session.
    KeyAlone,
    /// The key of a session that may do this.
    Session(Option<Action>),
}

impl Signer {
    /// All of them. A session that may do everything is the one without an action.
    fn all() -> Vec<Self> {
        let sessions = [None].into_iter().chain(Action::ALL.map(Some)).map(Self::Session);
        let holders = Holder::ALL.into_iter().map(Self::Holder);
        [Self::Unsigned, Self::Stranger, Self::StrangersDelegate, Self::KeyAlone]
            .into_iter()
            .chain(holders)
            .chain(sessions)
            .collect()
    }

    /// What the table says that comes of it. `None` where there is no place for a signature.
    fn outcome(self, row: &Row, mode: Mode) -> Option<Outcome> {
        let allowed = match self {
            Self::Unsigned if row.signed_by == SignedBy::Nobody => Ok(()),
            Self::Unsigned => Err(Refusal::SignatureMissing.into()),
            Self::Session(has) => in_session(row.in_session, has),
            Self::Holder(holder) => by(&row.signed_by, Some(holder))?,
            Self::Stranger | Self::StrangersDelegate | Self::KeyAlone => by(&row.signed_by, None)?,
        };
        Some(allowed.and_then(|()| row.in_mode(mode)))
    }
}

fn by(signed_by: &SignedBy, holder: Option<Holder>) -> Option<Outcome> {
    match signed_by {
        SignedBy::Nobody => None,
        SignedBy::Anybody => Some(Ok(())),
        SignedBy::OneOf(holders, otherwise) => {
            let may = holder.is_some_and(|holder| holders.contains(&holder));
            Some(if may { Ok(()) } else { Err(*otherwise) })
        }
    }
}

fn in_session(asked: InSession, has: Option<Action>) -> Outcome {
    match asked {
        InSession::Never(error) => Err(error),
        InSession::Needs(action, then) if has.is_none_or(|has| has == action) => then,
        InSession::Needs(..) => Err(EngineError::SessionAction.into()),
    }
}

/// A chain on which every case of every instruction is possible, and everybody who could sign one has a key of his own.
struct Stage {
    world: World,
    /// In the order of tags, as they are before anything below was added.
    instances: Vec<Instruction>,
    delegate: Address,
    strangers_delegate: Address,
    quoter: Address,
    guardian: Address,
    lister: Address,
    collector: Address,
    collector_tokens: Address,
    /// One that may do everything, and one for each action.
    sessions: Vec<(Option<Action>, Address)>,
}

impl Stage {
    fn new() -> Self {
        let mut world = World::new();
        let instances = world.instances().into_iter().map(|instance| instance.instruction).collect();
        let desk = &mut world.scene.desk;
        let [delegate, strangers_delegate, quoter, guardian, lister, collector] =
            [b"delegate", b"another_", b"_quoter_", b"guardian", b"_lister_", b"collects"].map(|kind| desk.name(kind));
        let collector_tokens = desk.fund(&collector, 0).unwrap();
        let actions = [None].into_iter().chain(Action::ALL.map(Some));
        let sessions = actions.map(|action| (action, desk.name(b"session key"))).collect();
        let mut stage = Self {
            world,
            instances,
            delegate,
            strangers_delegate,
            quoter,
            guardian,
            lister,
            collector,
            collector_tokens,
            sessions,
        };
        stage.appoint();
        stage.admit();
        stage.place();
        stage.propose();
        for signer in Signer::all() {
            let key = stage.key(Tag::OpenTrader, signer);
            let chain = &mut stage.world.scene.desk.chain;
            let lamports = chain.account(&key).map_or(0, |account| account.lamports);
            if lamports < 1 << 40 {
                chain.give_lamports(key, 1 << 40).unwrap();
            }
        }
        stage
    }

    /// The exchanges that instances are about.
    fn venues(&self) -> [Venue; 4] {
        let world = &self.world;
        [world.scene.desk.venue, world.sister.venue, world.unsealed.venue, world.waiting.0.venue]
    }

    fn send(&mut self, instruction: Instruction) {
        self.world.scene.desk.chain.send(instruction).unwrap();
    }

    /// Every role of every exchange to a key of its own.
    fn appoint(&mut self) {
        let held = [
            (offset_of!(Exchange, guardian), self.guardian),
            (offset_of!(Exchange, lister), self.lister),
            (offset_of!(Exchange, fee_collector), self.collector),
        ];
        for venue in self.venues() {
            for (offset, key) in held {
                patch(&mut self.world.scene.desk.chain, venue.exchange, offset, key.as_array());
            }
        }
    }

    /// Delegate, sessions, and a quoter of Alice's ladder.
    fn admit(&mut self) {
        let (alice, carol, venue) = (self.world.scene.alice, self.world.carol, self.world.scene.desk.venue);
        let bob = self.world.scene.bob;
        for (party, key) in [(alice, self.delegate), (carol, self.delegate), (bob, self.strangers_delegate)] {
            self.send(venue.set_delegate(&party.trader, Some(key)));
        }
        let all = self.world.scene.terms();
        for (action, key) in self.sessions.clone() {
            let mut terms = all;
            terms.actions = action.map_or(all.actions, Action::bit);
            self.send(venue.open_session(&alice.trader, key, &terms));
        }
        let (market, quoter, owner) = (self.world.scene.market(), self.quoter, alice.trader.authority);
        edit_account(&mut self.world.scene.desk.chain, market, |account| {
            let places: Vec<usize> =
                (0..account.data.len() - 32).filter(|at| account.data[*at..at + 32] == *owner.as_array()).collect();
            let [place] = places[..] else { panic!("only her ladder names Alice's key") };
            account.data[place..place + 32].copy_from_slice(quoter.as_array());
        });
    }

    /// What Alice can amend and execute, and who can bring her orders.
    fn place(&mut self) {
        let (alice, market, venue) = (self.world.scene.alice, self.world.scene.market(), self.world.scene.desk.venue);
        self.world.scene.accept(&alice, &bid(MARK - 40, 5).reduce_only().client_id(77).build());
        // That ran the taker who waited.
        let second = self.world.second;
        self.world.scene.accept(&second, &bid(MARK + 10, 1).immediate_or_cancel().build());
        self.world.scene.desk.chain.next_slot();
        let due = TriggerTicket::take_profit(Side::Bid, Ticks::new(2 * MARK)).limit(Ticks::new(MARK - 31));
        let due = due.lots(Lots::new(5)).client_id(78).adding().build();
        self.send(venue.place_trigger(&alice.trader, &market, &due, UnixSeconds::ZERO));
        self.send(venue.set_builder_max(&alice.trader, 1_000));
    }

    /// A change of the lister's, one that has lapsed, and in the sister exchange a rotation of every role.
    fn propose(&mut self) {
        let (venue, sister, admin) =
            (self.world.scene.desk.venue, self.world.sister.clone(), self.world.scene.desk.admin);
        let desk = &mut self.world.scene.desk;
        let (market, parameters) = (desk.name(b"market"), desk.markets[0].parameters);
        let size = desk.chain.account(&self.world.blank_market).unwrap().data.len();
        desk.chain.create_account(market, size, PROGRAM).unwrap();
        self.send(venue.propose_listing(self.lister, market, &parameters));
        self.send(sister.venue.propose_value(admin, Parameter::Band, sister.markets[0].index, 120_000));
        let ended = self.world.chain().unix_seconds() - 1;
        let place = offset_of!(Exchange, changes) + offset_of!(ChangeQueue, entries) + offset_of!(Change, lapses_at);
        patch(&mut self.world.scene.desk.chain, sister.venue.exchange, place, &ended.to_le_bytes());
        for role in Role::ALL {
            let heir = self.world.scene.desk.name(b"heir");
            self.send(sister.venue.rotate_role(admin, role, &heir));
        }
    }

    fn holder_of(&self, role: Role) -> Address {
        match role {
            Role::Admin => self.world.scene.desk.admin,
            Role::Guardian => self.guardian,
            Role::Lister => self.lister,
            Role::FeeCollector => self.collector,
        }
    }

    fn session_key(&self, may: Option<Action>) -> Address {
        self.sessions.iter().find(|(action, _)| *action == may).map(|(_, key)| *key).unwrap()
    }

    fn key(&self, tag: Tag, signer: Signer) -> Address {
        let scene = &self.world.scene;
        match signer {
            Signer::Holder(holder) => match holder {
                Holder::Owner if tag == Tag::CloseTrader => self.world.carol.trader.authority,
                Holder::Owner => scene.alice.trader.authority,
                Holder::Delegate => self.delegate,
                Holder::Quoter => self.quoter,
                Holder::Admin => scene.desk.admin,
                Holder::Guardian => self.guardian,
                Holder::Lister => self.lister,
                Holder::FeeCollector => self.collector,
                Holder::KeyProposed => self.world.dora.trader.authority,
            },
            Signer::Unsigned | Signer::Stranger => scene.bob.trader.authority,
            Signer::StrangersDelegate => self.strangers_delegate,
            Signer::KeyAlone => self.session_key(None),
            Signer::Session(may) => self.session_key(may),
        }
    }

    /// The chain in this mode, all its exchanges.
    fn chain(&self, mode: Mode) -> Chain {
        let mut chain = self.world.chain().clone();
        for venue in self.venues() {
            if mode != Mode::Active {
                chain.send(venue.guard(self.guardian, &Tightening::Mode { mode, seconds: 30 })).unwrap();
            }
            let now = UnixSeconds::new(chain.unix_seconds());
            assert_eq!(read::header_at(&chain, &venue.ledger).modes.mode(now), mode);
        }
        chain
    }

    /// A case that is possible if the right one signs it.
    fn instruction(&self, tag: Tag, case: &str) -> Instruction {
        match case {
            "" if tag == Tag::CollectFees => {
                self.venues()[0].collect_fees(self.collector, self.collector_tokens, QuoteAtoms::new(3))
            }
            "" | "a listing" | "proposed by the admin" | "fewer lots" | "by others" | "with levels" => self.usual(tag),
            "may add" if matches!(tag, Tag::PlaceOrder | Tag::PlaceOrders) => self.usual(tag),
            "reduce-only" if matches!(tag, Tag::PlaceTrigger | Tag::ExecuteTriggers) => self.usual(tag),
            _ if tag == Tag::RotateRole => self.rotation(case),
            _ if tag.byte() < 20 => self.change(tag, case),
            _ => self.trade(tag, case),
        }
    }

    fn usual(&self, tag: Tag) -> Instruction {
        let place = Tag::ALL.iter().position(|listed| *listed == tag).unwrap();
        self.instances[place].clone()
    }

    fn rotation(&self, case: &str) -> Instruction {
        let named = |word: &str| match word {
            "admin" => Role::Admin,
            "guardian" => Role::Guardian,
            "lister" => Role::Lister,
            "fee collector" => Role::FeeCollector,
            _ => panic!("no role '{word}'"),
        };
        let admin = self.world.scene.desk.admin;
        match case.split_once(' ') {
            Some(("proposes", role)) => {
                self.venues()[0].rotate_role(admin, named(role), &self.world.carol.trader.authority)
            }
            Some(("withdraws", role)) => {
                self.world.sister.venue.rotate_role(admin, named(role), &self.holder_of(named(role)))
            }
            _ => panic!("no case '{case}'"),
        }
    }

    fn change(&self, tag: Tag, case: &str) -> Instruction {
        let (venue, desk) = (self.venues()[0], &self.world.scene.desk);
        match (tag, case) {
            (Tag::ProposeChange, "anything else") => {
                venue.propose_value(desk.admin, Parameter::Band, desk.markets[0].index, 130_000)
            }
            (Tag::CancelChange, "proposed by the lister") => venue.cancel_change(desk.admin, 3),
            (Tag::CancelChange, "lapsed") => self.world.sister.venue.cancel_change(desk.admin, 1),
            _ => panic!("{}: no case '{case}'", tag.name()),
        }
    }

    fn trade(&self, tag: Tag, case: &str) -> Instruction {
        let scene = &self.world.scene;
        let (venue, alice, bob, market) = (&scene.desk.venue, &scene.alice.trader, &scene.bob.trader, scene.market());
        let buy = |price, id| bid(price, 7).client_id(id).reduce_only();
        let stop = TriggerTicket::stop(Side::Bid, Ticks::new(MARK + 50)).lots(Lots::new(5)).client_id(9);
        let trigger = |it: TriggerTicket| venue.place_trigger(alice, &market, &it.build(), UnixSeconds::ZERO);
        let tip = QuoteAtoms::new(1);
        match (tag, case) {
            (Tag::PlaceOrder, "reduce-only") => scene.order(&scene.alice, &buy(MARK - 20, 9).build()),
            (Tag::PlaceOrder, "may add, with a builder") => {
                let brought = ask(MARK + 1, 7).builder(bob.cell, bob.generation, 1_000);
                venue.place_ticket(alice, &market, &brought)
            }
            (Tag::PlaceOrder, "reduce-only, with a builder") => {
                let brought = buy(MARK - 20, 9).builder(bob.cell, bob.generation, 1_000);
                venue.place_ticket(alice, &market, &brought)
            }
            (Tag::AmendOrder, "more lots") => self.amend(false, 0, 9),
            (Tag::AmendOrder, "another price") => self.amend(false, 1, 5),
            (Tag::AmendOrder, "more lots, reduce-only") => self.amend(true, 0, 9),
            (Tag::AmendOrder, "another price, reduce-only") => self.amend(true, 1, 5),
            (Tag::ReplaceQuotes, "by none") => {
                let (sides, expires_at) = (Some(Sides::Both), UnixSeconds::ZERO);
                let nothing = Replacement { sequence: 5, sides, expires_at, quotes: &[] };
                venue.replace_quotes(alice, &market, &nothing, UnixSeconds::ZERO)
            }
            (Tag::PlaceOrders, "reduce-only") => {
                let orders = [buy(MARK - 20, 9).build(), buy(MARK - 21, 10).build()];
                venue.place_orders(alice, &market, &orders, UnixSeconds::ZERO, &BookGuard::default())
            }
            (Tag::PlaceTrigger, "may add") => trigger(stop.adding()),
            (Tag::PlaceTrigger, "may add, with a tip") => trigger(stop.adding().tip(tip)),
            (Tag::PlaceTrigger, "reduce-only, with a tip") => trigger(stop.tip(tip)),
            (Tag::SetLadder, "without") => {
                scene.set_ladder(&scene.alice, &LadderTicket::new(&self.quoter, MARK).wanted(6))
            }
            (Tag::ExecuteTriggers, "may add") => {
                let own = read::triggers(&scene.desk, alice, 0);
                let (handle, _) = own.into_iter().find(|(_, trigger)| trigger.client_id == 78).unwrap();
                venue.execute_triggers(alice, &market, &[handle])
            }
            _ => panic!("{}: no case '{case}'", tag.name()),
        }
    }

    /// One of Alice's two bids of 5 lots, moved by so many ticks, and with so many lots.
    fn amend(&self, reduce_only: bool, ticks: u32, lots: u64) -> Instruction {
        let (scene, alice) = (&self.world.scene, &self.world.scene.alice.trader);
        let (view, price) = (scene.desk.market_view(0).unwrap(), if reduce_only { MARK - 40 } else { MARK - 10 });
        let right = |(node, _): &(NodeIndex, Sequence)| {
            let order = view.node(*node).unwrap();
            order.is_reduce_only() == reduce_only && order.price == Ticks::new(price)
        };
        let handle = read::handles(&scene.desk, alice, 0).into_iter().find(right).unwrap();
        scene.desk.venue.amend_order(alice, &scene.market(), handle, Ticks::new(price + ticks), Lots::new(lots))
    }

    /// The same, signed by somebody else.
    fn signed(&self, row: &Row, mut instruction: Instruction, signer: Signer) -> Instruction {
        let (key, venue) = (self.key(row.tag, signer), self.venues()[0]);
        match (signer, row.in_session) {
            (Signer::Session(_), InSession::Needs(..)) => return venue.in_session(instruction, key),
            (Signer::Session(_), InSession::Never(_)) => {
                let session = address::session(&PROGRAM, &venue.ledger, &key);
                instruction.accounts.push(AccountMeta::new(session, false));
            }
            _ => {}
        }
        let first = &mut instruction.accounts[0];
        if signer == Signer::Unsigned {
            first.is_signer = false;
        } else if first.is_signer {
            first.pubkey = key;
        }
        instruction
    }
}

/// The code of a refusal.
fn outcome(sent: Sent) -> Outcome {
    sent.map(|_| ()).map_err(|failure| failure.error.unwrap_or_else(|| panic!("{failure}")))
}

/// Sends it where what is accepted leaves no trace.
fn send(chain: &mut Chain, instruction: Instruction, expected: Outcome) -> Outcome {
    let sent = if expected.is_ok() { chain.clone().send(instruction) } else { chain.send(instruction) };
    outcome(sent)
}

#[test]
fn the_table_has_every_case_and_no_other() {
    let rows = rows();
    for tag in Tag::ALL {
        let listed: Vec<&str> = rows.iter().filter(|row| row.tag == tag).map(|row| row.case.as_str()).collect();
        assert_eq!(listed, cases(tag), "{}", tag.name());
    }
    assert_eq!(rows.len(), Tag::ALL.iter().map(|tag| cases(*tag).len()).sum::<usize>());
}

#[test]
fn every_instruction_by_every_signer_in_every_mode() {
    let (stage, rows, signers) = (Stage::new(), rows(), Signer::all());
    let (mut accepted, mut refused) = (0, 0);
    let mut wrong = Vec::new();
    for mode in Mode::ALL {
        let mut chain = stage.chain(mode);
        for row in &rows {
            let instruction = stage.instruction(row.tag, &row.case);
            assert_eq!(instruction.accounts[0].is_signer, row.signed_by != SignedBy::Nobody, "{}", row.tag.name());
            for signer in &signers {
                let Some(expected) = signer.outcome(row, mode) else { continue };
                let came = send(&mut chain, stage.signed(row, instruction.clone(), *signer), expected);
                if came != expected {
                    wrong.push(format!(
                        "{} {} {signer:?} {mode:?}: {came:?}, not {expected:?}",
                        row.tag.name(),
                        row.case
                    ));
                }
                *(if expected.is_ok() { &mut accepted } else { &mut refused }) += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} rows, {} signers: {accepted} accepted, {refused} refused", rows.len(), signers.len());
}

/// Changes a session in place.
fn edit(chain: &mut Chain, session: Address, change: impl FnOnce(&mut Session)) {
    edit_account(chain, session, |account| {
        let mut changed: Session = bytemuck::pod_read_unaligned(&account.data);
        change(&mut changed);
        account.data.copy_from_slice(bytemuck::bytes_of(&changed));
    });
}

impl Stage {
    /// The chain and the instruction with a session that is wrong in this way.
    fn in_wrong_session(&self, chain: &Chain, row: &Row, wrong: &WrongSession) -> (Chain, Instruction) {
        let (mut chain, venue, world) = (chain.clone(), self.venues()[0], &self.world);
        let key = self.session_key(None);
        let session = address::session(&PROGRAM, &venue.ledger, &key);
        let mut instruction = venue.in_session(self.instruction(row.tag, &row.case), key);
        let last = instruction.accounts.len() - 1;
        match wrong.what.as_str() {
            "of another key" => instruction.accounts[0].pubkey = self.session_key(Some(Action::Place)),
            "of another ledger" => {
                instruction.accounts[0].pubkey = world.keys[0];
                instruction.accounts[last].pubkey = world.foreign_session;
            }
            "of another account" => {
                instruction.accounts[0].pubkey = world.keys[1];
                instruction.accounts[last].pubkey = address::session(&PROGRAM, &venue.ledger, &world.keys[1]);
            }
            "of another incarnation" => edit(&mut chain, session, |session| {
                session.generation = Generation::new(session.generation.get() + 1);
            }),
            "closed" => {
                chain.send(venue.close_session(world.scene.alice.trader.authority, &key)).unwrap();
            }
            "expired" => {
                let ended = UnixSeconds::new(chain.unix_seconds() - 1);
                edit(&mut chain, session, |session| session.terms.expires_at = ended);
            }
            "without the action" => {
                let action = needed(row.tag).unwrap();
                edit(&mut chain, session, |session| session.terms.actions &= !action.bit());
            }
            "without the market" => edit(&mut chain, session, |session| session.terms.markets &= !1),
            what => panic!("no case '{what}'"),
        }
        (chain, instruction)
    }
}

#[test]
fn every_instruction_in_every_wrong_session_in_every_mode() {
    let (stage, sessions) = (Stage::new(), wrong_sessions());
    let rows: Vec<Row> = rows().into_iter().filter(|row| matches!(row.in_session, InSession::Needs(..))).collect();
    let mut cases = 0;
    for mode in Mode::ALL {
        let chain = stage.chain(mode);
        for (row, wrong) in rows.iter().flat_map(|row| sessions.iter().map(move |wrong| (row, wrong))) {
            let expected = wrong.of(row.tag).and_then(|()| row.in_mode(mode));
            let (mut chain, instruction) = stage.in_wrong_session(&chain, row, wrong);
            let came = outcome(chain.send(instruction));
            assert_eq!(came, expected, "{} {}: {} in {mode:?}", row.tag.name(), row.case, wrong.what);
            cases += 1;
        }
    }
    assert_eq!((sessions.len(), cases), (8, 4 * 8 * rows.len()));
    println!("{} rows, {} wrong sessions: {cases} cases", rows.len(), sessions.len());
}

/// Otherwise the table would be about fewer signers than it names.
#[test]
fn everybody_has_a_key_of_his_own() {
    let stage = Stage::new();
    let signers = Signer::all().into_iter().filter(|signer| !matches!(signer, Signer::Unsigned | Signer::KeyAlone));
    let mut keys: Vec<Address> = signers.map(|signer| stage.key(Tag::PlaceOrder, signer)).collect();
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
    let stranger = scene::find(&stage.world.scene.desk, &stage.key(Tag::PlaceOrder, Signer::Stranger), 0);
    assert!(stranger.is_some());
}
