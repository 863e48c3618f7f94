//! Certificates, read back and verified by another implementation than the one that makes and judges them: the
//! openssl program, which these tests need.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use kindreg::internal::pki::{
    BACKDATED, Flaw, Identity, LIFETIME, Names, Part, RENEW_BEFORE, Role, inspect, issue, judge,
};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00:00.75 UTC);
const BEGIN: OffsetDateTime = datetime!(2026-11-22 11:00:00 UTC);
const END: OffsetDateTime = datetime!(2029-02-19 11:00:00 UTC);

fn names() -> Result<Names> {
    let ips: [IpAddr; 2] = ["127.0.0.1".parse()?, "::1".parse()?];
    Ok(Names::new(
        ["registry.test", "kindreg-demo-registry", "localhost"],
        ips,
    ))
}

fn identity() -> Result<Identity> {
    Ok(issue("kindreg demo registry", &names()?, NOW)?)
}

fn judged(identity: &Identity, names: &Names, now: OffsetDateTime) -> Result<(), Flaw> {
    let Identity {
        ca_pem,
        leaf_pem,
        key: key_pem,
    } = identity;
    judge(ca_pem, leaf_pem, Some(key_pem), names, now, RENEW_BEFORE)
}

/// stdout and stderr of openssl, whatever its exit code.
fn openssl(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .context("these tests need the openssl program")?;
    Ok(String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?)
}

fn on_disk(identity: &Identity) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("ca.crt"), &identity.ca_pem)?;
    std::fs::write(folder.path().join("tls.crt"), &identity.leaf_pem)?;
    std::fs::write(folder.path().join("tls.key"), identity.key.expose_secret())?;
    Ok(folder)
}

/// `openssl verify` for the time the identity was made at, with more arguments.
fn verify(folder: &Path, more: &[&str]) -> Result<String> {
    let at = NOW.unix_timestamp().to_string();
    let strict = [
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-attime",
        &at,
    ];
    openssl(
        folder,
        &[&strict[..], more, &["-CAfile", "ca.crt", "tls.crt"]].concat(),
    )
}

#[test]
fn openssl_verifies_the_chain_for_every_name_and_no_other() -> Result<()> {
    let folder = on_disk(&identity()?)?;
    for dns in names()?.dns {
        let said = verify(folder.path(), &["-verify_hostname", &dns])?;
        assert_eq!(said, "tls.crt: OK\n", "{dns}");
    }
    for ip in names()?.ips {
        let said = verify(folder.path(), &["-verify_ip", &ip.to_string()])?;
        assert_eq!(said, "tls.crt: OK\n", "{ip}");
    }
    let said = verify(folder.path(), &["-verify_hostname", "evil.test"])?;
    assert!(said.contains("hostname mismatch"), "{said}");
    let said = verify(folder.path(), &["-verify_ip", "8.8.8.8"])?;
    assert!(said.contains("IP address mismatch"), "{said}");
    Ok(())
}

#[test]
fn openssl_does_not_verify_against_another_ca_of_the_same_name() -> Result<()> {
    let folder = on_disk(&identity()?)?;
    std::fs::write(folder.path().join("ca.crt"), identity()?.ca_pem)?;
    let said = verify(folder.path(), &[])?;
    assert!(
        said.contains("unable to get local issuer certificate"),
        "{said}"
    );
    Ok(())
}

#[test]
fn openssl_reads_what_we_meant() -> Result<()> {
    let folder = on_disk(&identity()?)?;
    let text = |file| openssl(folder.path(), &["x509", "-in", file, "-noout", "-text"]);
    let has = |text: &str, lines: &[&str]| {
        let text: Vec<&str> = text.lines().map(str::trim).collect();
        for line in lines {
            assert!(text.contains(line), "no {line:?} in {text:#?}");
        }
    };
    has(
        &text("ca.crt")?,
        &[
            "ASN1 OID: prime256v1",
            "X509v3 Basic Constraints: critical",
            "CA:TRUE, pathlen:0",
            "X509v3 Key Usage: critical",
            "Certificate Sign, CRL Sign",
            "X509v3 Name Constraints: critical",
            "DNS:registry.test",
            "DNS:kindreg-demo-registry",
            "DNS:localhost",
            "IP:127.0.0.1/255.255.255.255",
            "IP:0:0:0:0:0:0:0:1/FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF",
            "X509v3 Subject Key Identifier:",
        ],
    );
    has(
        &text("tls.crt")?,
        &[
            "ASN1 OID: prime256v1",
            "X509v3 Basic Constraints: critical",
            "CA:FALSE",
            "X509v3 Key Usage: critical",
            "Digital Signature",
            "X509v3 Extended Key Usage:",
            "TLS Web Server Authentication",
            "X509v3 Authority Key Identifier:",
            "DNS:registry.test, DNS:kindreg-demo-registry, DNS:localhost, IP Address:127.0.0.1, \
             IP Address:0:0:0:0:0:0:0:1",
        ],
    );
    Ok(())
}

#[test]
fn openssl_takes_the_key_for_the_leafs() -> Result<()> {
    let folder = on_disk(&identity()?)?;
    let of_key = openssl(folder.path(), &["pkey", "-in", "tls.key", "-pubout"])?;
    let of_leaf = openssl(
        folder.path(),
        &["x509", "-in", "tls.crt", "-noout", "-pubkey"],
    )?;
    assert!(of_key.starts_with("-----BEGIN PUBLIC KEY-----"), "{of_key}");
    assert_eq!(of_key, of_leaf);
    Ok(())
}

#[test]
fn both_certificates_live_820_days_from_an_hour_ago() -> Result<()> {
    assert_eq!(BEGIN, NOW.replace_nanosecond(0)? - BACKDATED);
    assert_eq!(END - BEGIN, Duration::days(820));
    assert_eq!(LIFETIME, Duration::days(820));
    let identity = identity()?;
    let folder = on_disk(&identity)?;
    for (pem, file) in [
        (&identity.ca_pem, "ca.crt"),
        (&identity.leaf_pem, "tls.crt"),
    ] {
        let inspection = inspect(pem)?;
        assert_eq!((inspection.not_before, inspection.not_after), (BEGIN, END));
        let dates = openssl(folder.path(), &["x509", "-in", file, "-noout", "-dates"])?;
        assert_eq!(
            dates,
            "notBefore=Nov 22 11:00:00 2026 GMT\nnotAfter=Feb 19 11:00:00 2029 GMT\n"
        );
    }
    Ok(())
}

#[test]
fn a_certificate_may_outlive_2050() -> Result<()> {
    // The date's form changes there: RFC 5280, section 4.1.2.5.
    let late = datetime!(2049-06-01 0:00 UTC);
    let identity = issue("t", &names()?, late)?;
    assert_eq!(judged(&identity, &names()?, late), Ok(()));
    let never = OffsetDateTime::new_utc(time::Date::MAX, time::Time::MIDNIGHT);
    assert!(issue("t", &names()?, never).is_err());
    Ok(())
}

#[test]
fn inspection_says_what_openssl_says() -> Result<()> {
    let identity = identity()?;
    let folder = on_disk(&identity)?;
    let ca = inspect(&identity.ca_pem)?;
    let constraints = ca.constraints.context("not constrained")?;
    assert_eq!(ca.role, Role::Authority);
    assert_eq!(
        constraints.permitted,
        [
            "registry.test",
            "kindreg-demo-registry",
            "localhost",
            "127.0.0.1/32",
            "::1/128"
        ]
    );
    assert!(constraints.excluded.is_empty());
    let leaf = inspect(&identity.leaf_pem)?;
    assert_eq!(leaf.role, Role::EndEntity);
    assert_eq!(leaf.constraints, None);
    assert_eq!(leaf.names, names()?);
    assert_eq!(leaf.subject, "CN=kindreg demo registry");

    let arguments = ["x509", "-in", "ca.crt", "-noout", "-fingerprint", "-sha256"];
    let said = openssl(
        folder.path(),
        &[&arguments[..], &["-ext", "subjectKeyIdentifier"]].concat(),
    )?;
    let said = said.replace(':', "").to_lowercase();
    assert!(said.contains(&ca.fingerprint), "{said}");
    assert!(said.contains(&ca.key_id.context("no key id")?), "{said}");
    Ok(())
}

#[test]
fn a_kind_of_name_that_was_not_asked_for_is_excluded_as_a_whole() -> Result<()> {
    let constraints = |dns: &[&str], ips: &[&str]| -> Result<_> {
        let ips: Result<Vec<IpAddr>, _> = ips.iter().map(|ip| ip.parse()).collect();
        let ca = inspect(&issue("t", &Names::new(dns, ips?), NOW)?.ca_pem)?;
        Ok(ca.constraints.context("not constrained")?.excluded)
    };
    assert_eq!(constraints(&["a.test"], &[])?, ["0.0.0.0/0", "::/0"]);
    assert_eq!(constraints(&["a.test"], &["10.0.0.5"])?, ["::/0"]);
    assert_eq!(constraints(&["a.test"], &["::1"])?, ["0.0.0.0/0"]);
    assert_eq!(constraints(&[], &["10.0.0.5"])?, ["", "::/0"]);
    Ok(())
}

#[test]
fn nothing_is_issued_for_nothing_or_for_what_is_no_host() -> Result<()> {
    assert!(issue("t", &Names::default(), NOW).is_err());
    for bad in [
        "*.test",
        "",
        "10.0.0.5",
        "a b",
        "registry.test:5001",
        "ä.test",
    ] {
        let names = Names::new([bad], []);
        let said = issue("t", &names, NOW)
            .err()
            .with_context(|| bad.to_owned())?;
        assert!(said.to_string().contains("invalid host name"), "{said}");
    }
    Ok(())
}

#[test]
fn two_identities_share_no_subject_and_no_key() -> Result<()> {
    let (one, other) = (identity()?, identity()?);
    let (a, b) = (inspect(&one.ca_pem)?, inspect(&other.ca_pem)?);
    assert!(
        a.subject.starts_with("CN=kindreg demo registry CA "),
        "{}",
        a.subject
    );
    assert_ne!(a.subject, b.subject);
    assert_ne!(a.key_id, b.key_id);
    assert_ne!(one.key.expose_secret(), other.key.expose_secret());
    Ok(())
}

#[test]
fn the_key_is_not_shown_in_debug_output() -> Result<()> {
    let identity = identity()?;
    let shown = format!("{identity:?} {identity:#?}");
    assert!(shown.contains("BEGIN CERTIFICATE"));
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    for line in identity.key.expose_secret().lines() {
        assert!(!shown.contains(line), "{shown}");
    }
    Ok(())
}

#[test]
fn the_ca_key_leaves_no_trace_in_an_identity() -> Result<()> {
    let identity = identity()?;
    let all = [
        &identity.ca_pem,
        &identity.leaf_pem,
        identity.key.expose_secret(),
    ]
    .concat();
    assert_eq!(all.matches("-----BEGIN").count(), 3);
    assert_eq!(all.matches("-----BEGIN PRIVATE KEY-----").count(), 1);
    // And that one is the leaf's: `openssl_takes_the_key_for_the_leafs`.
    Ok(())
}

#[test]
fn an_identity_is_good_from_its_first_second_until_it_is_to_be_renewed() -> Result<()> {
    let (identity, names) = (identity()?, names()?);
    let second = Duration::SECOND;
    let at = |now| judged(&identity, &names, now);
    let part = Part::Leaf;
    let not_after = END;
    assert_eq!(
        at(BEGIN - second),
        Err(Flaw::NotYetValid {
            part,
            not_before: BEGIN
        })
    );
    assert_eq!(at(BEGIN), Ok(()));
    assert_eq!(at(NOW), Ok(()));
    assert_eq!(at(END - RENEW_BEFORE), Ok(()));
    assert_eq!(
        at(END - RENEW_BEFORE + second),
        Err(Flaw::ExpiresSoon { part, days: 60 })
    );
    assert_eq!(at(END - second), Err(Flaw::ExpiresSoon { part, days: 1 }));
    assert_eq!(at(END), Err(Flaw::ExpiresSoon { part, days: 1 }));
    assert_eq!(at(END + second), Err(Flaw::Expired { part, not_after }));
    let Identity {
        ca_pem,
        leaf_pem,
        key: key_pem,
    } = &identity;
    let to_the_end = judge(ca_pem, leaf_pem, Some(key_pem), &names, END, Duration::ZERO);
    assert_eq!(to_the_end, Ok(()));
    Ok(())
}

#[test]
fn judgement_names_what_is_missing() -> Result<()> {
    let mut more = names()?;
    more.dns.push("nexus.local".into());
    more.ips.push("172.18.0.1".parse()?);
    let missing = vec!["nexus.local".to_owned(), "172.18.0.1".to_owned()];
    assert_eq!(
        judged(&identity()?, &more, NOW),
        Err(Flaw::NamesMissing { missing })
    );
    Ok(())
}

#[test]
fn judgement_sees_another_ca_and_another_key() -> Result<()> {
    let names = names()?;
    let other = identity()?;
    let with_its_ca = Identity {
        ca_pem: other.ca_pem,
        ..identity()?
    };
    let cause = "UnknownIssuer".to_owned();
    assert_eq!(
        judged(&with_its_ca, &names, NOW),
        Err(Flaw::DoesNotChain { cause })
    );
    let with_its_key = Identity {
        key: other.key,
        ..identity()?
    };
    assert_eq!(judged(&with_its_key, &names, NOW), Err(Flaw::KeyMismatch));
    Ok(())
}

#[test]
fn judgement_checks_the_signature_and_not_the_issuers_name_only() -> Result<()> {
    let identity = identity()?;
    // A CA of the same subject and key identifier, and another key.
    let folder = tempfile::tempdir()?;
    let ca = inspect(&identity.ca_pem)?;
    let forged = openssl(
        folder.path(),
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-noenc",
            "-keyout",
            "k",
            "-subj",
            &format!("/{}", ca.subject),
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            &format!("subjectKeyIdentifier={}", ca.key_id.context("no key id")?),
            "-days",
            "36500",
        ],
    )?;
    let pem = forged.find("-----BEGIN").context("no certificate")?;
    let forged = Identity {
        ca_pem: forged[pem..].to_owned(),
        ..identity
    };
    assert_eq!(inspect(&forged.ca_pem)?.subject, ca.subject);
    let flaw = judged(&forged, &names()?, OffsetDateTime::now_utc());
    assert!(matches!(flaw, Err(Flaw::DoesNotChain { .. })), "{flaw:?}");
    Ok(())
}

#[test]
fn old_and_new_ca_together_are_good_for_either_leaf() -> Result<()> {
    let (old, new) = (identity()?, identity()?);
    let ca_pem = format!("{}{}", old.ca_pem, new.ca_pem);
    for Identity {
        leaf_pem,
        key: key_pem,
        ..
    } in [old, new]
    {
        let both = Identity {
            ca_pem: ca_pem.clone(),
            leaf_pem,
            key: key_pem,
        };
        assert_eq!(judged(&both, &names()?, NOW), Ok(()));
    }
    Ok(())
}

#[test]
fn a_leaf_is_not_taken_for_a_ca() -> Result<()> {
    let identity = identity()?;
    let self_trusting = Identity {
        ca_pem: identity.leaf_pem.clone(),
        ..identity
    };
    let flaw = judged(&self_trusting, &names()?, NOW);
    assert!(matches!(flaw, Err(Flaw::DoesNotChain { .. })), "{flaw:?}");
    Ok(())
}

#[test]
fn what_is_not_pem_is_said_to_be_unreadable() -> Result<()> {
    let names = names()?;
    let part_of = |identity: &Identity| match judged(identity, &names, NOW) {
        Err(Flaw::Unreadable { part, .. }) => Some(part),
        _ => None,
    };
    let half = |pem: &str| pem[..pem.len() / 2].to_owned();
    for garbage in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let ca = Identity {
            ca_pem: garbage.into(),
            ..identity()?
        };
        let leaf = Identity {
            leaf_pem: garbage.into(),
            ..identity()?
        };
        let key = Identity {
            key: SecretString::from(garbage),
            ..identity()?
        };
        assert_eq!(part_of(&leaf), Some(Part::Leaf), "{garbage}");
        assert_eq!(part_of(&key), Some(Part::Key), "{garbage}");
        assert_eq!(part_of(&ca), Some(Part::Ca), "{garbage}");
        assert!(inspect(garbage).is_err());
    }
    let whole = identity()?;
    let cut = Identity {
        leaf_pem: half(&whole.leaf_pem),
        ..whole
    };
    assert_eq!(part_of(&cut), Some(Part::Leaf));
    Ok(())
}

#[test]
fn keys_are_read_in_the_forms_openssl_writes() -> Result<()> {
    let identity = identity()?;
    let folder = on_disk(&identity)?;
    let sec1 = openssl(folder.path(), &["ec", "-in", "tls.key"])?;
    let sec1 = sec1
        .replace("read EC key\n", "")
        .replace("writing EC key\n", "");
    let parameters = openssl(folder.path(), &["ecparam", "-name", "prime256v1"])?;
    for key in [sec1.clone(), parameters + &sec1] {
        assert!(key.contains("BEGIN EC PRIVATE KEY"), "{key}");
        let Identity {
            ca_pem, leaf_pem, ..
        } = &identity;
        let verdict = judge(
            ca_pem,
            leaf_pem,
            Some(&key.into()),
            &names()?,
            NOW,
            RENEW_BEFORE,
        );
        assert_eq!(verdict, Ok(()));
    }
    Ok(())
}

/// Has openssl make `NAME.crt` and an RSA `NAME.key`, signed by another of the folder or by itself.
fn openssl_issues(
    folder: &Path,
    name: &str,
    issuer: Option<&str>,
    extensions: &[&str],
) -> Result<String> {
    let (key, out) = (format!("{name}.key"), format!("{name}.crt"));
    let subject = format!("/CN={name}");
    let issuer = issuer.map(|issuer| (format!("{issuer}.crt"), format!("{issuer}.key")));
    let mut arguments = vec![
        "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "365",
    ];
    arguments.extend(["-keyout", &key, "-out", &out, "-subj", &subject]);
    if let Some((certificate, key)) = &issuer {
        arguments.extend(["-CA", certificate, "-CAkey", key]);
    }
    arguments.extend(
        extensions
            .iter()
            .flat_map(|extension| ["-addext", extension]),
    );
    let said = openssl(folder, &arguments)?;
    std::fs::read_to_string(folder.join(out)).context(said)
}

const IS_CA: &str = "basicConstraints=critical,CA:TRUE";
const NO_CA: &str = "basicConstraints=critical,CA:FALSE";
const WILDCARD: &str = "subjectAltName=DNS:*.corp.example";

#[test]
fn one_s_own_certificate_may_be_rsa_a_wildcard_and_below_an_intermediate() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let issued =
        |name, issuer, extensions: &[&str]| openssl_issues(folder.path(), name, issuer, extensions);
    let ca = issued("root", None, &[IS_CA])?;
    let middle = issued("middle", Some("root"), &[IS_CA])?;
    let leaf = issued("leaf", Some("middle"), &[NO_CA, WILDCARD])?;
    let key: SecretString = std::fs::read_to_string(folder.path().join("leaf.key"))?.into();

    let now = OffsetDateTime::now_utc();
    let judged = |leaf_pem: &str, host: &str| {
        let names = Names::new([host], []);
        judge(&ca, leaf_pem, Some(&key), &names, now, RENEW_BEFORE)
    };
    let chain = format!("{leaf}{middle}");
    assert_eq!(judged(&chain, "nexus.corp.example"), Ok(()));
    let missing = vec!["corp.example".to_owned()];
    assert_eq!(
        judged(&chain, "corp.example"),
        Err(Flaw::NamesMissing { missing })
    );
    let cause = "UnknownIssuer".to_owned();
    assert_eq!(
        judged(&leaf, "nexus.corp.example"),
        Err(Flaw::DoesNotChain { cause })
    );
    Ok(())
}

#[test]
fn a_ca_that_may_not_sign_is_named_as_the_flaw() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ca = openssl_issues(folder.path(), "root", None, &[NO_CA])?;
    let leaf = openssl_issues(folder.path(), "leaf", Some("root"), &[NO_CA, WILDCARD])?;
    let names = Names::new(["nexus.corp.example"], []);
    let verdict = judge(
        &ca,
        &leaf,
        None,
        &names,
        OffsetDateTime::now_utc(),
        RENEW_BEFORE,
    );
    assert_eq!(verdict, Err(Flaw::NotAnAuthority));
    Ok(())
}

#[test]
fn names_are_in_lower_case_and_each_once_in_their_order() -> Result<()> {
    let ip: IpAddr = "::1".parse()?;
    let names = Names::new(["Registry.test", "localhost", "registry.TEST"], [ip, ip]);
    assert_eq!(names.dns, ["registry.test", "localhost"]);
    assert_eq!(names.ips, [ip]);
    Ok(())
}
