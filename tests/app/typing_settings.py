"""The shop's settings for the type checker, which reads them but never connects anywhere."""

import os

os.environ.update(
    DJANGO_SECRET_KEY="for the type checker only, never used",
    DJANGO_ALLOWED_HOSTS="localhost",
    DATABASE_HOST="localhost",
    DATABASE_NAME="shop",
    DATABASE_USER="shop",
    DATABASE_PASSWORD="none",
    CACHE_HOST="localhost",
    BROKER_HOST="localhost",
)

from shop_project.settings import *  # noqa: F403 - settings are read by name
