"""Inventory: how much of each product to order, when, and at what cost."""
