//! From a custom error code to what it means.

use quantdesk_engine::EngineError;
use quantdesk_program::Refusal;

/// Why the program refused a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramError {
    /// The outer program: malformed data, wrong accounts.
    Program(Refusal),
    /// The engine: prices, traders, orders, risk.
    Engine(EngineError),
}

impl ProgramError {
    /// The error with this custom code.
    pub fn from_code(code: u32) -> Option<Self> {
        Refusal::from_code(code).map(Self::Program).or_else(|| EngineError::from_code(code).map(Self::Engine))
    }

    /// The custom code.
    pub const fn code(self) -> u32 {
        match self {
            Self::Program(refusal) => refusal.code(),
            Self::Engine(error) => error.code(),
        }
    }

    /// Its name in `SPEC.md`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Program(refusal) => refusal.name(),
            Self::Engine(error) => error.name(),
        }
    }
}

impl From<Refusal> for ProgramError {
    fn from(refusal: Refusal) -> Self {
        Self::Program(refusal)
    }
}

impl From<EngineError> for ProgramError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl std::fmt::Display for ProgramError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Program(refusal) => refusal.fmt(formatter),
            Self::Engine(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for ProgramError {}
