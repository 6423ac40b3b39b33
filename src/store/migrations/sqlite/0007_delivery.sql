-- Deliveries of which nobody knows whether they arrived wait for somebody to decide. They are few
-- among many, and looked for by who writes in a chat.
CREATE INDEX delivery_doubt ON delivery(id) WHERE state = 'unknown';
