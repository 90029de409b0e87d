"""What is true now: samples of Horizon, and the facts that deserve a person's attention."""
