//! [`setters!`]: the methods by which a value is configured in a chain.

/// Writes a method for each line: it takes the value, sets the field and returns it.
macro_rules! setters {
    (
        impl $type:ident;
        $($(#[$meta:meta])* $name:ident($($argument:ident: $argument_type:ty)?)
            sets $($field:ident).+: $value:expr;)+
    ) => {
        impl $type {
            $(
                $(#[$meta])*
                #[must_use]
                pub fn $name(mut self $(, $argument: $argument_type)?) -> Self {
                    self.$($field).+ = $value;
                    self
                }
            )+
        }
    };
}

pub(crate) use setters;
