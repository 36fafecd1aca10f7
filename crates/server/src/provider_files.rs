//! The operator's own provider templates: the `.toml` files of one directory, read at the start.

use doorward_oauth::{ProviderTemplates, TemplateError};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// A template is a page or two; more is a mistake.
const FILE_MAX: u64 = 64 * 1024;

/// What is shipped, and the files of the directory, which add or replace.
pub(crate) fn load(directory: Option<&Path>) -> Result<ProviderTemplates, TemplateError> {
    let own = directory.map_or(Ok(Vec::new()), read)?;
    ProviderTemplates::with(&own)
}

fn read(directory: &Path) -> Result<Vec<(String, String)>, TemplateError> {
    let wrong = |path: &Path, problem: String| TemplateError { file: path.display().to_string(), problem };
    let unreadable = |error: std::io::Error| wrong(directory, format!("cannot be read ({error})"));
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension() != Some(OsStr::new("toml")) {
            continue;
        }
        let size = fs::metadata(&path).map_err(|error| wrong(&path, error.to_string()))?.len();
        if size > FILE_MAX {
            return Err(wrong(&path, "is longer than 64 KiB: a template is not".to_owned()));
        }
        let text =
            fs::read_to_string(&path).map_err(|error| wrong(&path, format!("cannot be read ({error})")))?;
        files.push((path.display().to_string(), text));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_templates_add_replace_or_stop_the_start_with_a_sentence() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path();
        fs::write(path.join("readme.md"), "not a template").unwrap();
        fs::write(path.join("github.toml"), "version = 9\nname = \"Ours\"\n").unwrap();
        let templates = load(Some(path)).unwrap();
        assert_eq!(templates.get("github").unwrap().version, 9);
        assert!(load(None).unwrap().get("github").unwrap().version < 9);
        fs::write(path.join("acme.toml"), "version = 1\nname = \"Acme\"\ncolour = \"red\"\n").unwrap();
        let sentence = load(Some(path)).unwrap_err().to_string();
        assert!(sentence.contains("acme.toml: ") && sentence.contains("colour"), "{sentence}");
        fs::write(path.join("acme.toml"), "#".repeat(70_000)).unwrap();
        assert!(load(Some(path)).unwrap_err().problem.contains("64 KiB"));
        assert!(load(Some(&path.join("none"))).unwrap_err().problem.contains("cannot be read"));
    }
}
