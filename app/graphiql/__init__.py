"""GraphiQL at /graphiql: every asset served from here, nothing fetched from elsewhere."""
