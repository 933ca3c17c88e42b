//! A damaged page: all that it does not hold goes on.

use std::path::Path;

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, Inbox as _, InboxAdmin as _, PruneStep, Query, State,
};

use crate::support::{append_new, at, claim_due, claimed_ids, complete, listed, opened};

/// An event whose body takes several pages.
fn large(letter: char) -> String {
    let filling = letter.to_string().repeat(20_000);
    format!(
        r#"{{"event_type":"x.y","event_data":{{"video_id":"{letter}","filling":"{filling}"}}}}"#
    )
}

/// Closes the inbox, and damages what a page says that holds nothing but this part of a body: which
/// comes after it.
async fn damage(path: &Path, inbox: SqliteInbox, filling: u8) -> SqliteInbox {
    inbox.close().await.unwrap();
    drop(inbox);
    let mut bytes = std::fs::read(path).unwrap();
    let mut pages = bytes.chunks_mut(4096);
    let is_of_body = |page: &&mut [u8]| page[4..].iter().all(|byte| *byte == filling);
    pages.find(is_of_body).unwrap()[..4].fill(0xff);
    std::fs::write(path, bytes).unwrap();
    SqliteInbox::open(path).unwrap()
}

#[tokio::test]
async fn damaged_delivery_blocks_no_other() {
    let (_folder, path, inbox) = opened();
    let damaged = append_new(&inbox, 0, &large('a')).await;
    let sound = append_new(&inbox, 1, &large('b')).await;
    let inbox = damage(&path, inbox, b'a').await;
    // A dispatcher tries again.
    let request = ClaimRequest::due(10, at(3));
    inbox.claim(request.clone()).await.unwrap_err();
    let claimed = inbox.claim(request).await.unwrap().deliveries;
    assert_eq!(claimed_ids(&claimed), [sound]);
    let query = Query::default().state(State::DeadLettered);
    assert_eq!(listed(&inbox, query).await, [damaged]);
}

#[tokio::test]
async fn damaged_delivery_keeps_no_other_from_being_pruned() {
    let (_folder, path, inbox) = opened();
    let damaged = append_new(&inbox, 0, &large('a')).await;
    append_new(&inbox, 1, &large('b')).await;
    for claimed in claim_due(&inbox, 10, 2).await {
        complete(&inbox, &claimed, 2, AttemptOutcome::Acknowledged).await;
    }
    let inbox = damage(&path, inbox, b'a').await;
    let step = PruneStep::before(at(100)).limit(1);
    let pruned = inbox.prune(step).await.unwrap();
    assert_eq!((pruned.deleted, pruned.damaged), (1, vec![damaged]));
    assert_eq!(listed(&inbox, Query::default()).await, [damaged]);
}

/// Of the list of free pages, which all deliveries share.
#[tokio::test]
async fn damage_that_prevents_pruning_dead_letters_nothing() {
    let (_folder, path, inbox) = opened();
    let first = append_new(&inbox, 0, &large('a')).await;
    let sound = append_new(&inbox, 1, &large('b')).await;
    for claimed in claim_due(&inbox, 10, 2).await {
        complete(&inbox, &claimed, 2, AttemptOutcome::Acknowledged).await;
    }
    inbox.delete(vec![first]).await.unwrap();
    inbox.close().await.unwrap();
    drop(inbox);
    let mut bytes = std::fs::read(&path).unwrap();
    let page = u32::from_be_bytes(bytes[32..36].try_into().unwrap()) as usize;
    // How many pages the first of them lists.
    bytes[(page - 1) * 4096 + 4..][..4].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let inbox = SqliteInbox::open(&path).unwrap();
    let pruned = inbox.prune(PruneStep::before(at(100))).await;
    pruned.unwrap_err();
    inbox.replay(vec![sound], at(3)).await.unwrap();
    assert_eq!(claimed_ids(&claim_due(&inbox, 10, 4).await), [sound]);
}
