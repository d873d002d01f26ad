"""Where a run's rows come from: one source a kind; `opening` opens it by name.

Nothing is imported here: stages that use a part of this package do not depend on every reader of it.
"""
