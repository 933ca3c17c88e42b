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

#[tokio::test]
async fn hanging_destination_with_many_waiting_holds_up_no_other() {
    for order in [DispatchOrder::Unordered, DispatchOrder::PerSubject] {
        let (_folder, path) = file();
        drop(SqliteInbox::open(&path).unwrap());
        // The newest of all goes to the destination that works.
        let event_type = format!("iif(n > {MANY}, 'c.d', 'a.b')");
        fill(&path, MANY + 1, &event_type, "'v' || n");
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
