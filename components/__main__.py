"""Serves the components to programs in any of Pulumi's languages."""

from pulumi_groundplan.host import serve

if __name__ == "__main__":
    serve()
