//! Desired × observed → what differs, and the changes that mend it.

pub mod accounts;
pub mod change;
pub mod file;
pub mod item;
pub mod names;
pub mod path_items;
pub mod paths;

pub use change::{Change, Image, UserState};
pub use item::{Fix, Item, Sign};
pub use names::Names;
