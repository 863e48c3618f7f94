//! Keys and signatures, in the forms that openssl writes.

use super::*;

/// Runs shell commands with openssl, and returns the files that they wrote.
fn openssl(script: &str, files: &[&str]) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let output = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder.path())
        .output()
        .context("this test needs the openssl program")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let read =
        |file: &&str| std::fs::read_to_string(folder.path().join(file)).context(said.clone());
    files.iter().map(read).collect()
}

/// The arguments of a certificate that signed itself and is not a CA.
const SELF_SIGNED: &str = "req -x509 -noenc -days 9 -subj /CN=registry -keyout key -out crt \
                           -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:registry.test";

#[test]
fn keys_of_every_accepted_kind_and_form_are_read() -> Result<()> {
    for (new, form) in [
        ("rsa:2048", ""),
        (
            "rsa:2048",
            "openssl rsa -traditional -in key -out key2; mv key2 key",
        ),
        ("rsa:4096", ""),
        (
            "ec -pkeyopt ec_paramgen_curve:P-256",
            "openssl ec -in key -out key2; mv key2 key",
        ),
        (
            "ec -pkeyopt ec_paramgen_curve:P-256",
            "{ openssl ecparam -name P-256; openssl ec -in key; } >key2; mv key2 key",
        ),
        ("ec -pkeyopt ec_paramgen_curve:P-384", ""),
        (
            "ec -pkeyopt ec_paramgen_curve:P-384",
            "openssl ec -in key -out key2; mv key2 key",
        ),
        ("ec -pkeyopt ec_paramgen_curve:P-521", ""),
        ("ed25519", ""),
    ] {
        let script = format!("openssl {SELF_SIGNED} -newkey {new}; {form}");
        let files = openssl(&script, &["crt", "key"])?;
        let validated = read_files(&files[0], &files[1], None);
        let identity = validated.with_context(|| format!("{new} {form}"))?.identity;
        let key = secrecy::ExposeSecret::expose_secret(&identity.key);
        assert_eq!(key.matches("-----BEGIN").count(), 1, "{new} {form}");
        assert!(files[1].replace("\r\n", "\n").contains(key), "{new} {form}");
    }
    Ok(())
}

#[test]
fn keys_that_clients_or_a_registry_can_t_use_are_refused_with_the_reason() -> Result<()> {
    let encrypted = "the private key is encrypted; a registry can't ask for its passphrase";
    for (new, form, words) in [
        (
            "rsa:2048",
            "openssl pkey -aes256 -passout pass:x -in key -out key2; mv key2 key",
            encrypted,
        ),
        (
            "rsa:2048",
            "openssl rsa -traditional -aes256 -passout pass:x -in key -out key2; mv key2 key",
            encrypted,
        ),
        (
            "rsa:1024",
            "",
            "CN=registry has an RSA key of 1024 bits; clients accept 2048 to 8192",
        ),
        (
            "ec -pkeyopt ec_paramgen_curve:secp224r1",
            "",
            "CN=registry has an ECDSA key on the curve 1.3.132.0.33; clients accept",
        ),
        (
            "ed448",
            "",
            "CN=registry has a key of the kind 1.3.101.113; clients accept",
        ),
    ] {
        let script = format!("openssl {SELF_SIGNED} -newkey {new}; {form}");
        let files = openssl(&script, &["crt", "key"])?;
        let said = flaw(&files[0], &files[1], None);
        assert!(said.starts_with(words), "{new} {form}: {said}");
    }
    Ok(())
}

#[test]
fn a_signature_with_sha_1_is_refused_but_for_that_of_a_root() -> Result<()> {
    let make = |root: &str, leaf: &str| {
        let script = format!(
            "openssl req -x509 -noenc -days 9 -newkey rsa:2048 -subj /CN=Root -keyout ca.key -out ca {root}
             openssl req -noenc -newkey rsa:2048 -subj /CN=registry -keyout key -out csr
             printf 'subjectAltName=DNS:registry.test\\nbasicConstraints=CA:FALSE' >ext
             openssl x509 -req -in csr -CA ca -CAkey ca.key -CAcreateserial -extfile ext -days 9 -out crt {leaf}"
        );
        openssl(&script, &["crt", "key", "ca"])
    };
    let old = make("", "-sha1")?;
    assert_eq!(
        flaw(&old[0], &old[1], Some(&old[2])),
        "CN=registry is signed with SHA-1; clients refuse it"
    );
    // Nobody verifies it: a root is trusted because it is there.
    let root = make("-sha1", "")?;
    read_files(&root[0], &root[1], Some(&root[2]))?;
    Ok(())
}
