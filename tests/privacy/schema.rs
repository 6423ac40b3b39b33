//! docs/privacy.md lists every table and column: who adds one must say what it holds of people.

use sqlx::Row as _;

use crate::world::{peek, sqlite};

#[tokio::test]
async fn every_column_is_in_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    drop(sqlite(&path).await);
    let mut db = peek(&path).await;
    let sql = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '_sqlx_%'
        ORDER BY m.name, c.cid";
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/privacy.md"));
    let text = text.unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let mut missing = Vec::new();
    for row in sqlx::query(sql).fetch_all(&mut db).await.unwrap() {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        let lists = |line: &&str| {
            line.starts_with(&format!("| `{table}` |"))
                && line
                    .split('|')
                    .nth(2)
                    .is_some_and(|cell| cell.split([',', ' ', '`']).any(|word| word == column))
        };
        if !rows.iter().any(lists) {
            missing.push(format!("{table}.{column}"));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
