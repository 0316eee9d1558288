//! Desired × observed → what differs, and the changes that mend it.

mod accounts;
pub mod change;
mod customizations;
mod doas;
pub mod file;
mod grant_files;
mod grants;
mod home;
pub mod item;
mod label_rules;
mod labels;
mod look;
mod modules;
pub mod names;
mod orphans;
mod path_items;
pub mod paths;
mod polkit;
pub use polkit::offer as polkit_offer;
mod readers;
mod specifications;
mod store;
pub mod sudo;
pub mod whole;

pub use change::{Change, Image, ModuleBuild, ModuleImage, StoreEdit, UserState};
pub use item::{Fix, Item, Sign};
pub use labels::stem as label_stem;
pub use names::Names;
pub use whole::Plan;
