"""The history of the database's shape, applied in order, all or nothing, by whichever process comes first."""
