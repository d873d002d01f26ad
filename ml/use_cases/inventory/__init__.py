"""Inventory: how much will be asked for, and how much to order."""
