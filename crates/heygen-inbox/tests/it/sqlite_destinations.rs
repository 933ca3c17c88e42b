//! One destination hangs, with a hundred thousand deliveries waiting for it, while another works.

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{ClaimRequest, DispatchOrder, Inbox as _, Room};
use rusqlite::Connection;

use crate::support::{at, file, fill};

const MANY: u64 = 100_000;

fn request(order: DispatchOrder, hanging: Room, working: Room) -> ClaimRequest {
    ClaimRequest::new(at(10), order, vec![hanging, working], |event_type| {
        usize::from(event_type == Some("c.d"))
    })
}

/// The newest of all goes to the destination that works; `name` is that of the others, in SQL.
fn fill_with(path: &std::path::Path, many: u64, name: &str) {
    let event_type = format!("iif(n > {many}, 'c.d', {name})");
    fill(path, many + 1, &event_type, "'v' || n");
}

#[tokio::test]
async fn hanging_destination_with_many_waiting_holds_up_no_other() {
    for order in [DispatchOrder::Unordered, DispatchOrder::PerSubject] {
        let (_folder, path) = file();
        drop(SqliteInbox::open(&path).unwrap());
        fill_with(&path, MANY, "'a.b'");
        let inbox = SqliteInbox::open(&path).unwrap();
        let (full, one) = (Room::default(), Room::new(1, 1, 0));
        let claim = inbox.claim(request(order, full, one)).await.unwrap();
        let types: Vec<_> = claim
            .deliveries
            .iter()
            .map(|claimed| claimed.event_type.as_deref())
            .collect();
        assert_eq!(types, [Some("c.d")], "{order:?}");
        // Looking through all that waits, each of these would take a tenth of a second and more.
        let begun = std::time::Instant::now();
        for _ in 0..500 {
            let claim = inbox.claim(request(order, full, one)).await.unwrap();
            assert!(claim.deliveries.is_empty());
            assert_eq!(claim.next_due, None, "nothing to look for again at once");
        }
        let took = begun.elapsed();
        assert!(took < std::time::Duration::from_secs(30), "{took:?}");
        let index = |name: &str| {
            let connection = Connection::open(&path).unwrap();
            let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = ?1";
            let count: i64 = connection.query_row(sql, [name], |row| row.get(0)).unwrap();
            count
        };
        assert_eq!(index("delivery_event"), 1);
        // One destination alone needs no index by type.
        let alone = ClaimRequest::new(at(10), order, vec![Room::new(3, 3, 0)], |_| 0);
        let claim = inbox.claim(alone).await.unwrap();
        assert_eq!(claim.deliveries.len(), 3);
        assert_eq!(index("delivery_event"), 0);
    }
}

/// A sender may invent a name for each event, and each may be as long as a body.
#[tokio::test]
async fn many_and_long_names_that_wait_are_looked_through_in_steps() {
    for (many, name) in [
        (5000, "'a.' || n"),
        (40, "'a.' || n || hex(zeroblob(50000))"),
    ] {
        let (_folder, path) = file();
        drop(SqliteInbox::open(&path).unwrap());
        fill_with(&path, many, name);
        let inbox = SqliteInbox::open(&path).unwrap();
        let (full, one) = (Room::default(), Room::new(1, 1, 0));
        // How many claims it takes until a delivery was found, or there is none.
        let steps = async || {
            for step in 1..20 {
                let request = request(DispatchOrder::Unordered, full, one);
                let claim = inbox.claim(request).await.unwrap();
                if !claim.deliveries.is_empty() || claim.next_due.is_none() {
                    return (step, claim.deliveries.len());
                }
            }
            panic!("it never ends: {many}");
        };
        let (found_after, found) = steps().await;
        assert!(
            found == 1 && (4..=7).contains(&found_after),
            "{many}: {found_after}"
        );
        // The rest of the names, and those from the beginning again.
        let (_, found) = steps().await;
        assert_eq!(found, 0);
        let (ended_after, found) = steps().await;
        assert!(
            found == 0 && (4..=7).contains(&ended_after),
            "{many}: {ended_after}"
        );
    }
}
