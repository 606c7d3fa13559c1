//! The arguments of the page.

use std::time::Duration;

use clap::Args;
use page::{Cors, Prefixes};

use super::{HttpArgs, SelectorArgs, TimeArgs};
use crate::values;

/// The page, on a component that has other work too.
#[derive(Debug, Args)]
pub(crate) struct WebArgs {
    /// Serve neither the page nor its API.
    #[arg(long = "web.disable", global = true)]
    pub(crate) disable: bool,
    /// Label whose value titles a group of blocks on the page. Without it all external labels do.
    #[arg(
        long = "bucket-web-label",
        global = true,
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    pub(crate) label: String,
    #[command(flatten)]
    pub(crate) paths: WebPathArgs,
}

/// Where the page is served, and what it may do.
#[derive(Debug, Args)]
pub(crate) struct WebPathArgs {
    /// Path below which the page and its API are served.
    #[arg(
        long = "web.route-prefix",
        global = true,
        default_value = "",
        hide_default_value = true,
        value_name = "PATH"
    )]
    pub(crate) route_prefix: String,
    /// Path under which clients find the page, if a proxy removes it from their requests.
    #[arg(
        long = "web.external-prefix",
        global = true,
        default_value = "",
        hide_default_value = true,
        value_name = "PATH"
    )]
    pub(crate) external_prefix: String,
    /// Header in which a proxy names that path. Only for proxies that set it for every request.
    #[arg(
        long = "web.prefix-header",
        global = true,
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    pub(crate) prefix_header: String,
    /// Do not let scripts of other sites read the API.
    #[arg(long = "web.disable-cors", global = true)]
    pub(crate) disable_cors: bool,
    /// Do not let the API mark blocks.
    #[arg(long = "disable-admin-operations", global = true)]
    pub(crate) disable_admin: bool,
}

/// `varve tools bucket web`.
#[derive(Debug, Args)]
pub(crate) struct BucketWebArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) paths: WebPathArgs,
    /// Time between two looks at the bucket.
    #[arg(long = "refresh", default_value = "30m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) refresh: Duration,
    /// Time that a look at the bucket may take.
    #[arg(long = "timeout", default_value = "5m", value_name = "DURATION", value_parser = values::interval)]
    pub(crate) timeout: Duration,
    /// Label whose value titles a group of blocks. Without it all external labels do.
    #[arg(
        long = "label",
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    pub(crate) label: String,
    #[command(flatten)]
    pub(crate) selector: SelectorArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
}

impl WebPathArgs {
    /// The prefixes; without one for the routes, `default` is that.
    pub(crate) fn prefixes(&self, default: &str) -> anyhow::Result<Prefixes> {
        let route = match self.route_prefix.as_str() {
            "" => default,
            route => route,
        };
        let external = self.external_prefix.as_str();
        let prefixes = Prefixes::new(route, external, &self.prefix_header);
        prefixes.map_err(|error| {
            anyhow::anyhow!(
                "--web.route-prefix {route:?}, --web.external-prefix {external:?}: {error}"
            )
        })
    }

    /// Whether scripts of other sites may read the API.
    pub(crate) const fn cors(&self) -> Cors {
        match self.disable_cors {
            true => Cors::Off,
            false => Cors::On,
        }
    }
}
