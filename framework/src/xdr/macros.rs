/// Declares a struct whose XDR form is its fields in order, with both directions of the codec.
///
/// ```
/// dittofs_framework::xdr_struct! {
///     /// COMMIT4args.
///     #[derive(Clone)]
///     pub struct Commit4Args {
///         /// First byte to commit.
///         pub offset: u64,
///         /// Bytes to commit, 0 for all from `offset` on.
///         pub count: u32,
///     }
/// }
/// ```
#[macro_export]
macro_rules! xdr_struct {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug)]
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $ty),* }

        impl $crate::xdr::XdrDecode for $name {
            const MIN_SIZE: usize = 0 $(+ <$ty as $crate::xdr::XdrDecode>::MIN_SIZE)*;
            fn decode(r: &mut $crate::xdr::XdrReader<'_>) -> ::std::result::Result<Self, $crate::xdr::XdrError> {
                let _ = &r;
                Ok(Self { $($field: <$ty as $crate::xdr::XdrDecode>::decode(r)?),* })
            }
        }

        impl $crate::xdr::XdrEncode for $name {
            fn encode(&self, w: &mut $crate::xdr::XdrWriter) {
                let _ = &w;
                $($crate::xdr::XdrEncode::encode(&self.$field, w);)*
            }
        }
    };
}

/// Declares an XDR enumeration: a Rust enum with the RFC's numbers; any other number does not decode.
#[macro_export]
macro_rules! xdr_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:expr),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[$vmeta])* $variant = $value),* }

        impl $crate::xdr::XdrDecode for $name {
            fn decode(r: &mut $crate::xdr::XdrReader<'_>) -> ::std::result::Result<Self, $crate::xdr::XdrError> {
                let value = r.u32()?;
                $(if value == $value { return Ok(Self::$variant); })*
                Err($crate::xdr::XdrError::BadValue { type_name: stringify!($name), value })
            }
        }

        impl $crate::xdr::XdrEncode for $name {
            fn encode(&self, w: &mut $crate::xdr::XdrWriter) {
                w.u32(*self as u32);
            }
        }
    };
}

/// Declares an XDR union switched by a `u32`: each arm a variant with one payload type (use `()` for void).
/// Another discriminant does not decode.
#[macro_export]
macro_rules! xdr_union {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $value:literal => $variant:ident($ty:ty)),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug)]
        $vis enum $name { $($(#[$vmeta])* $variant($ty)),* }

        impl $crate::xdr::XdrDecode for $name {
            fn decode(r: &mut $crate::xdr::XdrReader<'_>) -> ::std::result::Result<Self, $crate::xdr::XdrError> {
                match r.u32()? {
                    $($value => <$ty as $crate::xdr::XdrDecode>::decode(r).map(Self::$variant),)*
                    value => Err($crate::xdr::XdrError::BadValue { type_name: stringify!($name), value }),
                }
            }
        }

        impl $crate::xdr::XdrEncode for $name {
            fn encode(&self, w: &mut $crate::xdr::XdrWriter) {
                match self {
                    $(Self::$variant(arm) => { w.u32($value); $crate::xdr::XdrEncode::encode(arm, w); })*
                }
            }
        }
    };
}
