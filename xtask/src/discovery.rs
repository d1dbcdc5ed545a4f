//! The score of discovery on public interface descriptions, which are installed and not kept in the repository.

use std::process::Command;

use anyhow::{Result, bail};

use crate::target_dir;
use crate::test::cargo;

/// Packages with the descriptions in them, and the files.
const DESCRIPTIONS: [(&str, &str); 1] = [("@octokit/openapi", "generated/api.github.com.json")];

/// `files`: further OpenAPI documents as JSON, or options of the scorer.
pub(crate) fn score(files: &[&str]) -> Result<()> {
    let folder = target_dir().join("discovery");
    std::fs::create_dir_all(&folder)?;
    let mut documents = Vec::new();
    for (package, file) in DESCRIPTIONS {
        let document = folder.join("node_modules").join(package).join(file);
        if !document.exists() {
            let mut install = Command::new("npm");
            install.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg(package);
            if !install.status()?.success() {
                bail!("npm cannot install {package}, which holds the interface description");
            }
        }
        documents.push(document);
    }
    let mut run = cargo();
    run.args(["run", "--quiet", "--release", "--package", "starve-discovery-score", "--"]);
    if !run.args(files).args(documents).status()?.success() {
        bail!("discovery is not as good as it has to be");
    }
    Ok(())
}
