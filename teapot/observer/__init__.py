"""The observer: how the service is and what it has counted, told to admins on the admin port. It touches no request."""
