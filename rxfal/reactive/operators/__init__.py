"""rxfal's own operators, one to a file, and its versions of reactivex's. Users import them from `rxfal.operators`."""
