"""Next-basket recommendation: what a customer will buy on the next visit, habits and discoveries in one list."""
