//! The kit as a stranger reads it: printed, years later, without us.

use super::facts::{Kit, escaped};
use crate::config::{DomainName, SiteConfig};
use crate::report::Result;

/// The kit as a text of lines that fit on paper.
pub(super) fn text(kit: &Kit) -> Result<String> {
    let mut out = format!(
        "EVENKEEL RECOVERY KIT for `{}`, made {} from {}\n\
         ==========================================================================\n\n\
         This tells you how to bring back what somebody protected with Evenkeel, on any machine,\n\
         after everything else is gone. It is no secret by itself: without an IDENTITY (a file\n\
         with a line AGE-SECRET-KEY-1…) nobody can read anything.{}\n\n",
        kit.domain,
        kit.made,
        kit.made_from,
        if kit.read_credentials.is_empty() {
            ""
        } else {
            "\nIt holds credentials that READ the sites. Keep it as you would keep those."
        }
    );
    out.push_str(&steps(kit));
    out.push_str(&places(kit));
    out.push_str(
        "\nFOR THE PROGRAM\n\
         ---------------\n\
         From BEGIN to END, character by character, is what `--kit` reads; the line `# check:`\n\
         tells a slip of the pen. If a disk is mounted elsewhere now, change its `path` below:\n\
         the program then says that the kit was changed, and goes on.\n\n",
    );
    out.push_str(&kit.to_text()?);
    Ok(out)
}

/// What to do, in order.
fn steps(kit: &Kit) -> String {
    format!(
        "WHAT YOU DO\n\
         -----------\n\
         1. Take a machine with Linux that nobody else uses. It needs no other data.\n\
         2. Get the program `evenkeel`, version {version} or later. The one that made this kit\n\
         \u{20}  has the BLAKE3 hash\n\
         \u{20}  {hash}\n\
         3. Get one identity (below). The recovery identity opens everything.\n\
         4. Make any {k} of the {n} sites (below) reachable: mount the disks, copy their\n\
         \u{20}  credentials to the places named. More than {k} is better.\n\
         5. Type this text into a file kit.txt (or copy it), and the identity into identity.txt.\n\
         {commands}\
         Whatever comes back is compared with what was signed by root key\n\
         \u{20}  {root}\n\
         What does not match is refused; nothing at the sites is ever changed by these commands.\n\
         If fewer than {k} sites can be reached, they say which, and what is missing (exit 21).\n\
         Without the program: docs/second-reader/read.py, in its source, reads them.\n\n",
        version = kit.version,
        hash = kit.program_blake3,
        k = kit.data_shards,
        n = kit.sites_in_order.len(),
        root = kit.root_public_key,
        commands = commands(kit.name_of_domain()),
    )
}

/// What is typed, from the sixth step on.
fn commands(name: DomainName) -> &'static str {
    match name {
        DomainName::State => {
            "6. See what there is:          evenkeel points --kit kit.txt\n\
             7. Prove that it comes back:   evenkeel drill --kit kit.txt --identity identity.txt\n\
             8. Bring it back:              evenkeel restore --kit kit.txt --identity \
             identity.txt --to NEW\n\
             \u{20}  One point of the list:      add --point ID\n\
             \u{20}  Only one file or database:  add --only PATH, and --at-time \
             2026-02-03T07:00:00Z\n"
        }
        DomainName::Network => {
            "6. See what there is:          evenkeel network versions --kit kit.txt\n\
             7. Prove that it comes back:   evenkeel drill --kit kit.txt --identity \
             identity.txt\n\
             8. Bring it back:              evenkeel network restore --kit kit.txt --identity \
             identity.txt --to NEW\n\
             \u{20}  One version of the list:    add --version N\n\
             \u{20}  Without asking any server:  add --offline\n"
        }
    }
}

/// Where everything is.
fn places(kit: &Kit) -> String {
    let mut out = String::from("IDENTITIES, AND WHERE THEY ARE SAID TO BE KEPT\n");
    out.push_str("----------------------------------------------\n");
    for holder in kit.holders.iter().filter(|holder| !holder.is_removed()) {
        let kept = if holder.kept_at.is_empty() { "nobody said" } else { &holder.kept_at };
        out.push_str(&format!(
            "{} ({}): {kept}\n  {}\n",
            holder.label, holder.role, holder.recipient
        ));
    }
    let told = |recipient: &&String| kit.holders.iter().any(|one| one.recipient == **recipient);
    for recipient in kit.recipients.iter().filter(|one| !told(one)) {
        out.push_str(&format!("(no label): nobody said\n  {recipient}\n"));
    }
    out.push_str(&format!(
        "\nSITES: any {} of these {}, in this order\n----------------------------------------\n",
        kit.data_shards,
        kit.sites_in_order.len()
    ));
    for site in &kit.sites {
        out.push_str(&site_words(kit, site));
    }
    out.push_str("\nWHAT IS THERE\n-------------\n");
    for lineage in &kit.lineages {
        out.push_str(&format!(
            "{}: lineage {}, since {}, newest point then {}\n",
            lineage.holds, lineage.lineage, lineage.issued, lineage.newest_point
        ));
    }
    for what in &kit.protected {
        out.push_str(&format!("  {what}\n"));
    }
    let proven = match kit.last_proven.as_str() {
        "" => "none",
        proven => proven,
    };
    out.push_str(&format!("Last restore that a drill has proven: {proven}\n"));
    out
}

fn site_words(kit: &Kit, site: &SiteConfig) -> String {
    let said = |text: &str| if text.is_empty() { "not said".to_owned() } else { text.to_owned() };
    let credential = if kit.read_credentials.iter().any(|one| one.site == site.name) {
        "in this kit, for reading".to_owned()
    } else if let Some(file) = &site.read_credential_file {
        format!("{} on the protected machine, for reading", file.display())
    } else if let Some(file) = &site.credential_file {
        format!("{} on the protected machine", file.display())
    } else if !site.credential_variable.is_empty() {
        format!("in the environment of the protected machine: {}", site.credential_variable)
    } else {
        "none is needed".to_owned()
    };
    format!(
        "{}: {} (operator {}, jurisdiction {})\n  credential: {credential}\n",
        site.name,
        site.location(),
        said(&site.operator),
        said(&site.jurisdiction)
    )
}

/// The same as a page for printing, which `--kit` reads as well.
pub(super) fn page(kit: &Kit) -> Result<String> {
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <title>Evenkeel recovery kit: {}</title>\n\
         <style>@page {{ margin: 15mm }} body {{ margin: 2em }}\n\
         pre {{ font: 9.5pt/1.35 monospace; white-space: pre-wrap;\n\
         word-break: break-all }}</style>\n\
         </head><body><pre>{}</pre></body></html>\n",
        escaped(&kit.domain),
        escaped(&text(kit)?)
    ))
}
