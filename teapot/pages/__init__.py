"""What people see in a browser, of gateway and worker alike: one frame, one stylesheet, no script. The stub of the later web face."""
