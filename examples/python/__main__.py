"""A web service that follows its load, with a database: an image of your own is all that is missing."""

import pulumi

from pulumi_groundplan import Database, Environment, WebService

config = pulumi.Config()
place = Environment(
    "notes",
    {"platform": {"nodes": 3, "zones": 3}, "quota": {"cpu": "4", "memory": "8Gi", "storage": "20Gi"}},
)
database = Database(
    "database",
    {
        "namespace": place.namespace,
        "image": config.require("postgresqlImage"),
        "database": "notes",
        "allow_from": ["web"],
    },
)
web = WebService(
    "web",
    {
        "namespace": place.namespace,
        "image": config.require("image"),
        "autoscaling": {"min": 2, "max": 6},
        "service_time": {"mean": "15ms"},
        "load": {"arrival_rate": 40},
        "calls": [{"to": "database", "count": 2}],
        "slo": {"p95": "250ms"},
        "health": {"liveness": "/healthz", "readiness": "/readyz"},
        "env": {"DATABASE_HOST": database.host},
        "secret_env": {"DATABASE_PASSWORD": {"secret": database.secret_name, "key": "password"}},
    },
)
pulumi.export("url", web.url)
