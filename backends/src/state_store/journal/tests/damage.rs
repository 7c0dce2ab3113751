//! Origin: what a crash, or a disk, can do to the file.
//! RFC: 8881 section 8.4.3: with damage to stable storage nobody may reclaim what may be affected.

use std::fs;

use dittofs_framework::recovery::{Ledger, Recovered, StateStore, StoreError};
use rstest::rstest;

use super::fixture::{Place, history, holds, long, small};
use crate::state_store::JournalStateStore;
use crate::state_store::journal::format::{HEADER_LEN, Record, VERSION, encode_frame, encode_header};
use crate::state_store::journal::scan::scan;

/// A file with [`history`], one frame for each event, and where each frame ends with what the journal amounts to there.
async fn written() -> (Vec<u8>, Vec<(usize, Recovered)>) {
    let place = Place::default();
    let store = JournalStateStore::open_with(&place.journal(), long()).unwrap();
    let length = || usize::try_from(fs::metadata(place.journal()).unwrap().len()).unwrap();
    let mut ledger = Ledger::default();
    let mut ends = vec![(length(), ledger.recovered())];
    store.begin().await.unwrap();
    ledger.begin(1_000);
    ends.push((length(), ledger.recovered()));
    for event in history() {
        store.append(event.clone()).await.unwrap();
        ledger.apply(&event);
        ends.push((length(), ledger.recovered()));
    }
    (fs::read(place.journal()).unwrap(), ends)
}

/// What the frames amount to that end within `len` bytes.
fn acknowledged(ends: &[(usize, Recovered)], len: usize) -> &Recovered {
    &ends.iter().rev().find(|(end, _)| *end <= len).unwrap().1
}

#[tokio::test]
async fn cut_anywhere_it_is_what_was_acknowledged() {
    let (file, ends) = written().await;
    for len in HEADER_LEN..=file.len() {
        let scan = scan(&file[..len]).unwrap();
        assert_eq!(scan.ledger.recovered(), *acknowledged(&ends, len), "{len} bytes");
    }
}

#[tokio::test]
async fn cut_anywhere_it_goes_on_from_there() {
    let (file, ends) = written().await;
    for len in HEADER_LEN..=file.len() {
        let place = Place::default();
        fs::write(place.journal(), &file[..len]).unwrap();
        for expected_more in [false, true] {
            let store = JournalStateStore::open_with(&place.journal(), long()).unwrap();
            let mut expected = acknowledged(&ends, len).clients.clone();
            if expected_more {
                expected.push(super::fixture::record("z"));
            }
            assert_eq!(store.begin().await.unwrap().clients, expected, "{len} bytes");
            store.append(holds("z")).await.unwrap();
        }
    }
}

// A tail whose blocks did not all arrive: zeros in the place of some of it.
#[tokio::test]
async fn a_tail_with_holes_is_torn() {
    let (file, ends) = written().await;
    let [.., (before, expected), _] = &ends[..] else { panic!("two frames") };
    for hole in *before..file.len() {
        for end in hole + 1..=file.len() {
            let mut torn = file.clone();
            torn[hole..end].fill(0);
            if torn != file {
                assert_eq!(scan(&torn).unwrap().ledger.recovered(), *expected, "zeros in {hole}..{end}");
            }
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found() {
    let (file, ends) = written().await;
    let [.., (last_frame, without_last), _] = &ends[..] else { panic!("two frames") };
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let frame = ends.iter().rev().map(|(end, _)| *end).find(|end| *end <= bit / 8).unwrap_or(0);
        match scan(&flipped) {
            Err(StoreError::Damaged { at, .. }) => assert_eq!(at, frame as u64, "bit {bit}"),
            Err(StoreError::Version { .. }) => assert!((64..96).contains(&bit)),
            // Nothing tells a last frame that was damaged from one that was never finished.
            Ok(scan) => {
                assert_eq!(frame, *last_frame, "bit {bit}");
                assert_eq!(scan.ledger.recovered(), *without_last);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[rstest]
#[case::empty(b"".to_vec(), StoreError::Damaged { at: 0, what: "no header of a journal" })]
#[case::another_file(b"#!/bin/sh\n".to_vec(), StoreError::Damaged { at: 0, what: "no header of a journal" })]
#[case::header_is_cut_off(encode_header(7)[..HEADER_LEN - 1].to_vec(), StoreError::Damaged { at: 0, what: "no header of a journal" })]
#[case::another_version([&b"DFSSTATE"[..], &9_u32.to_be_bytes()].concat(), StoreError::Version { found: 9, supported: VERSION })]
#[case::unknown_record([encode_header(7), encode_frame(7, &[99])].concat(), StoreError::Damaged { at: 20, what: "a record that is not known" })]
#[case::half_a_record([encode_header(7), encode_frame(7, &[1, 0])].concat(), StoreError::Damaged { at: 20, what: "a record that is not known" })]
fn what_is_no_journal_is_left_alone(#[case] file: Vec<u8>, #[case] expected: StoreError) {
    let place = Place::default();
    fs::write(place.journal(), &file).unwrap();
    let error = JournalStateStore::open(&place.journal()).unwrap_err();
    assert_eq!(error.to_string(), expected.to_string());
    assert_eq!(fs::read(place.journal()).unwrap(), file);
}

// Origin: a client chooses its owner string, and must not make the server take a torn frame for damage by it.
#[test]
fn what_a_client_says_is_no_frame() {
    let salt = 0x1234_5678;
    let mut inner = Vec::new();
    Record::Began(5).encode(&mut inner);
    let mut file = encode_header(salt);
    let torn_at = file.len();
    // A frame as one can be made without the salt, in a frame that is torn.
    file.extend([0, 0, 0, 200, 1, 2, 3, 4]);
    file.extend(encode_frame(0, &inner));
    assert_eq!(scan(&file).unwrap().good_len, torn_at);
    file.extend(encode_frame(salt, &inner));
    assert!(matches!(scan(&file), Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn half_a_compaction_is_no_matter() {
    let place = Place::default();
    fs::write(place.in_writing(), b"DFSSTATE").unwrap();
    let store = JournalStateStore::open_with(&place.journal(), small()).unwrap();
    store.begin().await.unwrap();
    store.append(holds("a")).await.unwrap();
    drop(store);
    fs::write(place.in_writing(), b"DFSSTATE").unwrap();
    let store = JournalStateStore::open_with(&place.journal(), small()).unwrap();
    assert_eq!(store.begin().await.unwrap().clients, [super::fixture::record("a")]);
}
