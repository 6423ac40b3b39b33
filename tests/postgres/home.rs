//! A database that was read in from a dump is a backup, and is worked on only by who says so.

use crate::world::Database;

#[tokio::test]
async fn what_was_read_in_from_a_dump_is_known() {
    let database = Database::postgres();
    drop(database.open().await);
    let start = database.open().await.start().await.unwrap();
    assert_eq!((start.backup_of, start.restored_at), (None, None));
    // A dump takes the row along and not the place.
    let moved = "UPDATE meta SET value = '1/1' WHERE key = 'home'";
    assert_eq!(database.peek().await.run(moved).await.unwrap(), 1);
    for _ in 0..2 {
        let store = database.open().await;
        assert_eq!(store.start().await.unwrap().backup_of, Some(0), "there is no event yet");
        store.close().await;
    }
    let store = database.open().await;
    store.restore(5).await.unwrap();
    store.close().await;
    drop(store);
    let start = database.open().await.start().await.unwrap();
    assert_eq!((start.backup_of, start.restored_at), (None, Some(5)));
}
