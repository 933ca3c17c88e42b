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
    // The second is a dispatcher's, which asks for the backlog in two turns.
    let rooms = [Room::new(1, 1, 0), Room::new(16, 14, 1)];
    let names = [
        (5000, "'a.' || n"),
        (40, "'a.' || n || hex(zeroblob(50000))"),
    ];
    for (room, (many, name)) in rooms
        .into_iter()
        .flat_map(|room| names.map(|name| (room, name)))
    {
        let (_folder, path) = file();
        drop(SqliteInbox::open(&path).unwrap());
        fill_with(&path, many, name);
        let inbox = SqliteInbox::open(&path).unwrap();
        // How many claims it takes until a delivery was found, or there is none.
        let steps = async |room| {
            for step in 1..20 {
                let request = request(DispatchOrder::Unordered, Room::default(), room);
                let claim = inbox.claim(request).await.unwrap();
                if !claim.deliveries.is_empty() || claim.next_due.is_none() {
                    return (step, claim.deliveries.len());
                }
            }
            panic!("it never ends: {many} {room:?}");
        };
        let (found_after, found) = steps(room).await;
        assert!(
            found == 1 && (4..=7).contains(&found_after),
            "{many} {room:?}: {found_after}"
        );
        // The rest of the names, and those from the beginning again.
        let (_, found) = steps(room).await;
        assert_eq!(found, 0);
        let (ended_after, found) = steps(room).await;
        assert!(
            found == 0 && (4..=7).contains(&ended_after),
            "{many} {room:?}: {ended_after}"
        );
        // Now one turn is ahead of the other, and they never end in the same claim.
        let ahead = request(
            DispatchOrder::Unordered,
            Room::default(),
            Room::new(1, 1, 0),
        );
        inbox.claim(ahead).await.unwrap();
        for _ in 0..3 {
            let (ended_after, found) = steps(room).await;
            assert!(found == 0 && ended_after <= 7, "{many}: {ended_after}");
        }
    }
}

/// A round that began while a destination was full says nothing of what it passed of that one.
#[tokio::test]
async fn destination_that_gets_room_during_a_round_is_looked_for_again() {
    let (_folder, path) = file();
    drop(SqliteInbox::open(&path).unwrap());
    // The first by name and the last that was received, behind many for a full destination.
    fill(&path, 5001, "iif(n > 5000, 'a', 'b.' || n)", "'v' || n");
    let inbox = SqliteInbox::open(&path).unwrap();
    let claim = async |room| {
        let room = vec![Room::default(), room, Room::new(1, 1, 0)];
        let route = |event_type: Option<&str>| usize::from(event_type == Some("a"));
        let request = ClaimRequest::new(at(10), DispatchOrder::Unordered, room, route);
        inbox.claim(request).await.unwrap()
    };
    let first = claim(Room::default()).await;
    assert!(first.deliveries.is_empty() && first.next_due.is_some());
    for _ in 0..20 {
        let claim = claim(Room::new(1, 1, 0)).await;
        if !claim.deliveries.is_empty() {
            return;
        }
        assert!(claim.next_due.is_some(), "it is due, and there is room");
    }
    panic!("it is never found");
}

#[tokio::test]
async fn event_type_in_which_a_step_ends_is_continued_by_the_next() {
    let (_folder, path) = file();
    drop(SqliteInbox::open(&path).unwrap());
    let name = "iif(n <= 900, 'a.' || n, iif(n <= 1400, 'c.d', 'd.' || n))";
    fill(&path, 3000, name, "'v' || n");
    let inbox = SqliteInbox::open(&path).unwrap();
    let mut found = Vec::new();
    for _ in 0..2 {
        let room = Room::new(2000, 2000, 1);
        let request = request(DispatchOrder::Unordered, Room::default(), room);
        found.push(inbox.claim(request).await.unwrap().deliveries.len());
    }
    assert!(found[0] < 500, "{found:?}");
    assert_eq!(found[0] + found[1], 500, "{found:?}");
}
