//! Chains that clients refuse, each with its own reason.

use super::*;

#[test]
fn each_chain_that_clients_refuse_has_its_own_reason() -> Result<()> {
    let [root, middle, leaf] = company()?;
    let chain = format!("{}{}", leaf.pem, middle.pem);
    let below = |kind: Change, change: Change| -> Result<(String, String)> {
        let leaf = middle.signs("registry", kind, change)?;
        Ok((format!("{}{}", leaf.pem, middle.pem), leaf.key))
    };
    let through = |change: Change| -> Result<(String, String)> {
        let middle = root.signs("Middle", authority, change)?;
        let leaf = middle.signs("registry", server, no_change)?;
        Ok((format!("{}{}", leaf.pem, middle.pem), leaf.key))
    };
    let cases: [((String, String), &str); 13] = [
        (
            (leaf.pem.clone(), leaf.key.clone()),
            "incomplete chain: the issuer of CN=registry is missing (CN=Middle)",
        ),
        (
            (chain.clone(), middle.key.clone()),
            "CN=Middle is the certificate of a CA, not of a server (basic constraints CA:TRUE)",
        ),
        (
            (chain.clone(), root.key.clone()),
            "the private key does not belong to the certificate",
        ),
        (
            below(server, |it| it.not_after = now() - 1.hours())?,
            "CN=registry expired at ",
        ),
        (
            below(server, |it| it.not_before = now() + 1.hours())?,
            "CN=registry is not valid before ",
        ),
        (
            below(server, |it| it.subject_alt_names.clear())?,
            "CN=registry has no subject alternative names; clients ignore the common name",
        ),
        (
            below(server, |it| {
                it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            })?,
            "CN=registry lacks the extended key usage serverAuth",
        ),
        (
            below(server, |it| {
                it.key_usages = vec![KeyUsagePurpose::KeyAgreement];
            })?,
            "CN=registry lacks the key usage digitalSignature",
        ),
        (
            below(server, |it| {
                it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            })?,
            "CN=registry is the certificate of a CA, not of a server",
        ),
        (
            through(|it| it.not_after = now() - 1.hours())?,
            "CN=Middle expired at ",
        ),
        (
            through(|it| it.is_ca = IsCa::ExplicitNoCa)?,
            "CN=Middle is not a CA (basic constraints CA:FALSE)",
        ),
        (
            through(|it| it.key_usages = vec![KeyUsagePurpose::CrlSign])?,
            "CN=Middle lacks the key usage keyCertSign",
        ),
        (
            through(|it| {
                it.name_constraints = Some(NameConstraints {
                    permitted_subtrees: vec![GeneralSubtree::DnsName("corp.example".into())],
                    excluded_subtrees: vec![GeneralSubtree::DnsName("test".into())],
                });
            })?,
            "the name constraints of CN=Middle do not permit a name of the certificate (permitted: corp.example; excluded: test)",
        ),
    ];
    for ((certificate, key), words) in cases {
        let said = flaw(&certificate, &key, Some(&root.pem));
        assert!(said.starts_with(words), "{said}\nis not: {words}");
    }
    Ok(())
}

#[test]
fn each_ca_that_does_not_fit_has_its_own_reason() -> Result<()> {
    let [root, middle, leaf] = company()?;
    let chain = format!("{}{}", leaf.pem, middle.pem);
    let with_root = format!("{chain}{}", root.pem);
    let (other, namesake) = (
        Node::alone("Other", authority)?,
        Node::alone("Root", authority)?,
    );
    let old = Node::alone("Old", |it| {
        authority(it);
        it.not_after = now() - 1.hours();
    })?;
    let of_old = old.signs("registry", server, no_change)?;
    let with_key = format!("{}{}", root.pem, root.key);
    let many = root.pem.repeat(200);
    for (certificate, key, ca, words) in [
        (
            &chain,
            &leaf.key,
            None,
            "contains no root, and `ca` is not set",
        ),
        (
            &chain,
            &leaf.key,
            Some(&other.pem),
            "incomplete chain: the issuer of CN=Middle is missing (CN=Root)",
        ),
        (
            &with_root,
            &leaf.key,
            Some(&other.pem),
            "the chain ends with CN=Root, which is not in `ca`",
        ),
        (
            &chain,
            &leaf.key,
            Some(&namesake.pem),
            "CN=Middle was not signed by CN=Root, but by another CA of the same name",
        ),
        (
            &chain,
            &leaf.key,
            Some(&leaf.pem),
            "CN=registry is not a CA (basic constraints CA:FALSE)",
        ),
        (
            &of_old.pem,
            &of_old.key,
            Some(&old.pem),
            "CN=Old expired at ",
        ),
        (
            &chain,
            &leaf.key,
            Some(&with_key),
            "contains a private key; every node would get this file",
        ),
        (&chain, &leaf.key, Some(&leaf.key), "contains a private key"),
        (
            &chain,
            &leaf.key,
            Some(&String::new()),
            "contains no CA certificate",
        ),
        (
            &chain,
            &leaf.key,
            Some(&many),
            "contains more than 64 KiB of certificates",
        ),
    ] {
        let said = flaw(certificate, key, ca.map(String::as_str));
        assert!(said.starts_with(words), "{said}\nis not: {words}");
    }
    // Old and new together, as while a CA is replaced.
    let both = format!("{}{}", other.pem, root.pem);
    read_files(&chain, &leaf.key, Some(&both))?;
    Ok(())
}
