//! Audit logs: bytes → records → events → denials.
//!
//! | file | what it does |
//! |---|---|
//! | [`input`] | files, folders, standard input; gzip and bzip2; blocks that end at line ends |
//! | [`record`] | a line → its envelope: which record, of which event, through which channel |
//! | [`time`] | times of lines, with and without zone and year |
//! | [`fields`] | `key=value` fields: quoted, hexadecimal, interpreted |
//! | [`avc`] | the body of an AVC or USER_AVC record, so that nothing in it that an attacker wrote is taken for its structure |
//! | [`refusal`] | SELINUX_ERR records |
//! | [`context`] | security contexts |
//! | `chunk` | every line of a chunk accounted for; what is to be joined |
//! | `parts` | what decides a denial, each text checked once and known by a number |
//! | `join` | denials joined with the records of their events, near and far |
//! | [`event`] | what the other records of the event tell: program, system call, and by `path` and `address` the object; `call` remembers programs |
//! | [`denial`] | distinct denials with counts; their bounded evidence is in `evidence` and `sample`, all of them in `list` |
//! | `usual` | events of the form that most have, by comparing with those before |
//! | [`filter`] | which denials are wanted |
//! | [`changes`] | boots, policy loads, modes and booleans meanwhile |
//! | [`tally`] | the account of every line read |
//! | [`summary`] | a log as JSON Lines, and several put together |
//! | [`live`] | logs that grow, over rotations |
//! | [`scan`] | all of it, in parallel, with the same result in whatever order |
//!
//! Memory is bounded by the number of distinct denials, not by the length of the log.

mod address;
pub mod avc;
mod call;
pub mod changes;
mod chunk;
mod collect;
pub mod context;
pub mod denial;
pub mod event;
mod evidence;
pub mod fields;
pub mod filter;
pub mod input;
mod join;
mod json;
mod kind;
mod list;
pub mod live;
mod log_line;
mod parts;
mod path;
pub mod record;
pub mod refusal;
mod sample;
pub mod scan;
pub mod summary;
mod syscalls;
pub mod tally;
pub mod time;
mod usual;

pub use changes::Changes;
pub use context::Context;
pub use denial::{Denial, DenialKey};
pub use evidence::Evidence;
pub use filter::Filter;
pub use list::Denials;
pub use sample::{Sample, Values};
pub use scan::{Log, Options, read};
