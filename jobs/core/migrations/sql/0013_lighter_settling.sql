-- Every settlement writes these rows in the statement that holds its transaction's own row, so that the transaction cannot
-- be missing; looking it up again for each of them took a fifth of PostgreSQL's time. What must never point to nothing still
-- cannot: claims and the ledger keep their foreign keys.
ALTER TABLE ops.decisions DROP CONSTRAINT decisions_transaction_id_fkey;
ALTER TABLE ops.outbox DROP CONSTRAINT outbox_transaction_id_fkey;

-- Nobody looks an event up by its id, which is random; and a transaction has so few events that the index on
-- (transaction_id, kind) finds the undelivered ones among them.
ALTER TABLE ops.outbox DROP CONSTRAINT outbox_event_id_key;
DROP INDEX ops.outbox_undelivered;
