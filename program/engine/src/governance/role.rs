//! Who holds a role, and how another key comes to hold it.
//!
//! ```text
//! holder, or admin ── proposes a key ──► pending ── delay ──► that key accepts, within a week ──► holder
//!                                          └── withdrawn, but not by whom it would remove
//! ```
//!
//! Whoever has stolen the admin's key must not be able to end the honest rotation of it, nor a guardian's thief that of
//! the guardian: an admin's rotation is withdrawn by the guardian alone, the guardian's by the admin alone. What is
//! pending keeps the delay of its proposal, since a thief could lengthen the delays at once.

use crate::{
    error::{EngineError, Result},
    state::{CashEvent, CashEventKind, Exchange, Key, Ledger},
    units::{CellIndex, Now, UnixSeconds},
};
use bytemuck::{Pod, Zeroable};

/// How long a rotation can be accepted after its delay, in seconds: a week.
pub const ACCEPT_SECONDS: u32 = 604_800;

/// What a key may do to an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Proposes any change.
    Admin = 1,
    /// Pauses, tightens and cancels.
    Guardian = 2,
    /// Proposes listings.
    Lister = 3,
    /// Collects fees.
    FeeCollector = 4,
}

/// A key proposed for a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Rotation {
    /// Who shall hold the role; zero if nobody is proposed.
    pub successor: Key,
    /// When it was proposed.
    pub proposed_at: UnixSeconds,
    /// Seconds from then on in which it cannot be accepted.
    pub delay: u32,
    reserved: [u8; 20],
}

/// What is proposed for each role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Rotations {
    /// For the admin.
    pub admin: Rotation,
    /// For the guardian.
    pub guardian: Rotation,
    /// For the lister.
    pub lister: Rotation,
    /// For the fee collector.
    pub fee_collector: Rotation,
}

const _: () = assert!(size_of::<Rotation>() == 64 && align_of::<Rotation>() == 8);
const _: () = assert!(size_of::<Rotations>() == 256);

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Guardian, Self::Lister, Self::FeeCollector];

    /// Decodes a byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Admin),
            2 => Some(Self::Guardian),
            3 => Some(Self::Lister),
            4 => Some(Self::FeeCollector),
            _ => None,
        }
    }

    /// Its number.
    pub const fn byte(self) -> u8 {
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        {
            self as u8
        }
    }
}

impl Rotation {
    /// Nobody is proposed.
    pub fn none() -> Self {
        Self::zeroed()
    }

    /// Whether it can be accepted, or can be later: it has not lapsed.
    pub fn is_open(&self, now: UnixSeconds) -> bool {
        !self.successor.is_zero() && self.age(now) <= u64::from(self.delay).saturating_add(u64::from(ACCEPT_SECONDS))
    }

    fn age(&self, now: UnixSeconds) -> u64 {
        now.since(self.proposed_at)
    }
}

impl Exchange {
    /// Who holds a role.
    pub const fn holder(&self, role: Role) -> &Key {
        match role {
            Role::Admin => &self.admin,
            Role::Guardian => &self.guardian,
            Role::Lister => &self.lister,
            Role::FeeCollector => &self.fee_collector,
        }
    }

    /// What is proposed for a role.
    pub const fn rotation(&self, role: Role) -> &Rotation {
        match role {
            Role::Admin => &self.rotations.admin,
            Role::Guardian => &self.rotations.guardian,
            Role::Lister => &self.rotations.lister,
            Role::FeeCollector => &self.rotations.fee_collector,
        }
    }

    const fn place(&mut self, role: Role) -> (&mut Key, &mut Rotation) {
        match role {
            Role::Admin => (&mut self.admin, &mut self.rotations.admin),
            Role::Guardian => (&mut self.guardian, &mut self.rotations.guardian),
            Role::Lister => (&mut self.lister, &mut self.rotations.lister),
            Role::FeeCollector => (&mut self.fee_collector, &mut self.rotations.fee_collector),
        }
    }
}

/// Whether `signer` may propose `successor` for the role: its holder and the admin may. If that is the present holder,
/// whether it may withdraw what is proposed: the guardian may for every role but its own, the admin for every role but
/// its own.
pub fn may_rotate(exchange: &Exchange, role: Role, successor: &Key, signer: &Key) -> bool {
    let (admin, guardian) = (exchange.admin == *signer, exchange.guardian == *signer);
    if exchange.holder(role) == successor {
        (admin && role != Role::Admin) || (guardian && role != Role::Guardian)
    } else {
        admin || exchange.holder(role) == signer
    }
}

/// Proposes `successor` for the role or, if that is the present holder, withdraws what is proposed; the caller has checked
/// [`may_rotate`] and that the key is not zero. What has lapsed counts as withdrawn. Fails with `RotationPending` while
/// another is, or with `RotationNotPending` if there is none to withdraw.
pub fn rotate(exchange: &mut Exchange, ledger: &mut Ledger<'_>, now: Now, role: Role, successor: Key) -> Result<()> {
    let delay = exchange.delays.longest();
    let withdrawn = *exchange.holder(role) == successor;
    let (_, rotation) = exchange.place(role);
    let open = rotation.is_open(now.unix_seconds);
    match (withdrawn, open) {
        (true, false) => Err(EngineError::RotationNotPending),
        (false, true) => Err(EngineError::RotationPending),
        (true, true) => {
            let given_up = rotation.successor;
            *rotation = Rotation::none();
            note(ledger, now, CashEventKind::RotationWithdrawn, role, &given_up)
        }
        (false, false) => {
            *rotation = Rotation { successor, proposed_at: now.unix_seconds, delay, ..Rotation::none() };
            note(ledger, now, CashEventKind::RotationProposed, role, &successor)
        }
    }
}

/// What is proposed for the role, lapsed or not. Fails with `RotationNotPending`.
pub fn pending(exchange: &Exchange, role: Role) -> Result<&Rotation> {
    let rotation = exchange.rotation(role);
    if rotation.successor.is_zero() { Err(EngineError::RotationNotPending) } else { Ok(rotation) }
}

/// Makes the key proposed the role's holder; the caller has checked that it signed. Before the exchange is sealed there is
/// nothing to wait for. Fails with `RotationNotPending`, or with `RotationNotDue` before the delay has passed and once the
/// rotation has lapsed.
pub fn accept(exchange: &mut Exchange, ledger: &mut Ledger<'_>, now: Now, role: Role) -> Result<()> {
    let rotation = *pending(exchange, role)?;
    let waited = !ledger.header.is_sealed() || rotation.age(now.unix_seconds) >= u64::from(rotation.delay);
    if !waited || !rotation.is_open(now.unix_seconds) {
        return Err(EngineError::RotationNotDue);
    }
    let (holder, place) = exchange.place(role);
    (*holder, *place) = (rotation.successor, Rotation::none());
    note(ledger, now, CashEventKind::RoleAccepted, role, &rotation.successor)
}

/// Records the role and the first eight bytes of the key.
fn note(ledger: &mut Ledger<'_>, now: Now, kind: CashEventKind, role: Role, key: &Key) -> Result<()> {
    let mut event = CashEvent::new(kind);
    event.amount = i64::from(role.byte());
    event.balance = i64::from_le_bytes(key.tag().to_le_bytes());
    ledger.record(now, CellIndex::NIL, event)
}
