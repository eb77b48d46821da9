"""One tab each: the plain generators and functions behind its buttons."""
