"""What the command line prints, a command a file. Imports what the command needs of the use cases."""
