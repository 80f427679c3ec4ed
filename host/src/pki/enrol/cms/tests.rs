use ::cms::enveloped_data::EnvelopedData;
use der::asn1::{OctetString, SetOfVec};
use proptest::prelude::*;

use super::enveloped::Cipher;
use super::*;
use crate::pki::enrol::testing::{Authority, Form, ec, rsa};
use crate::pki::key::Wanted;
use crate::pki::signature::Strength;
use crate::pki::{Certificate, Key};

fn authority(wanted: Wanted) -> Authority {
    Authority::new("ca", wanted)
}

fn signed(authority: &Authority, content: &[u8]) -> Vec<u8> {
    sign(content, Vec::new(), &authority.certificate, &authority.key).expect("signed")
}

fn verified(der: &[u8], signer: &Certificate) -> Result<Verified, Error> {
    Signed::read(der)?.verify(std::slice::from_ref(signer), Strength::Current)
}

fn words<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn what_is_signed_is_read_back_for_keys_of_each_kind() {
    for wanted in [
        Wanted::Rsa(2048),
        Wanted::Ecdsa(256),
        Wanted::Ecdsa(384),
        Wanted::Ecdsa(521),
    ] {
        let authority = authority(wanted);
        let der = signed(&authority, b"content");
        let read = verified(&der, &authority.certificate).expect("proved");
        assert_eq!(read.content, b"content", "{wanted:?}");
        let beside = Signed::read(&der).expect("read").certificates();
        assert_eq!(beside, Ok(vec![authority.certificate]));
    }
}

#[test]
fn a_signature_of_somebody_else_proves_nothing() {
    let (own, other) = (authority(Wanted::Ecdsa(256)), authority(Wanted::Ecdsa(256)));
    let der = signed(&own, b"content");
    assert!(words(verified(&der, &other.certificate)).contains("nobody whom we trust"));
    let forged = sign(b"content", Vec::new(), &own.certificate, &other.key).expect("signed");
    assert_eq!(
        words(verified(&forged, &own.certificate)),
        "the signature is wrong"
    );
}

#[test]
fn a_byte_changed_anywhere_changes_nothing_of_what_is_proved() {
    let authority = authority(Wanted::Ecdsa(256));
    let der = signed(&authority, b"pay 10");
    let mut failed = 0;
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 1;
        match verified(&changed, &authority.certificate) {
            Ok(read) => assert_eq!(read.content, b"pay 10", "byte {at}"),
            Err(_) => failed += 1,
        }
        assert!(Signed::read(&der[..at]).is_err(), "{at} bytes");
    }
    assert!(failed > 200, "only {failed} changes were noticed");
}

#[test]
fn content_that_does_not_fit_its_digest_is_refused() {
    let authority = authority(Wanted::Ecdsa(256));
    let mut der = signed(&authority, b"pay 10");
    let at = der
        .windows(6)
        .position(|six| six == b"pay 10")
        .expect("it is there");
    der[at + 4] = b'9';
    assert_eq!(
        words(verified(&der, &authority.certificate)),
        "the content was changed after it was signed"
    );
}

#[test]
fn md5_and_sha1_are_refused_by_name() {
    let authority = authority(Wanted::Rsa(2048));
    let sha1 = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
    let md5 = ObjectIdentifier::new_unwrap("1.2.840.113549.2.5");
    for (oid, name) in [(sha1, "SHA-1"), (md5, "MD5")] {
        let message = Signed::read(&signed(&authority, b"x")).expect("read");
        let message = message.with_digest(oid);
        let said = words(message.verify(
            std::slice::from_ref(&authority.certificate),
            Strength::Current,
        ));
        assert!(said.contains(name) && said.contains("refused"), "{said}");
    }
}

#[test]
fn what_is_encrypted_is_read_by_its_recipient_alone() {
    let (own, other) = (authority(Wanted::Rsa(2048)), authority(Wanted::Rsa(2048)));
    for cipher in [Cipher::Aes128, Cipher::Aes256] {
        for content in [&b""[..], b"sixteen bytes...", b"a challenge password"] {
            let der = encrypt(content, &own.certificate, cipher).expect("encrypted");
            assert!(content.len() < 8 || !der.windows(8).any(|part| part == &content[..8]));
            let read = decrypt(&der, &own.certificate, &own.key, Strength::Current);
            assert_eq!(read.expect("decrypted").as_slice(), content);
            let stranger = decrypt(&der, &other.certificate, &other.key, Strength::Current);
            // Both authorities have the same name; numbers differ.
            assert!(words(stranger).contains("to somebody else"));
            let wrong = decrypt(&der, &own.certificate, &other.key, Strength::Current);
            assert_ne!(wrong.ok().as_deref().map(Vec::as_slice), Some(content));
        }
    }
}

#[test]
fn truncated_and_changed_encrypted_messages_are_errors() {
    let own = authority(Wanted::Rsa(2048));
    let der = encrypt(b"content", &own.certificate, Cipher::Aes256).expect("encrypted");
    for at in 0..der.len() {
        let read = decrypt(&der[..at], &own.certificate, &own.key, Strength::Current);
        assert!(read.is_err(), "{at} bytes");
    }
    // The initial vector changes the first block bit by bit; nothing else may give the content again.
    for at in (0..der.len()).step_by(3) {
        let mut changed = der.clone();
        changed[at] ^= 0x40;
        let _ = decrypt(&changed, &own.certificate, &own.key, Strength::Old);
    }
}

#[test]
fn des_is_refused_by_name() {
    let own = authority(Wanted::Rsa(2048));
    let der = encrypt(b"content", &own.certificate, Cipher::Aes128).expect("encrypted");
    for oid in ["1.3.14.3.2.7", "1.2.840.113549.3.7"] {
        let outer = content(&der, ENVELOPED_DATA).expect("read");
        let mut inner = outer.decode_as::<EnvelopedData>().expect("read");
        inner.encrypted_content.content_enc_alg.oid = ObjectIdentifier::new_unwrap(oid);
        let iv = OctetString::new([7; 8]).expect("short");
        inner.encrypted_content.content_enc_alg.parameters =
            Some(Any::encode_from(&iv).expect("short"));
        let weak = message(ENVELOPED_DATA, &inner).expect("made");
        let said = words(decrypt(
            &weak,
            &own.certificate,
            &own.key,
            Strength::Current,
        ));
        assert!(said.contains("DES, which is refused"), "{said}");
        // Let pass, it fails for its key, which is AES's.
        let said = words(decrypt(&weak, &own.certificate, &own.key, Strength::Old));
        assert_eq!(said, "the message cannot be decrypted");
    }
}

#[test]
fn nothing_is_encrypted_to_a_key_that_cannot_decrypt() {
    let own = authority(Wanted::Ecdsa(256));
    let said = words(encrypt(b"x", &own.certificate, Cipher::Aes128));
    assert!(said.contains("must be RSA from 2048 bits"), "{said}");
    assert!(ec().decrypt(&[0; 256]).is_err());
    assert!(rsa().decrypt(&[0; 255]).is_err());
    assert!(rsa().decrypt(&[]).is_err());
}

#[test]
fn certificates_are_found_in_whatever_they_are_handed_over_in() {
    let root = authority(Wanted::Ecdsa(256));
    let key: Key = ec();
    let own = root.issue("own", key.public_key(), &Form::default());
    let both = vec![own.clone(), root.certificate.clone()];
    let sorted = |mut all: Vec<Certificate>| {
        all.sort_by(|one, other| one.der.cmp(&other.der));
        all
    };
    let bundle = bundle_of(&both).expect("made");
    let pem = own.pem() + "\nsome words\n" + &root.certificate.pem();
    let bare: String = own
        .pem()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let armoured = bundle::armour("PKCS7", &bundle);
    let base64: String = armoured
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    assert_eq!(certificates_of(&own.der), Ok(vec![own.clone()]));
    assert_eq!(certificates_of(bare.as_bytes()), Ok(vec![own.clone()]));
    assert_eq!(certificates_of(pem.as_bytes()), Ok(both.clone()));
    for given in [&bundle[..], armoured.as_bytes(), base64.as_bytes()] {
        let found = certificates_of(given).expect("found");
        assert_eq!(sorted(found), sorted(both.clone()));
    }
}

#[test]
fn what_holds_no_certificate_or_a_secret_is_refused() {
    let root = authority(Wanted::Ecdsa(256));
    let secret = bundle::armour("PRIVATE KEY", root.key.pkcs8());
    let said = words(certificates_of(
        (root.certificate.pem() + &secret).as_bytes(),
    ));
    assert!(said.contains("there is a private key in it"), "{said}");
    let none = bundle_of(&[]).expect("made");
    assert!(words(certificates_of(&none)).contains("no certificate in it"));
    let many = vec![root.certificate.clone(); MAX_CERTIFICATES + 1];
    let pem: String = many.iter().map(Certificate::pem).collect();
    assert!(words(certificates_of(pem.as_bytes())).contains("too many"));
    assert!(words(certificates_of(&bundle_of(&many).expect("made"))).contains("too many"));
    for given in [&b""[..], b"hello", &[0x30, 0x80, 0xff], &[0xff; 40]] {
        assert!(certificates_of(given).is_err());
    }
    let long = vec![b'A'; bundle::MAX_BYTES + 1];
    assert!(words(certificates_of(&long)).contains("too long"));
    let truncated = bundle_of(&[root.certificate]).expect("made");
    for end in 0..truncated.len() {
        assert!(certificates_of(&truncated[..end]).is_err(), "{end} bytes");
    }
}

#[test]
fn a_set_of_thousands_in_falling_order_is_read() {
    // RFC 5652 §5.1: elements in falling order, as an attacker would send them.
    let mut set = Vec::new();
    for number in (0..30_000u32).rev() {
        set.extend([0x04, 4]);
        set.extend(number.to_be_bytes());
    }
    let any = Any::new(der::Tag::Set, set).expect("short enough");
    assert!(any.decode_as::<SetOfVec<Any>>().is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = certificates_of(&bytes);
        let _ = Signed::read(&bytes);
        let _ = content(&bytes, ENVELOPED_DATA);
    }

    #[test]
    fn a_message_with_holes_is_read_or_refused(holes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        thread_local! {
            static MADE: (Vec<u8>, Certificate) = {
                let authority = authority(Wanted::Ecdsa(256));
                (signed(&authority, b"content"), authority.certificate)
            };
        }
        MADE.with(|(der, signer)| {
            let mut der = der.clone();
            for (at, byte) in &holes {
                let at = at.index(der.len());
                der[at] = *byte;
            }
            let _ = certificates_of(&der);
            let _ = verified(&der, signer);
        });
    }
}
