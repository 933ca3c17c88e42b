//! Debian packages, where installing them is plainly allowed.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Whether this is Debian or a relative, and we are root.
pub fn may_install() -> bool {
    is_debian() && is_root()
}

/// Unpacks a package into `folder`. Nothing is installed, no service is started, and nobody has to be root.
pub fn unpack(package: &str, folder: &Path) -> Result<()> {
    if !is_debian() {
        bail!("this is no Debian: `{package}` is fetched with apt-get");
    }
    download(package, folder).or_else(|error| {
        // Images of containers come without the lists of packages.
        if !is_root() {
            return Err(error);
        }
        apt_get(&["update"])?;
        download(package, folder)
    })?;
    let unpacked = Command::new("sh")
        .args(["-c", "dpkg-deb --extract ./\"$0\"_*.deb .", package])
        .current_dir(folder)
        .status()
        .context("start dpkg-deb")?;
    if !unpacked.success() {
        bail!("`dpkg-deb --extract` of {package} failed");
    }
    Ok(())
}

fn download(package: &str, folder: &Path) -> Result<()> {
    let downloaded = Command::new("apt-get")
        .args(["download", package])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .context("start apt-get")?;
    if !downloaded.status.success() {
        let text = String::from_utf8_lossy(&downloaded.stderr);
        bail!("`apt-get download {package}` failed: {}", text.trim());
    }
    Ok(())
}

fn is_debian() -> bool {
    Path::new("/etc/debian_version").is_file()
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .context("start apt-get")?;
    if !status.success() {
        bail!("`apt-get {}` failed", arguments.join(" "));
    }
    Ok(())
}
