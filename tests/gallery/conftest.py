collect_ignore_glob = ["screens/*"]
