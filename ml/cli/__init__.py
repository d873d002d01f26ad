"""The command line `tradewind`, one module a group of commands; nothing is imported before the environment is clean."""
