"""What a run leaves behind and tells: its record, its events, and tasks that go on without a caller. Imports engine and storage."""
