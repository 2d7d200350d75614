"""The pages that people see: plain HTML from the server, forms, one stylesheet; no script."""
