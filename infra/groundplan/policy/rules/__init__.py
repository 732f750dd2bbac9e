"""The rules, one module each. A module has one `RULE`; modules that begin with _ are shared helpers."""
