-- What the newsroom knows: its sources, their items, and what each community has posted.

CREATE TABLE news_source(
  address TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  etag TEXT,
  modified TEXT,
  checked_at INTEGER NOT NULL,
  ok_at INTEGER,
  failures INTEGER NOT NULL CHECK(failures >= 0),
  error TEXT NOT NULL) WITHOUT ROWID;

-- An item is the hash of its address in canonical form; place is its place in the feed.
CREATE TABLE news_item(
  source TEXT NOT NULL REFERENCES news_source ON DELETE CASCADE,
  item TEXT NOT NULL,
  place INTEGER NOT NULL,
  title TEXT NOT NULL,
  url TEXT NOT NULL,
  published_at INTEGER,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY(source, item)) WITHOUT ROWID;

-- The key is what keeps an item from being posted twice.
CREATE TABLE news_posted(
  community INTEGER NOT NULL REFERENCES community,
  item TEXT NOT NULL,
  title TEXT NOT NULL,
  event INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY(community, item)) WITHOUT ROWID;
