"""Web pages that show ranked GIFs: templates and charts of the report, of `gif` and of `serve`."""
