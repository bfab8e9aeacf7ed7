use super::*;

fn write(disk: &SimDisk, path: &str, offset: u64, bytes: &[u8]) -> Arc<dyn File> {
    let file = disk.open(path, Mode::Create).unwrap();
    file.write_at(offset, bytes).unwrap();
    file
}

#[test]
fn what_was_synced_survives_every_power_cut() {
    let disk = SimDisk::new();
    disk.create_dir("d").unwrap();
    let file = write(&disk, "d/f", 100, &[7; 5000]);
    file.sync_data().unwrap();
    disk.sync_dir("d").unwrap();
    for seed in 0..100 {
        let image = disk.crash_image(seed);
        assert_eq!(image.contents("d/f").unwrap()[100..], [7; 5000]);
        assert_eq!(image.list("d").unwrap(), [DirEntry { name: "f".to_owned(), len: 5100 }]);
    }
}

#[test]
fn what_was_not_synced_meets_every_fate() {
    let disk = SimDisk::new();
    let file = write(&disk, "f", 0, &[1; 1024]);
    file.sync_data().unwrap();
    disk.sync_dir("").unwrap();
    file.write_at(0, &[2; 1024]).unwrap();
    let mut fates = [0; 5];
    for seed in 0..400 {
        let bytes = disk.crash_image(seed).contents("f").unwrap();
        let is = |range: std::ops::Range<usize>, byte: u8| bytes[range].iter().all(|&found| found == byte);
        let fate = match () {
            () if is(0..1024, 1) => 0,
            () if is(0..1024, 2) => 1,
            () if is(0..512, 2) && is(512..1024, 1) => 2,
            () if is(0..512, 1) && is(512..1024, 2) => 3,
            () => 4,
        };
        fates[fate] += 1;
    }
    assert!(fates.iter().all(|&count| count > 5), "{fates:?}");
    assert_eq!(disk.process_kill_image().contents("f").unwrap(), [2; 1024]);
}

#[test]
fn what_a_process_left_behind_may_still_be_lost() {
    let disk = SimDisk::new();
    write(&disk, "kept", 0, &[1; 512]).sync_data().unwrap();
    disk.sync_dir("").unwrap();
    write(&disk, "kept", 0, &[2; 512]);
    write(&disk, "new", 0, &[3; 512]).sync_data().unwrap();
    let after = disk.process_kill_image();
    assert_eq!((after.contents("kept"), after.contents("new")), (Some(vec![2; 512]), Some(vec![3; 512])));
    assert_eq!(after.used_bytes(), disk.used_bytes());
    let images: Vec<_> = (0..100).map(|seed| after.crash_image(seed)).collect();
    assert!(images.iter().any(|image| image.contents("kept") == Some(vec![1; 512])));
    assert!(images.iter().any(|image| image.contents("new").is_none()));
    after.open("kept", Mode::Write).unwrap().sync_data().unwrap();
    after.sync_dir("").unwrap();
    for image in (0..50).map(|seed| after.crash_image(seed)) {
        assert_eq!((image.contents("kept"), image.contents("new")), (Some(vec![2; 512]), Some(vec![3; 512])));
    }
}

#[test]
fn sectors_that_were_synced_keep_their_bytes_beside_others_that_were_not() {
    let disk = SimDisk::new();
    let file = write(&disk, "f", 0, &[1; 512]);
    file.sync_data().unwrap();
    disk.sync_dir("").unwrap();
    file.write_at(512, &[2; 512]).unwrap();
    for seed in 0..200 {
        assert_eq!(disk.crash_image(seed).contents("f").unwrap()[..512], [1; 512]);
    }
}

#[test]
fn names_need_a_sync_of_their_directory() {
    let disk = SimDisk::new();
    write(&disk, "old", 0, b"old").sync_data().unwrap();
    disk.sync_dir("").unwrap();
    write(&disk, "new", 0, b"new").sync_data().unwrap();
    disk.rename("new", "old").unwrap();
    let found: std::collections::BTreeSet<_> = (0..200)
        .map(|seed| (disk.crash_image(seed).files(), disk.crash_image(seed).contents("old").unwrap()))
        .collect();
    assert!(found.contains(&(vec!["old".to_owned()], b"old".to_vec())));
    assert!(found.contains(&(vec!["old".to_owned()], b"new".to_vec())));
    assert!(found.contains(&(vec!["new".to_owned(), "old".to_owned()], b"old".to_vec())));
    disk.sync_dir("").unwrap();
    assert!((0..50).all(|seed| disk.crash_image(seed).contents("old").unwrap() == b"new"));
}

#[test]
fn removed_file_comes_back_until_its_directory_is_synced() {
    let disk = SimDisk::new();
    write(&disk, "f", 0, &[3; 10]).sync_data().unwrap();
    disk.sync_dir("").unwrap();
    disk.remove("f").unwrap();
    assert_eq!(disk.used_bytes(), 0);
    let back = (0..100).filter(|&seed| disk.crash_image(seed).contents("f") == Some(vec![3; 10])).count();
    assert!((10..100).contains(&back), "{back}");
    disk.sync_dir("").unwrap();
    assert!((0..50).all(|seed| disk.crash_image(seed).files().is_empty()));
}

#[test]
fn failed_sync_is_not_made_good_by_the_next() {
    let disk = SimDisk::new();
    let file = write(&disk, "f", 0, &[1; 512]);
    disk.sync_dir("").unwrap();
    disk.set_faults(vec![Fault { operations: &[Operation::Sync], after: 0, times: 1, kind: io::ErrorKind::Other }]);
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert!(disk.has_failed());
    let lost = (0..100).filter(|&seed| disk.crash_image(seed).contents("f") != Some(vec![1; 512])).count();
    assert!(lost > 0);
}

#[test]
fn full_disk_refuses_what_needs_room_and_no_more() {
    let disk = SimDisk::new();
    let file = write(&disk, "f", 0, &[1; 100]);
    disk.set_capacity(4096);
    file.write_at(4000, &[2; 96]).unwrap();
    assert_eq!(file.write_at(4096, &[3]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.allocate(5000).unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.set_capacity(8192);
    file.allocate(5000).unwrap();
    assert_eq!((disk.free_bytes().unwrap(), file.len().unwrap()), (0, 5000));
    drop(file);
    disk.remove("f").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 8192);
}

#[test]
fn shorter_file_forgets_what_lay_behind_its_end() {
    let disk = SimDisk::new();
    let file = write(&disk, "f", 0, &[1; 6000]);
    file.set_len(100).unwrap();
    file.set_len(6000).unwrap();
    let bytes = disk.contents("f").unwrap();
    assert_eq!((&bytes[..100], &bytes[100..]), (&[1; 100][..], &[0; 5900][..]));
}

#[test]
fn hook_sees_each_change_and_may_look_at_the_disk() {
    let disk = SimDisk::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook_seen = Arc::clone(&seen);
    disk.set_hook(Some(Arc::new(move |disk, operation| {
        hook_seen.lock().push((operation, disk.crash_image(1).files().len()));
    })));
    write(&disk, "f", 0, b"x").sync_data().unwrap();
    let operations: Vec<_> = seen.lock().iter().map(|(operation, _)| *operation).collect();
    assert_eq!(operations, [Operation::Create, Operation::Write, Operation::Sync]);
    assert_eq!(disk.operations(), 3);
}
