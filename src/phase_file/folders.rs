//! Every rollout in a folder and below it.
//!
//! It finds folders and reads no rollout. What cannot be looked into may hide one, so that it is told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{Error, ROLLOUT_FILE, shown};

/// What a search found.
#[derive(Debug, Default)]
pub struct Folders {
    /// Folders with a `rollout.yaml`, sorted.
    pub rollouts: Vec<PathBuf>,
    /// Links that lead back to a folder that they are in, for messages.
    pub loops: Vec<String>,
    /// What could not be looked into.
    pub unreadable: Vec<Error>,
}

/// Looks through a folder and all below it. Links are followed; hidden folders are left out, and so are the copies of
/// a mounted ConfigMap in them.
///
/// # Errors
/// [`Error::FindRollouts`] where there is no rollout, and nothing that could hide one.
pub fn find(directory: &Path) -> Result<Folders, Error> {
    let mut search = Search { found: Folders::default(), seen: BTreeSet::new() };
    search.enter(directory, &mut Vec::new());
    let mut found = search.found;
    found.rollouts.sort();
    if found.rollouts.is_empty() && found.unreadable.is_empty() {
        return Err(Error::FindRollouts { folder: shown(directory) });
    }
    Ok(found)
}

struct Search {
    found: Folders,
    /// Real folders that were entered, whatever way led there.
    seen: BTreeSet<PathBuf>,
}

impl Search {
    /// `inside` are the real folders on the way here.
    fn enter(&mut self, folder: &Path, inside: &mut Vec<PathBuf>) {
        let (real, paths) = match list(folder) {
            Ok(listed) => listed,
            Err(source) => {
                self.found.unreadable.push(Error::ListFolder { folder: shown(folder), source });
                return;
            }
        };
        if inside.contains(&real) {
            self.found.loops.push(shown(folder));
            return;
        }
        if !self.seen.insert(real.clone()) {
            return;
        }
        inside.push(real);
        for path in paths {
            self.look_at(&path, inside);
        }
        inside.pop();
    }

    fn look_at(&mut self, path: &Path, inside: &mut Vec<PathBuf>) {
        let name = path.file_name().map(std::ffi::OsStr::to_string_lossy).unwrap_or_default();
        if name == ROLLOUT_FILE {
            self.found.rollouts.extend(path.parent().map(Path::to_owned));
        } else if !name.starts_with('.') {
            match fs::metadata(path) {
                Ok(what) if what.is_dir() => self.enter(path, inside),
                Ok(_) => {}
                Err(source) => self.found.unreadable.push(Error::ListFolder { folder: shown(path), source }),
            }
        }
    }
}

/// Where a folder really is, and what is in it; sorted, because the order in which a folder is listed is chance.
fn list(folder: &Path) -> io::Result<(PathBuf, Vec<PathBuf>)> {
    let real = fs::canonicalize(folder)?;
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok((real, paths))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn make(root: &Path, folders: &[&str]) {
        for folder in folders {
            fs::create_dir_all(root.join(folder)).unwrap();
            fs::write(root.join(folder).join(ROLLOUT_FILE), "").unwrap();
        }
    }

    fn below(root: &Path, folders: &Folders) -> Vec<String> {
        folders.rollouts.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    #[test]
    fn every_folder_with_a_rollout_is_found_once() {
        let temporary = tempfile::TempDir::new().unwrap();
        let root = temporary.path();
        make(root, &["b/deep/down", "a", "a/inside", ".hidden", "..data"]);
        fs::create_dir_all(root.join("empty")).unwrap();
        symlink(root.join("b"), root.join("c")).unwrap();
        symlink(root.join("a"), root.join("a/inside/up")).unwrap();
        let found = find(root).unwrap();
        assert_eq!(below(root, &found), ["a", "a/inside", "b/deep/down"]);
        assert_eq!(found.loops, [root.join("a/inside/up").display().to_string()]);
        assert!(found.unreadable.is_empty());
    }

    #[test]
    fn what_cannot_be_looked_into_is_told_and_hides_nothing_else() {
        let temporary = tempfile::TempDir::new().unwrap();
        let root = temporary.path();
        make(root, &["a"]);
        symlink("itself", root.join("itself")).unwrap();
        symlink("nowhere", root.join("gone")).unwrap();
        let found = find(root).unwrap();
        assert_eq!(below(root, &found), ["a"]);
        let told: Vec<String> = found.unreadable.iter().map(ToString::to_string).collect();
        let of = |name: &str| format!("cannot list the folder \"{}\"", root.join(name).display());
        assert_eq!(told, [of("gone"), of("itself")]);
    }

    #[test]
    fn nothing_at_all_is_an_error() {
        let temporary = tempfile::TempDir::new().unwrap();
        assert!(matches!(find(temporary.path()), Err(Error::FindRollouts { .. })));
        let nowhere = find(&temporary.path().join("nowhere")).unwrap();
        assert!(nowhere.rollouts.is_empty() && nowhere.unreadable.len() == 1);
    }
}
