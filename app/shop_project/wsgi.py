"""What Gunicorn serves. The plan is read once, before the workers are forked: a bad one stops the start."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop_project.settings")
application = get_wsgi_application()

from operations import plan  # noqa: E402 - needs the configured application

plan.current()
