//! Chains made by rcgen, and the forms that only openssl writes.

use std::process::Command;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use time::ext::NumericalDuration;

mod chains;
mod keys;

use super::*;
use crate::pki::inspect;

/// A certificate with its key, which may sign others.
struct Node {
    pem: String,
    key: String,
    params: CertificateParams,
}

type Change = fn(&mut CertificateParams);

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn params(name: &str, change: Change) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = now() - 1.days();
    params.not_after = now() + 300.days();
    change(&mut params);
    params
}

fn authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
}

fn server(params: &mut CertificateParams) {
    let names = ["registry.test", "localhost"];
    let names = names.map(|name| rcgen::SanType::DnsName(name.try_into().unwrap()));
    params.subject_alt_names = names.to_vec();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

fn no_change(_: &mut CertificateParams) {}

impl Node {
    fn alone(name: &str, change: Change) -> Result<Self> {
        let (key, params) = (KeyPair::generate()?, params(name, change));
        Ok(Self {
            pem: params.self_signed(&key)?.pem(),
            key: key.serialize_pem(),
            params,
        })
    }

    fn signs(&self, name: &str, kind: Change, change: Change) -> Result<Self> {
        let (key, mut params) = (KeyPair::generate()?, params(name, kind));
        change(&mut params);
        let issuer = Issuer::new(self.params.clone(), KeyPair::from_pem(&self.key)?);
        Ok(Self {
            pem: params.signed_by(&key, &issuer)?.pem(),
            key: key.serialize_pem(),
            params,
        })
    }
}

/// A root, an intermediate and a server's certificate.
fn company() -> Result<[Node; 3]> {
    let root = Node::alone("Root", authority)?;
    let middle = root.signs("Middle", authority, no_change)?;
    let leaf = middle.signs("registry", server, no_change)?;
    Ok([root, middle, leaf])
}

fn read_files(certificate: &str, key: &str, ca: Option<&str>) -> Result<Validated, OwnFlaw> {
    validate(certificate, &key.to_owned().into(), ca, now())
}

/// The flaw in words.
#[track_caller]
fn flaw(certificate: &str, key: &str, ca: Option<&str>) -> String {
    match read_files(certificate, key, ca) {
        Ok(_) => panic!("validated"),
        Err(flaw) => flaw.to_string(),
    }
}

#[test]
fn a_chain_is_put_in_order_and_its_root_goes_to_the_clients() -> Result<()> {
    let [root, middle, leaf] = company()?;
    let stranger = Node::alone("Stranger", authority)?;
    let orders = [
        format!("{}{}", leaf.pem, middle.pem),
        format!("{}{}{}", root.pem, leaf.pem, middle.pem),
        format!("{}{}{}{}", middle.pem, stranger.pem, root.pem, leaf.pem),
        format!("subject=x\r\n{}\r\n{}", middle.pem, leaf.pem).replace('\n', "\r\n"),
        format!("\u{feff}{}{}", leaf.pem, middle.pem),
        format!("{}{}{}", leaf.key, leaf.pem, middle.pem),
    ];
    for certificate in orders {
        let key = format!("\u{feff}{}", leaf.key.replace('\n', "\r\n"));
        let Identity {
            ca_pem, leaf_pem, ..
        } = read_files(&certificate, &key, Some(&root.pem))?.identity;
        let chain = inspect_subjects(&leaf_pem);
        assert_eq!(chain, ["CN=registry", "CN=Middle"], "{certificate}");
        assert_eq!(inspect_subjects(&ca_pem), ["CN=Root"]);
    }
    // A root beside the certificate is the CA, and an intermediate may be beside the CA.
    let all = format!("{}{}{}", leaf.pem, middle.pem, root.pem);
    let alone = read_files(&all, &leaf.key, None)?.identity;
    assert_eq!(inspect_subjects(&alone.ca_pem), ["CN=Root"]);
    let bundle = format!("{}{}", middle.pem, root.pem);
    let bundled = read_files(&leaf.pem, &leaf.key, Some(&bundle))?.identity;
    assert_eq!(
        inspect_subjects(&bundled.leaf_pem),
        ["CN=registry", "CN=Middle"]
    );
    // An intermediate may be all that clients trust.
    let partial = read_files(&leaf.pem, &leaf.key, Some(&middle.pem))?.identity;
    assert_eq!(inspect_subjects(&partial.leaf_pem), ["CN=registry"]);
    Ok(())
}

#[test]
fn of_two_certificates_with_one_key_the_renewed_one_is_served() -> Result<()> {
    let root = Node::alone("Root", authority)?;
    let old = root.signs("old", server, |it| it.not_after = now() - 1.hours())?;
    let issuer = Issuer::new(root.params.clone(), KeyPair::from_pem(&root.key)?);
    let renewed = params("renewed", server).signed_by(&KeyPair::from_pem(&old.key)?, &issuer)?;
    for both in [
        format!("{}{}", old.pem, renewed.pem()),
        format!("{}{}", renewed.pem(), old.pem),
    ] {
        let served = read_files(&both, &old.key, Some(&root.pem))?.identity;
        assert_eq!(inspect_subjects(&served.leaf_pem), ["CN=renewed"]);
    }
    Ok(())
}

fn inspect_subjects(pem: &str) -> Vec<String> {
    let all = crate::pki::inspect_all(pem).into_iter();
    all.map(|one| one.subject).collect()
}

#[test]
fn a_validated_certificate_is_valid_again_unchanged() -> Result<()> {
    let [root, middle, leaf] = company()?;
    let chain = format!("{}{}", middle.pem, leaf.pem);
    let one = read_files(&chain, &leaf.key, Some(&root.pem))?.identity;
    let names = Names::new(["registry.test", "localhost"], []);
    let again = revalidate(&one, &names, now())?.identity;
    assert_eq!(
        (&one.ca_pem, &one.leaf_pem),
        (&again.ca_pem, &again.leaf_pem)
    );
    let more = Names::new(["other.test", "localhost"], []);
    let lacks = revalidate(&one, &more, now()).map(|_| ());
    let missing = vec!["other.test".to_owned()];
    assert_eq!(lacks, Err(OwnFlaw::NamesMissing { missing }));
    let later = revalidate(&one, &names, now() + 301.days()).map(|_| ());
    assert!(matches!(later, Err(OwnFlaw::Expired { .. })), "{later:?}");
    Ok(())
}

#[test]
fn files_that_hold_something_else_are_named() -> Result<()> {
    let [root, middle, leaf] = company()?;
    let chain = format!("{}{}", leaf.pem, middle.pem);
    let two = format!("{}{}", leaf.key, root.key);
    let (half, garbage) = (
        &chain[..100],
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (certificate, key, words) in [
        (
            &*leaf.key,
            &*chain,
            "contains no certificate, but a private key",
        ),
        (&chain, &chain, "contains no private key, but a certificate"),
        ("", &leaf.key, "contains no certificate"),
        ("no PEM", &leaf.key, "contains no certificate"),
        (half, &leaf.key, "invalid certificate: "),
        (garbage, &leaf.key, "invalid certificate: "),
        (&chain, "", "contains no private key"),
        (&chain, broken, "invalid private key: "),
        (&chain, &leaf.key[..100], "invalid private key: "),
        (&chain, &two, "contains 2 private keys"),
    ] {
        let said = flaw(certificate, key, Some(&root.pem));
        assert!(said.starts_with(words), "{said}\nis not: {words}");
    }
    // A key beside its certificates is found, as HAProxy's files have it.
    let both = format!("{}{chain}", leaf.key);
    read_files(&both, &both, Some(&root.pem))?;
    Ok(())
}

#[test]
fn a_certificate_that_signed_itself_is_its_own_ca_unless_it_may_sign_others() -> Result<()> {
    let own = Node::alone("registry", server)?;
    for ca in [None, Some(own.pem.as_str())] {
        let Identity {
            ca_pem, leaf_pem, ..
        } = read_files(&own.pem, &own.key, ca)?.identity;
        assert_eq!(ca_pem, leaf_pem);
    }
    let both = Node::alone("registry", |it| {
        server(it);
        it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    })?;
    let said = flaw(&both.pem, &both.key, None);
    assert!(
        said.starts_with("CN=registry is the certificate of a CA"),
        "{said}"
    );
    Ok(())
}

#[test]
fn names_are_compared_as_every_client_does() -> Result<()> {
    let covers = |presented: &'static [&str], asked: &str| -> Result<bool> {
        let mut node = Node::alone("registry", server)?;
        let names = presented.iter().map(|name| match name.parse() {
            Ok(ip) => Ok(rcgen::SanType::IpAddress(ip)),
            Err(_) => Ok(rcgen::SanType::DnsName((*name).try_into()?)),
        });
        node.params.subject_alt_names = names.collect::<Result<_>>()?;
        let key = KeyPair::from_pem(&node.key)?;
        let pem = node.params.self_signed(&key)?.pem();
        let identity = read_files(&pem, &node.key, None)?.identity;
        Ok(super::covers(&identity, &Names::new([asked], [])).is_ok())
    };
    assert!(covers(&["registry.test"], "registry.test")?);
    assert!(covers(&["*.corp.test"], "registry.corp.test")?);
    assert!(!covers(&["*.corp.test"], "a.registry.corp.test")?);
    assert!(!covers(&["*.corp.test"], "corp.test")?);
    // Go accepts it; curl, OpenSSL and rustls do not.
    assert!(!covers(&["*.test"], "registry.test")?);
    assert!(!covers(&["127.0.0.1"], "localhost")?);
    assert!(!covers(&["registry.test"], "localhost")?);
    Ok(())
}

#[test]
fn expiry_is_near_a_month_or_a_third_of_its_life_before() -> Result<()> {
    let [root, middle, leaf] = company()?;
    let chain = format!("{}{}", leaf.pem, middle.pem);
    let validated = read_files(&chain, &leaf.key, Some(&root.pem))?;
    let end = inspect(&leaf.pem)?.not_after;
    assert!(!validated.expires_soon(end - 31.days()));
    assert!(validated.expires_soon(end - 29.days()));
    let short = middle.signs("registry", server, |it| {
        it.not_before = now() - 1.hours();
        it.not_after = now() + 2.hours();
    })?;
    let chain = format!("{}{}", short.pem, middle.pem);
    let validated = read_files(&chain, &short.key, Some(&root.pem))?;
    assert_eq!(validated.first_to_expire.subject, "CN=registry");
    assert!(!validated.expires_soon(now()));
    assert!(validated.expires_soon(now() + 70.minutes()));
    Ok(())
}

#[test]
fn a_subject_can_t_write_further_lines_of_a_message() -> Result<()> {
    let node = Node::alone("x\nhint: run: evil\u{1b}[2J", |it| {
        server(it);
        it.subject_alt_names.clear();
    })?;
    let said = flaw(&node.pem, &node.key, None);
    assert!(!said.contains(char::is_control), "{said:?}");
    Ok(())
}
