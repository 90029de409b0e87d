"""The benchmark of the dashboard: a desk with years behind it, and people who look at its pages."""
