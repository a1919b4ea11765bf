//! The file: appended to, for its owner alone, whole lines only.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::entry::Entry;

/// The file's owner reads and writes, nobody else does anything.
const MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// The open file, or what is known of it while it cannot be written.
pub(super) struct AuditFile {
    path: PathBuf,
    file: Option<File>,
    /// The file ends within a line, which a full disk or a power cut left behind.
    torn: bool,
}

impl AuditFile {
    /// Opens the file to append to; makes it and its folder if missing, and takes it away from
    /// other readers if it was open to them.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (file, torn) = open(path)?;
        Ok(Self { path: path.to_owned(), file: Some(file), torn })
    }

    /// Writes one line. After a failure the file is opened anew for the next one.
    pub fn append(&mut self, entry: &Entry) -> io::Result<()> {
        // A leading line end, skipped unless the file ends within a line.
        let mut bytes = vec![b'\n'];
        serde_json::to_writer(&mut bytes, entry)?;
        bytes.push(b'\n');
        let file = match &mut self.file {
            Some(file) => file,
            closed => {
                let (file, torn) = open(&self.path)?;
                self.torn = torn;
                closed.insert(file)
            }
        };
        let written = write_once(file, &bytes[usize::from(!self.torn)..]);
        match written {
            Ok(()) => self.torn = false,
            Err(_) => self.file = None,
        }
        written
    }

    /// Waits until what was written is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        match self.file.as_ref().map(File::sync_all) {
            // A device or pipe has no disk behind it.
            Some(Err(error)) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            Some(synced) => synced,
            None => Ok(()),
        }
    }
}

/// The file, and whether it ends within a line.
fn open(path: &Path) -> io::Result<(File, bool)> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
    let metadata = file.metadata()?;
    // A device or pipe is the operator's own choice, and not ours to change.
    if !metadata.is_file() {
        return Ok((file, false));
    }
    if metadata.permissions().mode() & 0o7777 & !MODE != 0 {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    let torn = metadata.len() > 0 && {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        last != [b'\n']
    };
    Ok((file, torn))
}

/// One write call, so that lines of several processes cannot mix; a part of a line is a failure.
fn write_once(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    loop {
        return match file.write(bytes) {
            Ok(written) if written == bytes.len() => Ok(()),
            Ok(_) => Err(ErrorKind::StorageFull.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}
