"""imds-agent: what an Azure VM says about itself, on its Kubernetes node."""

__version__ = "0.1.0"
