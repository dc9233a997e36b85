"""Where data comes from: the web, feeds, searches, files and samples."""
