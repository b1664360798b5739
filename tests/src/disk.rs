//! A small file system in a file, mounted by a loop device: a disk that can really be full.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system of a test's own, gone when the test is.
#[derive(Debug)]
pub struct SmallDisk {
    image: PathBuf,
    place: PathBuf,
}

impl SmallDisk {
    /// An empty ext4 of so many bytes.
    ///
    /// # Errors
    /// Why there can't be one: mounting is for the superuser, and not for every one of them.
    pub fn mount(name: &str, bytes: u64) -> Result<Self, String> {
        let own = std::env::temp_dir().join(format!("nostro-disk-{}-{name}", std::process::id()));
        let disk = Self { image: own.with_extension("image"), place: own };
        std::fs::create_dir_all(&disk.place).map_err(|error| error.to_string())?;
        File::create(&disk.image).and_then(|image| image.set_len(bytes)).map_err(|error| error.to_string())?;
        let (image, place) = (disk.image.as_os_str(), disk.place.as_os_str());
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(image))?;
        run(Command::new("mount").args(["-o", "loop"]).args([image, place]))?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What was never mounted can't be unmounted, and then there is nothing to be done about it.
        let _ = run(Command::new("umount").arg(&self.place));
        let _ = std::fs::remove_dir(&self.place);
        let _ = std::fs::remove_file(&self.image);
    }
}
