//! Words that programs tell cases apart by. Requests take those that are listed; answers
//! may hold others, because clients of today meet the servers of tomorrow (contract R6).

use utoipa::{
    ToSchema,
    openapi::{
        Object, Ref, RefOr, Schema,
        schema::{AnyOf, ObjectBuilder, SchemaType, Type},
    },
};

/// One of these words in an answer, or a later version's.
pub(crate) fn open<T: ToSchema>() -> RefOr<Schema> {
    let any = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    let words = AnyOf::builder()
        .item(Ref::from_schema_name(T::name()))
        .item(any);
    RefOr::T(words.build().into())
}

/// The list of the words.
pub(crate) fn one_of(
    description: &str,
    words: impl IntoIterator<Item = &'static str>,
) -> RefOr<Schema> {
    let list: Object = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .description(Some(description))
        .enum_values(Some(words))
        .build();
    RefOr::T(list.into())
}

/// Names a list of words that stands elsewhere in the code.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident = $words:expr) => {
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let description = concat!($($doc),+).trim();
                $crate::openapi::words::one_of(description, $words)
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}
pub(crate) use words;
