//! The arguments that select blocks of the bucket.

use std::path::PathBuf;

use bucket::BlockFilter;
use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser as _},
};

use service::{Metrics, Reload, ReloadedFile};

use super::{expanded, variable};

/// Which blocks are worked on, or served.
#[derive(Debug, Args)]
pub(crate) struct SelectorArgs {
    /// YAML file of relabel rules (keep, drop, hashmod) that select blocks by external labels and __block_id.
    // An empty path is none, as for Thanos.
    #[arg(
        long = "selector.relabel-config-file",
        global = true,
        conflicts_with = "relabel_config",
        value_name = "PATH",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    relabel_config_file: Option<PathBuf>,
    /// The content of that file.
    #[arg(
        long = "selector.relabel-config",
        global = true,
        value_name = "YAML",
        allow_hyphen_values = true
    )]
    relabel_config: Option<String>,
}

impl SelectorArgs {
    /// The rules.
    ///
    /// # Errors
    /// When the file cannot be read, or a rule cannot be used.
    pub(crate) fn filter(&self) -> anyhow::Result<BlockFilter> {
        let file = self.relabel_config_file.as_deref();
        let rules = expanded(file, self.relabel_config.as_deref())?;
        Ok(BlockFilter::from_yaml(&rules.unwrap_or_default())?)
    }

    /// The file of the rules, if they come from one. Each new content replaces those of `filter`.
    ///
    /// # Errors
    /// As [`SelectorArgs::filter`].
    pub(crate) fn reloaded(
        &self,
        filter: &BlockFilter,
        metrics: &Metrics,
        reload: &Reload,
    ) -> anyhow::Result<Option<ReloadedFile>> {
        let path = self.relabel_config_file.clone();
        let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else {
            return Ok(None);
        };
        let filter = filter.clone();
        let take = move |text: &str| {
            let text = model::expand_variables(text, variable).map_err(|e| e.to_string())?;
            let rules = BlockFilter::from_yaml(&text).map_err(|error| error.to_string())?;
            filter.replace(&rules);
            Ok(())
        };
        let what = "the rules of --selector.relabel-config-file";
        Ok(Some(ReloadedFile::open(
            path, what, "selector", metrics, reload, take,
        )?))
    }
}
