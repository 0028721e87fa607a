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
