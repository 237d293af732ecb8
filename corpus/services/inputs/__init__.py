"""What services work on: over the whole corpus, or over a workspace. No service asks which of the two.

`Context.from_settings` chooses once; services ask `Context.inputs`. Nothing here imports a stage.
"""
