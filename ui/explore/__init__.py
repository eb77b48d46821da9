"""What the Explore tab shows, as plain data for its components: the browser computes nothing."""
