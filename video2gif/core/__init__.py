"""The ground everything stands on: errors, parameters, paths, confined children, the item store."""
