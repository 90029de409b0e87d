"""What leaves the desk for people: the team's channels and notices, and the bundle that an incident is studied from."""
