"""The page that shows ranked GIFs: templates and drawings shared by the report and `make`."""
