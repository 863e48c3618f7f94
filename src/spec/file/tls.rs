//! The `tls` section of a registry that kindreg runs: the user's own certificate, its key and its CA.

use secrecy::SecretString;
use time::OffsetDateTime;

use super::{Load, RelativePath, Section, Unread};
use crate::pki::{OwnFile, Paths};
use crate::spec::UserCertificate;
use crate::spec::mistake::{Given, Mistake};
use crate::spec::reader::Reader;
use crate::spec::request::CertificateRequest;

/// Keys of `[registry.NAME.tls]`.
pub const TLS: &[&str] = &["cert", "key", "ca"];

/// Reads and checks the files of the section; `None` if it is absent, or if there is a mistake in it.
pub(super) fn certificate(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    load: Load<'_>,
) -> Option<Given<CertificateRequest>> {
    let at = reader.source_of(section, "tls");
    let table = reader.table(section, "tls")?;
    let title = format!("`tls` of {}", section.title());
    let section = &Section::new(&title, table, TLS);
    reader.refuse_unknown(section, &[]);
    for key in ["cert", "key"] {
        if !section.has(key) {
            let advice = "set `cert` to the certificate and `key` to its private key, both in PEM";
            let what = format!("{title} requires `{key}`");
            reader.mistake(Mistake::new(&at, what).advise(advice));
        }
    }
    let [certificate, key, ca] =
        ["cert", "key", "ca"].map(|key| reader.text::<RelativePath>(section, key));
    // All files are read, so that each that is missing is reported.
    let text = content(reader, certificate.as_ref(), load);
    let key_text = content(reader, key.as_ref(), load).map(SecretString::from);
    let ca_text = content(reader, ca.as_ref(), load);
    if section.has("ca") && ca_text.is_none() {
        return None;
    }
    let (certificate, key, text, key_text) = (certificate?, key?, text?, key_text?);
    let now = OffsetDateTime::now_utc();
    match UserCertificate::read(&text, &key_text, ca_text.as_deref(), now) {
        Ok(read) => Some(Given::new(
            CertificateRequest::Files(read),
            certificate.from,
        )),
        Err(flaw) => {
            let paths = Paths {
                certificate: &certificate.value.0,
                key: &key.value.0,
                ca: ca.as_ref().map(|ca| ca.value.0.as_str()),
            };
            let at = match (flaw.file(), &ca) {
                (OwnFile::Key, _) => &key.from,
                (OwnFile::Ca, Some(ca)) => &ca.from,
                (OwnFile::Ca, None) | (OwnFile::Certificate, _) => &certificate.from,
            };
            let what = format!("{}: {flaw}", paths.of(flaw.file()));
            reader.mistake(Mistake::new(at, what).advise(flaw.advice(&paths)));
            None
        }
    }
}

/// Returns the text of a file.
fn content(
    reader: &mut Reader<'_>,
    path: Option<&Given<RelativePath>>,
    load: Load<'_>,
) -> Option<String> {
    let Given { value, from } = path?;
    match load(&value.0) {
        Ok(text) => Some(text),
        Err(Unread::Skipped) => None,
        Err(Unread::Failed(why)) => {
            let what = format!("{}: {why}", value.0);
            let advice = "it must be a PEM file in the folder of kindreg.toml";
            reader.mistake(Mistake::new(from, what).advise(advice));
            None
        }
    }
}
