"""Messages <-> the core's dataclasses, one file a kind. Nothing else in the project knows both.

Every function raises BadInputError, with a sentence, for a message that has no meaning (arrays whose sizes disagree, a
stamp that is no time). What has a meaning but may not be remembered is left for the admission gate to refuse.
"""
