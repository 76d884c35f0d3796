//! Roles: who may do what, how a role changes hands, and what somebody with a stolen key comes to.

use quantdesk_client::{
    Address, Refusal, Tag,
    engine::{
        EngineError, QuoteAtoms,
        governance::{
            CRITICAL_DELAY_MIN,
            role::{ACCEPT_SECONDS, Role},
        },
        state::{CashEventKind, Exchange, MarketStatus},
    },
    error::ProgramError,
};
use quantdesk_sim::desk::Desk;
use quantdesk_tests::{
    authority::{self, Holder, Row, SignedBy},
    instances::{self, Instance, World},
    read, refused, refused_at, refuses,
    scene::{Scene, edit_account, small_desk},
    snapshot::Snapshot,
};
use solana_instruction::Instruction;

const DELAY: i64 = CRITICAL_DELAY_MIN as i64;
const WEEK: i64 = ACCEPT_SECONDS as i64;

/// A sealed exchange whose roles are held by four different keys, in the order of [`Role::ALL`].
fn divided() -> (Desk, [Address; 4]) {
    let mut desk = small_desk();
    let keys = [desk.admin, desk.name(b"guardian"), desk.name(b"lister"), desk.name(b"collector")];
    for (role, key) in Role::ALL.into_iter().zip(keys).skip(1) {
        let propose = rotate(&desk, desk.admin, role, &key);
        let accept = desk.venue.accept_role(key, role);
        desk.chain.send_all(&[propose, accept]).unwrap();
    }
    desk.seal().unwrap();
    (desk, keys)
}

fn rotate(desk: &Desk, official: Address, role: Role, successor: &Address) -> Instruction {
    desk.venue.rotate_role(official, role, successor)
}

fn exchange(desk: &Desk) -> Exchange {
    read::exchange(&desk.chain, &desk.venue.exchange)
}

fn holders(desk: &Desk) -> [Address; 4] {
    let exchange = exchange(desk);
    Role::ALL.map(|role| Address::new_from_array(*exchange.holder(role).as_bytes()))
}

fn wait(desk: &mut Desk, seconds: i64) {
    desk.chain.advance_to(desk.chain.unix_millis() + seconds * 1_000);
}

fn last_event(desk: &Desk) -> (CashEventKind, i64, i64) {
    let event = *read::cash_events(desk).last().unwrap();
    (event.kind().unwrap(), event.amount, event.balance)
}

fn start_of(key: &Address) -> i64 {
    i64::from_le_bytes(*key.as_array().first_chunk().unwrap())
}

#[track_caller]
fn accepts(desk: &mut Desk, instruction: Instruction) {
    desk.chain.send(instruction).unwrap();
    desk.check().unwrap();
}

#[test]
fn a_role_changes_hands_in_two_steps() {
    let (mut desk, keys) = divided();
    assert_eq!(holders(&desk), keys);
    for (place, role) in Role::ALL.into_iter().enumerate() {
        let before = holders(&desk);
        let heir = desk.name(b"heir");
        let propose = rotate(&desk, before[place], role, &heir);
        accepts(&mut desk, propose);
        assert_eq!(last_event(&desk), (CashEventKind::RotationProposed, i64::from(role.byte()), start_of(&heir)));
        assert_eq!((holders(&desk), exchange(&desk).rotation(role).delay), (before, CRITICAL_DELAY_MIN));
        let accept = desk.venue.accept_role(heir, role);
        refuses(&mut desk.chain, accept.clone(), EngineError::RotationNotDue);
        wait(&mut desk, DELAY - 1);
        refuses(&mut desk.chain, accept.clone(), EngineError::RotationNotDue);
        wait(&mut desk, 1);
        let present = desk.venue.accept_role(before[place], role);
        refuses(&mut desk.chain, present, Refusal::NotAuthorized);
        accepts(&mut desk, accept.clone());
        assert_eq!(last_event(&desk), (CashEventKind::RoleAccepted, i64::from(role.byte()), start_of(&heir)));
        let mut expected = before;
        expected[place] = heir;
        assert_eq!(holders(&desk), expected);
        refuses(&mut desk.chain, accept, EngineError::RotationNotPending);
        if role == Role::Admin {
            desk.admin = heir;
        }
    }
}

#[test]
fn what_is_not_accepted_in_a_week_lapses() {
    let (mut desk, [admin, ..]) = divided();
    let (first, second) = (desk.name(b"heir"), desk.name(b"heir"));
    let propose = rotate(&desk, admin, Role::Lister, &first);
    accepts(&mut desk, propose);
    wait(&mut desk, DELAY + WEEK);
    let other = rotate(&desk, admin, Role::Lister, &second);
    refuses(&mut desk.chain, other.clone(), EngineError::RotationPending);
    let accept = desk.venue.accept_role(first, Role::Lister);
    desk.chain.clone().send(accept.clone()).unwrap();
    wait(&mut desk, 1);
    refuses(&mut desk.chain, accept.clone(), EngineError::RotationNotDue);
    let withdraw = rotate(&desk, admin, Role::Lister, &holders(&desk)[2]);
    refuses(&mut desk.chain, withdraw, EngineError::RotationNotPending);
    accepts(&mut desk, other);
    refuses(&mut desk.chain, accept, Refusal::NotAuthorized);
}

/// Every role's key against every role, proposing and withdrawing.
#[test]
fn who_proposes_and_who_withdraws() {
    let (desk, keys) = divided();
    for (place, role) in Role::ALL.into_iter().enumerate() {
        for (signer, key) in keys.into_iter().enumerate() {
            let mut desk = desk.clone();
            let heir = desk.name(b"heir");
            let may_propose = signer == 0 || signer == place;
            let propose = rotate(&desk, key, role, &heir);
            if may_propose {
                desk.chain.clone().send(propose).unwrap();
            } else {
                refuses(&mut desk.chain, propose, Refusal::NotAuthorized);
            }
            let may_withdraw = signer < 2 && signer != place;
            let withdraw = rotate(&desk, key, role, &keys[place]);
            let nothing = if may_withdraw {
                ProgramError::from(EngineError::RotationNotPending)
            } else {
                Refusal::NotAuthorized.into()
            };
            refuses(&mut desk.chain, withdraw.clone(), nothing);
            let propose = rotate(&desk, keys[0], role, &heir);
            accepts(&mut desk, propose);
            if may_withdraw {
                accepts(&mut desk, withdraw);
                let expected = (CashEventKind::RotationWithdrawn, i64::from(role.byte()), start_of(&heir));
                assert_eq!(last_event(&desk), expected);
                wait(&mut desk, DELAY);
                let accept = desk.venue.accept_role(heir, role);
                refuses(&mut desk.chain, accept, EngineError::RotationNotPending);
            } else {
                refuses(&mut desk.chain, withdraw, Refusal::NotAuthorized);
            }
        }
    }
}

/// 77: a role is given to nobody, or to a key that nobody has.
#[test]
fn attack_a_role_for_zero_or_a_typo() {
    let (mut desk, keys) = divided();
    let nobody = rotate(&desk, keys[0], Role::Admin, &Address::default());
    refuses(&mut desk.chain, nobody, Refusal::FieldInvalid);
    let typo = desk.name(b"typo");
    let propose = rotate(&desk, keys[0], Role::Admin, &typo);
    accepts(&mut desk, propose);
    wait(&mut desk, DELAY);
    // Nobody signs for it, so nothing happens, whoever asks.
    let mut accept = desk.venue.accept_role(typo, Role::Admin);
    accept.accounts[0].is_signer = false;
    refuses(&mut desk.chain, accept, Refusal::SignatureMissing);
    for key in keys {
        let accept = desk.venue.accept_role(key, Role::Admin);
        refuses(&mut desk.chain, accept, Refusal::NotAuthorized);
    }
    assert_eq!(holders(&desk), keys);
}

/// A thief with the admin's key proposes itself first, for every role; guardian and owner end all of it.
#[test]
fn attack_a_stolen_admin_key_grabs_roles() {
    let (mut desk, keys) = divided();
    let [admin, guardian, ..] = keys;
    let (thief, heir) = (desk.name(b"thief"), desk.name(b"heir"));
    for role in Role::ALL {
        let grab = rotate(&desk, admin, role, &thief);
        accepts(&mut desk, grab);
        let now = desk.venue.accept_role(thief, role);
        refuses(&mut desk.chain, now, EngineError::RotationNotDue);
    }
    // The place of the admin's rotation is taken, but not for long; the owner still has its key, too.
    let honest = rotate(&desk, admin, Role::Admin, &heir);
    refuses(&mut desk.chain, honest.clone(), EngineError::RotationPending);
    let free = [rotate(&desk, guardian, Role::Admin, &admin), honest.clone()];
    desk.chain.send_all(&free).unwrap();
    let withdraw = rotate(&desk, admin, Role::Guardian, &guardian);
    accepts(&mut desk, withdraw);
    for (role, holder) in Role::ALL.into_iter().zip(keys).skip(2) {
        let withdraw = rotate(&desk, guardian, role, &holder);
        accepts(&mut desk, withdraw);
    }
    // The thief can neither end nor displace the honest one.
    let end = rotate(&desk, admin, Role::Admin, &admin);
    refuses(&mut desk.chain, end, Refusal::NotAuthorized);
    let displace = rotate(&desk, admin, Role::Admin, &thief);
    refuses(&mut desk.chain, displace, EngineError::RotationPending);
    wait(&mut desk, DELAY);
    let accept = desk.venue.accept_role(heir, Role::Admin);
    accepts(&mut desk, accept);
    for role in Role::ALL {
        let accept = desk.venue.accept_role(thief, role);
        refuses(&mut desk.chain, accept, EngineError::RotationNotPending);
    }
    let late = rotate(&desk, admin, Role::Lister, &thief);
    refuses(&mut desk.chain, late, Refusal::NotAuthorized);
}

/// Lengthening the delays, which acts at once, does not keep a thief in office.
#[test]
fn attack_putting_off_an_honest_rotation() {
    let (mut desk, [admin, ..]) = divided();
    let heir = desk.name(b"heir");
    let propose = rotate(&desk, admin, Role::Admin, &heir);
    accepts(&mut desk, propose);
    let address = desk.venue.exchange;
    edit_account(&mut desk.chain, address, |account| {
        account.data[7044..7048].copy_from_slice(&2_592_000u32.to_le_bytes())
    });
    wait(&mut desk, DELAY);
    let accept = desk.venue.accept_role(heir, Role::Admin);
    accepts(&mut desk, accept);
    assert_eq!(holders(&desk)[0], heir);
}

/// A thief with the guardian's key can neither stay in office nor take another.
#[test]
fn attack_a_stolen_guardian_key_stays() {
    let (mut desk, [admin, guardian, ..]) = divided();
    let (thief, heir) = (desk.name(b"thief"), desk.name(b"heir"));
    for role in [Role::Admin, Role::Lister, Role::FeeCollector] {
        let grab = rotate(&desk, guardian, role, &thief);
        refuses(&mut desk.chain, grab, Refusal::NotAuthorized);
    }
    let grab = rotate(&desk, guardian, Role::Guardian, &thief);
    accepts(&mut desk, grab);
    let free = [rotate(&desk, admin, Role::Guardian, &guardian), rotate(&desk, admin, Role::Guardian, &heir)];
    desk.chain.send_all(&free).unwrap();
    let end = rotate(&desk, guardian, Role::Guardian, &guardian);
    refuses(&mut desk.chain, end, Refusal::NotAuthorized);
    wait(&mut desk, DELAY);
    let accept = desk.venue.accept_role(heir, Role::Guardian);
    accepts(&mut desk, accept);
}

/// A rotation is prepared before the seal, when nothing waits, and accepted when others have come to trust in delays.
#[test]
fn attack_a_rotation_from_before_the_seal() {
    let mut desk = small_desk();
    let (admin, thief) = (desk.admin, desk.name(b"thief"));
    let propose = rotate(&desk, admin, Role::Admin, &thief);
    accepts(&mut desk, propose);
    desk.seal().unwrap();
    let accept = desk.venue.accept_role(thief, Role::Admin);
    refuses(&mut desk.chain, accept.clone(), EngineError::RotationNotDue);
    wait(&mut desk, DELAY);
    accepts(&mut desk, accept);
}

/// Fees go to an account of the collector's, whoever is admin.
#[test]
fn attack_fees_for_the_admin() {
    let mut scene = Scene::new();
    scene.trade(1_000);
    let desk = &mut scene.desk;
    let (admin, collector) = (desk.admin, desk.name(b"collector"));
    let (own, others) = (desk.fund(&collector, 0).unwrap(), desk.fund(&admin, 0).unwrap());
    let propose = rotate(desk, admin, Role::FeeCollector, &collector);
    accepts(desk, propose);
    wait(desk, DELAY);
    let accept = desk.venue.accept_role(collector, Role::FeeCollector);
    accepts(desk, accept);
    let atoms = QuoteAtoms::new(3);
    let refused = desk.venue.collect_fees(admin, others, atoms);
    refuses(&mut desk.chain, refused, Refusal::NotAuthorized);
    let refused = desk.venue.collect_fees(collector, others, atoms);
    refuses(&mut desk.chain, refused, Refusal::WrongTokenOwner);
    let collect = desk.venue.collect_fees(collector, own, atoms);
    accepts(desk, collect);
}

// Durable nonces.

mod nonce {
    use super::*;
    use quantdesk_client::instruction::SYSTEM_PROGRAM;
    use solana_instruction::AccountMeta;

    const RECENT_BLOCKHASHES: Address = Address::from_str_const("SysvarRecentB1ockHashes11111111111111111111");
    const RENT: Address = Address::from_str_const("SysvarRent111111111111111111111111111111111");
    const COMPUTE_BUDGET: Address = Address::from_str_const("ComputeBudget111111111111111111111111111111");

    fn system(number: u32, data: &[u8], accounts: Vec<AccountMeta>) -> Instruction {
        Instruction { program_id: SYSTEM_PROGRAM, accounts, data: [&number.to_le_bytes(), data].concat() }
    }

    /// A nonce account of the admin's that can be advanced, and the instruction that does.
    fn nonce(desk: &mut Desk) -> Instruction {
        let (nonce, admin) = (desk.name(b"nonce"), desk.admin);
        desk.chain.create_account(nonce, 80, SYSTEM_PROGRAM).unwrap();
        let read_only = |address| AccountMeta::new_readonly(address, false);
        let accounts = vec![AccountMeta::new(nonce, false), read_only(RECENT_BLOCKHASHES), read_only(RENT)];
        desk.chain.send(system(6, admin.as_array(), accounts)).unwrap();
        // From here on transactions name the nonce in place of a recent blockhash.
        let stored = desk.chain.data(&nonce).unwrap()[40..72].try_into().unwrap();
        desk.chain.set_blockhash(stored);
        let accounts =
            vec![AccountMeta::new(nonce, false), read_only(RECENT_BLOCKHASHES), AccountMeta::new_readonly(admin, true)];
        system(4, &[], accounts)
    }

    /// Whatever the holder of a role signs, by the table of authority, or who is to hold one.
    fn official() -> Vec<Tag> {
        use Holder::*;
        let officials = [Admin, Guardian, Lister, FeeCollector, KeyProposed];
        let by =
            |row: &Row| matches!(&row.signed_by, SignedBy::OneOf(by, _) if by.iter().any(|it| officials.contains(it)));
        let mut tags: Vec<Tag> = authority::rows().iter().filter(|row| by(row)).map(|row| row.tag).collect();
        tags.dedup();
        tags
    }

    /// 76: what was signed long ago lands when whoever holds it likes; so it was that a council's keys emptied an exchange.
    /// Every instruction of a role's holder is refused, proposing (tag 9) and cancelling a change (tag 11) included, and is accepted
    /// without the nonce.
    #[test]
    fn attack_administration_signed_in_advance() {
        let mut world = World::new();
        let advance = nonce(&mut world.scene.desk);
        world.scene.desk.chain.clone().send(advance.clone()).unwrap();
        let before = Snapshot::of(world.chain());
        let shown = |it: &Instance| it.roles.contains(&instances::Role::InstructionsSysvar);
        let signed: Vec<Instance> = world.instances().into_iter().filter(shown).collect();
        let tags: Vec<Tag> = signed.iter().map(|instance| instance.tag).collect();
        assert_eq!(tags, official());
        assert!(tags.contains(&Tag::ProposeChange) && tags.contains(&Tag::CancelChange));
        for instance in signed {
            let mut chain = world.chain().clone();
            refused_at(chain.send_all(&[advance.clone(), instance.instruction.clone()]), 1, Refusal::DurableNonce);
            before.unchanged(&chain);
            chain.send(instance.instruction).unwrap();
        }
    }

    /// The runtime takes a nonce only from the first instruction; elsewhere it keeps nothing alive.
    #[test]
    fn only_the_first_instruction_counts() {
        let mut desk = small_desk();
        let advance = nonce(&mut desk);
        let seal = desk.venue.seal_exchange(desk.admin);
        let budget =
            |data: &[u8]| Instruction { program_id: COMPUTE_BUDGET, accounts: Vec::new(), data: data.to_vec() };
        // Its first four bytes are those of the nonce's: a limit of 16 MiB of loaded accounts.
        let limit = budget(&[4, 0, 0, 0, 1]);
        let transfer = system(
            2,
            &1u64.to_le_bytes(),
            vec![AccountMeta::new(desk.chain.payer(), true), AccountMeta::new(desk.admin, false)],
        );
        let accepted = [
            vec![seal.clone(), advance.clone()],
            vec![limit.clone(), seal.clone()],
            vec![limit.clone(), advance.clone(), seal.clone()],
            vec![transfer, seal.clone()],
        ];
        for instructions in accepted {
            desk.chain.clone().send_all(&instructions).unwrap();
        }
        let sent = desk.chain.clone().send_all(&[advance.clone(), limit, seal.clone()]);
        refused_at(sent, 2, Refusal::DurableNonce);
        // The System program ignores what follows the number; so does the guard.
        let mut longer = advance;
        longer.data.push(7);
        refused_at(desk.chain.clone().send_all(&[longer, seal]), 1, Refusal::DurableNonce);
    }

    #[test]
    fn attack_showing_another_transaction() {
        let world = World::new();
        let mut chain = world.chain().clone();
        let venue = world.scene.desk.venue;
        let index = world.scene.desk.markets[0].index;
        let mut instruction = venue.set_market_status(world.scene.desk.admin, index, MarketStatus::ReduceOnly);
        instruction.accounts[3].pubkey = world.spoofed_sysvar;
        refused(chain.send(instruction), Refusal::WrongInstructionsSysvar);
    }
}
