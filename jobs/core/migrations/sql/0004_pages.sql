-- Readings of pages that were cut short: an account's, or with an empty scope the network's.
CREATE TABLE ops.page_cursors (
    network  text NOT NULL,                                -- sha256 of the passphrase, hex
    scope    text NOT NULL,
    since    bigint NOT NULL,                              -- the first ledger of the reading
    token    bigint NOT NULL,                              -- TOID up to which everything was read and its effects paid
    began_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (network, scope)
);
