//! A JSON value of any kind where one kind is expected.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Up to here a float is exactly one whole number: 2^53.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// A field of a body, judged after reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Field<T> {
    /// Not there.
    #[default]
    Missing,
    /// There, as `null`.
    Null,
    /// There, of another kind than expected.
    Mistyped,
    /// There.
    Given(T),
}

impl<T> Field<T> {
    /// The value, if there is one.
    pub fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            _ => None,
        }
    }

    /// The value by reference, if there is one.
    pub fn as_given(&self) -> Option<&T> {
        match self {
            Self::Given(value) => Some(value),
            _ => None,
        }
    }
}

/// A kind of value that a [`Field`] can hold: takes the JSON that it understands.
pub trait Accept: Sized {
    /// From a string.
    fn from_text(_text: &str) -> Option<Self> {
        None
    }
    /// From a string that is already owned.
    fn from_string(text: String) -> Option<Self> {
        Self::from_text(&text)
    }
    /// From a number without a fraction.
    fn from_integer(_number: i64) -> Option<Self> {
        None
    }
    /// From a truth.
    fn from_bool(_truth: bool) -> Option<Self> {
        None
    }
    /// From a list.
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    /// From an object.
    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Accept for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn from_string(text: String) -> Option<Self> {
        Some(text)
    }
}

impl Accept for bool {
    fn from_bool(truth: bool) -> Option<Self> {
        Some(truth)
    }
}

impl Accept for i64 {
    fn from_integer(number: i64) -> Option<Self> {
        Some(number)
    }
}

impl<T: for<'a> Deserialize<'a>> Accept for Vec<T> {
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Some(items))
    }
}

impl<'de, T: Accept> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

fn field<T>(accepted: Option<T>) -> Field<T> {
    accepted.map_or(Field::Mistyped, Field::Given)
}

impl<'de, T: Accept> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(field(T::from_bool(truth)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(field(T::from_integer(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(field(i64::try_from(number).ok().and_then(T::from_integer)))
    }

    /// `5.0` is a whole number, too (JSON Schema says so, and some languages write it so).
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        let whole = number.fract() == 0.0 && number.abs() <= MOST_EXACT;
        Ok(field(if whole { T::from_integer(number as i64) } else { None }))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(field(T::from_text(text)))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(field(T::from_string(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::from_list(list).map(field)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::from_object(object).map(field)
    }
}
