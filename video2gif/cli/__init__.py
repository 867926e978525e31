"""The command line, `video2gif …`: one module a group of commands."""
