//! Real processes that are really killed, and a real file system that is really full.
//!
//! A killed process loses nothing that it has written, only what it was about to write: this finds mistakes of order and
//! of locking, and no missing sync. Those are for the disk that lies.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::log::sim::Chance;

/// The life of the process that is killed: it reads the directory from its input, and says what is durable.
#[test]
#[ignore = "started by other tests, with a directory on its input"]
fn a_process_that_is_killed() {
    let mut directory = String::new();
    if std::io::stdin().is_terminal() {
        return;
    }
    std::io::stdin().read_line(&mut directory).unwrap();
    let path = Path::new(directory.trim());
    if path.as_os_str().is_empty() {
        return;
    }
    let opened = SegmentLog::open(OsStorage, path, Some(LEDGER), config(), &mut |_| Ok(()));
    let mut log = match opened {
        Ok((log, _)) => log,
        Err(OpenError::NoLedger { .. }) => SegmentLog::create(OsStorage, path, LEDGER, b"genesis", config()).unwrap(),
        Err(error) => panic!("{error}"),
    };
    loop {
        let count = 1 + log.tip().0 % 5;
        log = append(log, count).unwrap().sync().unwrap();
        if log.tip().0.is_multiple_of(7) {
            log = log.seal().unwrap();
        }
        println!("\ndurable {}", log.tip().0);
    }
}

fn kill_for(time: Duration) {
    let home = Home::new();
    let (mut chance, begin) = (Chance::new(11), Instant::now());
    let (mut durable, mut kills) = (0, 0);
    // On a machine that is busy the first kills may come before the first block.
    while begin.elapsed() < time || (durable == 0 && kills < 1000) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::tests::real::a_process_that_is_killed", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{}", home.path().display()).unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let heard = std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.filter_map(|line| line.strip_prefix("durable ")?.parse::<u64>().ok()).last()
        });
        std::thread::sleep(Duration::from_millis(chance.below(120)));
        child.kill().unwrap();
        child.wait().unwrap();
        durable = heard.join().unwrap().unwrap_or(durable);
        kills += 1;
        // Every few kills one of us looks, and leaves the log as if killed too.
        if chance.one_in(3) && home.file("LEDGER").exists() {
            let (log, recovered, seen) = home.open().unwrap();
            assert!(recovered.height >= durable, "durable up to {durable}, recovered {recovered:?}");
            assert_eq!(seen, bodies(1..=recovered.height));
            drop(log);
        }
    }
    let (log, recovered, seen) = home.open().unwrap();
    assert!(recovered.height >= durable && durable > 0, "durable up to {durable}, recovered {recovered:?}");
    assert_eq!(seen, bodies(1..=recovered.height));
    append(log, 1).unwrap().close().unwrap();
    println!("{kills} kills, {} blocks", recovered.height);
}

#[test]
fn a_killed_process_loses_nothing_that_it_called_durable() {
    kill_for(Duration::from_secs(4));
}

#[test]
#[ignore = "by hand: a minute"]
fn a_process_killed_for_a_minute_loses_nothing() {
    kill_for(Duration::from_secs(60));
}

/// A small file system of its own, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(home: &Home) -> Result<Self, String> {
        let (image, point) = (home.0.join("image"), home.0.join("point"));
        std::fs::create_dir_all(&point).unwrap();
        std::fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
        let run = |command: &mut Command| match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_string()),
            Err(error) => Err(error.to_string()),
        };
        run(Command::new("mkfs.ext4").args(["-q", "-O", "^has_journal", "-m", "0"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&point))?;
        Ok(Self(point))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_file_system_that_is_really_full_stops_the_log_and_keeps_what_is_durable() {
    let home = Home::new();
    let disk = match SmallDisk::mount(&home) {
        Ok(disk) => disk,
        Err(why) => {
            println!("NOT TESTED: no file system can be mounted here: {why}");
            return;
        }
    };
    let path = disk.0.join("ledger");
    let mut log = SegmentLog::create(OsStorage, &path, LEDGER, b"genesis", config()).unwrap();
    let reader = log.reader();
    let failure = loop {
        log = match append(log, 1).and_then(SegmentLog::sync) {
            Ok(log) => log,
            Err(failure) => break failure.to_string(),
        };
    };
    assert!(failure.contains("pool-") && failure.contains("No space left"), "{failure}");
    let durable = reader.watermark();
    assert_eq!(
        reader.records_from(1).map(|record| record.unwrap().body().to_vec()).collect::<Vec<_>>(),
        bodies(1..=durable)
    );
    drop(reader);
    for _ in 0..2 {
        // Full as it is, it opens, and shows everything.
        let mut seen = Vec::new();
        let (log, recovered) = SegmentLog::open(OsStorage, &path, Some(LEDGER), config(), &mut |record| {
            seen.push(record.body.to_vec());
            Ok(())
        })
        .unwrap();
        assert!(recovered.height >= durable);
        assert_eq!(seen, bodies(1..=recovered.height));
        drop(log);
    }
    let error = SegmentLog::create(OsStorage, &disk.0.join("second"), LEDGER, b"", config()).unwrap_err().to_string();
    assert!(error.contains("are needed") || error.contains("No space left"), "{error}");
}
