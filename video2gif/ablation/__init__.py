"""Every method of the paper's table, trained and compared on this project's data."""
