-- What providers state of their kinds, as it was read last. `body` is JSON (see form.rs); `version` is that of the code that
-- read it.

CREATE TABLE schemas (
    realm TEXT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    read_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (realm, kind)
);
