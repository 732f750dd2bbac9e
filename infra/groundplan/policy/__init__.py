"""Judges a stack of Kubernetes resources before it is deployed.

`stack.Stack` is the one model of the resources, `registry.all_rules()` the rules, `Registry.judge` their
findings. `pulumi_pack` hands the rules to Pulumi, `manifests` reads resources from files, `docs` writes the
pages of the rules.
"""
