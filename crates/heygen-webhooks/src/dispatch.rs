//! What a delivery is dispatched to, as the options say, and the dispatcher while it runs.

pub(crate) mod handing_out;
pub(crate) mod work;
