//! What a delivery is dispatched to, as the options say.

pub(crate) mod handing_out;
