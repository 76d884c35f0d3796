//! The tables of `program/SPEC.md`, §21: who may sign what, in which sessions and which modes.

use crate::document::{Table, code, table};
use quantdesk_client::{
    Refusal, Tag,
    engine::{EngineError, governance::mode::Mode, session::Action},
    error::ProgramError,
};

/// Accepted, or refused with this.
pub type Outcome = Result<(), ProgramError>;

/// Whose signature an instruction can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Owner of the account that the head names, or who opened a session.
    Owner,
    /// Delegate of that account.
    Delegate,
    /// Whom a ladder names.
    Quoter,
    /// Admin.
    Admin,
    /// Guardian.
    Guardian,
    /// Lister.
    Lister,
    /// Fee collector.
    FeeCollector,
    /// Whom a rotation names.
    KeyProposed,
}

impl Holder {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Owner,
        Self::Delegate,
        Self::Quoter,
        Self::Admin,
        Self::Guardian,
        Self::Lister,
        Self::FeeCollector,
        Self::KeyProposed,
    ];

    /// How the table calls it.
    const fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Delegate => "delegate",
            Self::Quoter => "quoter",
            Self::Admin => "admin",
            Self::Guardian => "guardian",
            Self::Lister => "lister",
            Self::FeeCollector => "fee collector",
            Self::KeyProposed => "key proposed",
        }
    }
}

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// No account signs.
    Nobody,
    /// Any key.
    Anybody,
    /// One of these; what everybody else gets.
    OneOf(Vec<Holder>, ProgramError),
}

/// What it is for a session key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InSession {
    /// The instruction takes no session.
    Never(ProgramError),
    /// The session needs this action; what comes of it then.
    Needs(Action, Outcome),
}

/// An instruction, or a case of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which instruction.
    pub tag: Tag,
    /// Which case; empty if it is always the same.
    pub case: String,
    /// Who signs.
    pub signed_by: SignedBy,
    /// What it is for a session key.
    pub in_session: InSession,
    /// For who may sign, in [`Mode::CloseOnly`], [`Mode::WithdrawOnly`], [`Mode::Halted`].
    restricted: [Outcome; 3],
}

impl Row {
    /// What comes of it in this mode for who may sign.
    pub const fn in_mode(&self, mode: Mode) -> Outcome {
        let [close_only, withdraw_only, halted] = self.restricted;
        match mode {
            Mode::Active => Ok(()),
            Mode::CloseOnly => close_only,
            Mode::WithdrawOnly => withdraw_only,
            Mode::Halted => halted,
        }
    }

    fn read(cells: &[String]) -> Self {
        let [tag, name, case, signed_by, otherwise, in_session, close_only, withdraw_only, halted] = cells else {
            panic!("{cells:?}");
        };
        let byte: u8 = tag.parse().unwrap();
        let tag = Tag::ALL.into_iter().find(|listed| listed.byte() == byte).unwrap_or_else(|| panic!("no tag {byte}"));
        assert_eq!(*name, format!("`{}`", tag.name()));
        Self {
            tag,
            case: case.clone(),
            signed_by: read_signed_by(signed_by, otherwise),
            in_session: read_in_session(in_session),
            restricted: [close_only, withdraw_only, halted].map(|cell| outcome(cell)),
        }
    }
}

/// What somebody gets who has a session that is wrong in a way.
#[derive(Clone, Debug)]
pub struct WrongSession {
    /// What is wrong.
    pub what: String,
    place_order: Outcome,
    orders: Outcome,
    heartbeat: Outcome,
}

impl WrongSession {
    /// What comes of an instruction that takes a session.
    pub fn of(&self, tag: Tag) -> Outcome {
        match tag {
            Tag::PlaceOrder => self.place_order,
            Tag::Heartbeat => self.heartbeat,
            _ => self.orders,
        }
    }
}

/// The table of instructions. Its rows are those of [`Tag::ALL`], in that order, each once or in several cases.
///
/// # Panics
/// If a cell cannot be read, a row or an instruction is missing, or a case stands there twice.
pub fn rows() -> Vec<Row> {
    let rows: Vec<Row> = table("21 Authority", "tag").iter().map(|cells| Row::read(cells)).collect();
    let mut tags: Vec<Tag> = rows.iter().map(|row| row.tag).collect();
    tags.dedup();
    assert_eq!(tags, Tag::ALL, "the rows are those of all instructions");
    for (place, row) in rows.iter().enumerate() {
        let same = |other: &&Row| other.tag == row.tag;
        assert!(!rows[..place].iter().filter(same).any(|other| other.case == row.case), "{}: twice", row.tag.name());
        assert_eq!(row.case.is_empty(), rows.iter().filter(same).count() == 1, "{}: a case has a name", row.tag.name());
    }
    rows
}

/// The table of sessions.
pub fn wrong_sessions() -> Vec<WrongSession> {
    let read = |cells: &Vec<String>| {
        let [what, outcomes @ ..] = &cells[..] else { panic!("{cells:?}") };
        let [place_order, orders, heartbeat] = outcomes else { panic!("{cells:?}") };
        let [place_order, orders, heartbeat] = [place_order, orders, heartbeat].map(|cell| outcome(cell));
        WrongSession { what: what.clone(), place_order, orders, heartbeat }
    };
    let rows: Table = table("21 Authority", "session");
    rows.iter().map(read).collect()
}

/// What a session must be allowed for an instruction; `None` if it takes none.
pub fn needed(tag: Tag) -> Option<Action> {
    rows().into_iter().find(|row| row.tag == tag).and_then(|row| match row.in_session {
        InSession::Needs(action, _) => Some(action),
        InSession::Never(_) => None,
    })
}

fn read_signed_by(cell: &str, otherwise: &str) -> SignedBy {
    let everybody = match cell {
        "nobody" => SignedBy::Nobody,
        "anybody" => SignedBy::Anybody,
        _ => {
            let holder = |word: &str| {
                let found = Holder::ALL.into_iter().find(|holder| holder.word() == word);
                found.unwrap_or_else(|| panic!("nobody is called '{word}'"))
            };
            return SignedBy::OneOf(cell.split(", ").map(holder).collect(), error(otherwise));
        }
    };
    assert_eq!(otherwise, "", "{cell}: nobody else is left");
    everybody
}

fn read_in_session(cell: &str) -> InSession {
    let named = |word: &str| Action::ALL.into_iter().find(|action| word == format!("`{action:?}`"));
    match cell.split_once(", then ") {
        Some((action, refused)) => InSession::Needs(named(action).unwrap(), Err(error(refused))),
        None => named(cell).map_or_else(|| InSession::Never(error(cell)), |action| InSession::Needs(action, Ok(()))),
    }
}

fn outcome(cell: &str) -> Outcome {
    if cell == "yes" { Ok(()) } else { Err(error(cell)) }
}

/// The only thing in a cell, an error.
fn error(cell: &str) -> ProgramError {
    let [name] = code(cell)[..] else { panic!("not an error: '{cell}'") };
    assert_eq!(cell, format!("`{name}`"));
    let refusals = Refusal::ALL.iter().map(|error| ProgramError::from(*error));
    let errors = EngineError::ALL.iter().map(|error| ProgramError::from(*error));
    refusals.chain(errors).find(|error| error.name() == name).unwrap_or_else(|| panic!("no error is called {name}"))
}
