"""Whatever can go wrong at the wire, in the files or with the time, and what people may rely on then."""
