"""Preview, update and removal of a Pulumi stack: policy gate, live progress, recovery.

Import from the modules: `settings` and `exclusive` are light, `deployment` loads the whole engine API.
"""
