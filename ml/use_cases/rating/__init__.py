"""Rating prediction: the textbook's linear regression, taken through the whole platform."""
