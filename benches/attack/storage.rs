//! The process or its disk fails: what was acknowledged is stored, once, and readiness is true
//! within five seconds, both ways.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use super::{
    faults::{Disk, Fault},
    service::{Service, verdict},
};

const SENDERS: usize = 4;
/// The contract's, and how exactly it can be seen.
const IN_TIME: Duration = Duration::from_millis(5_200);
/// However much still fits into the log's own room on a disk that is full: it is taken, and rightly.
const USED_UP: Duration = Duration::from_secs(60);
/// How long a failure lasts.
const LASTS: Duration = Duration::from_secs(3);

/// Whether all of that holds.
pub async fn run(folder: &Path) -> bool {
    let mut good = killed(&folder.join("kill")).await & stopped(&folder.join("stop")).await;
    good &= replaced(&folder.join("replaced")).await;
    good &= small_disk(&folder.join("small")).await;
    match Disk::build(folder) {
        Err(why) => println!("storage: EIO, read-only: not run: {why}"),
        Ok(disk) => {
            for fault in Fault::ALL {
                good &= broken(&folder.join(format!("{fault:?}")), &disk, fault).await;
            }
        }
    }
    good
}

async fn killed(folder: &Path) -> bool {
    println!("storage: kill -9, three times under load");
    let mut service = Service::start(folder, &[]).await;
    let acknowledged = Mutex::new(Vec::new());
    let mut good = true;
    for life in 0..3 {
        let _ =
            timeout(Duration::from_secs(1), load(&service, &format!("life{life}"), &acknowledged))
                .await;
        let ready = service.kill_and_restart().await;
        good &= verdict(
            ready.is_some_and(|after| after < IN_TIME),
            &format!("ready after {}", shown(ready)),
        );
    }
    good & all_stored(&service, &acknowledged).await
}

async fn stopped(folder: &Path) -> bool {
    fails(
        IN_TIME,
        folder,
        &[],
        "SIGSTOP",
        |service| service.signal(Signal::STOP),
        |service| service.signal(Signal::CONT),
    )
    .await
}

async fn replaced(folder: &Path) -> bool {
    let away = |service: &Service| service.database().with_extension("away");
    let replace = |service: &Service| {
        fs::rename(service.database(), away(service)).unwrap();
        fs::copy(away(service), service.database()).unwrap();
    };
    let restore = |service: &Service| fs::rename(away(service), service.database()).unwrap();
    fails(IN_TIME, folder, &[], "a replaced file", replace, restore).await
}

async fn broken(folder: &Path, disk: &Disk, fault: Fault) -> bool {
    let name = format!("{fault:?} (by a library before the C library)");
    fails(IN_TIME, folder, &disk.variables(), &name, |_| disk.fail(fault), |_| disk.cure()).await
}

/// A file system of its own that is filled to the last byte.
async fn small_disk(folder: &Path) -> bool {
    let disk = folder.join("disk");
    let Some(_mounted) = Mounted::at(&disk) else {
        println!("storage: a full disk: not run: no file system can be mounted (root only)");
        return true;
    };
    let filler = disk.join("filler");
    let fill = |_: &Service| {
        let mut file = File::create(&filler).unwrap();
        for size in [1 << 16, 1 << 10, 1] {
            let part = vec![0; size];
            while file.write_all(&part).is_ok() {}
        }
    };
    let url = format!("sqlite:{}", disk.join("orchestrator.db").display());
    let empty = |_: &Service| fs::remove_file(&filler).unwrap();
    fails(USED_UP, folder, &[("DATABASE_URL", &url)], "a full disk", fill, empty).await
}

/// Fails, noticed in time, and is cured, all under load.
async fn fails(
    noticed_within: Duration,
    folder: &Path,
    set: &[(&'static str, &str)],
    name: &str,
    spoil: impl FnOnce(&Service),
    cure: impl FnOnce(&Service),
) -> bool {
    println!("storage: {name}");
    let mut service = Service::start(folder, set).await;
    let acknowledged = Mutex::new(Vec::new());
    let ill = async {
        sleep(Duration::from_secs(1)).await;
        spoil(&service);
        let noticed = service.turns(false, noticed_within).await;
        sleep(LASTS).await;
        cure(&service);
        let back = service.turns(true, IN_TIME).await;
        sleep(Duration::from_secs(1)).await;
        verdict(noticed.is_some(), &format!("not ready after {}", shown(noticed)))
            & verdict(back.is_some(), &format!("ready again after {}", shown(back)))
    };
    let good = tokio::select! {
        good = ill => good,
        () = load(&service, "n", &acknowledged) => false,
    };
    // What was acknowledged must not only be in memory.
    let restarted = service.kill_and_restart().await.is_some();
    good & restarted & all_stored(&service, &acknowledged).await
}

fn shown(after: Option<Duration>) -> String {
    after.map_or("longer than it may take".to_owned(), |after| format!("{after:.1?}"))
}

/// Sends alerts until it is dropped.
async fn load(service: &Service, name: &str, acknowledged: &Mutex<Vec<String>>) {
    let sender = async |sender: usize| {
        for number in 0.. {
            let instance = format!("{name}-{sender}-{number}");
            match service.notify(&instance, "").await {
                200 => acknowledged.lock().push(instance),
                // As Alertmanager, it does not try at once again.
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let senders: Vec<_> = (0..SENDERS).map(sender).collect();
    futures::future::join_all(senders).await;
}

async fn all_stored(service: &Service, acknowledged: &Mutex<Vec<String>>) -> bool {
    let mut stored: HashMap<String, usize> = HashMap::new();
    for instance in service.stored().await {
        *stored.entry(instance).or_default() += 1;
    }
    let acknowledged = acknowledged.lock();
    let lost = acknowledged.iter().filter(|instance| stored.get(*instance) != Some(&1)).count();
    let total = acknowledged.len();
    verdict(
        lost == 0 && total > 10,
        &format!("of {total} acknowledged alerts {lost} are lost or doubled"),
    )
}

/// A small file system in memory; gone at the end.
struct Mounted(PathBuf);

impl Mounted {
    fn at(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(folder);
        mount.output().is_ok_and(|done| done.status.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
