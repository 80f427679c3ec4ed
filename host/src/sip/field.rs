//! Header fields that the inspector knows: names, compact forms, grammar.
//!
//! RFC 3261 §20 and the registry of header fields for compact forms.

/// A header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the field of that name")]
pub enum Field {
    Via,
    From,
    To,
    CallId,
    CSeq,
    MaxForwards,
    Contact,
    Route,
    RecordRoute,
    ContentLength,
    ContentType,
    ContentEncoding,
    Expires,
    Event,
    SubscriptionState,
    Date,
    ReferTo,
    ReferredBy,
    Path,
    ServiceRoute,
    AssertedIdentity,
    PreferredIdentity,
    RemotePartyId,
    Diversion,
    ReplyTo,
    HistoryInfo,
    AlertInfo,
    CallInfo,
    ErrorInfo,
    Server,
    UserAgent,
    InReplyTo,
    Replaces,
    Join,
    TargetDialog,
    Authorization,
    ProxyAuthorization,
    WwwAuthenticate,
    ProxyAuthenticate,
    AuthenticationInfo,
    Identity,
    /// Any other.
    Other,
}

/// What a field's value is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A list of Via values.
    Vias,
    /// A list of addresses where somebody can be reached.
    Reachable,
    /// One address or a list of them, which says who somebody is.
    Identity,
    /// Names dialogs by Call-ID, or is signed: stays as it is, unless addresses are private.
    Opaque,
    /// Anything else.
    Text,
}

/// A row of [`FIELDS`].
struct Row(Field, &'static str, Option<u8>, Shape);

/// All fields that are known.
const FIELDS: [Row; 41] = [
    Row(Field::Via, "Via", Some(b'v'), Shape::Vias),
    Row(Field::From, "From", Some(b'f'), Shape::Identity),
    Row(Field::To, "To", Some(b't'), Shape::Identity),
    Row(Field::CallId, "Call-ID", Some(b'i'), Shape::Opaque),
    Row(Field::CSeq, "CSeq", None, Shape::Text),
    Row(Field::MaxForwards, "Max-Forwards", None, Shape::Text),
    Row(Field::Contact, "Contact", Some(b'm'), Shape::Reachable),
    Row(Field::Route, "Route", None, Shape::Reachable),
    Row(Field::RecordRoute, "Record-Route", None, Shape::Reachable),
    Row(
        Field::ContentLength,
        "Content-Length",
        Some(b'l'),
        Shape::Text,
    ),
    Row(Field::ContentType, "Content-Type", Some(b'c'), Shape::Text),
    Row(
        Field::ContentEncoding,
        "Content-Encoding",
        Some(b'e'),
        Shape::Text,
    ),
    Row(Field::Expires, "Expires", None, Shape::Text),
    Row(Field::Event, "Event", Some(b'o'), Shape::Text),
    Row(
        Field::SubscriptionState,
        "Subscription-State",
        None,
        Shape::Text,
    ),
    Row(Field::Date, "Date", None, Shape::Text),
    Row(Field::ReferTo, "Refer-To", Some(b'r'), Shape::Reachable),
    Row(
        Field::ReferredBy,
        "Referred-By",
        Some(b'b'),
        Shape::Identity,
    ),
    Row(Field::Path, "Path", None, Shape::Reachable),
    Row(Field::ServiceRoute, "Service-Route", None, Shape::Reachable),
    Row(
        Field::AssertedIdentity,
        "P-Asserted-Identity",
        None,
        Shape::Identity,
    ),
    Row(
        Field::PreferredIdentity,
        "P-Preferred-Identity",
        None,
        Shape::Identity,
    ),
    Row(
        Field::RemotePartyId,
        "Remote-Party-ID",
        None,
        Shape::Identity,
    ),
    Row(Field::Diversion, "Diversion", None, Shape::Identity),
    Row(Field::ReplyTo, "Reply-To", None, Shape::Identity),
    Row(Field::HistoryInfo, "History-Info", None, Shape::Identity),
    Row(Field::AlertInfo, "Alert-Info", None, Shape::Identity),
    Row(Field::CallInfo, "Call-Info", None, Shape::Identity),
    Row(Field::ErrorInfo, "Error-Info", None, Shape::Identity),
    Row(Field::Server, "Server", None, Shape::Text),
    Row(Field::UserAgent, "User-Agent", None, Shape::Text),
    Row(Field::InReplyTo, "In-Reply-To", None, Shape::Opaque),
    Row(Field::Replaces, "Replaces", None, Shape::Opaque),
    Row(Field::Join, "Join", None, Shape::Opaque),
    Row(Field::TargetDialog, "Target-Dialog", None, Shape::Opaque),
    Row(Field::Authorization, "Authorization", None, Shape::Opaque),
    Row(
        Field::ProxyAuthorization,
        "Proxy-Authorization",
        None,
        Shape::Opaque,
    ),
    Row(
        Field::WwwAuthenticate,
        "WWW-Authenticate",
        None,
        Shape::Opaque,
    ),
    Row(
        Field::ProxyAuthenticate,
        "Proxy-Authenticate",
        None,
        Shape::Opaque,
    ),
    Row(
        Field::AuthenticationInfo,
        "Authentication-Info",
        None,
        Shape::Opaque,
    ),
    Row(Field::Identity, "Identity", Some(b'y'), Shape::Opaque),
];

impl Field {
    /// The field of a header name or of its compact form.
    pub fn of(name: &[u8]) -> Self {
        let found = FIELDS.iter().find(|Row(_, long, compact, _)| match name {
            [letter] => *compact == Some(letter.to_ascii_lowercase()),
            _ => name.eq_ignore_ascii_case(long.as_bytes()),
        });
        found.map_or(Field::Other, |row| row.0)
    }

    /// Its long name.
    pub fn name(self) -> &'static str {
        self.row().map_or("other", |row| row.1)
    }

    /// What its value is made of.
    pub fn shape(self) -> Shape {
        self.row().map_or(Shape::Text, |row| row.3)
    }

    fn row(self) -> Option<&'static Row> {
        FIELDS.iter().find(|row| row.0 == self)
    }

    /// Whether a message has it once at most (RFC 3261 §7.3.1).
    pub(super) fn is_single(self) -> bool {
        matches!(
            self,
            Field::From
                | Field::To
                | Field::CallId
                | Field::CSeq
                | Field::MaxForwards
                | Field::ContentLength
                | Field::ContentType
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_compact_names_are_one_field_in_any_case() {
        for (names, field) in [
            (["Via", "v", "VIA", "V"], Field::Via),
            (["call-id", "i", "Call-ID", "I"], Field::CallId),
            (
                ["l", "L", "content-length", "CONTENT-LENGTH"],
                Field::ContentLength,
            ),
            (["x", "Vi", "", "C%6Fntact"], Field::Other),
        ] {
            for name in names {
                assert_eq!(Field::of(name.as_bytes()), field, "{name}");
            }
        }
    }
}
