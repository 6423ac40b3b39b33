-- What the newsroom knows: its sources, their items, and what each community has posted.

CREATE TABLE news_source(
  address TEXT COLLATE "C" PRIMARY KEY,
  name TEXT NOT NULL,
  etag TEXT,
  modified TEXT,
  checked_at BIGINT NOT NULL,
  ok_at BIGINT,
  failures BIGINT NOT NULL CHECK(failures >= 0),
  error TEXT NOT NULL);

-- An item is the hash of its address in canonical form; place is its place in the feed.
CREATE TABLE news_item(
  source TEXT COLLATE "C" NOT NULL REFERENCES news_source ON DELETE CASCADE,
  item TEXT COLLATE "C" NOT NULL,
  place BIGINT NOT NULL,
  title TEXT NOT NULL,
  url TEXT NOT NULL,
  published_at BIGINT,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY(source, item));

-- The key is what keeps an item from being posted twice.
CREATE TABLE news_posted(
  community BIGINT NOT NULL REFERENCES community,
  item TEXT COLLATE "C" NOT NULL,
  title TEXT NOT NULL,
  event BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY(community, item));
