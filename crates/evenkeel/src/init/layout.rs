//! What `init` writes into a configuration, and how single lines of it are changed.

use std::path::PathBuf;

use super::{DRILL_IDENTITY, Desk, InitOptions, Public, RECOVERY, desk_sites, now_ns};
use crate::config::{Config, REFERENCE, SiteConfig};
use crate::config_text::{quoted, rewrite, set, set_in};
use crate::report::Result;

/// The reference with this home's public keys in the places where examples stand.
pub(super) fn configuration(public: &Public, options: &InitOptions) -> String {
    let mut text = REFERENCE.replacen(
        "# Evenkeel, the reference configuration.",
        "# Evenkeel: the configuration of this home, made by `evenkeel init`.",
        1,
    );
    let recipients = format!(
        "recipients = [\n    \"{}\", # recovery identity\n    \"{}\", # drill host\n]",
        public.recovery, public.drill
    );
    set(&mut text, "#recipients =", &recipients);
    set_holders(&mut text, public);
    set(&mut text, "#root_public_key =", &format!("root_public_key = \"{}\"", public.root));
    set(&mut text, "#report_public_key =", &format!("report_public_key = \"{}\"", public.report));
    if let Some(desk) = &options.desk {
        lay_out_desk(&mut text, desk);
    }
    if let Some(seed) = options.seed {
        set(&mut text, "seed =", &format!("seed = {seed}"));
    }
    if let Some(bind) = options.dashboard {
        set(&mut text, "bind =", &format!("bind = \"{bind}\""));
    }
    text
}

/// Who stands behind the two recipients, in the place of the example.
fn set_holders(text: &mut String, public: &Public) {
    let Some(begin) = text.find("#[[domains.state.holders]]") else {
        return;
    };
    let end = text[begin..].find("\n\n").map_or(text.len(), |at| begin + at);
    let since = crate::cli::format_time_ns(now_ns());
    let holder = |recipient: &str, label: &str, role: &str, kept_at: &str| {
        format!(
            "[[domains.state.holders]]\nrecipient = \"{recipient}\"\nlabel = \"{label}\"\n\
             role = \"{role}\"\nsince = \"{since}\"\nkept_at = \"{kept_at}\"\n"
        )
    };
    let recovery = holder(&public.recovery, "recovery", "recovery", RECOVERY);
    let drill = holder(&public.drill, "drill host", "drill-host", DRILL_IDENTITY);
    text.replace_range(begin..end, &format!("{recovery}{}", drill.trim_end()));
}

/// Other sites, no venue, and the paths.
fn lay_out_desk(text: &mut String, desk: &Desk) {
    let sites = desk_sites(desk);
    let names: Vec<String> = sites.iter().map(|(name, _)| quoted(name)).collect();
    set(text, "source =", "source = \"none\"");
    set(text, "sites =", &format!("sites = [{}]", names.join(", ")));
    set(text, "data_shards =", &format!("data_shards = {}", data_shards(sites.len())));
    set(text, "paths =", &format!("paths = {}", path_list(&desk.paths)));
    // A drill brings all of it back: for a desk that is much, and once a day enough.
    set_in(text, "[drill]", "every_seconds =", "every_seconds = 86400");
    let begin = text.find("\n[[sites]]\n").map(|at| at + 1);
    let end = text.find("\n# --- Tail").map(|at| at + 1);
    if let (Some(begin), Some(end)) = (begin, end) {
        let site = |(name, path): &(String, PathBuf)| {
            format!(
                "[[sites]]\nname = {}\nkind = \"folder\"\npath = {}\nclass = \"mutable\"\n\
                 operator = \"this machine\"\njurisdiction = \"here\"\n\n",
                quoted(name),
                quoted(&path.to_string_lossy())
            )
        };
        let described = Described { sites: &desk.described };
        let tables = match desk.described.is_empty() {
            true => sites.iter().map(site).collect::<String>(),
            // Every path in them is text: they were read from a file of TOML.
            false => toml::to_string(&described).unwrap_or_default() + "\n",
        };
        text.replace_range(begin..end, &tables);
    }
}

/// Sites as the configuration has them.
#[derive(serde::Serialize)]
struct Described<'a> {
    sites: &'a [SiteConfig],
}

/// With three sites any two bring everything back; with more, more than half.
pub(super) fn data_shards(sites: usize) -> usize {
    sites / 2 + 1
}

fn path_list(paths: &[PathBuf]) -> String {
    let quoted: Vec<String> = paths.iter().map(|path| quoted(&path.to_string_lossy())).collect();
    format!("[{}]", quoted.join(", "))
}

/// Adds paths to those that a home protects.
///
/// # Errors
/// [`Exit::Failed`] if the configuration cannot be written; it is the old one or the new one.
pub fn add_paths(config: &Config, paths: &[PathBuf]) -> Result<()> {
    let mut all = config.files.paths.clone();
    all.extend(paths.iter().filter(|path| !config.files.paths.contains(path)).cloned());
    let line = format!("paths = {}", path_list(&all));
    rewrite(config, |text| {
        if text.contains("\n[files]\n") && text.contains("\npaths =") {
            set(text, "paths =", &line);
        } else if text.contains("\n[files]\n") {
            set(text, "[files]", &format!("[files]\n{line}"));
        } else {
            text.push_str(&format!("\n[files]\n{line}\n"));
        }
    })
}
