//! [`setters!`]: methods that set the public fields of a struct.

/// Writes a setter for each field named: it takes the struct, sets the field and returns it. Either
/// `with_…` methods of options, or methods that have the name of their field.
macro_rules! setters {
    ($type:ident {
        $($(#[$doc:meta])+ $field:ident($argument:ident: $argument_type:ty) => $value:expr;)+
    }) => {
        impl $type {
            $(
                $(#[$doc])+
                #[must_use]
                pub fn $field(mut self, $argument: $argument_type) -> Self {
                    self.$field = $value;
                    self
                }
            )+
        }
    };
    ($options:ident { $($with:ident sets $field:ident: $type:ty;)+ }) => {
        impl $options {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}

pub(crate) use setters;
