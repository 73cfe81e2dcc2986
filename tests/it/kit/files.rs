//! Files of a directory, to compare, to put back and to make old.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Every file below a directory, as paths from there, sorted.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    fn walk(directory: &Path, root: &Path, found: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(directory, directory, &mut found);
    found.sort();
    found
}

/// Every file below a directory with its bytes.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn contents(directory: &Path) -> Files {
    files(directory).into_iter().map(|path| (path.clone(), std::fs::read(directory.join(path)).unwrap())).collect()
}

/// Writes these files into a directory.
pub(crate) fn save<'a>(directory: &Path, files: impl IntoIterator<Item = (&'a String, impl AsRef<[u8]>)>) {
    for (path, bytes) in files {
        let path = directory.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// Makes every file below a directory older.
pub(crate) fn age(directory: &Path, by: Duration) {
    for path in files(directory) {
        let file = std::fs::File::options().append(true).open(directory.join(path)).unwrap();
        file.set_modified(SystemTime::now() - by).unwrap();
    }
}
