"""What clients see: one file per noun. A field is its description, its type and one call into resolvers/."""
