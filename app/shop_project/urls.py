"""All addresses of the shop; probes and metrics are answered by operations.middleware before these."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("catalogue.urls")),
    path("api/", include("orders.urls")),
    path("", include("operations.urls")),
    path("", include("orders.storefront_urls")),
]
