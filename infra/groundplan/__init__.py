"""Promise-driven infrastructure as code for Pulumi and Kubernetes."""
