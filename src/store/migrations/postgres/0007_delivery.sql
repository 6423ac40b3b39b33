-- Deliveries of which nobody knows whether they arrived wait for somebody to decide. They are few
-- among many, and looked for by who writes in a chat.
CREATE INDEX delivery_doubt ON delivery(id) WHERE state = 'unknown';

-- Events that an adapter could not read, by day since 1970.
CREATE TABLE unreadable(
  day BIGINT NOT NULL,
  platform TEXT COLLATE "C" NOT NULL,
  events BIGINT NOT NULL,
  PRIMARY KEY(day, platform));
