//! Whether source, standby and repository stand and fall together.

use super::row::Rows;
use crate::config::{Location, Settings};

/// Region of an instance or bucket, if known.
#[derive(Debug, Clone, Default)]
pub(super) struct Regions {
    /// Of the source.
    pub(super) source: Option<String>,
    /// Of the standby.
    pub(super) standby: Option<String>,
    /// Of the bucket.
    pub(super) bucket: Option<String>,
}

impl Regions {
    /// Region in the configuration; the ledger takes precedence for the source, and each instance for itself.
    pub(super) fn configured(settings: &Settings) -> Self {
        let instance = |crn: Option<String>, url: &str| crn.as_deref().and_then(of_crn).or_else(|| of_url(url));
        let repository = settings.repository().ok();
        let bucket = repository.filter(|repository| matches!(repository.location, Location::Bucket { .. }));
        Self {
            source: settings.source().ok().and_then(|source| instance(source.crn, &source.url)),
            standby: settings.standby().ok().and_then(|standby| instance(standby.crn, &standby.url)),
            bucket: bucket.and_then(|bucket| bucket.region.or_else(|| of_url(&bucket.endpoint?))),
        }
    }
}

/// The region in a CRN: its sixth part.
pub(super) fn of_crn(crn: &str) -> Option<String> {
    let region = crn.split(':').nth(5).filter(|region| crn.starts_with("crn:") && !region.is_empty())?;
    Some(region.to_owned())
}

/// The region in a host of the provider: `ID.eu-de.secrets-manager…`, `ID.private.eu-de.…`, `s3.eu-gb.…`,
/// `s3.private.eu-gb.…`.
fn of_url(url: &str) -> Option<String> {
    let host = url.split_once("://")?.1.split(['/', ':']).next()?;
    if !host.ends_with(".appdomain.cloud") {
        return None;
    }
    let region = host.split('.').skip(1).find(|part| !matches!(*part, "private" | "direct"))?;
    Some(region.to_owned())
}

/// The rows.
pub(super) fn rows(regions: &Regions) -> Rows {
    let mut rows = Rows::new("Regions");
    let pairs = [
        (
            "source and bucket",
            (&regions.source, &regions.bucket),
            "an outage of the region takes the source and its backups at once",
            "make the bucket in another region and copy the repository there",
        ),
        (
            "source and standby",
            (&regions.source, &regions.standby),
            "an outage of the region takes the source and the standby at once",
            "make the standby in another region and set standby.url",
        ),
        (
            "standby and bucket",
            (&regions.standby, &regions.bucket),
            "an outage of the region leaves the source alone with neither",
            "a bucket in a third region, or a cross-region one, survives the loss of either",
        ),
    ];
    for (what, pair, why, mend) in pairs {
        let (Some(one), Some(other)) = pair else { continue };
        if one == other {
            rows.warning(what, format!("both in {one}: {why}"), mend);
        } else {
            rows.good(what, format!("{one} and {other}"));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::row::CheckResult;
    use super::*;

    #[test]
    fn regions_are_read_from_names_and_addresses() {
        assert_eq!(of_crn("crn:v1:bluemix:public:secrets-manager:eu-de:a/1:2::").as_deref(), Some("eu-de"));
        assert_eq!(of_crn("eu-de"), None);
        let of = |url: &str| of_url(url).unwrap_or_default();
        assert_eq!(of("https://1234.eu-de.secrets-manager.appdomain.cloud"), "eu-de");
        assert_eq!(of("https://1234.private.us-south.secrets-manager.appdomain.cloud:443/x"), "us-south");
        assert_eq!(of("https://s3.eu-gb.cloud-object-storage.appdomain.cloud"), "eu-gb");
        assert_eq!(of("https://s3.direct.eu-gb.cloud-object-storage.appdomain.cloud"), "eu-gb");
        assert_eq!(of("http://127.0.0.1:9"), "");
    }

    #[test]
    fn what_stands_in_one_region_falls_with_it() {
        let region = |name: &str| Some(name.to_owned());
        let verdicts = |source, standby, bucket| {
            let found = rows(&Regions { source, standby, bucket }).into_iter();
            found.map(|row| (row.what, row.verdict)).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(region("eu-de"), None, None), [], "nothing to compare");
        assert_eq!(
            verdicts(region("eu-de"), region("eu-gb"), region("eu-de")),
            [
                ("source and bucket", CheckResult::Warning),
                ("source and standby", CheckResult::Good),
                ("standby and bucket", CheckResult::Good)
            ]
        );
        assert_eq!(verdicts(region("eu-de"), region("eu-de"), None), [("source and standby", CheckResult::Warning)]);
        assert_eq!(verdicts(None, region("a"), region("a")), [("standby and bucket", CheckResult::Warning)]);
    }
}
