//! doas.conf: the policy of doas, read without loss, asked, edited and written.
//!
//! The grammar and the decision are those of OpenBSD's doas(1) and of OpenDoas 6.8 (parse.y and doas.c there; the
//! manual says that a backslash keeps a word from being a keyword, which the program does not do).

mod block;
mod decide;
mod lexer;
mod parse;

pub use block::{
    BlockError, BlockRule, block, block_names, find_block, line, quote, remove_block, replace_block,
};
pub use decide::{Decision, Names, NoNames, decide, rules_for};
pub use parse::{Action, File, Item, Mistake, Options, Rule};
