//! What the programs that `cargo xtask bench` measures have in common: the event that every request carries.

pub mod event;
