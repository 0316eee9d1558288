//! The arguments of commands that tests run within their own process.

use perms::cli::{learn, why};

/// `perms learn …`
#[derive(clap::Parser)]
pub struct Learn {
    #[command(flatten)]
    pub args: learn::Args,
}

/// `perms why …`
#[derive(clap::Parser)]
pub struct Why {
    #[command(flatten)]
    pub args: why::Args,
}
