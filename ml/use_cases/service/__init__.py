"""Service: customers write to the shop; what they want is recognised, and the shop's own pages answer."""
