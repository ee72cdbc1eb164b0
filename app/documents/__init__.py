"""Documents that clients send or refer to: looked at, examined in a process of their own, kept."""
