"""Fraud: payments are scored before they are accepted, though what was fraud becomes known only days later."""
