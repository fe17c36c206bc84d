//! When what was written must be on the disk. Any thread.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// When what was written must be on the disk, also if the machine loses power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the system likes. A crash of the program loses nothing.
    #[default]
    System,
    /// At the end of each flush (fdatasync); for a recorder of chunks, before a chunk is reported.
    Flush,
    /// At the end of a flush, if the last time was longer ago than that; and when the file is closed.
    Interval(Duration),
}

/// A file's name is durable when its folder is. The error comes with the folder's path.
pub(crate) fn sync_folder(path: &Path) -> Result<(), (&Path, io::Error)> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| (folder, e))
}

/// The folder that a file of this path is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
