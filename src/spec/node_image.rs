//! The node image that a version of kind would choose. Pure.
//!
//! kind can't be asked for its default image, so the defaults of its releases are listed here, each with the digest that
//! the release notes give: <https://github.com/kubernetes-sigs/kind/releases>. An image works best with the kind that it
//! was released with: <https://kind.sigs.k8s.io/docs/user/quick-start/#creating-a-cluster>.

use std::fmt;
use std::str::FromStr;

use super::name::invalid;
use super::{ImageRef, Invalid};

/// A version of kind, without what marks a development build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KindVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

const fn v(major: u32, minor: u32, patch: u32) -> KindVersion {
    KindVersion {
        major,
        minor,
        patch,
    }
}

/// kind's releases and their default images, oldest first: `const Image` of each release, as
/// <https://github.com/kubernetes-sigs/kind/blob/v0.33.0/pkg/apis/config/defaults/image.go>. `tests/kind-releases` compares
/// them with kind's own modules, and reads this form.
///
/// Images from the time of kind 0.27 on have containerd 2, which older versions of kind can't configure or load images
/// into: <https://github.com/kubernetes-sigs/kind/issues/3853>,
/// <https://github.com/kubernetes-sigs/kind/releases/tag/v0.27.0>.
#[rustfmt::skip]
const RELEASES: [(KindVersion, &str); 7] = [
    (v(0, 27, 0), "kindest/node:v1.32.2@sha256:f226345927d7e348497136874b6d207e0b32cc52154ad8323129352923a3142f"),
    (v(0, 28, 0), "kindest/node:v1.33.1@sha256:8d866994839cd096b3590681c55a6fa4a071fdaf33be7b9660e5697d2ed13002"),
    (v(0, 29, 0), "kindest/node:v1.33.1@sha256:050072256b9a903bd914c0b2866828150cb229cea0efe5892e2b644d5dd3b34f"),
    (v(0, 30, 0), "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"),
    (v(0, 31, 0), "kindest/node:v1.35.0@sha256:452d707d4862f52530247495d180205e029056831160e22870e37e3f6c1ac31f"),
    (v(0, 32, 0), "kindest/node:v1.36.1@sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5"),
    (v(0, 33, 0), "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"),
];

/// The oldest version of kind that kindreg works with.
pub const OLDEST_KIND: KindVersion = RELEASES[0].0;

const NEWEST: (KindVersion, &str) = RELEASES[RELEASES.len() - 1];

/// The newest version of kind whose default image is known.
pub const NEWEST_KIND: KindVersion = NEWEST.0;

/// The image that nodes are made from if the user names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultNodeImage {
    /// The installed kind would choose it.
    Listed(ImageRef),
    /// The installed kind is not in the list. This is the image of the release before it.
    Nearest {
        /// The image.
        image: ImageRef,
        /// The release of kind that chooses it.
        of: KindVersion,
    },
    /// The installed kind is too old.
    TooOld,
}

impl KindVersion {
    /// Returns the image that nodes are made from if the user names none.
    #[must_use]
    pub fn default_node_image(self) -> DefaultNodeImage {
        let before = RELEASES.iter().rev().find(|(release, _)| *release <= self);
        match before {
            None => DefaultNodeImage::TooOld,
            Some((of, image)) if *of == self => DefaultNodeImage::Listed(ImageRef::listed(image)),
            Some((of, image)) => DefaultNodeImage::Nearest {
                image: ImageRef::listed(image),
                of: *of,
            },
        }
    }
}

impl ImageRef {
    /// Returns the default node image of the newest kind in the list, for where no kind is asked.
    #[must_use]
    pub fn node() -> Self {
        Self::listed(NEWEST.1)
    }

    /// Returns whether it is the default node image of a release of kind, with its digest.
    #[must_use]
    pub fn is_default_of_kind(&self) -> bool {
        RELEASES.iter().any(|(_, image)| self.as_str() == *image)
    }
}

impl FromStr for KindVersion {
    type Err = Invalid;

    /// Reads `0.33.0`, or what `kind version` prints: `kind v0.33.0-alpha+1234567 go1.26.0 linux/amd64`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parse = || -> Option<Self> {
            let word = text.split_whitespace().find(|word| *word != "kind")?;
            let word = word.strip_prefix('v').unwrap_or(word);
            let core = word.split(['-', '+']).next()?;
            let mut numbers = core.split('.').map(|number| number.parse().ok());
            let version = v(numbers.next()??, numbers.next()??, numbers.next()??);
            numbers.next().is_none().then_some(version)
        };
        parse().ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            invalid("version of kind", &shown, "must be like v0.33.0")
        })
    }
}

impl fmt::Display for KindVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_sorted_and_their_images_are_pinned() {
        assert!(RELEASES.is_sorted_by(|(older, _), (newer, _)| older < newer));
        for (_, image) in RELEASES {
            assert_eq!(image.parse(), Ok(ImageRef::listed(image)));
            assert!(image.contains("@sha256:"), "{image}");
        }
    }

    #[test]
    fn versions_are_read_as_kind_prints_them() {
        for (text, version) in [
            ("kind v0.33.0 go1.26.1 linux/amd64\n", v(0, 33, 0)),
            (
                "kind v0.34.0-alpha.3+0123456789abcd go1.26.1 darwin/arm64",
                v(0, 34, 0),
            ),
            ("0.27.0", v(0, 27, 0)),
            ("v1.2.34", v(1, 2, 34)),
        ] {
            assert_eq!(text.parse(), Ok(version), "{text}");
        }
        for text in [
            "",
            "kind",
            "kind v0.33",
            "kind version",
            "v0.33.0.1",
            "v0.x.0",
        ] {
            assert!(text.parse::<KindVersion>().is_err(), "{text:?}");
        }
        assert_eq!(v(0, 33, 0).to_string(), "0.33.0");
    }

    #[test]
    fn each_kind_gets_its_image_and_a_newer_one_the_newest() {
        let newest = DefaultNodeImage::Listed(ImageRef::node());
        assert_eq!(v(0, 33, 0).default_node_image(), newest);
        for (version, of) in [
            (v(0, 33, 1), v(0, 33, 0)),
            (v(0, 99, 0), v(0, 33, 0)),
            (v(1, 0, 0), v(0, 33, 0)),
            (v(0, 29, 7), v(0, 29, 0)),
        ] {
            let DefaultNodeImage::Nearest { of: found, image } = version.default_node_image()
            else {
                panic!("{version} is listed")
            };
            assert_eq!(found, of, "{version}");
            assert!(image.is_default_of_kind());
        }
        for version in [v(0, 26, 99), v(0, 0, 0)] {
            assert_eq!(
                version.default_node_image(),
                DefaultNodeImage::TooOld,
                "{version}"
            );
        }
    }
}
