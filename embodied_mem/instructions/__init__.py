"""Following a route that a person described: landmarks, turns and lengths -> the likeliest place, or "I don't know"."""
