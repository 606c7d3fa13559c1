//! The region of a bucket: from the name of its server, or from the server's answer to a request that was signed for
//! another region.

use std::{fmt, net::Ipv4Addr};

use reqwest::Url;

use super::listing::element;

/// The region to sign for until another one is known.
pub(super) const DEFAULT: &str = "us-east-1";
/// The header in which AWS names a bucket's region, in answers of all kinds.
pub(super) const HEADER: &str = "x-amz-bucket-region";
/// The longest name of a region.
const MAX_NAME: usize = 64;

/// The region to sign for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Region {
    /// It is configured, or part of the server's name.
    Fixed(String),
    /// It is tried first; the server may name another.
    Assumed(String),
}

impl Region {
    pub(super) fn name(&self) -> &str {
        let (Self::Fixed(name) | Self::Assumed(name)) = self;
        name
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether `name` can be a region.
pub(super) fn is_name(name: &str) -> bool {
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(of_name)
}

/// Whether `host` is of AWS.
pub(super) fn is_aws(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

/// Whether `host:port` is an IP address, or no host at all.
pub(super) fn is_address(host: &str) -> bool {
    let server: Result<Url, _> = format!("http://{host}").parse();
    server.is_ok_and(|server| {
        let host = server.host_str();
        host.is_none_or(|host| host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok())
    })
}

/// The region in the name of an AWS server: `s3.REGION.amazonaws.com` and the like.
pub(super) fn of_host(host: &str) -> Option<String> {
    let host = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let region = host
        .strip_prefix("s3.dualstack.")
        .or_else(|| host.strip_prefix("s3-fips.dualstack."))
        .or_else(|| host.strip_prefix("s3-fips."))
        .or_else(|| {
            let rest = host.strip_prefix("s3")?;
            rest.strip_prefix('.').or_else(|| rest.strip_prefix('-'))
        })?;
    Some(region.to_owned()).filter(|region| {
        let is_other = ["accelerate", "external-1"].contains(&region.as_str());
        is_name(region) && !region.contains('.') && !is_other
    })
}

/// The region and the domain of an AWS server without a special part in its name: `s3.REGION.amazonaws.com`.
pub(super) fn of_plain_host(host: &str) -> Option<(&str, &'static str)> {
    let rest = host.strip_prefix("s3")?.strip_prefix(['.', '-'])?;
    let domains = ["amazonaws.com", "amazonaws.com.cn"];
    domains.into_iter().find_map(|domain| {
        let region = rest.strip_suffix(domain)?.strip_suffix('.')?;
        let is_special = ["accelerate", "external-1", "fips"].contains(&region);
        let is_region = is_name(region) && !region.contains('.') && !region.starts_with("fips-");
        (is_region && !is_special).then_some((region, domain))
    })
}

/// The region that an error names: `<Region>`, as in `AuthorizationHeaderMalformed`, or the message of such an error.
pub(super) fn of_error(body: &str) -> Option<String> {
    let named = element(body, "Region").map(|name| name.trim().to_owned());
    let named = named.or_else(|| {
        let (_, rest) = body.split_once("; expecting ")?;
        let quote = |c| matches!(c, '\'' | '"');
        let rest = rest.replace("&apos;", "'").replace("&#39;", "'");
        let rest = rest.replace("&quot;", "\"").replace("&#34;", "\"");
        let name = rest.strip_prefix(quote)?.split(quote).next()?;
        Some(name.to_owned())
    });
    named.filter(|name| is_name(name))
}

/// The region in the answer to GetBucketLocation.
pub(super) fn of_location(body: &str) -> Option<String> {
    let (_, rest) = body.split_once("<LocationConstraint")?;
    let (attributes, rest) = rest.split_once('>')?;
    let name = match attributes.ends_with('/') {
        true => "",
        false => rest.split_once("</LocationConstraint>")?.0.trim(),
    };
    match name {
        "" => Some(DEFAULT.to_owned()),
        "EU" => Some("eu-west-1".to_owned()),
        name => Some(name.to_owned()).filter(|name| is_name(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_read_from_what_servers_answer() {
        let error = |body: &str| of_error(body);
        let malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message><Region>eu-west-1</Region></Error>";
        assert_eq!(error(malformed).as_deref(), Some("eu-west-1"));
        for quoted in ["'garage'", "&apos;garage&apos;", "&#39;garage&#39;"] {
            let body =
                format!("<Message>the region 'a' is wrong; expecting {quoted}</Message></Error>");
            assert_eq!(error(&body).as_deref(), Some("garage"), "{quoted}");
        }
        for none in [
            "",
            "<Region></Region>",
            "<Region>a b</Region>",
            "<Region>a\r\nb",
        ] {
            assert_eq!(error(none), None, "{none}");
        }
    }

    #[test]
    fn a_location_is_a_region_and_an_empty_one_the_oldest() {
        for (body, expected) in [
            (
                "<LocationConstraint xmlns=\"http://s3/\">eu-9</LocationConstraint>",
                Some("eu-9"),
            ),
            (
                "<?xml?>\n<LocationConstraint>EU</LocationConstraint>",
                Some("eu-west-1"),
            ),
            (
                "<LocationConstraint xmlns=\"http://s3/\"/>",
                Some("us-east-1"),
            ),
            (
                "<LocationConstraint></LocationConstraint>",
                Some("us-east-1"),
            ),
            ("<Error/>", None),
            ("<LocationConstraint", None),
        ] {
            assert_eq!(of_location(body).as_deref(), expected, "{body}");
        }
    }
}
