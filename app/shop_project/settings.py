"""Django's settings; what differs between deployments comes from the environment (see README.md)."""

import logging
from pathlib import Path
from urllib.parse import quote

from shop_project import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = env.text("DJANGO_SECRET_KEY", min_length=32)
DEBUG = False
ALLOWED_HOSTS = env.names("DJANGO_ALLOWED_HOSTS")
LOG_LEVEL = env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "catalogue",
    "orders",
    "operations",
]

MIDDLEWARE = [
    # First: probes and Prometheus come with a pod's address as Host and aren't the shop's requests.
    "operations.middleware.ProbeMiddleware",
    "operations.middleware.MetricsMiddleware",
    "operations.middleware.SecurityHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "shop_project.urls"
WSGI_APPLICATION = "shop_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": env.text("DATABASE_HOST"),
        "PORT": env.integer("DATABASE_PORT", 5432, low=1, high=65535),
        "NAME": env.text("DATABASE_NAME"),
        "USER": env.text("DATABASE_USER"),
        "PASSWORD": env.text("DATABASE_PASSWORD"),
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
        # A worker that waits for a lost database is a worker that serves nobody.
        "OPTIONS": {"connect_timeout": 3, "options": "-c statement_timeout=10000 -c lock_timeout=5000"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _redis_url(kind: str) -> str:
    password = quote(env.text(f"{kind}_PASSWORD", ""), safe="")
    credentials = f":{password}@" if password else ""
    host, port = env.text(f"{kind}_HOST"), env.integer(f"{kind}_PORT", 6379, low=1, high=65535)
    return f"redis://{credentials}{host}:{port}/0"


CACHE_URL = _redis_url("CACHE")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": CACHE_URL,
        "KEY_PREFIX": "shop",
        "OPTIONS": {"socket_connect_timeout": 0.25, "socket_timeout": 0.25},
    }
}

CELERY_BROKER_URL = _redis_url("BROKER")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # A message whose worker died is given to another one after this time, so no task may take as long.
    "visibility_timeout": 120,
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "retry_on_timeout": False,
}
# Publishing must fail fast: the outbox sends the event again, the customer shouldn't wait for it.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_DEFAULT_QUEUE = "orders"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_SOFT_TIME_LIMIT = 20
CELERY_TASK_TIME_LIMIT = 30
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_CONCURRENCY = env.integer("CELERY_CONCURRENCY", 2, low=1, high=64)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
CURRENCY = "USD"

STATIC_URL = "static/"
STATIC_ROOT = env.text("STATIC_ROOT", str(BASE_DIR / "static_collected"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

SECURE_COOKIES = env.flag("DJANGO_SECURE_COOKIES", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = env.names("DJANGO_CSRF_TRUSTED_ORIGINS", "")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
# Everything comes from the shop itself; no inline script or style is used.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

PROMETHEUS_URL = env.http_url("PROMETHEUS_URL")
PLAN_FILE = env.text("PLAN_FILE", "")
PLAN_WEB_SERVICE = env.text("PLAN_WEB_SERVICE", "shop")
PLAN_WORKER_SERVICE = env.text("PLAN_WORKER_SERVICE", "orders")
EDGE_URL = env.http_url("EDGE_URL")

LISTEN_ADDRESS = env.text("LISTEN_ADDRESS", "0.0.0.0")  # noqa: S104 - a container has an address of its own
WEB_PORT = env.integer("WEB_PORT", 8000, low=1, high=65535)
WORKER_PORT = env.integer("WORKER_PORT", 9808, low=1, high=65535)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"level": LOG_LEVEL},
        # The metrics middleware logs every request once; Django's own line would repeat the failed ones.
        "django.request": {"level": "ERROR"},
        "httpx": {"level": "WARNING"},
        "gunicorn.error": {"handlers": ["stderr"], "level": LOG_LEVEL, "propagate": False},
    },
}
logging.captureWarnings(True)  # so that they are JSON lines too
