"""Which function runs behind which component of `ui.layout`: a module for each region."""
