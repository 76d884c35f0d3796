//! Rotations: every holder against every role, and any sequence of proposals, withdrawals and acceptances against a plain
//! restatement of the rules.

use crate::{
    cases,
    support::{World, world::key},
};
use bytemuck::Zeroable;
use proptest::prelude::*;
use quantdesk_engine::{
    EngineError, Now, Slot, UnixSeconds,
    governance::{
        CRITICAL_DELAY_MIN, DELAY_MAX, Delays, LOOSENING_DELAY_MIN,
        role::{self, ACCEPT_SECONDS, Role},
    },
    state::{Exchange, Key, Ledger},
};

fn exchange(keys: [Key; 4]) -> Exchange {
    let mut exchange = Exchange::zeroed();
    [exchange.admin, exchange.guardian, exchange.lister, exchange.fee_collector] = keys;
    exchange.delays = Delays { loosening: LOOSENING_DELAY_MIN, critical: CRITICAL_DELAY_MIN };
    exchange
}

fn at(unix_seconds: i64) -> Now {
    Now { slot: Slot::new(1), unix_seconds: UnixSeconds::new(unix_seconds) }
}

/// The table of the specification.
const fn withdraws(role: Role, signer: Role) -> bool {
    match role {
        Role::Admin => matches!(signer, Role::Guardian),
        Role::Guardian => matches!(signer, Role::Admin),
        Role::Lister | Role::FeeCollector => matches!(signer, Role::Admin | Role::Guardian),
    }
}

/// All 256 ways in which up to four keys hold the four roles, each role, each signer.
#[test]
fn who_may_rotate() {
    for division in 0..256u64 {
        let keys = [0, 2, 4, 6].map(|shift| key(1 + (division >> shift & 3)));
        let exchange = exchange(keys);
        let held =
            |signer: &Key| Role::ALL.into_iter().filter(|role| exchange.holder(*role) == signer).collect::<Vec<_>>();
        for role in Role::ALL {
            let holder = *exchange.holder(role);
            for signer in (1..6).map(key) {
                let may = held(&signer);
                let proposes = may.contains(&Role::Admin) || may.contains(&role);
                assert_eq!(role::may_rotate(&exchange, role, &key(9), &signer), proposes);
                let ends = may.iter().any(|own| withdraws(role, *own));
                assert_eq!(role::may_rotate(&exchange, role, &holder, &signer), ends);
            }
        }
    }
}

#[test]
fn roles_have_their_bytes() {
    for byte in 0..=u8::MAX {
        assert_eq!(Role::from_byte(byte).map(Role::byte), (1..=4).contains(&byte).then_some(byte));
    }
}

/// What is proposed for a role: key, time, delay.
type Proposal = Option<(Key, i64, u32)>;

#[derive(Clone, Copy, Debug)]
enum Step {
    Propose { role: Role, key: u64 },
    Withdraw { role: Role },
    Accept { role: Role },
    Wait { seconds: i64 },
    Lengthen { seconds: u32 },
    Seal,
}

fn step() -> impl Strategy<Value = Step> {
    let role = || prop::sample::select(Role::ALL.to_vec());
    let due = i64::from(CRITICAL_DELAY_MIN);
    let lapse = due + i64::from(ACCEPT_SECONDS);
    prop_oneof![
        4 => (role(), 1u64..7).prop_map(|(role, key)| Step::Propose { role, key }),
        1 => role().prop_map(|role| Step::Withdraw { role }),
        4 => role().prop_map(|role| Step::Accept { role }),
        2 => prop::sample::select(vec![1, due - 1, due, lapse - due, lapse, lapse + 1]).prop_map(|seconds| Step::Wait { seconds }),
        1 => (CRITICAL_DELAY_MIN..=DELAY_MAX).prop_map(|seconds| Step::Lengthen { seconds }),
        1 => Just(Step::Seal),
    ]
}

proptest! {
    #![proptest_config(cases(2_000))]
    #[test]
    fn rotations_as_the_rules_say(steps in prop::collection::vec(step(), 1..40)) {
        let mut bytes = World::new(&[], 4).accounts().next().unwrap().to_vec();
        let mut exchange = exchange([1, 2, 3, 4].map(key));
        let mut ledger = Ledger::load(bytemuck::cast_slice_mut(&mut bytes)).unwrap();
        ledger.header.sealed = 0;
        let (mut holders, mut proposals, mut now) = ([1, 2, 3, 4].map(key), [Proposal::None; 4], 1_000_000i64);
        for step in steps {
            let place = |role: Role| usize::from(role.byte() - 1);
            let live = |it: &Proposal| it.filter(|it| now - it.1 <= i64::from(it.2) + i64::from(ACCEPT_SECONDS)).is_some();
            let (done, expected) = match step {
                Step::Propose { role, key: number } => {
                    let (holder, proposal) = (holders[place(role)], proposals[place(role)]);
                    let expected = match (key(number) == holder, live(&proposal)) {
                        (true, false) => Err(EngineError::RotationNotPending),
                        (false, true) => Err(EngineError::RotationPending),
                        (true, true) => { proposals[place(role)] = None; Ok(()) }
                        (false, false) => {
                            proposals[place(role)] = Some((key(number), now, exchange.delays.critical));
                            Ok(())
                        }
                    };
                    (role::rotate(&mut exchange, &mut ledger, at(now), role, key(number)), expected)
                }
                Step::Withdraw { role } => {
                    let pending = live(&proposals[place(role)]);
                    if pending { proposals[place(role)] = None; }
                    let expected = if pending { Ok(()) } else { Err(EngineError::RotationNotPending) };
                    (role::rotate(&mut exchange, &mut ledger, at(now), role, holders[place(role)]), expected)
                }
                Step::Accept { role } => {
                    let expected = match proposals[place(role)] {
                        None => Err(EngineError::RotationNotPending),
                        Some((key, proposed, delay)) => {
                            let waited = ledger.header.sealed == 0 || now - proposed >= i64::from(delay);
                            if waited && live(&proposals[place(role)]) {
                                holders[place(role)] = key;
                                proposals[place(role)] = None;
                                Ok(())
                            } else {
                                Err(EngineError::RotationNotDue)
                            }
                        }
                    };
                    (role::accept(&mut exchange, &mut ledger, at(now), role), expected)
                }
                Step::Wait { seconds } => { now += seconds; (Ok(()), Ok(())) }
                Step::Lengthen { seconds } => {
                    exchange.delays.critical = exchange.delays.critical.max(seconds);
                    (Ok(()), Ok(()))
                }
                Step::Seal => { ledger.header.sealed = 1; (Ok(()), Ok(())) }
            };
            prop_assert_eq!(done, expected);
            for role in Role::ALL {
                prop_assert_eq!(*exchange.holder(role), holders[place(role)]);
                let rotation = exchange.rotation(role);
                let stored = (!rotation.successor.is_zero())
                    .then(|| (rotation.successor, rotation.proposed_at.get(), rotation.delay));
                prop_assert_eq!(stored, proposals[place(role)]);
            }
        }
    }
}
