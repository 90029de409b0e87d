-- The application tables: what the jobs read and settle. Names and index definitions follow the seed's checklist.
-- They live in the database that DB_* names. A fresh database gets them from the migrations; an existing one that has
-- them is used as it is (see "attach" in contract.md). Everything of our own lives in the schema `ops`.

CREATE TABLE users (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email             text NOT NULL UNIQUE,
    wallet_public_key varchar(69),                         -- G... or M...
    created_at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE transactions (
    id                   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id              uuid NOT NULL REFERENCES users (id),
    type                 text NOT NULL CHECK (type IN ('DEPOSIT', 'WITHDRAW', 'SWAP')),
    amount               numeric(20, 8) NOT NULL CHECK (amount > 0),
    currency             varchar(12) NOT NULL,             -- asset code; XLM is native when asset_issuer is null
    asset_issuer         varchar(56),
    status               text NOT NULL DEFAULT 'PENDING'
                         CHECK (status IN ('PENDING', 'SUCCESS', 'FAILED', 'CANCELLED')),
    tx_hash              varchar(64),
    envelope_xdr         text,                             -- base64, as signed; needed to prove "never"
    destination          varchar(69),                      -- expected receiver; null on a deposit: the user's wallet
    memo_type            text CHECK (memo_type IN ('none', 'text', 'id', 'hash', 'return')),
    memo                 text,                             -- null: any memo is accepted
    failure_reason       text,
    metadata             jsonb,
    processing_locked_at timestamptz,
    processing_locked_by text,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now() -- of the business state; locking never changes it
);
CREATE INDEX idx_transactions_status_created ON transactions (status, created_at);
CREATE INDEX idx_transactions_user_status    ON transactions (user_id, status);

CREATE TABLE notifications (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id    uuid NOT NULL REFERENCES users (id),
    type       text NOT NULL,                              -- TRANSACTION, SYSTEM, OTP ...
    title      text NOT NULL,
    message    text NOT NULL,
    status     text NOT NULL DEFAULT 'UNREAD' CHECK (status IN ('UNREAD', 'READ')),
    related_id uuid,                                       -- the transaction
    metadata   jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    read_at    timestamptz
);
CREATE INDEX idx_notifications_user_status ON notifications (user_id, status);

CREATE TABLE balances (
    user_id      uuid NOT NULL REFERENCES users (id),
    currency     varchar(12) NOT NULL,
    asset_issuer varchar(56) NOT NULL DEFAULT '',
    amount       numeric(28, 8) NOT NULL DEFAULT 0 CHECK (amount >= 0),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, currency, asset_issuer)
);

-- Append-only double entry. A user's balance is the sum of CREDIT minus DEBIT of account_type USER.
CREATE TABLE ledger_entries (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id uuid NOT NULL REFERENCES transactions (id),
    kind           text NOT NULL,                          -- OPENING, WITHDRAW_DEBIT, DEPOSIT_CREDIT, WITHDRAW_REFUND, REFUND_REVERSAL
    account_type   text NOT NULL CHECK (account_type IN ('USER', 'PLATFORM_ASSET', 'PLATFORM_LIABILITY', 'FEE_REVENUE')),
    user_id        uuid REFERENCES users (id),             -- null for platform accounts
    direction      text NOT NULL CHECK (direction IN ('DEBIT', 'CREDIT')),
    amount         numeric(28, 8) NOT NULL CHECK (amount > 0),
    currency       varchar(12) NOT NULL,
    asset_issuer   varchar(56) NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (transaction_id, kind, account_type)
);
