"""What is done with each statement: passed in other words, done in its stead, or refused."""
