"""What is timed, side by side with what it is compared with. `make bench` runs all of it."""
