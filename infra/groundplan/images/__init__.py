"""What images are built from and with: the base image made of Debian packages, and the builder."""

from groundplan.images.base import ensure_base
from groundplan.images.builder import BUILDER, image_settings

__all__ = ["BUILDER", "ensure_base", "image_settings"]
