//! Files embedded in the binary: the page loads nothing from anywhere else.

/// One embedded file.
pub(super) struct Asset {
    pub name: &'static str,
    pub content_type: &'static str,
    pub bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Everything under `/assets/`.
pub(super) const ASSETS: [Asset; 6] = [
    Asset {
        name: "htmx.min.js",
        content_type: SCRIPT,
        bytes: include_bytes!("../../assets/vendor/htmx.min.js"),
    },
    Asset {
        name: "uPlot.iife.min.js",
        content_type: SCRIPT,
        bytes: include_bytes!("../../assets/vendor/uPlot.iife.min.js"),
    },
    Asset {
        name: "uPlot.min.css",
        content_type: STYLE,
        bytes: include_bytes!("../../assets/vendor/uPlot.min.css"),
    },
    Asset {
        name: "dashboard.css",
        content_type: STYLE,
        bytes: include_bytes!("../../assets/dashboard.css"),
    },
    Asset {
        name: "dashboard.js",
        content_type: SCRIPT,
        bytes: include_bytes!("../../assets/dashboard.js"),
    },
    Asset {
        name: "keel.svg",
        content_type: "image/svg+xml",
        bytes: include_bytes!("../../assets/keel.svg"),
    },
];

/// The asset called `name`.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    const CSS: &str = include_str!("../../assets/dashboard.css");
    /// WCAG 2.2, success criterion 1.4.3, level AA.
    const CONTRAST_MIN: f64 = 4.5;
    /// Every text colour and every surface it stands on.
    const PAIRS: [(&str, &[&str]); 6] = [
        ("--ink", &["--paper", "--card", "--code", "--ok-soft", "--warn-soft", "--bad-soft"]),
        ("--muted", &["--paper", "--card", "--code", "--warn-soft", "--bad-soft"]),
        ("--ok", &["--paper", "--card", "--ok-soft"]),
        ("--warn", &["--paper", "--card", "--warn-soft"]),
        ("--bad", &["--paper", "--card", "--bad-soft"]),
        ("--link", &["--paper", "--card"]),
    ];

    /// The colours of the `:root` block number `index`: 0 is light, 1 is dark.
    fn colours(index: usize) -> BTreeMap<&'static str, [f64; 3]> {
        let block = CSS.split(":root {").nth(index + 1).unwrap();
        let block = block.split('}').next().unwrap();
        let channel = |hex: &str, at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        block
            .lines()
            .filter_map(|line| line.trim().trim_end_matches(';').split_once(": #"))
            .map(|(name, hex)| (name, [channel(hex, 0), channel(hex, 2), channel(hex, 4)]))
            .collect()
    }

    fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
        let luminance = |c: [f64; 3]| 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
        let (a, b) = (luminance(one), luminance(other));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_text_can_be_read_on_every_surface_in_both_schemes() {
        for scheme in [0, 1] {
            let colours = colours(scheme);
            for (text, surfaces) in PAIRS {
                for surface in surfaces {
                    let ratio = contrast(colours[text], colours[surface]);
                    assert!(ratio >= CONTRAST_MIN, "{text} on {surface} ({scheme}): {ratio:.2}");
                }
            }
        }
    }

    #[test]
    fn no_style_or_script_of_ours_loads_anything_from_elsewhere() {
        let script = include_str!("../../assets/dashboard.js");
        for text in [CSS, script] {
            for forbidden in ["http://", "https://", "@import", "url("] {
                assert!(!text.contains(forbidden), "{forbidden}");
            }
        }
    }
}
