-- When a group of findings was last told to a receiver, so that a restart does not tell it at once again.
CREATE TABLE groups (
    receiver TEXT NOT NULL,
    name TEXT NOT NULL,
    told_at BIGINT NOT NULL,
    PRIMARY KEY (receiver, name)
);
