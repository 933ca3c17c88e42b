//! Enums whose variants have names, in lists, JSON and files.

/// Implements `ALL`, `as_str`, `Display`, `FromStr` and `Serialize` of an enum by the names of its
/// variants.
macro_rules! impl_names {
    (
        $type:ident, $expected:literal;
        $(#[$all:meta])+ ALL: $len:literal;
        $(#[$as_str:meta])+ as_str { $($variant:ident => $name:literal,)+ }
    ) => {
        impl $type {
            $(#[$all])+
            pub const ALL: [Self; $len] = [$(Self::$variant),+];

            $(#[$as_str])+
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::error::UnknownNameError;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                let current = $crate::names::current(name);
                Self::ALL
                    .into_iter()
                    .find(|known| known.as_str() == current)
                    .ok_or_else(|| $crate::error::UnknownNameError::new(name, $expected))
            }
        }

        /// As its name.
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use impl_names;

/// The current name for one of older exports and streams.
pub(crate) fn current(name: &str) -> &str {
    match name {
        "done" => "acknowledged",
        "dead" => "dead_lettered",
        name => name,
    }
}
