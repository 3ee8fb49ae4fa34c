"""fal's verbs, each a cold Stream: the wire wing's requests joined to the reactive wing's readers."""
