//! [`setters!`]: `with_…` methods beside the public fields of an options struct.

/// Writes a setter for each field named: it takes the options, sets the field and returns them.
macro_rules! setters {
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
