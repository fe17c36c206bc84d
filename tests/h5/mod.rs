//! HDF5 files of every kind, which tests/live/h5_files.py writes by h5py and PyTables, with the bytes that numpy has of them.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value as Json;

/// A dataset and what is to be found in it.
pub struct Case {
    /// The file.
    pub file: PathBuf,
    /// The dataset's path in it.
    pub name: String,
    /// All that the script says.
    pub line: Json,
}

impl Case {
    /// The bytes of all elements, or of one field of them.
    pub fn expected(&self, field: Option<&str>) -> Vec<u8> {
        let path = match field {
            None => &self.line["expected"],
            Some(name) => &self.line["fields"][name],
        };
        std::fs::read(path.as_str().unwrap()).unwrap()
    }

    /// The names of its fields.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.line["fields"].as_object().unwrap().keys().map(String::as_str)
    }

    /// As messages name it.
    pub fn title(&self) -> String {
        format!("{} of {}", self.name, self.file.file_name().unwrap().to_string_lossy())
    }
}

/// Has all files written to a folder.
pub fn files(python: &str, folder: &Path) -> Vec<Case> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/h5_files.py");
    let output = Command::new(python).arg(script).arg(folder).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "h5_files.py: {}", output.status);
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let line: Json = serde_json::from_slice(line).unwrap();
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            Case { file: text("file").into(), name: text("name"), line }
        })
        .collect()
}
