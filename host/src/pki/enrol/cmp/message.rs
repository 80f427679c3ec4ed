//! Messages of CMP (RFC 4210 appendix F with RFC 9480) and of the requests in them (RFC 4211 appendix B).
//!
//! Header and body stay as they came, since protection covers their bytes; what a body holds is read when its kind is
//! known. The types are written here because none that are published go with the `der` in use.

use der::asn1::{Any, BitString, GeneralizedTime, Int, Null, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence, Tag, Tagged};
use x509_cert::ext::Extensions;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::failure;
use crate::pki::Error;

/// A message; what it says is proved by its protection.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Message {
    /// A [`Header`].
    pub header: Any,
    /// The body, tagged with its kind.
    pub body: Any,
    /// Code or signature over header and body.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub protection: Option<BitString>,
    /// Certificates that may help to prove it.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub extra: Option<Vec<Any>>,
}

/// What protection covers.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Protected {
    /// A [`Header`].
    pub header: Any,
    /// The body.
    pub body: Any,
}

/// Who speaks, in which conversation, and how it is protected.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Header {
    /// Version of the protocol.
    pub version: i64,
    /// A general name.
    pub sender: Any,
    /// A general name.
    pub recipient: Any,
    /// When it was made.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub time: Option<GeneralizedTime>,
    /// How it is protected.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub protection: Option<AlgorithmIdentifierOwned>,
    /// Which key of the sender protects it.
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    pub sender_key: Option<OctetString>,
    /// Which key of the recipient is meant.
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    pub recipient_key: Option<OctetString>,
    /// Conversation.
    #[asn1(context_specific = "4", tag_mode = "EXPLICIT", optional = "true")]
    pub transaction: Option<OctetString>,
    /// The sender's number for this message.
    #[asn1(context_specific = "5", tag_mode = "EXPLICIT", optional = "true")]
    pub sender_nonce: Option<OctetString>,
    /// The number of the message that this one answers.
    #[asn1(context_specific = "6", tag_mode = "EXPLICIT", optional = "true")]
    pub recipient_nonce: Option<OctetString>,
    /// For people.
    #[asn1(context_specific = "7", tag_mode = "EXPLICIT", optional = "true")]
    pub text: Option<Vec<Any>>,
    /// What else was agreed.
    #[asn1(context_specific = "8", tag_mode = "EXPLICIT", optional = "true")]
    pub info: Option<Vec<Info>>,
}

/// Something by its identifier.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Info {
    /// What.
    pub kind: ObjectIdentifier,
    /// Its value.
    pub value: Option<Any>,
}

/// Parameters of a code with a password (RFC 4211 §4.4).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct PasswordBased {
    /// Random.
    pub salt: OctetString,
    /// The digest that makes a key of the password.
    pub digest: AlgorithmIdentifierOwned,
    /// How often it is used.
    pub iterations: i64,
    /// The code.
    pub code: AlgorithmIdentifierOwned,
}

/// One request and the proof that its key is held.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Requested {
    /// What is signed.
    pub request: Request,
    /// The signature.
    #[asn1(
        context_specific = "1",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    pub proof: Option<Possession>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Request {
    /// Number of the request in the message.
    pub id: i64,
    /// What the certificate is to be.
    pub template: Template,
    /// What else the authority should know.
    pub controls: Option<Vec<Info>>,
}

/// What a certificate is to be.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Template {
    /// Whom it is to name.
    #[asn1(context_specific = "5", tag_mode = "EXPLICIT", optional = "true")]
    pub subject: Option<Name>,
    /// Its key.
    #[asn1(
        context_specific = "6",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    pub public_key: Option<SubjectPublicKeyInfoOwned>,
    /// Names, purposes and the like.
    #[asn1(
        context_specific = "9",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    pub extensions: Option<Extensions>,
}

/// A signature over a [`Request`] with the key that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Possession {
    /// How it is signed.
    pub algorithm: AlgorithmIdentifierOwned,
    /// The signature.
    pub signature: BitString,
}

/// Names the certificate that is to be followed by another (RFC 4211 §6.5).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct CertificateId {
    /// A general name.
    pub issuer: Any,
    /// Serial number.
    pub serial: SerialNumber,
}

/// Answers to requests.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Responses {
    /// Certificates of the authority.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub authorities: Option<Vec<Any>>,
    /// One for each request.
    pub responses: Vec<Response>,
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Response {
    /// Number of the request.
    pub id: i64,
    /// What was decided.
    pub status: Status,
    /// The certificate.
    pub issued: Option<Issued>,
    /// For the requester.
    pub info: Option<OctetString>,
}

/// What was issued; more than a certificate is passed over.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Issued {
    /// The certificate, tagged 0.
    pub certificate: Any,
    /// A key that the authority made.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub private_key: Option<Any>,
    /// Where it was published.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub publication: Option<Any>,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Status {
    /// Accepted, rejected, waiting.
    pub status: i64,
    /// For people.
    pub text: Option<Vec<Any>>,
    /// Why not, as bits.
    pub failure: Option<BitString>,
}

/// That something went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Failed {
    /// What.
    pub status: Status,
    /// The server's own number for it.
    pub code: Option<Int>,
    /// For people.
    pub details: Option<Vec<Any>>,
}

/// That a certificate was received.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Confirmed {
    /// Digest of the certificate.
    pub hash: OctetString,
    /// Number of the request.
    pub id: i64,
    /// Whether it is accepted; it is if this is not there.
    pub status: Option<Status>,
}

/// Asks for the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Poll {
    /// Number of the request.
    pub id: i64,
}

/// When to ask again.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Later {
    /// Number of the request.
    pub id: i64,
    /// Seconds.
    pub after: i64,
    /// For people.
    pub reason: Option<Vec<Any>>,
}

/// What must survive a restart.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Memo {
    /// Conversation.
    pub transaction: OctetString,
    /// The server's last number.
    pub nonce: OctetString,
}

/// Kinds of bodies: their tags.
pub mod kind {
    /// First certificate.
    pub const IR: u32 = 0;
    /// Answer to it.
    pub const IP: u32 = 1;
    /// Another certificate.
    pub const CR: u32 = 2;
    /// Answer to it.
    pub const CP: u32 = 3;
    /// The next certificate.
    pub const KUR: u32 = 7;
    /// Answer to it.
    pub const KUP: u32 = 8;
    /// Confirmed.
    pub const PKI_CONF: u32 = 19;
    /// Something went wrong.
    pub const ERROR: u32 = 23;
    /// The certificate was received.
    pub const CERT_CONF: u32 = 24;
    /// Is it there by now?
    pub const POLL_REQ: u32 = 25;
    /// Not yet.
    pub const POLL_REP: u32 = 26;
}

/// A body of this kind.
pub fn body(kind: u32, content: &impl Encode) -> Result<Any, Error> {
    let tag = Tag::ContextSpecific {
        constructed: true,
        number: der::TagNumber(kind),
    };
    content
        .to_der()
        .and_then(|content| Any::new(tag, content))
        .map_err(unmade)
}

/// Body of a confirmation.
pub fn confirmation() -> Result<Any, Error> {
    body(kind::PKI_CONF, &Null)
}

impl Message {
    /// Reads a message.
    pub fn read(der: &[u8]) -> Result<(Self, Header), Error> {
        let wrong = |_| failure("the server did not answer with a CMP message".into());
        let message = Self::from_der(der).map_err(wrong)?;
        let header = message.header.decode_as::<Header>().map_err(wrong)?;
        Ok((message, header))
    }

    /// The kind of the body.
    pub fn kind(&self) -> Option<u32> {
        match self.body.tag() {
            Tag::ContextSpecific {
                constructed: true,
                number,
            } => Some(number.value()),
            _ => None,
        }
    }

    /// What the body holds.
    pub fn content<'a, T: Decode<'a>>(&'a self) -> Result<T, Error> {
        T::from_der(self.body.value())
            .map_err(|_| failure("the encoding of the server's answer is wrong".into()))
    }

    /// The bytes that protection covers.
    pub fn protected(header: &Any, body: &Any) -> Result<Vec<u8>, Error> {
        let part = Protected {
            header: header.clone(),
            body: body.clone(),
        };
        part.to_der().map_err(unmade)
    }
}

impl Status {
    /// Names and words of what was decided, as much as the server tells.
    pub fn words(&self) -> String {
        let names: Vec<&str> = (0..)
            .zip(FAILURES)
            .filter(|(bit, _)| self.has_bit(*bit))
            .map(|(_, name)| name)
            .collect();
        let reason = match names.as_slice() {
            [] => String::from("it gave no reason"),
            names => names.join(", "),
        };
        match text(self.text.as_deref()) {
            Some(said) => format!("{reason}; it says {said:?}"),
            None => reason,
        }
    }

    fn has_bit(&self, bit: usize) -> bool {
        let bits = self.failure.as_ref().map(BitString::raw_bytes);
        let byte = bits.and_then(|bytes| bytes.get(bit / 8));
        byte.is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
    }
}

/// Texts for people, joined; nothing in them may break a line of the log where it is shown with `{:?}`.
pub fn text(given: Option<&[Any]>) -> Option<String> {
    let parts: Vec<&str> = given?
        .iter()
        .filter_map(|part| std::str::from_utf8(part.value()).ok())
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// An encoding failed.
pub fn unmade(error: der::Error) -> Error {
    Error::Make {
        what: "CMP message",
        reason: error.to_string(),
    }
}

/// RFC 4210 appendix F, PKIFailureInfo, in the order of its bits.
const FAILURES: [&str; 27] = [
    "it does not know an algorithm (badAlg)",
    "it could not check the message: are shared secret and reference right? (badMessageCheck)",
    "it does not permit the request (badRequest)",
    "the time is too far from its own: is the clock right? (badTime)",
    "it knows no such certificate (badCertId)",
    "it cannot read the request (badDataFormat)",
    "it is not the authority that was named (wrongAuthority)",
    "the request does not fit it (incorrectData)",
    "a time is missing (missingTimeStamp)",
    "it does not believe that we hold the key (badPOP)",
    "the certificate is revoked (certRevoked)",
    "the certificate is confirmed already (certConfirmed)",
    "the wrong kind of proof: it wants a signature, or a shared secret (wrongIntegrity)",
    "an answer to another question (badRecipientNonce)",
    "it has no time (timeNotAvailable)",
    "it does not accept a policy (unacceptedPolicy)",
    "it does not accept an extension (unacceptedExtension)",
    "it cannot give more information (addInfoNotAvailable)",
    "a number of the message is missing or too short (badSenderNonce)",
    "names or extensions do not fit its profile (badCertTemplate)",
    "it does not trust our certificate (signerNotTrusted)",
    "the transaction is used already (transactionIdInUse)",
    "it does not know this version of the protocol (unsupportedVersion)",
    "we may not ask for this (notAuthorized)",
    "it cannot do it now (systemUnavail)",
    "it failed (systemFailure)",
    "it has a certificate for this already (duplicateCertReq)",
];
