"""The ground: settings, errors, database, people, audit, flags and logs. It imports nothing else of ours."""
