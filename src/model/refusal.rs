//! What of a sender's alerts is not taken, in the words that metrics use.

use strum::{IntoStaticStr, VariantArray};

/// Why an alert of a webhook is refused; of several reasons the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RefusalReason {
    /// It has more labels than are taken.
    TooManyLabels,
    /// The name of a label is empty or too long.
    LabelName,
    /// The value of a label is too long.
    LabelValue,
    /// Its status is missing or not one of Alertmanager's.
    Status,
    /// It starts or ends at something that is no time.
    Time,
    /// Its fingerprint is too long.
    Fingerprint,
    /// Something is of another JSON type than it must be, or a required field is missing.
    WrongType,
}

/// A field of a webhook's payload of which only a part is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "camelCase")]
pub enum TrimmedField {
    /// Annotations: values that were cut, or annotations that were left out.
    Annotations,
    /// The URL of the alert's origin.
    #[strum(serialize = "generatorURL")]
    GeneratorUrl,
    /// The name of the receiver.
    Receiver,
}

impl RefusalReason {
    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl TrimmedField {
    /// The name in metrics: the field's own in the payload.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
