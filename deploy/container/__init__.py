"""What runs inside Airflow's image, and is part of the image: the health checks and the init job.

It lies in the image's site-packages, and not in the release that is mounted: a release holds no `deploy`, and a
container has to be able to migrate and to tell its health whichever release is current, or none. So
`python -I -m deploy.container.health`, which ignores PYTHONPATH with the release on it, finds the package, and
`python -m deploy.container.init` without `-I` finds the same one.

May import deploy.common, and of third parties what the image has; no other part of deploy.
"""
