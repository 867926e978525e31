"""A project as a whole: what is planned, how fast, how fit, how whole."""
