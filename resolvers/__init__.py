"""Use cases, one file per noun: plain async functions from a context and plain values to rows or pages."""
