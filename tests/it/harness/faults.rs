//! Disks that fail, without one: a library in C, loaded before the service's own, whose writes to
//! the database fail while a file says so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A way for a disk to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What was written does not reach the disk, and only `fsync` says so.
    Sync,
    /// Nothing can be written: an I/O error.
    Broken,
    /// The file system was made read-only.
    ReadOnly,
    /// There is no room.
    Full,
}

impl Fault {
    pub const ALL: [Self; 4] = [Self::Sync, Self::Broken, Self::ReadOnly, Self::Full];

    fn text(self) -> &'static str {
        match self {
            Self::Sync => "5 sync",
            Self::Broken => "5 all",
            Self::ReadOnly => "30 all",
            Self::Full => "28 all",
        }
    }
}

/// The library, the file that switches it on, and the folder of what a power cut would leave.
pub struct Disk {
    library: PathBuf,
    switch: PathBuf,
    kept: PathBuf,
}

impl Disk {
    /// Builds the library in this folder; why it cannot, if so.
    pub fn build(folder: &Path) -> Result<Self, String> {
        let (source, library) = (folder.join("faults.c"), folder.join("faults.so"));
        let kept = folder.join("kept");
        fs::create_dir_all(&kept).map_err(|error| error.to_string())?;
        fs::write(&source, include_str!("faults.c")).map_err(|error| error.to_string())?;
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-shared", "-fPIC", "-o"]).args([&library, &source]);
        let built =
            compiler.output().map_err(|error| format!("there is no C compiler: {error}"))?;
        match built.status.success() {
            true => Ok(Self { library, switch: folder.join("fault"), kept }),
            false => Err(String::from_utf8_lossy(&built.stderr).into_owned()),
        }
    }

    /// What the service has to be started with, so that it can fail.
    pub fn variables(&self) -> [(&'static str, &str); 2] {
        [("LD_PRELOAD", text(&self.library)), ("FAULT", text(&self.switch))]
    }

    /// The same, so that its power can be cut.
    #[allow(dead_code)] // why: the bench that shares this has no use for it
    pub fn variables_for_a_cut(&self) -> [(&'static str, &str); 2] {
        [("LD_PRELOAD", text(&self.library)), ("KEPT", text(&self.kept))]
    }

    /// Leaves of a database whose process is dead what was synced.
    #[allow(dead_code)] // why: as above
    pub fn cut_power(&self, database: &Path) {
        let name = text(database.file_name().unwrap().as_ref());
        for (end, is_synced) in [("", true), ("-wal", true), ("-shm", false)] {
            let file = database.with_file_name(format!("{name}{end}"));
            fs::remove_file(&file).unwrap();
            if is_synced {
                fs::copy(self.kept.join(format!("{name}{end}")), file).unwrap();
            }
        }
    }

    /// From now on writes fail so.
    pub fn fail(&self, fault: Fault) {
        // Never half written.
        let new = self.switch.with_extension("new");
        fs::write(&new, fault.text()).and_then(|()| fs::rename(&new, &self.switch)).unwrap();
    }

    /// From now on they do not.
    pub fn cure(&self) {
        fs::remove_file(&self.switch).unwrap();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
