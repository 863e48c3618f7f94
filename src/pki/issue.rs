//! Creates a registry's identity: a CA that is limited to the registry's names, and one certificate that it signed.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, SanType,
};
use secrecy::SecretString;
use time::OffsetDateTime;

use super::{BACKDATED, LIFETIME, Names, PkiError, inspect};

/// The most characters of a common name: ub-common-name of RFC 5280, appendix A.1.
const COMMON_NAME_MAX: usize = 64;

/// The bytes of a CA's key identifier that make its name unique.
const UNIQUE_BYTES: usize = 8;

/// A registry's certificates and key. Its `Debug` form does not show the key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate that nodes and hosts trust.
    pub ca_pem: String,
    /// The certificate that the registry presents, without the CA's: clients that trust the CA have it already.
    pub leaf_pem: String,
    /// The leaf's private key, PKCS#8.
    pub key: SecretString,
}

/// Creates a CA for exactly these names, and a leaf certificate that it signed. `authority_name` is for people who look
/// at the certificates (`kindreg demo registry`). Both certificates begin [`BACKDATED`] before `now`.
///
/// The CA's private key exists in this function only: it signs once, and is dropped (and wiped by aws-lc) on return. It
/// is not in the return value, so no caller can store it.
///
/// # Errors
/// There are no names, a name is not a host name, or `now` is out of range.
pub fn issue(
    authority_name: &str,
    names: &Names,
    now: OffsetDateTime,
) -> Result<Identity, PkiError> {
    let (ca, authority) = authority(authority_name, names, now)?;
    let (leaf, key) = leaf(authority_name, names, now, &authority)?;
    Ok(Identity {
        ca_pem: ca.pem(),
        leaf_pem: leaf.pem(),
        key: key.serialize_pem().into(),
    })
}

/// Returns whether [`issue`] made this identity with this name. The user's own certificates have another subject.
#[must_use]
pub fn is_generated(authority_name: &str, identity: &Identity) -> bool {
    let subject = |pem: &str| inspect(pem).map(|found| found.subject).unwrap_or_default();
    let name: String = authority_name.chars().take(COMMON_NAME_MAX).collect();
    subject(&identity.leaf_pem) == format!("CN={name}")
        && inspect(&identity.ca_pem).is_ok_and(|ca| ca.constraints.is_some())
}

/// Creates the CA: its certificate, and an issuer that can sign with its key.
fn authority(
    name: &str,
    names: &Names,
    now: OffsetDateTime,
) -> Result<(Certificate, Issuer<'static, KeyPair>), PkiError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = lasting_from(now)?;
    // Verifiers look up issuers by subject: in a trust store, two CAs with the same name would hide each other.
    let unique = hex::encode(&params.key_identifier(&key)[..UNIQUE_BYTES]);
    params.distinguished_name = common_name(name, &format!(" CA {unique}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(constraints(names)?);
    let certificate = params.self_signed(&key)?;
    Ok((certificate, Issuer::new(params, key)))
}

/// Creates a server certificate for these names, even if the CA's constraints do not permit them.
fn leaf(
    name: &str,
    names: &Names,
    now: OffsetDateTime,
    authority: &Issuer<'static, KeyPair>,
) -> Result<(Certificate, KeyPair), PkiError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = lasting_from(now)?;
    params.distinguished_name = common_name(name, "");
    for dns in &names.dns {
        let dns = dns.as_str().try_into()?;
        params.subject_alt_names.push(SanType::DnsName(dns));
    }
    let ips = names.ips.iter().copied().map(SanType::IpAddress);
    params.subject_alt_names.extend(ips);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok((params.signed_by(&key, authority)?, key))
}

/// Returns parameters with kindreg's validity: rcgen's default is 1975 to 4096.
fn lasting_from(now: OffsetDateTime) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    let begin = now.checked_sub(BACKDATED).ok_or(PkiError::BadTime)?;
    params.not_before = begin;
    params.not_after = begin.checked_add(LIFETIME).ok_or(PkiError::BadTime)?;
    Ok(params)
}

/// Returns `name` and `suffix` as a common name. If it is too long, the name is cut, as the suffix makes it unique.
fn common_name(name: &str, suffix: &str) -> DistinguishedName {
    let room = COMMON_NAME_MAX.saturating_sub(suffix.len());
    let name: String = name.chars().take(room).collect();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name + suffix);
    subject
}

/// Returns the name constraints of the CA (RFC 5280, section 4.2.1.10).
///
/// A kind of name without a constraint is unlimited, so each of DNS, IPv4 and IPv6 is either permitted name by name or
/// excluded as a whole. Addresses are exact. A host name permits its subdomains too: the RFC has no form for "this
/// host only", and verifiers differ in how they read a leading dot
/// (<https://github.com/golang/go/issues/37535>).
fn constraints(names: &Names) -> Result<NameConstraints, PkiError> {
    if names.dns.is_empty() && names.ips.is_empty() {
        return Err(PkiError::NoNames);
    }
    let mut permitted_subtrees = Vec::new();
    let mut excluded_subtrees = Vec::new();
    for name in &names.dns {
        if !is_host_name(name) {
            return Err(PkiError::BadName(name.clone()));
        }
        permitted_subtrees.push(GeneralSubtree::DnsName(name.clone()));
    }
    if names.dns.is_empty() {
        // The empty name is the parent of every name.
        excluded_subtrees.push(GeneralSubtree::DnsName(String::new()));
    }
    let exact = |ip: &IpAddr| {
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*ip, bits))
    };
    permitted_subtrees.extend(names.ips.iter().map(exact));
    if !names.ips.iter().any(IpAddr::is_ipv4) {
        let all = CidrSubnet::from_v4_prefix([0; 4], 0);
        excluded_subtrees.push(GeneralSubtree::IpAddress(all));
    }
    if !names.ips.iter().any(IpAddr::is_ipv6) {
        let all = CidrSubnet::from_v6_prefix([0; 16], 0);
        excluded_subtrees.push(GeneralSubtree::IpAddress(all));
    }
    Ok(NameConstraints {
        permitted_subtrees,
        excluded_subtrees,
    })
}

/// Returns whether a name is a host name: labels of letters, digits, hyphens and underscores (which container names may
/// contain), without a wildcard or a final dot. An IP address is none, as verifiers don't compare it with host names.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split('.').all(label) && name.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use anyhow::{Context, Result};

    use super::*;

    const NAMES: [&str; 2] = ["registry.test", "localhost"];
    const IPS: [&str; 2] = ["127.0.0.1", "::1"];

    fn names(dns: &[&str], ips: &[&str]) -> Result<Names> {
        let ips: Result<Vec<IpAddr>, _> = ips.iter().map(|ip| ip.parse()).collect();
        Ok(Names::new(dns, ips?))
    }

    /// Returns the output of `openssl verify` for a leaf for `asked`, signed with the key of a CA for `allowed`.
    fn openssl_on(allowed: &Names, asked: &Names) -> Result<String> {
        let now = OffsetDateTime::now_utc();
        let (ca, authority) = authority("t", allowed, now)?;
        let (leaf, _) = leaf("t", asked, now, &authority)?;
        let folder = tempfile::tempdir()?;
        let (ca_file, leaf_file) = (folder.path().join("ca"), folder.path().join("leaf"));
        std::fs::write(&ca_file, ca.pem())?;
        std::fs::write(&leaf_file, leaf.pem())?;
        let output = Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"])
            .args([ca_file, leaf_file])
            .output()
            .context("this test needs the openssl program")?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    fn accepted(allowed: &Names, asked: &Names) -> Result<()> {
        let said = openssl_on(allowed, asked)?;
        assert!(said.contains(": OK"), "{asked:?}: {said}");
        Ok(())
    }

    fn refused(allowed: &Names, dns: &[&str], ips: &[&str]) -> Result<()> {
        let said = openssl_on(allowed, &names(dns, ips)?)?;
        let violation = said.contains("permitted subtree violation")
            || said.contains("excluded subtree violation");
        assert!(violation, "{dns:?} {ips:?}: {said}");
        Ok(())
    }

    #[test]
    fn the_ca_is_limited_to_its_names() -> Result<()> {
        let ours = names(&NAMES, &IPS)?;
        accepted(&ours, &ours)?;
        accepted(&ours, &names(&["localhost"], &[])?)?;
        for other in [
            "evil.test",
            "test",
            "registry.test.evil.org",
            "xregistry.test",
        ] {
            refused(&ours, &[other], &[])?;
            refused(&ours, &["registry.test", other], &[])?;
        }
        for other in ["8.8.8.8", "127.0.0.2", "::2", "2001:db8::1"] {
            refused(&ours, &[], &[other])?;
            refused(&ours, &["registry.test"], &["127.0.0.1", other])?;
        }
        // A sibling and the parent of a listed host.
        let deep = names(&["registry.corp.test"], &["10.0.0.5"])?;
        refused(&deep, &["mail.corp.test"], &[])?;
        refused(&deep, &["corp.test"], &[])?;
        refused(&deep, &[], &["::1"])
    }

    #[test]
    fn a_ca_for_one_kind_of_name_is_excluded_from_the_others() -> Result<()> {
        let hosts = names(&["registry.test"], &[])?;
        accepted(&hosts, &hosts)?;
        refused(&hosts, &[], &["8.8.8.8"])?;
        refused(&hosts, &[], &["2001:db8::1"])?;
        let addresses = names(&[], &["10.0.0.5"])?;
        accepted(&addresses, &addresses)?;
        refused(&addresses, &["evil.test"], &[])?;
        refused(&addresses, &[], &["10.0.0.6"])?;
        refused(&addresses, &[], &["::1"])
    }

    #[test]
    fn webpki_enforces_the_same_limits() -> Result<()> {
        let now = OffsetDateTime::now_utc();
        let judged = |allowed: &Names, asked: &Names| -> Result<_> {
            let (ca, authority) = authority("t", allowed, now)?;
            let (leaf, _) = leaf("t", asked, now, &authority)?;
            let (ca, leaf) = (ca.pem(), leaf.pem());
            Ok(super::super::judge(
                &ca,
                &leaf,
                None,
                asked,
                now,
                super::super::RENEW_BEFORE,
            ))
        };
        let ours = names(&NAMES, &IPS)?;
        let hosts = names(&["registry.test"], &[])?;
        let addresses = names(&[], &["::1"])?;
        for allowed in [&ours, &hosts, &addresses] {
            assert!(judged(allowed, allowed)?.is_ok());
            for (dns, ips) in [
                (&["evil.test"][..], &[][..]),
                (&[], &["8.8.8.8"]),
                (&[], &["::2"]),
            ] {
                let flaw = judged(allowed, &names(dns, ips)?)?;
                let said = flaw.err().context("accepted")?.to_string();
                assert!(said.contains("NameConstraintViolation"), "{said}");
            }
        }
        Ok(())
    }

    #[test]
    fn only_host_names_are_valid_in_certificates() {
        for good in [
            "registry.test",
            "localhost",
            "kindreg-a_b",
            "x1.corp.example",
        ] {
            assert!(is_host_name(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "", ".", "a.", ".a", "a..b", "*.test", "ä.test", "10.0.0.5", "-a", "a b", &long,
        ] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_long_name_is_cut_and_its_ca_still_unique() {
        let subject = common_name(&"é".repeat(80), " CA 0123456789abcdef");
        let Some(rcgen::DnValue::Utf8String(name)) = subject.get(&DnType::CommonName) else {
            unreachable!("a common name is UTF-8");
        };
        assert_eq!(name.chars().count(), COMMON_NAME_MAX);
        assert!(name.ends_with("é CA 0123456789abcdef"));
    }
}
