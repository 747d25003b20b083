"""Networks of other libraries under our names: one file a library."""
