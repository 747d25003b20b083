"""What stands between a backbone and a head: features in, features out."""
