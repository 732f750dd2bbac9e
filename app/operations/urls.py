"""Addresses of the three APIs and the dashboard."""

from django.urls import path

from operations import views

urlpatterns = [
    path("api/performance/", views.performance, name="performance"),
    path("api/reliability/", views.reliability, name="reliability"),
    path("api/cost-benefit/", views.cost_benefit, name="cost-benefit"),
    path("dashboard/", views.show_dashboard, name="dashboard"),
]
