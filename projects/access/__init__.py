"""Who calls: accounts, sessions and API keys become a `Caller`. Imports `projects.errors` and `storage`; every use case builds on it."""
