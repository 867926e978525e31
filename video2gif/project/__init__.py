"""A project as a whole: what must run again, how long it takes, whether all is in order."""
