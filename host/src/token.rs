//! Tokens that hold private keys, through the PKCS#11 library of their maker.
//!
//! Comes in: a `pkcs11:` URI. Goes out: a key that was made in the token, or was there, as [`Token`]. The PIN comes from
//! the file that the URI names, or else from the systemd credential `postern.pin`. PKCS#11 v2.40.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Fault, RvError};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use der::Encode;
use der::asn1::{Any, BitString, ObjectIdentifier, UintRef};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

use crate::pki::key::Wanted;
use crate::pki::token::{Hash, Scheme, Token, Uri};
use crate::pki::{self, Key};

/// Why a token does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library or the token refuses.
    #[error("token {token}: {source}")]
    Refused {
        /// The token.
        token: String,
        /// What it says.
        source: Fault,
    },
    /// No such token is there.
    #[error("there is no token {0}")]
    NoToken(String),
    /// No such key is in it.
    #[error("there is no key {object} in token {token}")]
    NoKey {
        /// The token.
        token: String,
        /// The key's label.
        object: String,
    },
    /// The PIN cannot be read.
    #[error("the PIN of the token, {path}: {source}")]
    Pin {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The address or the key cannot be used.
    #[error(transparent)]
    Pki(#[from] pki::Error),
}

/// Makes a key pair in a token; the URI names the token, the label the key.
pub fn generate(uri: &str, label: &str, wanted: Wanted) -> Result<Key, Error> {
    let uri = Uri {
        object: Some(label.to_owned()),
        ..Uri::parse(uri)?
    };
    let session = open_session(&uri)?;
    let in_token = refused(&uri.token);
    if !session
        .find_objects(&private(label))
        .map_err(&in_token)?
        .is_empty()
    {
        return Err(pki::Error::Key("the token has a key of this label already").into());
    }
    let (mechanism, mut public) = match wanted {
        Wanted::Rsa(bits @ (2048 | 3072 | 4096)) => (
            Mechanism::RsaPkcsKeyPairGen,
            vec![
                Attribute::ModulusBits(u64::from(bits).into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ],
        ),
        Wanted::Ecdsa(bits) => {
            let curve =
                curve(bits).ok_or(pki::Error::Key("a token's curve is 256, 384 or 521 bits"))?;
            let parameters = curve
                .to_der()
                .map_err(|_| pki::Error::Key("no such curve"))?;
            (
                Mechanism::EccKeyPairGen,
                vec![Attribute::EcParams(parameters)],
            )
        }
        _ => {
            return Err(pki::Error::Key(
                "a token makes RSA keys of 2048, 3072 or 4096 bits, and ECDSA keys",
            )
            .into());
        }
    };
    let name = || Attribute::Label(label.as_bytes().to_vec());
    let id = || Attribute::Id(label.as_bytes().to_vec());
    public.extend([
        Attribute::Token(true),
        Attribute::Verify(true),
        name(),
        id(),
    ]);
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        name(),
        id(),
    ];
    let (public, private) = session
        .generate_key_pair(&mechanism, &public, &private)
        .map_err(&in_token)?;
    let encoded = public_key(&session, &uri, public)?;
    Ok(Key::in_token(
        label,
        encoded,
        Arc::new(Held {
            uri: uri.to_string(),
            token: uri.token,
            session: Mutex::new(session),
            private,
        }),
    )?)
}

/// A key that was made before. `public` is what was stored of it.
pub fn find(uri: &str, label: &str, public: &[u8]) -> Result<Key, Error> {
    let uri = Uri::parse(uri)?;
    let session = open_session(&uri)?;
    let object = uri.object.clone().unwrap_or_else(|| label.to_owned());
    let found = session
        .find_objects(&private(&object))
        .map_err(refused(&uri.token))?;
    let Some(private) = found.first().copied() else {
        return Err(Error::NoKey {
            token: uri.token,
            object,
        });
    };
    let held = Held {
        uri: uri.to_string(),
        token: uri.token,
        session: Mutex::new(session),
        private,
    };
    Ok(Key::in_token(label, public.to_vec(), Arc::new(held))?)
}

/// Bytes that nobody makes again without the token: what it makes of a fixed text with a secret key of its own. The key
/// is made if `is_new`, and must be there otherwise; the URI may name it.
pub fn sealing_bytes(uri: &str, is_new: bool) -> Result<Zeroizing<[u8; 32]>, Error> {
    let uri = Uri::parse(uri)?;
    let session = open_session(&uri)?;
    let in_token = refused(&uri.token);
    let object = uri.object.as_deref().unwrap_or(SEALING_KEY);
    let wanted = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Label(object.as_bytes().to_vec()),
    ];
    let found = session.find_objects(&wanted).map_err(&in_token)?;
    let secret = match (found.first(), is_new) {
        (Some(secret), _) => *secret,
        (None, true) => make_secret(&session, object).map_err(&in_token)?,
        (None, false) => {
            return Err(Error::NoKey {
                token: uri.token,
                object: object.to_owned(),
            });
        }
    };
    let made = session.sign(&Mechanism::Sha256Hmac, secret, SEALED_FOR);
    let made = Zeroizing::new(made.map_err(&in_token)?);
    let bytes = <[u8; 32]>::try_from(made.as_slice());
    let bytes = bytes.map_err(|_| pki::Error::Key("the token's HMAC is not 32 bytes"))?;
    Ok(Zeroizing::new(bytes))
}

fn make_secret(session: &Session, label: &str) -> Result<ObjectHandle, Fault> {
    let attributes = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::ValueLen(32.into()),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    session.generate_key(&Mechanism::GenericSecretKeyGen, &attributes)
}

/// A key and the session that it is used in.
struct Held {
    uri: String,
    token: String,
    session: Mutex<Session>,
    private: ObjectHandle,
}

impl Token for Held {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, pki::Error> {
        let mechanism = match scheme {
            Scheme::Ecdsa => Mechanism::Ecdsa,
            Scheme::RsaPkcs1(Hash::Sha256) => Mechanism::Sha256RsaPkcs,
            Scheme::RsaPkcs1(Hash::Sha384) => Mechanism::Sha384RsaPkcs,
            Scheme::RsaPkcs1(Hash::Sha512) => Mechanism::Sha512RsaPkcs,
            Scheme::RsaPss(Hash::Sha256) => Mechanism::Sha256RsaPkcsPss(PkcsPssParams {
                hash_alg: MechanismType::SHA256,
                mgf: PkcsMgfType::MGF1_SHA256,
                s_len: 32.into(),
            }),
            Scheme::RsaPss(Hash::Sha384) => Mechanism::Sha384RsaPkcsPss(PkcsPssParams {
                hash_alg: MechanismType::SHA384,
                mgf: PkcsMgfType::MGF1_SHA384,
                s_len: 48.into(),
            }),
            Scheme::RsaPss(Hash::Sha512) => Mechanism::Sha512RsaPkcsPss(PkcsPssParams {
                hash_alg: MechanismType::SHA512,
                mgf: PkcsMgfType::MGF1_SHA512,
                s_len: 64.into(),
            }),
        };
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session
            .sign(&mechanism, self.private, message)
            .map_err(|source| pki::Error::Make {
                what: "signature",
                reason: format!("token {}: {source}", self.token),
            })
    }
}

fn private(label: &str) -> [Attribute; 2] {
    [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Label(label.as_bytes().to_vec()),
    ]
}

/// A session of somebody who has shown the PIN.
fn open_session(uri: &Uri) -> Result<Session, Error> {
    let in_token = refused(&uri.token);
    let library = library(uri)?;
    let slots = library
        .get_slots_with_initialized_token()
        .map_err(&in_token)?;
    let mut found = None;
    for slot in slots {
        let about = library.get_token_info(slot).map_err(&in_token)?;
        if about.label().trim_end() == uri.token {
            found = Some(slot);
        }
    }
    let slot = found.ok_or_else(|| Error::NoToken(uri.token.clone()))?;
    let session = library.open_rw_session(slot).map_err(&in_token)?;
    let pin = pin(uri)?;
    match session.login(UserType::User, Some(&AuthPin::new(pin.as_str().into()))) {
        // All sessions of a process with a token are logged in together.
        Ok(()) | Err(Fault::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
        Err(source) => Err(in_token(source)),
    }
}

/// The library of a token. It is loaded once a process: a second time it would refuse.
fn library(uri: &Uri) -> Result<Pkcs11, Error> {
    static LOADED: Mutex<Option<HashMap<String, Pkcs11>>> = Mutex::new(None);
    let in_token = refused(&uri.token);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = loaded.get_or_insert_default();
    if let Some(library) = loaded.get(&uri.module) {
        return Ok(library.clone());
    }
    let library = Pkcs11::new(&uri.module).map_err(&in_token)?;
    library
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .map_err(&in_token)?;
    loaded.insert(uri.module.clone(), library.clone());
    Ok(library)
}

fn pin(uri: &Uri) -> Result<Zeroizing<String>, Error> {
    let path = match (&uri.pin_file, std::env::var_os("CREDENTIALS_DIRECTORY")) {
        (Some(file), _) => PathBuf::from(file),
        (None, Some(folder)) => PathBuf::from(folder).join("postern.pin"),
        (None, None) => {
            return Err(pki::Error::Key(
                "the token's PIN is in no place that is known: name its file with pin-source",
            )
            .into());
        }
    };
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Pin { path, source })?;
    let text = Zeroizing::new(text);
    Ok(Zeroizing::new(
        text.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

/// The public half of a key pair, encoded as certificates hold it.
fn public_key(session: &Session, uri: &Uri, public: ObjectHandle) -> Result<Vec<u8>, Error> {
    let wanted = [
        AttributeType::Modulus,
        AttributeType::PublicExponent,
        AttributeType::EcParams,
        AttributeType::EcPoint,
    ];
    let found = session
        .get_attributes(public, &wanted)
        .map_err(refused(&uri.token))?;
    let (mut modulus, mut exponent, mut curve, mut point) = (None, None, None, None);
    for attribute in found {
        match attribute {
            Attribute::Modulus(bytes) => modulus = Some(bytes),
            Attribute::PublicExponent(bytes) => exponent = Some(bytes),
            Attribute::EcParams(bytes) => curve = Some(bytes),
            Attribute::EcPoint(bytes) => point = Some(bytes),
            _ => {}
        }
    }
    let made = match (modulus, exponent, curve, point) {
        (Some(modulus), Some(exponent), ..) => rsa(&modulus, &exponent),
        (_, _, Some(curve), Some(point)) => on_curve(&curve, &point),
        _ => return Err(pki::Error::Key("the token does not hand out the public key").into()),
    };
    made.map_err(|_| pki::Error::Key("the token's public key cannot be read").into())
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> der::Result<Vec<u8>> {
    let key = vec![UintRef::new(modulus)?, UintRef::new(exponent)?];
    SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned {
            oid: RSA,
            parameters: Some(Any::null()),
        },
        subject_public_key: BitString::from_bytes(&key.to_der()?)?,
    }
    .to_der()
}

/// The point comes wrapped in an OCTET STRING. PKCS#11 v2.40 §2.3.3.
fn on_curve(curve: &[u8], point: &[u8]) -> der::Result<Vec<u8>> {
    use der::Decode;
    let point = der::asn1::OctetString::from_der(point)?;
    SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned {
            oid: EC,
            parameters: Some(Any::from_der(curve)?),
        },
        subject_public_key: BitString::from_bytes(point.as_bytes())?,
    }
    .to_der()
}

fn curve(bits: u32) -> Option<ObjectIdentifier> {
    match bits {
        256 => Some(ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7")),
        384 => Some(ObjectIdentifier::new_unwrap("1.3.132.0.34")),
        521 => Some(ObjectIdentifier::new_unwrap("1.3.132.0.35")),
        _ => None,
    }
}

fn refused(token: &str) -> impl Fn(Fault) -> Error + use<> {
    let token = token.to_owned();
    move |source| Error::Refused {
        token: token.clone(),
        source,
    }
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// Label of the key that seals, unless the URI names another.
const SEALING_KEY: &str = "postern";
/// What the key that seals is asked about.
const SEALED_FOR: &[u8] = b"postern: sealing key of private keys, version 1";
