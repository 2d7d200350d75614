"""The gateway: the only HTTP parser. Runs as teapot without capabilities; opens no file, connects to nobody, maps nobody."""
